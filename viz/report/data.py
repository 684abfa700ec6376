"""What a report says of a recorded session: means over stretches of equal length, and how much was recorded."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.sessions import WITHHELD, Session

# The name of a session in this folder.
Report = Session


class Kept(IntEnum):
    """What is known of a stretch of a session."""

    SHARES = 0
    TOO_FEW_READABLE = 1
    TOO_FEW = 2
    NO_FRAMES = 3


class Stretches(NamedTuple):
    """A session in s stretches of equal length, from its beginning to its end.

    Attributes:
        width: Seconds of each; the last one may end after the session.
        kept: `(s,)` int64, a `Kept`: the first that any of the stretch's seconds is.
        proba: `(s, C)` float32, mean probabilities over the recorded seconds; NaN where there is none, as below.
        faces: `(s,)` float32, mean number of faces in view.
        readable: `(s,)` float32, of those that could be read.
        unsure: `(s,)` float32, of those of them that showed nothing certain.
        seconds: `(s,)` int64, how many seconds were recorded.
    """

    width: int
    kept: IntArray
    proba: FloatArray
    faces: FloatArray
    readable: FloatArray
    unsure: FloatArray
    seconds: IntArray


def stretches(report: Report, width: int) -> Stretches:
    """Sums up a session over stretches of so many seconds."""
    group, n = report.group, -(-report.length // width)
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
    return Stretches(width, kept, means[:, :-3], faces, readable, unsure, seconds)


def seconds_kept(report: Report) -> dict[Kept, float]:
    """Returns how many seconds of a session are of which kind."""
    group = report.group
    counts = {
        Kept.SHARES: float(group.recorded.sum()),
        Kept.TOO_FEW_READABLE: float((~group.recorded & (group.faces != WITHHELD)).sum()),
        Kept.TOO_FEW: float((group.faces == WITHHELD).sum()),
    }
    return counts | {Kept.NO_FRAMES: report.length - sum(counts.values())}
