"""Lower the confidence of faces that are hard to read, by a function fitted to degraded faces.

Each view has its own factors; a bundle's manifest stores them as `quality`: for each view a JSON object with the fields
of `QualityEffect`. A view without an object, or a manifest without `quality`, changes nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np

from moodspace.arrays import DoubleArray
from moodspace.embeddings.detection.quality import FaceQuality

# Where each measure starts to count. The median noise is 2 gray levels in pictures of good quality and 4.4 in FER2013,
# whose pictures were small and compressed; sensor noise makes it more than 8.
SHARP, SMOOTH, CLEAN, OPEN, FRONTAL, LARGE = 0.035, 2.5, 8.0, 0.5, 20.0, 40.0
# Degrees of yaw beyond `FRONTAL` that count as 1.
_YAW_STEP = 30.0


@dataclass(frozen=True, slots=True)
class QualityEffect:
    """How much each kind of low quality flattens the probabilities of a view.

    The temperature of a face is exp(`overall` + the sum of each factor times how bad the face is). Its probabilities
    are raised to the power 1 / temperature and normalized, so that the most probable class stays the same.

    Attributes:
        overall: Logarithm of the temperature of a face without any fault, in [-2, 2].
        blurred: Factor of log(0.035 / sharpness), if positive.
        grainy: Factor of log(noise / 2.5), if positive, and at most log(8 / 2.5); noise in gray levels.
        noisy: Factor of log(noise / 8), if positive; noise in gray levels.
        hidden: Factor of 2 * (probability that the mouth is hidden - 0.5), if positive.
        turned: Factor of (yaw - 20) / 30, if positive; yaw in degrees to either side.
        small: Factor of log(40 / size), if positive; size in pixels.

    Raises:
        ValueError: A value is outside its range.
    """

    overall: float = 0.0
    blurred: float = 0.0
    grainy: float = 0.0
    noisy: float = 0.0
    hidden: float = 0.0
    turned: float = 0.0
    small: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"quality, {name}: expected a finite number, got {value!r}")
            if name == "overall" and not -2 <= value <= 2:
                raise ValueError(f"quality, overall: expected a number in [-2, 2], got {value!r}")
            if name != "overall" and value < 0:
                raise ValueError(f"quality, {name}: expected a number >= 0, got {value!r}")

    def to_json(self) -> dict[str, float]:
        """Return the factors by name, ready for `json.dumps`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: A name is unknown, or a value is no number or outside its range.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"quality: expected {[field.name for field in fields(cls)]}: {error}") from error

    def temperature(self, quality: FaceQuality) -> DoubleArray:
        """Return the temperature of each face, `(n,)` float64 > 0."""
        factors = np.array([self.blurred, self.grainy, self.noisy, self.hidden, self.turned, self.small])
        return np.asarray(np.exp(self.overall + faults(quality) @ factors))


def faults(quality: FaceQuality) -> DoubleArray:
    """Return how bad each face is: `(n, 6)` float64 >= 0, columns in the order of the factors of `QualityEffect`.

    A measure that is not known (NaN) counts as good.
    """
    parts = [
        np.log(SHARP / np.maximum(quality.sharpness, 1e-4)),
        np.log(np.clip(quality.noise, 1e-4, CLEAN) / SMOOTH),
        np.log(np.maximum(quality.noise, 1e-4) / CLEAN),
        2 * (quality.hidden - OPEN),
        (np.abs(quality.yaw) - FRONTAL) / _YAW_STEP,
        np.log(LARGE / np.maximum(quality.size, 1.0)),
    ]
    return np.maximum(np.nan_to_num(np.stack(parts, axis=1).astype(np.float64), nan=0.0), 0.0)
