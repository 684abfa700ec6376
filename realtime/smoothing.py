"""Makes what a face shows steady: probabilities with a half-life in seconds, and a label that does not flicker."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from realtime.faces import FloatArray

UNKNOWN = -1


def approach(old: FloatArray, new: FloatArray, seconds: float, half_life: float) -> FloatArray:
    """Moves a value towards another so that half of the way is left after each half-life, however often it is called.

    Args:
        old: What it was, any shape.
        new: Where it goes, the same shape.
        seconds: Time since `old`, >= 0.
        half_life: Seconds, >= 0; 0 goes all the way at once.
    """
    left = 0.5 ** (seconds / half_life) if half_life > 0 else 0.0
    return (new + (old - new) * np.float32(left)).astype(np.float32)


def by_name(values: FloatArray, names: Sequence[str], wanted: Sequence[str]) -> FloatArray:
    """Brings probabilities to other columns: those of a class that is new are 0, those of one that is gone are shared.

    Args:
        values: `(C,)` float32, sums to 1, columns in the order of `names`.
        names: Names of the C columns.
        wanted: Names of the columns of the result.
    """
    known = dict(zip(names, values.tolist(), strict=True))
    moved = np.array([known.get(name, 0.0) for name in wanted], np.float32)
    total = moved.sum()
    return moved / total if total > 0 else np.full(len(wanted), 1 / len(wanted), np.float32)


class ShownLabel:
    """The label that is shown, which a new one replaces only when it leads clearly or has led for a while.

    Args:
        margin: The lead in probability at which a new label is shown at once.
        patience: Seconds after which any lead is enough.
    """

    def __init__(self, margin: float, patience: float) -> None:
        self._margin, self._patience = margin, patience
        self._name: str | None = None
        self._rival: str | None = None
        self._since = 0.0

    def update(self, proba: npt.NDArray[np.float32], names: Sequence[str], unknown_below: float, now: float) -> int:
        """Takes note of the smoothed probabilities and returns the column to show, -1 for unknown."""
        scores = {None: unknown_below} | dict(zip(names, proba.tolist(), strict=True))
        best = max(scores, key=lambda name: scores[name])
        if best != self._rival:
            self._rival, self._since = best, now
        lead = scores[best] - scores.get(self._name, 0.0)
        if lead >= self._margin or now - self._since >= self._patience:
            self._name = best
        return UNKNOWN if self._name is None or self._name not in names else list(names).index(self._name)
