"""Smooth the probabilities of a tracked face, with a half-life in seconds, and choose a label that does not flicker."""

from collections.abc import Sequence

import numpy as np

from moodspace.arrays import FloatArray

UNKNOWN = -1

# A new label is shown as soon as it leads by this probability, or once the shown label has not been the best for this
# time, whichever labels were: among three rivals the best may change in every frame. On the clips, with a half-life of
# 0.5 s, 4 of 47 flickers remain, and real changes show 0.50 s late, at most 0.63 s. Larger values remove no more and
# are later: up to 0.96 s at two to three times the margin.
MARGIN = 0.1
PATIENCE_S = 0.3
# Probabilities that differ by less than this count as equal.
_TIE = 1e-4
# The half-life with which the probabilities of an unreadable face become uniform.
FADING_S = 2.0


def approach(old: FloatArray, new: FloatArray, seconds: float, half_life: float) -> FloatArray:
    """Move a value toward another exponentially: each half-life halves the difference, whatever the time steps.

    Args:
        old: The value before, float32 of any shape.
        new: The value to approach, of the same shape.
        seconds: Time since `old`, >= 0.
        half_life: Seconds, >= 0; 0 returns `new`.
    """
    left = 0.5 ** (seconds / half_life) if half_life > 0 else 0.0
    return np.asarray(new + (old - new) * left, np.float32)


def by_name(proba: FloatArray, names: Sequence[str], wanted: Sequence[str]) -> FloatArray:
    """Reorder probabilities by class name. New classes get 0; the share of removed ones is spread over the others.

    Args:
        proba: `(C,)` float32, sums to 1, columns in the order of `names`.
        names: The names of the C columns.
        wanted: The names of the columns to return.
    """
    known = dict(zip(names, proba.tolist(), strict=True))
    moved = np.array([known.get(name, 0.0) for name in wanted])
    total = moved.sum()
    return (moved / total if total > 0 else np.full(len(wanted), 1 / len(wanted))).astype(np.float32)


class LabelSmoother:
    """Smooth the predictions of one face over time.

    Attributes:
        proba: `(C,)` float32, sums to 1, the smoothed probabilities, columns in the order of the newest prediction's
            classes; empty before the first prediction.

    Args:
        half_life: Smoothing half-life in seconds: half of a change shows in `proba` after this time.
    """

    def __init__(self, half_life: float) -> None:
        self.proba = np.zeros(0, np.float32)
        self._half_life = half_life
        self._classes: tuple[str, ...] = ()
        self._time = 0.0
        # None stands for unknown, a label like any other.
        self._shown: str | None = None
        self._behind_since: float | None = None
        self._decided = False
        self._reset = False

    def reset(self) -> None:
        """Treat the next prediction as the first, as after the user taught something."""
        self._reset = True

    def update(self, proba: FloatArray, classes: tuple[str, ...], now: float) -> None:
        """Add a prediction.

        Args:
            proba: `(C,)` float32, sums to 1.
            classes: The names of the C columns. They may change; columns are matched by name.
            now: Seconds.
        """
        half_life = 0.0 if self._reset else self._half_life
        self._decided, self._reset = self._decided and not self._reset, False
        self._approach(proba, classes, now, half_life)

    def fade(self, classes: tuple[str, ...], now: float) -> None:
        """Let the probabilities fade to uniform while the face is visible but cannot be read."""
        self._approach(np.full(len(classes), 1 / len(classes), np.float32), classes, now, FADING_S)

    def _approach(self, proba: FloatArray, classes: tuple[str, ...], now: float, half_life: float) -> None:
        if self._classes:
            self.use_classes(classes)
            proba = approach(self.proba, proba, now - self._time, half_life)
        self.proba, self._classes, self._time = proba, classes, now

    def use_classes(self, classes: tuple[str, ...]) -> None:
        """Reorder the probabilities for other classes, see `by_name`."""
        if classes != self._classes:
            self.proba, self._classes = by_name(self.proba, self._classes, classes), classes

    def shown(self, unknown_below: float, now: float) -> int:
        """Decide which label to show.

        The first label is shown at once. Another one replaces it as soon as it leads by `MARGIN`, or once the shown
        label has not been the best for `PATIENCE_S`, whichever labels were.

        Args:
            unknown_below: The probability below which a label is unknown; unknown counts as a label of this
                probability.
            now: Seconds.

        Returns:
            The label's column; -1 for unknown.
        """
        scores: dict[str | None, float] = {None: unknown_below}
        scores.update(zip(self._classes, self.proba.tolist(), strict=True))
        best = max(scores, key=lambda name: scores[name])
        if sum(score >= scores[best] - _TIE for score in scores.values()) > 1:
            best = None  # otherwise the order of the classes would decide
        if best == self._shown:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        lead = scores[best] - scores.get(self._shown, 0.0)
        waited = self._behind_since is not None and now - self._behind_since >= PATIENCE_S
        if not self._decided or lead >= MARGIN or waited:
            self._shown, self._decided, self._behind_since = best, True, None
        return UNKNOWN if self._shown not in self._classes else self._classes.index(self._shown)
