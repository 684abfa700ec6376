"""Makes what a face shows steady: probabilities with a half-life in seconds, and a label that does not flicker."""

from collections.abc import Sequence

import numpy as np

from moodspace.arrays import FloatArray

UNKNOWN = -1

# A new label is shown at once when it leads by this much probability, and when the shown label has not been the best
# for this many seconds, whichever others were: with three rivals the best may change in every frame. On the
# clips, with a half-life of 0.5 s, 4 of the 47 changes that are flicker are left, and real changes show 0.50 s late, at
# most 0.63. Larger values leave as many and are later, by up to 0.96 s at twice to three times the margin.
MARGIN = 0.1
PATIENCE_S = 0.3
# Probabilities that differ by less than this are equal.
_TIE = 1e-4
# A face that cannot be read is half forgotten after this many seconds.
FADING_S = 2.0


def approach(old: FloatArray, new: FloatArray, seconds: float, half_life: float) -> FloatArray:
    """Moves a value towards another so that each half-life halves what is left of the way, in steps of any length.

    Args:
        old: What it was, any shape.
        new: Where it goes, the same shape.
        seconds: Time since `old`, >= 0.
        half_life: Seconds, >= 0; 0 goes all the way at once.
    """
    left = 0.5 ** (seconds / half_life) if half_life > 0 else 0.0
    return np.asarray(new + (old - new) * left, np.float32)


def by_name(proba: FloatArray, names: Sequence[str], wanted: Sequence[str]) -> FloatArray:
    """Brings probabilities to other columns; a class that is new has none, and that of one that is gone is shared out.

    Args:
        proba: `(C,)` float32, sums to 1, columns in the order of `names`.
        names: Names of the C columns.
        wanted: Names of the columns of the result.
    """
    known = dict(zip(names, proba.tolist(), strict=True))
    moved = np.array([known.get(name, 0.0) for name in wanted])
    total = moved.sum()
    return (moved / total if total > 0 else np.full(len(wanted), 1 / len(wanted))).astype(np.float32)


class LabelSmoother:
    """What one face shows, steadied over time.

    Attributes:
        proba: `(C,)` float32, sums to 1, the smoothed probabilities, columns in the order of the newest look's classes;
            nothing is known before the first look.

    Args:
        half_life: Seconds after which half of a change shows in `proba`.
    """

    def __init__(self, half_life: float) -> None:
        self.proba = np.zeros(0, np.float32)
        self._half_life = half_life
        self._classes: tuple[str, ...] = ()
        self._time = 0.0
        # None is unknown, a label like any other.
        self._shown: str | None = None
        self._behind_since: float | None = None
        self._decided = False
        self._anew = False

    def begin_anew(self) -> None:
        """Takes the next look for the first, as when faces are compared with others than before."""
        self._anew = True

    def see(self, proba: FloatArray, classes: tuple[str, ...], now: float) -> None:
        """Takes note of a look at the face.

        Args:
            proba: `(C,)` float32, sums to 1, what it shows.
            classes: Names of the C columns; others than before are followed by name.
            now: Seconds.
        """
        half_life = 0.0 if self._anew else self._half_life
        self._decided, self._anew = self._decided and not self._anew, False
        self._go(proba, classes, now, half_life)

    def fade(self, classes: tuple[str, ...], now: float) -> None:
        """Takes note that the face is there and cannot be read: what it showed becomes less and less certain."""
        self._go(np.full(len(classes), 1 / len(classes), np.float32), classes, now, FADING_S)

    def _go(self, proba: FloatArray, classes: tuple[str, ...], now: float, half_life: float) -> None:
        if self._classes:
            self.follow(classes)
            proba = approach(self.proba, proba, now - self._time, half_life)
        self.proba, self._classes, self._time = proba, classes, now

    def follow(self, classes: tuple[str, ...]) -> None:
        """Brings the probabilities to other columns."""
        if classes != self._classes:
            self.proba, self._classes = by_name(self.proba, self._classes, classes), classes

    def shown(self, unknown_below: float, now: float) -> int:
        """Decide which label to show.

        The first label is shown at once. Another one replaces it as soon as it leads by `MARGIN`, or once the shown
        label has not been the best for `PATIENCE_S`, whichever labels were the best meanwhile.

        Args:
            unknown_below: Probability below which a label is not told; unknown counts as a label that has this much.
            now: Seconds.

        Returns:
            The label's column, -1 for unknown.
        """
        scores: dict[str | None, float] = {None: unknown_below}
        scores.update(zip(self._classes, self.proba.tolist(), strict=True))
        best = max(scores, key=lambda name: scores[name])
        if sum(score >= scores[best] - _TIE for score in scores.values()) > 1:
            best = None  # or the order of the names would decide
        if best == self._shown:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        lead = scores[best] - scores.get(self._shown, 0.0)
        waited = self._behind_since is not None and now - self._behind_since >= PATIENCE_S
        if not self._decided or lead >= MARGIN or waited:
            self._shown, self._decided, self._behind_since = best, True, None
        return UNKNOWN if self._shown not in self._classes else self._classes.index(self._shown)
