"""Recognises expressions in crops: encode, search, vote, combine."""

import numpy as np
import numpy.typing as npt

from classifier.bundle import Bundle
from classifier.ensemble import Prediction, combine


class Recognizer:
    """A bundle with one of its label sets chosen.

    Args:
        bundle: holds the encoder, the gallery's index and the calibrations.
        labels: name of the label set to predict; the bundle's default when None.

    Raises:
        ValueError: the bundle knows no such label set.
    """

    def __init__(self, bundle: Bundle, labels: str | None = None) -> None:
        label_set = bundle.default_labels if labels is None else labels
        if label_set not in bundle.classes:
            raise ValueError(f"labels: expected one of {sorted(bundle.classes)}, received {label_set!r}")
        self.bundle = bundle
        self.label_set = label_set

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the prediction's columns, in order."""
        return self.bundle.classes[self.label_set]

    def predict(self, crops: npt.NDArray[np.uint8]) -> Prediction:
        """Predicts the expression that each face shows.

        Args:
            crops: `(n, 48, 48)` uint8 in [0, 255], grey, as `embeddings.crops` makes them; `n = 0` is legal.

        Returns:
            The prediction, one row per crop.
        """
        calibration = self.bundle.calibrations[self.label_set]
        encoded = self.bundle.encoder.encode(crops)
        neighbors = self.bundle.index.search(encoded.embeddings, calibration.k)
        return combine(encoded.logits[self.label_set], neighbors, calibration, self.label_set, self.classes)
