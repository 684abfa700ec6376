"""The parameters that turn logits and votes into calibrated probabilities: one set per label set, in the bundle."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.arrays import DoubleArray

_PER_CLASS = ("scale", "bias")


@dataclass(frozen=True, slots=True)
class Calibration:
    """The calibration of one label set, fitted to validation faces by `fitting` and applied by `ensemble`.

    Attributes:
        scale: `(C,)` > 0, in column order; the factor of each logit of the head.
        bias: `(C,)`, in column order; added to the scaled logits before the softmax.
        alpha: In [0, 1]; the head's share in the ensemble. The votes have the rest.
        tau: > 0; width of a neighbor's vote, in units of cosine similarity.
        k: >= 1; number of neighbors that vote.
        unknown_below: In [0, 1]; predictions with a lower confidence are called unknown.
        votes_temperature: > 0; the smoothed vote shares are raised to the power of its inverse and normalized. Among
            the faces that an embedding was trained on, neighbors agree far more often than they are right.
        votes_smoothing: >= 0; added to each class's vote share before, so that a class without votes is possible.
        ensemble_temperature: > 0; the mixture is raised to the power of its inverse and normalized. A mixture of two
            calibrated forecasts is underconfident (Ranjan and Gneiting, Combining Probability Forecasts, JRSS B 2010),
            which a value below 1 corrects. 1 leaves the mixture unchanged.

    Raises:
        ValueError: A value is outside its range, or the numbers of scales and biases differ.
    """

    scale: tuple[float, ...]
    bias: tuple[float, ...]
    alpha: float
    tau: float
    k: int
    unknown_below: float
    votes_temperature: float = 1.0
    votes_smoothing: float = 0.0
    ensemble_temperature: float = 1.0

    def __post_init__(self) -> None:
        for name in ("tau", "votes_temperature", "ensemble_temperature"):
            self._check(name, math.isfinite(getattr(self, name)) and getattr(self, name) > 0, "a finite number > 0")
        for name in ("alpha", "unknown_below"):
            self._check(name, 0 <= getattr(self, name) <= 1, "a number in [0, 1]")
        self._check("votes_smoothing", 0 <= self.votes_smoothing < math.inf, "a finite number >= 0")
        self._check("k", isinstance(self.k, int) and self.k >= 1, "a whole number >= 1")
        sound = bool(self.scale) and all(math.isfinite(value) and value > 0 for value in self.scale)
        self._check("scale", sound, "a finite number > 0 for each class")
        sound = len(self.bias) == len(self.scale) and all(map(math.isfinite, self.bias))
        self._check("bias", sound, f"{len(self.scale)} finite numbers, one per scale")

    def _check(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise ValueError(f"{name}: expected {expected}, got {getattr(self, name)!r}")

    def to_json(self) -> dict[str, Any]:
        """Return the values by name, ready for `json.dumps`."""
        return asdict(self) | {name: list(getattr(self, name)) for name in _PER_CLASS}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Calibration":
        """Read what `to_json` wrote.

        Raises:
            ValueError: A name is missing or unknown, or a value is not a number or outside its range.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(values, Mapping) or sorted(values) != sorted(names):
            got = sorted(values) if isinstance(values, Mapping) else type(values).__name__
            raise ValueError(f"calibration: expected exactly the values {sorted(names)}, got {got}")
        for name, value in values.items():
            wanted = "a list of numbers" if name in _PER_CLASS else "a number"
            if isinstance(value, list) != (name in _PER_CLASS):
                raise ValueError(f"{name}: expected {wanted}, got {value!r}")
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, bool) or not isinstance(number, int | float):
                    raise ValueError(f"{name}: expected {wanted}, got {value!r}")
        return cls(**{**values, **{name: tuple(values[name]) for name in _PER_CLASS}})


def calibrated(logits: npt.NDArray[np.floating], calibration: Calibration) -> DoubleArray:
    """Return the head's calibrated probabilities, `softmax(scale * logits + bias)`.

    A scale and a bias for each class are vector scaling (Guo et al., On Calibration of Modern Neural Networks, ICML
    2017, section 4.2). Unlike a single temperature, they may change the most probable class.

    Args:
        logits: `(n, C)`, any finite values, columns in the order of the label set.
        calibration: Has scale and bias.

    Returns:
        `(n, C)` float64, rows sum to 1, columns in the order of the logits.

    Raises:
        ValueError: The calibration has another number of classes.
    """
    if logits.ndim != 2 or logits.shape[1] != len(calibration.scale):
        raise ValueError(
            f"logits: expected the {len(calibration.scale)} columns of the calibration, got {logits.shape}"
        )
    return softmax(logits * np.array(calibration.scale) + np.array(calibration.bias))


def softmax(logits: npt.NDArray[np.floating]) -> DoubleArray:
    """Return the softmax of each row.

    Written out because importing scipy.special takes longer than a whole prediction.

    Args:
        logits: `(n, C)`, any finite values.

    Returns:
        `(n, C)` float64, rows sum to 1, columns in the order of the logits.
    """
    exact = logits.astype(np.float64)
    powers = np.exp(exact - exact.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def sharpen(proba: npt.NDArray[np.floating], temperature: float | DoubleArray) -> DoubleArray:
    """Raise probabilities to the power of `1 / temperature` and normalize each row.

    Args:
        proba: `(n, C)` >= 0, each row with a value above 0; rows need not sum to 1.
        temperature: > 0, for all rows or `(n, 1)`; below 1 sharpens the rows, 1 only normalizes them.

    Returns:
        `(n, C)` float64, rows sum to 1. The order of the classes within a row does not change.
    """
    relative = proba.astype(np.float64) / proba.max(axis=1, keepdims=True)
    powers = relative ** (1.0 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)
