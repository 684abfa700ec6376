"""Finds how wide the votes reach (tau), how many neighbours are asked (k), and how much the votes count (alpha)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from moodspace.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from moodspace.classifier.metrics import PROBA_FLOOR, accuracy, nll
from moodspace.index.search import Neighbors


@dataclass(frozen=True, slots=True)
class Votes:
    """What the neighbours of `n` faces say.

    Attributes:
        proba: `(n, C)` float32, rows sum to 1; uniform where no neighbour voted.
        voted: `(n,)` bool, True where at least one neighbour had a label to vote with.
    """

    proba: FloatArray
    voted: BoolArray


def neighbor_labels(neighbors: Neighbors, label_set: str) -> IntArray:
    """Returns what each neighbour votes for: its label, or -1 where it is missing or has none in this set.

    Args:
        neighbors: the nearest faces, `(n, k)`, best first.
        label_set: name of the label column to vote with.

    Returns:
        `(n, k)` int64 into the label set's classes, -1 for no vote.

    Raises:
        ValueError: the neighbours carry no such label column.
    """
    if label_set not in neighbors.labels:
        raise ValueError(
            f"label_set: expected one that the gallery has, {sorted(neighbors.labels)}, received {label_set!r}"
        )
    return np.where(neighbors.valid, neighbors.labels[label_set], -1)


def vote(
    similarities: npt.NDArray[np.floating], labels: IntArray, n_classes: int, *, tau: float, k: int | None = None
) -> Votes:
    """Turns neighbours into class probabilities; each votes with the weight `exp((similarity - 1) / tau)`.

    Args:
        similarities: `(n, k_max)` cosine similarities, best first. Values where `labels` is -1 are not looked at.
        labels: `(n, k_max)` int64 in [-1, n_classes), -1 for a neighbour without a vote.
        n_classes: number of classes `C`, the columns of the result.
        tau: width of the vote, > 0, in units of similarity; the smaller, the more the nearest neighbour decides.
        k: how many of the nearest neighbours are asked; all of them when None.

    Returns:
        The votes, columns in the order of the label set's classes.

    Raises:
        ValueError: shapes that differ, a tau that is not positive, or a label outside the classes.
    """
    if similarities.shape != labels.shape or labels.ndim != 2:
        raise ValueError(
            f"labels: expected the shape (n, k) of similarities, {similarities.shape}, received {labels.shape}"
        )
    if not tau > 0:
        raise ValueError(f"tau: expected a number > 0, received {tau}")
    if labels.size and labels.max() >= n_classes:
        raise ValueError(f"labels: expected columns of {n_classes} classes, received {labels.max()}")
    labels = labels[:, :k]
    votes = labels >= 0
    voted = np.any(votes, axis=1)
    weights = vote_weights(similarities[:, :k], labels, tau)
    cells = np.arange(len(labels))[:, None] * n_classes + labels
    totals = np.bincount(cells[votes], weights[votes], minlength=len(labels) * n_classes).reshape(-1, n_classes)
    totals[~voted] = 1.0
    return Votes((totals / totals.sum(axis=1, keepdims=True)).astype(np.float32), voted)


def vote_weights(similarities: npt.NDArray[np.floating], labels: IntArray, tau: float) -> npt.NDArray[np.float64]:
    """Returns `exp((similarity - best) / tau)` for each neighbour, where `best` is the row's most similar voter.

    Only the ratios within a row matter to a vote. Taken relative to the best voter, whose weight is 1, no tau is so
    small that all weights of a row underflow to 0.

    Args:
        similarities: `(n, k)` cosine similarities. Values where `labels` is -1 are not looked at.
        labels: `(n, k)` int64, -1 for a neighbour without a vote; its weight is 0.
        tau: > 0, in units of similarity.
    """
    voters = np.where(labels >= 0, similarities.astype(np.float64), -np.inf)
    best = voters.max(axis=1, initial=-np.inf, keepdims=True)
    return np.exp((voters - np.where(np.isfinite(best), best, 0.0)) / tau)


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
    neighbor_labels = labels[:, :, None] == np.arange(n_classes)
    totals = np.cumsum(vote_weights(similarities, labels, tau)[:, :, None] * neighbor_labels, axis=1)[:, ks - 1]
    totals = totals.transpose(1, 0, 2)
    mass = totals.sum(axis=2, keepdims=True)
    return np.where(mass > 0, totals / np.where(mass > 0, mass, 1.0), 1.0 / n_classes).astype(np.float32)
