"""A growth curve: what an input of each size costs, and where the curve bends."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

# A throughput is at its limit where it reaches this share of its largest value.
_AT_LIMIT = 0.9


@dataclass(slots=True)
class Curve:
    """What was measured of one kind of input.

    Attributes:
        name: The curve.
        x: What grows, with its unit.
        y: What is drawn of each point, the name of one of its figures.
        label: The same in words, with its unit.
        limit: Whether `y` is a throughput, which ends at a limit, instead of a cost, which grows from a fixed part.
        points: For each size `at` its figures, in the order of the sizes.
    """

    name: str
    x: str
    y: str
    label: str
    limit: bool = False
    points: list[dict[str, float]] = field(default_factory=list)

    def bend(self) -> float | None:
        """Return the size at which the curve bends; None if it does not within the measured sizes.

        A cost bends where its growing part equals its fixed part; a throughput at the first size that reaches nine
        tenths of the largest one.
        """
        at, values = ([one[key] for one in self.points if self.y in one] for key in ("at", self.y))
        if len(at) < 2:
            return None
        if self.limit:
            first = next(one for one, value in zip(at, values, strict=True) if value >= _AT_LIMIT * max(values))
            return first if first < at[-1] else None
        fixed, each = fit_line(at, values)
        return fixed / each if each > 0 and at[0] <= fixed / each <= at[-1] else None

    def exponents(self) -> list[float]:
        """Return the slope between neighboring points on logarithmic scales: 0 is flat, 1 proportional, 2 quadratic."""
        drawn = [(one["at"], one[self.y]) for one in self.points if one.get(self.y, 0) > 0]
        logs = np.log(np.array(drawn, float).reshape(-1, 2))
        return [round(float(slope), 2) for slope in np.diff(logs[:, 1]) / np.diff(logs[:, 0])]

    def to_json(self) -> dict[str, Any]:
        """Return the curve with its bend and exponents."""
        bend = self.bend()
        return asdict(self) | {"bend": None if bend is None else float(f"{bend:.3g}"), "exponents": self.exponents()}


def fit_line(at: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Fit `fixed + each * at` by the squared relative error, both at least 0; return fixed and each."""
    x, y = np.asarray(at, float), np.asarray(values, float)
    both = np.column_stack([1 / y, x / y])
    fixed, each = np.linalg.lstsq(both, np.ones(len(x)), rcond=None)[0]
    if each < 0:
        return float(1 / np.mean(1 / y)), 0.0
    if fixed < 0:
        return 0.0, float((x / y).sum() / ((x / y) ** 2).sum())
    return float(fixed), float(each)


def curve_from_json(document: dict[str, Any]) -> Curve:
    """Return a curve from what `Curve.to_json` gave.

    Raises:
        TypeError: The document is not a curve.
    """
    return Curve(**{name: value for name, value in document.items() if name not in ("bend", "exponents")})
