"""Finds how much the votes should count (alpha), how wide they reach (tau) and how many neighbours are asked (k)."""

import numpy as np
import numpy.typing as npt

from classifier.metrics import PROBA_FLOOR, accuracy
from classifier.votes import IntArray, vote_weights

DoubleArray = npt.NDArray[np.float64]

K_GRID = (3, 5, 10, 15, 20, 30, 50, 75, 100)
TAU_GRID = np.geomspace(0.003, 1.0, 12)
ALPHA_GRID = np.linspace(0.0, 1.0, 21)
_REFINED = 9  # values per axis of the second, finer grid


def fit_mixture(
    head: DoubleArray, similarities: npt.NDArray[np.floating], labels: IntArray, truth: IntArray
) -> tuple[float, float, int]:
    """Returns the alpha, tau and k under which the mixture makes the truth most likely, and which cost no accuracy.

    A coarse grid over all three, then a finer one around its best cell. Of the candidates, the likeliest is taken whose
    accuracy is not below the better of the head and of the votes with the same tau and k. One always qualifies: at
    alpha = 1 and alpha = 0 the mixture is the one or the other.

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
    alpha, tau, k = _search(head, similarities, labels, truth, ALPHA_GRID, TAU_GRID, ks)
    alphas = np.linspace(*_around(ALPHA_GRID, alpha), _REFINED)
    taus = np.geomspace(*_around(TAU_GRID, tau), _REFINED)
    finer_ks = np.linspace(*_around(ks, k), _REFINED).round()
    return _search(
        head,
        similarities,
        labels,
        truth,
        np.union1d(alphas, [alpha]),
        np.union1d(taus, [tau]),
        np.union1d(finer_ks, [k]).astype(np.int64),
    )


def _around(grid: npt.NDArray[np.generic], value: float) -> tuple[float, float]:
    """Returns the grid's neighbours of one of its values, or the value itself at an end."""
    at = int(np.flatnonzero(grid == value)[0])
    return float(grid[max(at - 1, 0)]), float(grid[min(at + 1, len(grid) - 1)])


def _search(
    head: DoubleArray,
    similarities: npt.NDArray[np.floating],
    labels: IntArray,
    truth: IntArray,
    alphas: DoubleArray,
    taus: DoubleArray,
    ks: IntArray,
) -> tuple[float, float, int]:
    """Returns the best qualifying (alpha, tau, k) of a grid."""
    rows = np.arange(len(truth))
    shares = np.stack([_shares(head, similarities, labels, tau, ks) for tau in taus])  # (taus, ks, n, C)
    true_head, true_shares = head[rows, truth], shares[:, :, rows, truth]
    costs = np.stack(
        [
            -np.log(np.maximum(alpha * true_head + (1.0 - alpha) * true_shares, PROBA_FLOOR)).mean(axis=2)
            for alpha in alphas
        ]
    )
    head_accuracy = accuracy(head.argmax(axis=1), truth)
    for cell in np.argsort(costs, axis=None, kind="stable"):
        at_alpha, at_tau, at_k = np.unravel_index(cell, costs.shape)
        alpha, knn = alphas[at_alpha], shares[at_tau, at_k]
        mixed = accuracy((alpha * head + (1.0 - alpha) * knn).argmax(axis=1), truth)
        if mixed >= max(head_accuracy, accuracy(knn.argmax(axis=1), truth)):
            break
    return float(alphas[at_alpha]), float(taus[at_tau]), int(ks[at_k])


def _shares(
    head: DoubleArray, similarities: npt.NDArray[np.floating], labels: IntArray, tau: float, ks: IntArray
) -> npt.NDArray[np.float32]:
    """Returns the vote shares for every k at once, `(ks, n, C)`; the head's row where nobody votes, as `mix` does."""
    ballots = labels[:, :, None] == np.arange(head.shape[1])
    totals = np.cumsum(vote_weights(similarities, labels, tau)[:, :, None] * ballots, axis=1)[:, ks - 1]
    totals = totals.transpose(1, 0, 2)
    mass = totals.sum(axis=2, keepdims=True)
    return np.where(mass > 0, totals / np.where(mass > 0, mass, 1.0), head).astype(np.float32)
