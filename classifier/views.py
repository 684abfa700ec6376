"""The blend: one prediction from several label sets, each of which counts most for the classes it is right about."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.arrays import DoubleArray, IntArray
from moodspace.classifier.calibration import sharpen
from moodspace.classifier.ensemble import Prediction
from moodspace.index.search import Neighbors

BLEND = "blend"

Classes = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Blend:
    """The shares of several label sets in one prediction.

    Attributes:
        classes: The `C` classes of the blend. Every label set in `shares` has all of them.
        shares: For each label set `(C,)` >= 0 in the order of `classes`; the shares of a class sum to 1.
        truth: The label set whose labels the temperature and the threshold are fitted to.
        temperature: > 0; the mean is raised to the power of its inverse and normalized.
        unknown_below: In [0, 1]; predictions with a lower confidence are called unknown.

    Raises:
        ValueError: A value is outside its range, or the shares do not fit the classes.
    """

    classes: tuple[str, ...]
    shares: Mapping[str, tuple[float, ...]]
    truth: str
    temperature: float = 1.0
    unknown_below: float = 0.0

    def __post_init__(self) -> None:
        values = np.array(list(self.shares.values()), np.float64)
        fits = values.shape == (len(self.shares), len(self.classes)) and bool(self.classes)
        if not fits or not (values >= 0).all() or not np.allclose(values.sum(axis=0), 1):
            raise ValueError(f"shares: expected the sets' shares of each class to sum to 1, got {self.shares}")
        if self.truth not in self.shares:
            raise ValueError(f"truth: expected one of {', '.join(self.shares)}, got {self.truth!r}")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"temperature: expected a finite number > 0, got {self.temperature}")
        if not 0 <= self.unknown_below <= 1:
            raise ValueError(f"unknown_below: expected a number in [0, 1], got {self.unknown_below}")

    def to_json(self) -> dict[str, Any]:
        """Return the values by name, ready for `json.dumps`."""
        shares = {name: list(values) for name, values in self.shares.items()}
        values = {"temperature": self.temperature, "unknown_below": self.unknown_below}
        return {"classes": list(self.classes), "shares": shares, "truth": self.truth, **values}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Blend":
        """Read what `to_json` wrote.

        Raises:
            ValueError: A value is missing, unknown, of another type or outside its range.
        """
        try:
            shares = {name: tuple(map(float, row)) for name, row in values["shares"].items()}
            rest = {name: float(values[name]) for name in ("temperature", "unknown_below")}
            return cls(tuple(map(str, values["classes"])), shares, str(values["truth"]), **rest)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"blend: expected classes, shares, truth, temperature, unknown_below, got {values}"
            ) from error

    def mean(self, proba: Mapping[str, npt.NDArray[np.floating]], classes: Classes) -> DoubleArray:
        """Return the weighted mean of the label sets' probabilities, normalized and at the temperature.

        Args:
            proba: For each label set `(n, C_set)`, rows sum to 1; only the blend's classes count.
            classes: Class names of each label set, in column order.

        Returns:
            `(n, C)` float64, rows sum to 1.
        """
        total = np.zeros((len(next(iter(proba.values()))), len(self.classes)))
        for name, shares in self.shares.items():
            shared = proba[name][:, self._columns(classes[name])].astype(np.float64)
            total += np.array(shares) * shared / np.maximum(shared.sum(axis=1, keepdims=True), 1e-12)
        return sharpen(np.maximum(total, 1e-12), self.temperature)

    def labels(self, labels: Mapping[str, IntArray], classes: Classes) -> IntArray:
        """Return the label of each face in the blend: of its labels in the sets, the one with the largest share.

        Args:
            labels: The labels in each label set, arrays of one shape, -1 for none.
            classes: Class names of each label set, in column order.

        Returns:
            int64 of that shape, columns of the blend's classes; -1 where no label is one of its classes.
        """
        total = np.zeros((*np.shape(next(iter(labels.values()))), len(self.classes)))
        for name, shares in self.shares.items():
            total += np.array(shares) * (labels[name][..., None] == self._columns(classes[name]))
        return np.where(total.any(axis=-1), total.argmax(axis=-1), -1).astype(np.int64)

    def predict(self, predictions: Mapping[str, Prediction], neighbors: Neighbors) -> Prediction:
        """Blend the predictions of several label sets for the same faces.

        Args:
            predictions: The prediction of each label set, n rows each.
            neighbors: The nearest faces. Their labels in the blend are added.
        """
        classes = {name: prediction.classes for name, prediction in predictions.items()}
        parts = {}
        for part in ("proba", "head_proba", "knn_proba"):
            views = {name: getattr(prediction, part) for name, prediction in predictions.items()}
            parts[part] = self.mean(views, classes).astype(np.float32)
        labels = {**neighbors.labels, BLEND: self.labels(neighbors.labels, classes)}
        named = Neighbors(neighbors.ids, labels, neighbors.similarities, neighbors.valid, neighbors.sources)
        unknown = parts["proba"].max(axis=1, initial=0.0) < self.unknown_below
        return Prediction(classes=self.classes, neighbors=named, unknown=unknown, **parts)

    def _columns(self, classes: tuple[str, ...]) -> IntArray:
        return np.array([classes.index(name) for name in self.classes], np.int64)
