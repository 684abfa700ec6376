"""Recognize expressions in crops: encode, search, vote, combine, and listen to what the user taught."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from moodspace.arrays import BoolArray, ByteArray, DoubleArray, FloatArray, IntArray
from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.ensemble import Prediction, calibrated_votes, combine, vote
from moodspace.classifier.taught_scores import TaughtScorer, TaughtScores, with_taught
from moodspace.classifier.views import BLEND
from moodspace.embeddings.encoder import Encoded
from moodspace.index.search import Neighbors
from moodspace.index.taught.search import TaughtIndex


def voters(bundle: Bundle, view: str) -> int:
    """Return how many of the nearest faces vote at most in a view of a bundle: a label set, or the blend."""
    return max(bundle.calibrations[name].k for name in _label_sets(bundle, view))


def votes_alone(
    bundle: Bundle, view: str, labels: Mapping[str, IntArray], similarities: FloatArray, rows: IntArray
) -> tuple[FloatArray, BoolArray]:
    """Return what the nearest faces of a bundle's gallery say, calibrated.

    Args:
        bundle: Whose calibrations and blend count.
        view: A label set, or the blend.
        labels: The gallery's labels, for each label set `(m,)` int64, -1 for none.
        similarities: `(n, k)` float32 cosines to the nearest faces, best first.
        rows: `(n, k)` int64, their rows in the gallery, -1 where there is none.

    Returns:
        `(n, C)` float32, rows sum to 1, columns in the order of the view's classes; and `(n,)` bool, False where nobody
        voted, so that the row says nothing.
    """
    parts: dict[str, DoubleArray] = {}
    voted = np.zeros(len(rows), np.bool_)
    for name in _label_sets(bundle, view):
        calibration = bundle.calibrations[name]
        ballots = np.append(labels[name], -1)[rows]
        votes = vote(similarities, ballots, len(bundle.classes[name]), tau=calibration.tau, k=calibration.k)
        parts[name] = calibrated_votes(votes.proba, calibration)
        voted |= votes.voted
    proba = bundle.blend.mean(parts, bundle.classes) if view == BLEND and bundle.blend else parts[view]
    return proba.astype(np.float32), voted


def _label_sets(bundle: Bundle, view: str) -> list[str]:
    return list(bundle.blend.shares) if view == BLEND and bundle.blend else [view]


class Taught(Protocol):
    """Where taught faces come from."""

    def current(self) -> TaughtIndex | None:
        """Return the user's gallery as it is now, the same object while it does not change; None for none."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What was found for n faces.

    Attributes:
        neighbors: The most similar faces of the bundle's gallery.
        testimony: What the user's taught faces say; None where there are none.
    """

    neighbors: Neighbors
    testimony: TaughtScores | None


class Recognizer:
    """A bundle with one of its views chosen: a label set, or the blend of several.

    Args:
        bundle: Holds the encoder, the gallery's index and the calibrations.
        labels: Name of the view to predict; the bundle's default when None.
        taught: The user's own gallery, if any; what it holds counts from the next prediction on.

    Raises:
        ValueError: The bundle has no such view.
    """

    def __init__(self, bundle: Bundle, labels: str | None = None, taught: Taught | None = None) -> None:
        label_set = bundle.default_labels if labels is None else labels
        if label_set not in bundle.views:
            raise ValueError(f"labels: expected one of {sorted(bundle.views)}, got {label_set!r}")
        self.bundle = bundle
        self.label_set = label_set
        self.taught = taught
        self._blend = bundle.blend if label_set == BLEND else None
        self._witness: TaughtScorer | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of the view's classes, in order; a prediction's `classes` are these and then those taught beside."""
        return self.bundle.views[self.label_set]

    @property
    def gallery_labels(self) -> IntArray:
        """`(n,)` int64, what each face of the gallery is labelled as, a column of `classes`; -1 for none."""
        labels = self.bundle.index.gallery.labels
        return self._blend.labels(labels, self.bundle.classes) if self._blend else labels[self.label_set]

    @property
    def unknown_below(self) -> float:
        """A prediction with less confidence than this, in [0, 1], is called unknown."""
        return (self._blend or self.bundle.calibrations[self.label_set]).unknown_below

    def predict(self, crops: ByteArray) -> Prediction:
        """Predict the expression that each face shows.

        Args:
            crops: `(n, 48, 48)` uint8 in [0, 255], gray, as `embeddings.crops` makes them; `n = 0` is legal.

        Returns:
            The prediction, one row per crop.
        """
        return self.predict_encoded(self.bundle.encoder.encode(crops))

    def predict_encoded(self, encoded: Encoded) -> Prediction:
        """Predict from what the bundle's encoder said of the faces; `predict` without the encoder's share."""
        return self.decide(encoded, self.search(encoded))

    def search(self, encoded: Encoded) -> Evidence:
        """Find the most similar faces, the bundle's and those that the user taught."""
        names = list(self._blend.shares) if self._blend else [self.label_set]
        most = max(self.bundle.calibrations[name].k for name in names)
        neighbors = self.bundle.index.search(encoded.embeddings, most)
        index = self.taught.current() if self.taught else None
        if index is None or not len(index):
            return Evidence(neighbors, None)
        if self._witness is None:
            self._witness = TaughtScorer(self.bundle.index.gallery.embeddings, self.classes, self.bundle.gate)
        return Evidence(neighbors, self._witness.score(encoded.embeddings, index))

    def decide(self, encoded: Encoded, evidence: Evidence) -> Prediction:
        """Predict from what the encoder said and what was found, of the same faces."""
        bundle, neighbors = self.bundle, evidence.neighbors
        predictions = {
            name: combine(encoded.logits[name], neighbors, bundle.calibrations[name], name, bundle.classes[name])
            for name in (self._blend.shares if self._blend else [self.label_set])
        }
        prediction = self._blend.predict(predictions, neighbors) if self._blend else predictions[self.label_set]
        if evidence.testimony is None:
            return prediction
        return with_taught(prediction, evidence.testimony, self.label_set, self.unknown_below)

    def neighbor_names(self, prediction: Prediction, row: int) -> list[str | None]:
        """Return what each neighbor of a face is labelled as, best first; None for a missing one or no label."""
        neighbors = prediction.neighbors
        columns = np.where(neighbors.valid[row], neighbors.labels[self.label_set][row], -1)
        return [prediction.classes[column] if column >= 0 else None for column in columns]
