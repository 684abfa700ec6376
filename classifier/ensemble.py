"""One prediction from two witnesses: the network's own head and the votes of the nearest labelled faces."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from moodspace.arrays import BoolArray, FloatArray, IntArray
from moodspace.classifier.calibration import Calibration, calibrated, sharpen
from moodspace.classifier.votes import neighbor_labels, vote
from moodspace.index.search import Neighbors


@dataclass(frozen=True, slots=True)
class Prediction:
    """What `n` faces show, how sure that is, and on which evidence.

    Attributes:
        proba: `(n, C)` float32, rows sum to 1, columns in the order of `classes`.
        classes: names of the `C` columns.
        head_proba: `(n, C)` float32, the calibrated head alone.
        knn_proba: `(n, C)` float32, the votes alone, calibrated; uniform where no neighbour had a vote.
        neighbors: the faces that voted, best first.
        unknown: `(n,)` bool, True where the confidence is below the calibrated threshold.

    Raises:
        ValueError: arrays of other shapes than these, or a probability that is not finite.
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
                raise ValueError(f"{name}: expected the shape {expected} of faces and classes, received {values.shape}")
            if not np.isfinite(values).all():
                raise ValueError(f"{name}: expected finite values, received NaN or infinite ones")

    def __len__(self) -> int:
        return len(self.unknown)

    @property
    def labels(self) -> IntArray:
        """`(n,)` int64, the most probable class; the first one when several are equally probable."""
        return self.proba.argmax(axis=1).astype(np.int64)

    @property
    def confidence(self) -> FloatArray:
        """`(n,)` float32, the probability of that class."""
        return self.proba.max(axis=1)

    def withheld(self, readable: BoolArray) -> "Prediction":
        """Return the prediction, unknown for those faces that cannot be read.

        Args:
            readable: `(n,)` bool.
        """
        return replace(self, unknown=self.unknown | ~readable)


def calibrated_votes(shares: npt.NDArray[np.floating], calibration: Calibration) -> npt.NDArray[np.float64]:
    """Turns vote shares into probabilities that are as sure as the votes are right.

    Args:
        shares: `(n, C)` vote shares, rows sum to 1.
        calibration: gives the votes' smoothing and temperature.

    Returns:
        `(n, C)` float64, rows sum to 1. The order of the classes within a row does not change.
    """
    return sharpen(shares + calibration.votes_smoothing, calibration.votes_temperature)


def mix(
    head: npt.NDArray[np.floating], knn: npt.NDArray[np.floating], voted: BoolArray, calibration: Calibration
) -> npt.NDArray[np.float64]:
    """Returns `alpha * head + (1 - alpha) * knn` at the ensemble's temperature; the head alone where nobody voted.

    Args:
        head: `(n, C)` calibrated probabilities of the head.
        knn: `(n, C)` calibrated probabilities of the votes.
        voted: `(n,)` bool, False where `knn` says nothing.
        calibration: gives alpha and the ensemble's temperature.

    Returns:
        `(n, C)` float64, rows sum to 1.
    """
    mixture = sharpen(calibration.alpha * head + (1.0 - calibration.alpha) * knn, calibration.ensemble_temperature)
    return np.where(voted[:, None], mixture, head)


def combine(
    head_logits: FloatArray, neighbors: Neighbors, calibration: Calibration, label_set: str, classes: tuple[str, ...]
) -> Prediction:
    """Makes the calibrated prediction for `n` faces; `n = 0` is legal.

    Args:
        head_logits: `(n, C)` float32, the head's raw outputs for this label set, columns in the order of `classes`.
        neighbors: the nearest labelled faces, at least `calibration.k` columns where the gallery has that many.
        calibration: the fitted values of this label set.
        label_set: the label column that the neighbours vote with.
        classes: names of the `C` columns.

    Returns:
        The prediction; its arrays have the rows of `head_logits`.

    Raises:
        ValueError: shapes that do not fit one another, logits that are not finite, or an unknown label set.
    """
    if head_logits.shape != (len(neighbors.ids), len(classes)):
        raise ValueError(
            f"head_logits: expected the shape {(len(neighbors.ids), len(classes))} of faces and classes, "
            f"received {head_logits.shape}"
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
