"""Finds how wide the votes reach (tau), how many neighbours are asked (k), and how much the votes count (alpha)."""

import numpy as np
import numpy.typing as npt

from classifier.metrics import PROBA_FLOOR, accuracy, nll
from classifier.votes import IntArray, vote_weights

DoubleArray = npt.NDArray[np.float64]

K_GRID = (3, 5, 10, 15, 20, 30, 50, 75, 100)
TAU_GRID = np.geomspace(0.003, 1.0, 12)
ALPHA_GRID = np.linspace(0.0, 1.0, 21)


def likeliest_taus(
    similarities: npt.NDArray[np.floating], labels: IntArray, truth: IntArray, n_classes: int
) -> list[tuple[float, int]]:
    """Returns, for each k that the gallery has room for, the tau that makes the truth most likely by the votes alone.

    Args:
        similarities: `(n, k_max)` cosine similarities of the nearest faces, best first.
        labels: `(n, k_max)` int64, the class that each of them votes for, -1 for none.
        truth: `(n,)` int64 in [0, n_classes).
        n_classes: number of classes.

    Returns:
        Pairs of tau and k, k ascending; one of them where nobody votes.
    """
    k_max = similarities.shape[1]
    ks = np.array([k for k in K_GRID if k < k_max] + [max(1, min(k_max, K_GRID[-1]))])
    if not (labels >= 0).any():
        return [(float(TAU_GRID[-1]), int(ks[0]))]
    rows = np.arange(len(truth))
    shares = np.stack([_shares(similarities, labels, n_classes, tau, ks)[:, rows, truth] for tau in TAU_GRID])
    costs = -np.log(np.maximum(shares, PROBA_FLOOR)).mean(axis=2)  # (taus, ks)
    return [(float(tau), int(k)) for tau, k in zip(TAU_GRID[costs.argmin(axis=0)], ks, strict=True)]


def fit_alpha(head: DoubleArray, knn: DoubleArray, truth: IntArray) -> float:
    """Returns the likeliest alpha at which the mixture is no less accurate than the better of head and votes.

    One always qualifies: at alpha = 1 and alpha = 0 the mixture is the one or the other.

    Args:
        head: `(n, C)` calibrated probabilities of the head.
        knn: `(n, C)` honest probabilities of the votes; with n = 0 the head decides alone.
        truth: `(n,)` int64 in [0, C).
    """
    if not len(truth):
        return 1.0
    mixtures = [alpha * head + (1.0 - alpha) * knn for alpha in ALPHA_GRID]
    costs = np.array([nll(mixture, truth) for mixture in mixtures])
    accuracies = np.array([accuracy(mixture.argmax(axis=1), truth) for mixture in mixtures])
    accurate = accuracies >= max(accuracies[0], accuracies[-1])
    return float(ALPHA_GRID[int(np.where(accurate, costs, np.inf).argmin())])


def _shares(
    similarities: npt.NDArray[np.floating], labels: IntArray, n_classes: int, tau: float, ks: IntArray
) -> npt.NDArray[np.float32]:
    """Returns the vote shares for every k at once, `(ks, n, C)`; uniform where nobody votes."""
    ballots = labels[:, :, None] == np.arange(n_classes)
    totals = np.cumsum(vote_weights(similarities, labels, tau)[:, :, None] * ballots, axis=1)[:, ks - 1]
    totals = totals.transpose(1, 0, 2)
    mass = totals.sum(axis=2, keepdims=True)
    return np.where(mass > 0, totals / np.where(mass > 0, mass, 1.0), 1.0 / n_classes).astype(np.float32)
