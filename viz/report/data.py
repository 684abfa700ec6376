"""The data of a report: the columns of a recorded session, summed over bins of time and by reason of omission."""

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, NamedTuple, TypeVar

import numpy as np

from moodspace.arrays import BoolArray, FloatArray, IntArray

Columns = TypeVar("Columns", bound="GroupSeconds | FaceSeconds")

# Replaces a count that was not kept.
WITHHELD = -1


@dataclass(frozen=True, slots=True, eq=False)
class GroupSeconds:
    """What a group showed, one row per second with frames; n = 0 is legal.

    Attributes:
        second: `(n,)` int64, seconds since the session began, ascending.
        faces: `(n,)` int64, visible faces; `WITHHELD` below the minimum group size.
        readable: `(n,)` int64, readable faces; `WITHHELD` below the minimum group size.
        unsure: `(n,)` int64, readable faces without a confident prediction; withheld like `readable`.
        proba: `(n, C)` float32, mean probabilities, rows sum to 1; NaN where `readable` is withheld.
    """

    second: IntArray
    faces: IntArray
    readable: IntArray
    unsure: IntArray
    proba: FloatArray

    def __post_init__(self) -> None:
        _check_rows(self)

    @property
    def recorded(self) -> BoolArray:
        """Return `(n,)` bool, whether the group's expressions were recorded."""
        return self.readable != WITHHELD


@dataclass(frozen=True, slots=True, eq=False)
class FaceSeconds:
    """What single faces showed, one row per second and face; m = 0 is legal.

    Attributes:
        second: `(m,)` int64, ascending.
        track_ids: `(m,)` int64.
        shown: `(m,)` int64, columns of the classes, -1 for unsure.
        readable: `(m,)` bool.
    """

    second: IntArray
    track_ids: IntArray
    shown: IntArray
    readable: BoolArray

    def __post_init__(self) -> None:
        _check_rows(self)


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """A recorded session.

    Attributes:
        source: The camera or file.
        started: Unix seconds.
        utc_offset: Local time minus UTC, in seconds.
        ended: Unix seconds; None where the recording was cut off.
        duration: Seconds.
        min_group: Minimum number of faces for the group to be recorded.
        individuals: Whether single faces were recorded too.
        classes: Names of the C columns.
        since: `(C,)` int64, the second from which each class was known.
        group: What the group showed.
        faces: What single faces showed.
        gaps: Interruptions: first second, last second, reason.
        missing: Sentences that say what is missing from the session.
        keeps_video: Whether an annotated video was kept.
    """

    source: str
    started: float
    utc_offset: int
    ended: float | None
    duration: float
    min_group: int
    individuals: bool
    classes: tuple[str, ...]
    since: IntArray
    group: GroupSeconds
    faces: FaceSeconds
    gaps: tuple[tuple[float, float, str], ...]
    missing: tuple[str, ...]
    keeps_video: bool

    @classmethod
    def of(cls, session: Any) -> "Report":
        """Copy the fields of a `realtime.session.reading.Session`."""
        values = {field.name: getattr(session, field.name) for field in fields(cls)}
        values["group"] = _copied(GroupSeconds, session.group)
        values["faces"] = _copied(FaceSeconds, session.faces)
        return cls(**values)

    def __post_init__(self) -> None:
        expected = (len(self.group.second), len(self.classes))
        if self.group.proba.shape != expected:
            raise ValueError(f"group: expected probabilities of shape {expected}, got {self.group.proba.shape}")

    @property
    def length(self) -> int:
        """Return the length in whole seconds, more than 0, enough for every row."""
        return max(round(self.duration), int(self.group.second[-1:].sum()) + 1)


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

    width: int
    kept: IntArray
    proba: FloatArray
    faces: FloatArray
    readable: FloatArray
    unsure: FloatArray
    seconds: IntArray


def bin_session(report: Report, width: int) -> TimeBins:
    """Average a session over bins of `width` seconds."""
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
    return TimeBins(width, kept, means[:, :-3], faces, readable, unsure, seconds)


def seconds_kept(report: Report) -> dict[Kept, float]:
    """Return the number of seconds for each `Kept`."""
    group = report.group
    counts = {
        Kept.SHARES: float(group.recorded.sum()),
        Kept.TOO_FEW_READABLE: float((~group.recorded & (group.faces != WITHHELD)).sum()),
        Kept.TOO_FEW: float((group.faces == WITHHELD).sum()),
    }
    return counts | {Kept.NO_FRAMES: report.length - sum(counts.values())}


def _check_rows(columns: GroupSeconds | FaceSeconds) -> None:
    n = len(columns.second)
    for field in fields(columns):
        got = len(getattr(columns, field.name))
        if got != n:
            raise ValueError(f"{field.name}: expected {n} rows, as in second, got {got}")


def _copied(kind: type[Columns], source: Any) -> Columns:
    return kind(**{field.name: getattr(source, field.name) for field in fields(kind)})
