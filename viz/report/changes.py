"""Moments at which what a group shows changes, by a rule simple enough to be told to its readers.

At each second the mean shares of the 30 s before and of the 30 s from then on are compared: by how many points they
differ, added up over the expressions that rose. The second is a moment of change when that is 15 points or more, stands
out from what is usual in this session, and is the most within 30 s. To stand out is to be farther above the session's
median than five times its median absolute deviation.

In simulated sessions of 20 minutes, of 1 to 25 faces that hold one of 3 or 7 expressions for 3 or 10 seconds, it names
0 to 1.6 moments where nothing changes. When an expression rises from a quarter to seven tenths, or falls again, it
finds the moment in 9 of 10 cases among ten faces that hold theirs for 3 s, and in 4 where they do for 10 s; among 25
faces, in all and in 6. It would rather say nothing than too much.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from moodspace.arrays import FloatArray
from moodspace.sessions import GroupSeconds

WINDOW_S = 30
LEAST = 0.15
DEVIATIONS = 5

# So many seconds of each window have to be recorded.
_LEAST_RECORDED = 20


class Change(NamedTuple):
    """A moment of change.

    Attributes:
        second: When the new shares begin, seconds since the session began.
        size: By how much the shares differ, in [0, 1]: half the sum of the absolute differences.
        before: `(C,)` float32, mean shares before.
        after: `(C,)` float32, mean shares from then on.
    """

    second: int
    size: float
    before: FloatArray
    after: FloatArray


def changes(group: GroupSeconds) -> list[Change]:
    """Finds the moments at which what a group shows changes, in their order."""
    rows = np.flatnonzero(group.recorded)
    second, proba = group.second[rows], group.proba[rows].astype(np.float64)
    totals = np.vstack([np.zeros((1, proba.shape[1])), np.cumsum(proba, axis=0)])
    at = np.arange(len(rows))
    start = np.searchsorted(second, second - WINDOW_S)
    stop = np.searchsorted(second, second + WINDOW_S)
    usable = np.flatnonzero((at - start >= _LEAST_RECORDED) & (stop - at >= _LEAST_RECORDED))
    if not len(usable):
        return []
    start, stop, second = start[usable], stop[usable], second[usable]
    before = (totals[usable] - totals[start]) / (usable - start)[:, None]
    after = (totals[stop] - totals[usable]) / (stop - usable)[:, None]
    size = np.abs(after - before).sum(axis=1) / 2
    usual = float(np.median(size))
    least = max(LEAST, usual + DEVIATIONS * float(np.median(np.abs(size - usual))))
    found: list[int] = []
    for best in np.argsort(-size, kind="stable"):
        if size[best] < least:
            break
        if _is_peak(size, usable, best) and all(abs(second[best] - second[other]) >= WINDOW_S for other in found):
            found.append(int(best))
    shares = before.astype(np.float32), after.astype(np.float32)
    return [Change(int(second[i]), float(size[i]), shares[0][i], shares[1][i]) for i in sorted(found)]


def _is_peak(size: npt.NDArray[np.float64], rows: npt.NDArray[np.intp], at: int) -> bool:
    """Tells whether a difference is known to be less on both sides: at an edge, the change may lie beyond it."""
    if not 0 < at < len(size) - 1 or rows[at + 1] - rows[at - 1] != 2:
        return False
    return bool(size[at] >= size[at - 1] and size[at] >= size[at + 1])
