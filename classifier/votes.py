"""Similarity-weighted votes of the nearest labelled faces."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from index.search import Neighbors

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Votes:
    """What the neighbours of `n` faces say.

    Attributes:
        proba: `(n, C)` float32, rows sum to 1; uniform where no neighbour voted.
        voted: `(n,)` bool, True where at least one neighbour had a label to vote with.
    """

    proba: FloatArray
    voted: BoolArray


def ballots(neighbors: Neighbors, label_set: str) -> IntArray:
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
