"""The blend: one prediction from several label sets.

Either each label set has a fixed share of each class, or a logistic regression on the log probabilities of all label
sets decides for each face which set counts (`mixture` fits it). A bundle's manifest has the blend as JSON:

- `classes`: names of the C classes of the blend.
- `shares`: for each label set C numbers >= 0, in the order of `classes`.
- `truth`: the label set whose labels the temperature and the threshold were fitted to, if there are no weights.
- `temperature`, `unknown_below`: numbers.
- `weights`: optional; for each label set a row of C numbers for each of its own classes, in column order.
- `bias`: C numbers; present exactly if `weights` is.

Without `weights`, see `Blend._mean_of_shares`. With them, p is the probabilities of a label set, e = log(max(p, 0.001))
minus the mean of these logarithms over the set's classes, and the prediction is
softmax((sum over the sets of e @ weights + bias) / temperature).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.arrays import DoubleArray, IntArray
from moodspace.classifier.calibration import sharpen, softmax
from moodspace.classifier.ensemble import Prediction
from moodspace.index.search import Neighbors

BLEND = "blend"

Classes = Mapping[str, tuple[str, ...]]

# The lowest probability that the fitted weights see; the logarithm of 0 is infinite.
_LOWEST = 1e-3


@dataclass(frozen=True, slots=True)
class Blend:
    """The shares of several label sets in one prediction.

    Attributes:
        classes: The `C` classes of the blend. Every label set in `shares` has all of them.
        shares: For each label set `(C,)` >= 0 in the order of `classes`; the shares of a class sum to 1.
        truth: The label set whose labels the temperature and the threshold are fitted to.
        temperature: > 0; the mean is raised to the power of its inverse and normalized.
        unknown_below: In [0, 1]; predictions with a lower confidence are called unknown.
        weights: For each label set `(C_set, C)`, the weight of the logarithm of each of its probabilities for each
            class of the blend. If there are weights, predictions use them instead of the shares. None if not fitted.
        bias: `(C,)`, added to the weighted logarithms; empty without weights.

    Raises:
        ValueError: A value is outside its range, or the shares or weights do not fit the classes.
    """

    classes: tuple[str, ...]
    shares: Mapping[str, tuple[float, ...]]
    truth: str
    temperature: float = 1.0
    unknown_below: float = 0.0
    weights: Mapping[str, tuple[tuple[float, ...], ...]] | None = None
    bias: tuple[float, ...] = ()

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
        self._check_weights()

    def _check_weights(self) -> None:
        if self.weights is None:
            if self.bias:
                raise ValueError(f"bias: expected none without weights, got {self.bias}")
            return
        if self.weights.keys() != self.shares.keys():
            raise ValueError(f"weights: expected the sets {sorted(self.shares)}, got {sorted(self.weights)}")
        rows = [self.bias, *(row for matrix in self.weights.values() for row in matrix)]
        fits = all(len(row) == len(self.classes) and all(map(math.isfinite, row)) for row in rows)
        if not fits:
            raise ValueError(f"weights, bias: expected rows of {len(self.classes)} finite numbers, got others")

    def to_json(self) -> dict[str, Any]:
        """Return the values by name, ready for `json.dumps`."""
        shares = {name: list(values) for name, values in self.shares.items()}
        values: dict[str, Any] = {"temperature": self.temperature, "unknown_below": self.unknown_below}
        if self.weights is not None:
            values["weights"] = {name: [list(row) for row in matrix] for name, matrix in self.weights.items()}
            values["bias"] = list(self.bias)
        return {"classes": list(self.classes), "shares": shares, "truth": self.truth, **values}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Blend":
        """Read what `to_json` wrote.

        Raises:
            ValueError: A value is missing, unknown, of another type or outside its range.
        """
        try:
            shares = {name: tuple(map(float, row)) for name, row in values["shares"].items()}
            rest: dict[str, Any] = {name: float(values[name]) for name in ("temperature", "unknown_below")}
            if (weights := values.get("weights")) is not None:
                rest["weights"] = {
                    name: tuple(tuple(map(float, row)) for row in rows) for name, rows in weights.items()
                }
                rest["bias"] = tuple(map(float, values["bias"]))
            return cls(tuple(map(str, values["classes"])), shares, str(values["truth"]), **rest)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"blend: expected classes, shares, truth, temperature, unknown_below, got {values}"
            ) from error

    def mean(self, proba: Mapping[str, npt.NDArray[np.floating]], classes: Classes) -> DoubleArray:
        """Return the blend's probabilities, by its weights or else its shares, at the temperature.

        Args:
            proba: For each label set `(n, C_set)`, rows sum to 1; the shares count only the blend's classes.
            classes: Class names of each label set, in column order.

        Returns:
            `(n, C)` float64, rows sum to 1.
        """
        if self.weights is not None:
            evidence = [log_evidence(proba[name]) @ np.array(rows) for name, rows in self.weights.items()]
            return softmax((sum(evidence) + np.array(self.bias)) / self.temperature)
        return self._mean_of_shares(proba, classes)

    def _mean_of_shares(self, proba: Mapping[str, npt.NDArray[np.floating]], classes: Classes) -> DoubleArray:
        """Return the weighted mean of the sets' probabilities, each normalized over the blend's classes."""
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


def log_evidence(proba: npt.NDArray[np.floating]) -> DoubleArray:
    """Return the logarithms of probabilities, minus the mean of each row; probabilities below 0.001 count as 0.001.

    Args:
        proba: `(n, C)`, rows sum to 1.
    """
    logs = np.log(np.maximum(proba.astype(np.float64), _LOWEST))
    return np.asarray(logs - logs.mean(axis=1, keepdims=True))
