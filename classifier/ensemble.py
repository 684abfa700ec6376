"""The ensemble: one calibrated prediction from the network's head and the votes of the nearest labelled faces."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from moodspace.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from moodspace.classifier.calibration import Calibration, calibrated, sharpen
from moodspace.index.search import Neighbors


@dataclass(frozen=True, slots=True)
class Prediction:
    """The predictions for n faces.

    Attributes:
        proba: `(n, C)` float32, rows sum to 1, columns in the order of `classes`.
        classes: Names of the `C` columns.
        head_proba: `(n, C)` float32, the calibrated probabilities of the head.
        knn_proba: `(n, C)` float32, the calibrated probabilities of the votes; uniform where no neighbor voted.
        neighbors: The nearest labelled faces, best first.
        unknown: `(n,)` bool, True where the confidence is below the calibrated threshold.

    Raises:
        ValueError: An array has another shape, or a probability is not finite.
    """

    proba: FloatArray
    classes: tuple[str, ...]
    head_proba: FloatArray
    knn_proba: FloatArray
    neighbors: Neighbors
    unknown: BoolArray

    def __post_init__(self) -> None:
        expected = (len(self.unknown), len(self.classes))
        for name in ("proba", "head_proba", "knn_proba"):
            values = getattr(self, name)
            if values.shape != expected:
                raise ValueError(f"{name}: expected the shape {expected} of faces and classes, got {values.shape}")
            if not np.isfinite(values).all():
                raise ValueError(f"{name}: expected finite values, got NaN or infinite ones")

    def __len__(self) -> int:
        return len(self.unknown)

    @property
    def labels(self) -> IntArray:
        """`(n,)` int64, the column of the most probable class; of equally probable ones the first."""
        return self.proba.argmax(axis=1).astype(np.int64)

    @property
    def confidence(self) -> FloatArray:
        """`(n,)` float32, the probability of that class."""
        return self.proba.max(axis=1)

    def withheld(self, readable: BoolArray) -> "Prediction":
        """Return the prediction with the unreadable faces called unknown.

        Args:
            readable: `(n,)` bool, False for faces that are too small, blurred or covered.
        """
        return replace(self, unknown=self.unknown | ~readable)


def combine(
    head_logits: FloatArray, neighbors: Neighbors, calibration: Calibration, label_set: str, classes: tuple[str, ...]
) -> Prediction:
    """Combine head and votes into the calibrated prediction for n faces; `n = 0` is legal.

    Args:
        head_logits: `(n, C)` float32, the head's logits for this label set, columns in the order of `classes`.
        neighbors: The nearest labelled faces, at least `calibration.k` of them if the gallery has as many.
        calibration: The fitted values of this label set.
        label_set: The label set that the neighbors vote in.
        classes: Names of the `C` columns.

    Returns:
        The prediction; its arrays have the rows of `head_logits`.

    Raises:
        ValueError: Shapes do not fit one another, a logit is not finite, or the label set is unknown.
    """
    if head_logits.shape != (len(neighbors.ids), len(classes)):
        raise ValueError(
            f"head_logits: expected the shape {(len(neighbors.ids), len(classes))} of faces and classes, "
            f"got {head_logits.shape}"
        )
    votes = vote(
        neighbors.similarities,
        neighbor_labels(neighbors, label_set),
        len(classes),
        tau=calibration.tau,
        k=calibration.k,
    )
    head, knn = calibrated(head_logits, calibration), calibrated_votes(votes.proba, calibration)
    proba = mix(head, knn, votes.voted, calibration).astype(np.float32)
    return Prediction(
        proba=proba,
        classes=classes,
        head_proba=head.astype(np.float32),
        knn_proba=knn.astype(np.float32),
        neighbors=neighbors,
        unknown=proba.max(axis=1, initial=0.0) < calibration.unknown_below,
    )


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes of the neighbors of n faces.

    Attributes:
        proba: `(n, C)` float32, rows sum to 1; uniform where no neighbor voted.
        voted: `(n,)` bool, True where at least one neighbor has a label.
    """

    proba: FloatArray
    voted: BoolArray


def neighbor_labels(neighbors: Neighbors, label_set: str) -> IntArray:
    """Return the label of each neighbor, or -1 if it is missing or has no label in this set.

    Args:
        neighbors: The nearest faces, `(n, k)`, best first.
        label_set: Name of the label set.

    Returns:
        `(n, k)` int64 columns of the label set's classes, -1 for none.

    Raises:
        ValueError: The neighbors have no such label set.
    """
    if label_set not in neighbors.labels:
        raise ValueError(f"label_set: expected one of the gallery's, {sorted(neighbors.labels)}, got {label_set!r}")
    return np.where(neighbors.valid, neighbors.labels[label_set], -1)


def vote(
    similarities: npt.NDArray[np.floating], labels: IntArray, n_classes: int, *, tau: float, k: int | None = None
) -> Votes:
    """Return the class shares of the neighbors' votes; each has the weight `exp((similarity - 1) / tau)`.

    Args:
        similarities: `(n, k_max)` cosine similarities, best first. Values where `labels` is -1 are ignored.
        labels: `(n, k_max)` int64 in [-1, n_classes), -1 for a neighbor without a vote.
        n_classes: Number of classes `C`, the columns of the result.
        tau: Width of the vote, > 0, in units of similarity. The smaller, the more the nearest neighbor decides.
        k: Number of nearest neighbors that vote; None for all.

    Returns:
        The votes, columns in the order of the label set's classes.

    Raises:
        ValueError: The shapes differ, tau is not positive, or a label is outside the classes.
    """
    if similarities.shape != labels.shape or labels.ndim != 2:
        raise ValueError(f"labels: expected the shape (n, k) of similarities, {similarities.shape}, got {labels.shape}")
    if not tau > 0:
        raise ValueError(f"tau: expected a number > 0, got {tau}")
    if labels.size and labels.max() >= n_classes:
        raise ValueError(f"labels: expected columns of {n_classes} classes, got {labels.max()}")
    labels = labels[:, :k]
    votes = labels >= 0
    voted = np.any(votes, axis=1)
    weights = vote_weights(similarities[:, :k], labels, tau)
    cells = np.arange(len(labels))[:, None] * n_classes + labels
    totals = np.bincount(cells[votes], weights[votes], minlength=len(labels) * n_classes).reshape(-1, n_classes)
    totals[~voted] = 1.0
    return Votes((totals / totals.sum(axis=1, keepdims=True)).astype(np.float32), voted)


def vote_weights(similarities: npt.NDArray[np.floating], labels: IntArray, tau: float) -> DoubleArray:
    """Return `exp((similarity - best) / tau)` for each neighbor, where `best` is the row's most similar voter.

    Only the ratios within a row matter. Relative to the best voter, whose weight is 1, no tau is so small that all
    weights of a row underflow to 0.

    Args:
        similarities: `(n, k)` cosine similarities. Values where `labels` is -1 are ignored.
        labels: `(n, k)` int64, -1 for a neighbor without a vote; its weight is 0.
        tau: > 0, in units of similarity.
    """
    voters = np.where(labels >= 0, similarities.astype(np.float64), -np.inf)
    best = voters.max(axis=1, initial=-np.inf, keepdims=True)
    return np.exp((voters - np.where(np.isfinite(best), best, 0.0)) / tau)


def calibrated_votes(shares: npt.NDArray[np.floating], calibration: Calibration) -> DoubleArray:
    """Calibrate vote shares, so that their confidence equals their accuracy.

    Args:
        shares: `(n, C)` vote shares, rows sum to 1.
        calibration: Has the votes' smoothing and temperature.

    Returns:
        `(n, C)` float64, rows sum to 1. The order of the classes within a row does not change.
    """
    return sharpen(shares + calibration.votes_smoothing, calibration.votes_temperature)


def mix(
    head: npt.NDArray[np.floating], knn: npt.NDArray[np.floating], voted: BoolArray, calibration: Calibration
) -> DoubleArray:
    """Return `alpha * head + (1 - alpha) * knn` at the ensemble's temperature, or `head` where no neighbor voted.

    Args:
        head: `(n, C)` calibrated probabilities of the head.
        knn: `(n, C)` calibrated probabilities of the votes.
        voted: `(n,)` bool, False where no neighbor voted and `knn` is uniform.
        calibration: Has alpha and the ensemble's temperature.

    Returns:
        `(n, C)` float64, rows sum to 1.
    """
    mixture = sharpen(calibration.alpha * head + (1.0 - calibration.alpha) * knn, calibration.ensemble_temperature)
    return np.where(voted[:, None], mixture, head)


def shifted_probabilities(proba: npt.NDArray[np.floating], shift: DoubleArray) -> FloatArray:
    """Add a shift to the logarithms of probabilities and normalize each row.

    Args:
        proba: `(n, C)`, rows sum to 1.
        shift: `(C,)` or `(n, C)`; rows of zeros change nothing.

    Returns:
        `(n, C)` float32, rows sum to 1.
    """
    weights = proba.astype(np.float64) * np.exp(shift)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
