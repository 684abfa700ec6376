"""The few numbers that turn logits and votes into a calibrated decision, one set per label set, kept in the bundle."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fitted on the validation split by `classifier.fitting`, applied by `classifier.ensemble`.

    Attributes:
        temperature: > 0; the head's logits are divided by it before the softmax.
        alpha: in [0, 1]; the head's share in the ensemble, the rest is the votes'.
        tau: > 0; width of a neighbour's vote, in units of cosine similarity.
        k: >= 1; how many neighbours are asked.
        unknown_below: in [0, 1]; a prediction with less confidence than this is called unknown.
        ensemble_temperature: > 0; the mixture is raised to the power of its inverse and normalised. A mixture of two
            calibrated forecasts is less sure than it could be (Ranjan and Gneiting, Combining Probability Forecasts,
            JRSS B 2010); a value below 1 puts that right. 1 leaves the mixture as it is.

    Raises:
        ValueError: a value outside its range.
    """

    temperature: float
    alpha: float
    tau: float
    k: int
    unknown_below: float
    ensemble_temperature: float = 1.0

    def __post_init__(self) -> None:
        for name in ("temperature", "tau", "ensemble_temperature"):
            self._check(name, math.isfinite(getattr(self, name)) and getattr(self, name) > 0, "a finite number > 0")
        for name in ("alpha", "unknown_below"):
            self._check(name, 0 <= getattr(self, name) <= 1, "a number in [0, 1]")
        self._check("k", isinstance(self.k, int) and self.k >= 1, "a whole number >= 1")

    def _check(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise ValueError(f"{name}: expected {expected}, received {getattr(self, name)!r}")

    def to_json(self) -> dict[str, float | int]:
        """Returns the values by name, ready for `json.dumps`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Calibration":
        """Reads what `to_json` wrote.

        Raises:
            ValueError: a name that is missing or unknown, a value that is no number or is outside its range.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(values, Mapping) or sorted(values) != sorted(names):
            got = sorted(values) if isinstance(values, Mapping) else type(values).__name__
            raise ValueError(f"calibration: expected exactly the values {sorted(names)}, received {got}")
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{name}: expected a number, received {value!r}")
        return cls(**values)


def softmax(logits: npt.NDArray[np.floating], temperature: float = 1.0) -> npt.NDArray[np.float64]:
    """Turns logits into probabilities, the calibrated ones when the fitted temperature is given.

    Dividing by a temperature changes how sure the head is and never which class it names (Guo et al., On Calibration of
    Modern Neural Networks, ICML 2017). Written out because importing scipy.special costs more than a whole prediction.

    Args:
        logits: `(n, C)`, any finite values.
        temperature: > 0; above 1 makes the head less sure, below 1 surer.

    Returns:
        `(n, C)` float64, rows sum to 1, columns in the order of the logits.
    """
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def sharpen(proba: npt.NDArray[np.floating], temperature: float) -> npt.NDArray[np.float64]:
    """Raises probabilities to the power of `1 / temperature` and normalises each row.

    Args:
        proba: `(n, C)`, rows sum to 1.
        temperature: > 0; below 1 makes the rows surer, 1 leaves them as they are.

    Returns:
        `(n, C)` float64, rows sum to 1. The order of the classes within a row does not change.
    """
    relative = proba.astype(np.float64) / proba.max(axis=1, keepdims=True)
    powers = relative ** (1.0 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)
