"""Recognises expressions in crops: encode, search, vote, combine."""

import numpy as np
import numpy.typing as npt

from classifier.blend import BLEND
from classifier.bundle import Bundle
from classifier.ensemble import Prediction, combine
from embeddings.encoder import Encoded


class Recognizer:
    """A bundle with one of its views chosen: a label set, or the blend of several.

    Args:
        bundle: holds the encoder, the gallery's index and the calibrations.
        labels: name of the view to predict; the bundle's default when None.

    Raises:
        ValueError: the bundle has no such view.
    """

    def __init__(self, bundle: Bundle, labels: str | None = None) -> None:
        label_set = bundle.default_labels if labels is None else labels
        if label_set not in bundle.views:
            raise ValueError(f"labels: expected one of {sorted(bundle.views)}, received {label_set!r}")
        self.bundle = bundle
        self.label_set = label_set

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the prediction's columns, in order."""
        return self.bundle.views[self.label_set]

    @property
    def gallery_labels(self) -> npt.NDArray[np.int64]:
        """`(n,)` int64, what each face of the gallery is labelled as, a column of `classes`; -1 for none."""
        labels, blend = self.bundle.index.gallery.labels, self.bundle.blend
        if self.label_set == BLEND and blend is not None:
            return blend.labels(labels, self.bundle.classes)
        return labels[self.label_set]

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
        bundle = self.bundle
        blend = bundle.blend if self.label_set == BLEND else None
        names = list(blend.shares) if blend else [self.label_set]
        neighbors = bundle.index.search(encoded.embeddings, max(bundle.calibrations[name].k for name in names))
        predictions = {
            name: combine(encoded.logits[name], neighbors, bundle.calibrations[name], name, bundle.classes[name])
            for name in names
        }
        return blend.predict(predictions, neighbors) if blend else predictions[self.label_set]
