"""The data of a report: the columns of a recorded session, summed over bins of time and by reason of omission."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.sessions import WITHHELD, Session


class Kept(IntEnum):
    """What was recorded in a bin of time, or why nothing was."""

    SHARES = 0
    TOO_FEW_READABLE = 1
    TOO_FEW = 2
    NO_FRAMES = 3


class TimeBins(NamedTuple):
    """A session in s bins of equal width, from beginning to end.

    Attributes:
        width: Seconds of each bin; the last one may end after the session.
        kept: `(s,)` int64, a `Kept`: the lowest value of the bin's seconds.
        proba: `(s, C)` float32, mean probabilities over the recorded seconds; NaN where there are none, as below.
        faces: `(s,)` float32, mean number of visible faces.
        readable: `(s,)` float32, mean number of readable faces.
        unsure: `(s,)` float32, mean number of readable faces without a confident prediction.
        seconds: `(s,)` int64, number of recorded seconds.
    """

    width: float
    kept: IntArray
    proba: FloatArray
    faces: FloatArray
    readable: FloatArray
    unsure: FloatArray
    seconds: IntArray


def bin_session(session: Session, width: int) -> TimeBins:
    """Average a session over bins of `width` seconds."""
    group, n = session.group, -(-session.length // width)
    at = group.second // width
    kept = np.full(n, Kept.NO_FRAMES, np.int64)
    too_few = np.where(group.faces == WITHHELD, Kept.TOO_FEW, Kept.TOO_FEW_READABLE)
    np.minimum.at(kept, at, np.where(group.recorded, Kept.SHARES, too_few))
    rows = np.flatnonzero(group.recorded)
    values = np.column_stack([group.proba, group.faces, group.readable, group.unsure])[rows]
    sums = np.zeros((n, values.shape[1]))
    np.add.at(sums, at[rows], values)
    seconds = np.bincount(at[rows], minlength=n)
    with np.errstate(invalid="ignore"):
        means = (sums / seconds[:, None]).astype(np.float32)
    faces, readable, unsure = means[:, -3:].T
    return TimeBins(width, kept, means[:, :-3], faces, readable, unsure, seconds)


def seconds_kept(session: Session) -> dict[Kept, float]:
    """Return the number of seconds for each `Kept`."""
    group = session.group
    counts = {
        Kept.SHARES: float(group.recorded.sum()),
        Kept.TOO_FEW_READABLE: float((~group.recorded & (group.faces != WITHHELD)).sum()),
        Kept.TOO_FEW: float((group.faces == WITHHELD).sum()),
    }
    return counts | {Kept.NO_FRAMES: session.length - sum(counts.values())}
