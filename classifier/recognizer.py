"""Recognises expressions in crops: encode, search, vote, combine, and listen to what the user taught."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from classifier.blend import BLEND
from classifier.bundle import Bundle
from classifier.ensemble import Prediction, combine
from classifier.taught_votes import TaughtWitness, Testimony, with_taught
from embeddings.encoder import Encoded
from index.search import Neighbors
from index.taught_index import TaughtIndex


class Taught(Protocol):
    """Where taught faces come from."""

    def current(self) -> TaughtIndex | None:
        """Returns the user's gallery as it is now, the same object while it does not change; None for none."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What was found for n faces.

    Attributes:
        neighbors: the most similar faces of the bundle's gallery.
        testimony: what the user's taught faces say; None where there are none.
    """

    neighbors: Neighbors
    testimony: Testimony | None


class Recognizer:
    """A bundle with one of its views chosen: a label set, or the blend of several.

    Args:
        bundle: holds the encoder, the gallery's index and the calibrations.
        labels: name of the view to predict; the bundle's default when None.
        taught: the user's own gallery, if any; what it holds counts from the next prediction on.

    Raises:
        ValueError: the bundle has no such view.
    """

    def __init__(self, bundle: Bundle, labels: str | None = None, taught: Taught | None = None) -> None:
        label_set = bundle.default_labels if labels is None else labels
        if label_set not in bundle.views:
            raise ValueError(f"labels: expected one of {sorted(bundle.views)}, received {label_set!r}")
        self.bundle = bundle
        self.label_set = label_set
        self.taught = taught
        self._blend = bundle.blend if label_set == BLEND else None
        self._witness: TaughtWitness | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the view's classes, in order; a prediction's `classes` are these and then those taught beside."""
        return self.bundle.views[self.label_set]

    @property
    def gallery_labels(self) -> npt.NDArray[np.int64]:
        """`(n,)` int64, what each face of the gallery is labelled as, a column of `classes`; -1 for none."""
        labels = self.bundle.index.gallery.labels
        return self._blend.labels(labels, self.bundle.classes) if self._blend else labels[self.label_set]

    @property
    def unknown_below(self) -> float:
        """A prediction with less confidence than this, in [0, 1], is called unknown."""
        return (self._blend or self.bundle.calibrations[self.label_set]).unknown_below

    def predict(self, crops: npt.NDArray[np.uint8]) -> Prediction:
        """Predicts the expression that each face shows.

        Args:
            crops: `(n, 48, 48)` uint8 in [0, 255], grey, as `embeddings.crops` makes them; `n = 0` is legal.

        Returns:
            The prediction, one row per crop.
        """
        return self.judge(self.bundle.encoder.encode(crops))

    def judge(self, encoded: Encoded) -> Prediction:
        """Predicts from what the bundle's encoder said of the faces; `predict` without the encoder's share."""
        return self.decide(encoded, self.search(encoded))

    def search(self, encoded: Encoded) -> Evidence:
        """Finds the most similar faces, the bundle's and those that the user taught."""
        names = list(self._blend.shares) if self._blend else [self.label_set]
        most = max(self.bundle.calibrations[name].k for name in names)
        neighbors = self.bundle.index.search(encoded.embeddings, most)
        index = self.taught.current() if self.taught else None
        if index is None or not len(index):
            return Evidence(neighbors, None)
        if self._witness is None:
            self._witness = TaughtWitness(self.bundle.index.gallery.embeddings, self.classes, self.bundle.gate)
        return Evidence(neighbors, self._witness.hear(encoded.embeddings, index))

    def decide(self, encoded: Encoded, evidence: Evidence) -> Prediction:
        """Predicts from what the encoder said and what was found, of the same faces."""
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
        """Returns what each neighbour of a face is labelled as, best first; None for a missing one or no label."""
        neighbors = prediction.neighbors
        columns = np.where(neighbors.valid[row], neighbors.labels[self.label_set][row], -1)
        return [prediction.classes[column] if column >= 0 else None for column in columns]
