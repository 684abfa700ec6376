"""Finds how much the votes should count (alpha), how wide they reach (tau) and how many neighbours are asked (k)."""

import numpy as np
import numpy.typing as npt

from classifier.metrics import PROBA_FLOOR, accuracy, nll
from classifier.votes import IntArray, vote_weights

DoubleArray = npt.NDArray[np.float64]

K_GRID = (3, 5, 10, 15, 20, 30, 50, 75, 100)
TAU_GRID = np.geomspace(0.003, 1.0, 12)
ALPHA_GRID = np.linspace(0.0, 1.0, 21)
TOLERANCE = 0.01  # nats; what the votes may cost in likelihood for being heard


def fit_mixture(
    head: DoubleArray, similarities: npt.NDArray[np.floating], labels: IntArray, truth: IntArray
) -> tuple[float, float, int]:
    """Returns alpha, tau and k: the votes at their best, and as much weight on them as costs nothing.

    Tau and k make the truth most likely by the votes alone, so that what is shown as evidence can be believed in its
    own right. Alpha is then the smallest at which the mixture is no less accurate than the better of head and votes,
    and its likelihood within `TOLERANCE` nats of the best. One always qualifies for the first: at alpha = 1 and
    alpha = 0 the mixture is the one or the other; where none qualifies for both, the likeliest of those is taken.

    Args:
        head: `(n, C)` calibrated probabilities of the head.
        similarities: `(n, k_max)` cosine similarities of the nearest faces, best first.
        labels: `(n, k_max)` int64, the class that each of them votes for, -1 for none.
        truth: `(n,)` int64 in [0, C).
    """
    k_max = similarities.shape[1]
    ks = np.array([k for k in K_GRID if k < k_max] + [max(1, min(k_max, K_GRID[-1]))])
    if not (labels >= 0).any():
        return 1.0, float(TAU_GRID[-1]), int(ks[0])
    rows = np.arange(len(truth))
    shares = np.stack([_shares(head, similarities, labels, tau, ks) for tau in TAU_GRID])  # (taus, ks, n, C)
    costs = -np.log(np.maximum(shares[:, :, rows, truth], PROBA_FLOOR)).mean(axis=2)
    at_tau, at_k = np.unravel_index(int(costs.argmin()), costs.shape)
    alpha = _fit_alpha(head, shares[at_tau, at_k], truth)
    return alpha, float(TAU_GRID[at_tau]), int(ks[at_k])


def _fit_alpha(head: DoubleArray, knn: npt.NDArray[np.float32], truth: IntArray) -> float:
    mixtures = [alpha * head + (1.0 - alpha) * knn for alpha in ALPHA_GRID]
    costs = np.array([nll(mixture, truth) for mixture in mixtures])
    accuracies = np.array([accuracy(mixture.argmax(axis=1), truth) for mixture in mixtures])
    accurate = accuracies >= max(accuracies[0], accuracies[-1])
    likely = accurate & (costs <= costs.min() + TOLERANCE)
    if likely.any():
        return float(ALPHA_GRID[int(likely.argmax())])
    return float(ALPHA_GRID[int(np.where(accurate, costs, np.inf).argmin())])


def _shares(
    head: DoubleArray, similarities: npt.NDArray[np.floating], labels: IntArray, tau: float, ks: IntArray
) -> npt.NDArray[np.float32]:
    """Returns the vote shares for every k at once, `(ks, n, C)`; the head's row where nobody votes, as `mix` does."""
    ballots = labels[:, :, None] == np.arange(head.shape[1])
    totals = np.cumsum(vote_weights(similarities, labels, tau)[:, :, None] * ballots, axis=1)[:, ks - 1]
    totals = totals.transpose(1, 0, 2)
    mass = totals.sum(axis=2, keepdims=True)
    return np.where(mass > 0, totals / np.where(mass > 0, mass, 1.0), head).astype(np.float32)
