"""What a report tells of a recorded session, and its sums: over stretches of equal length, and of what was left out."""

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, NamedTuple, TypeVar

import numpy as np

from moodspace.arrays import BoolArray, FloatArray, IntArray

Columns = TypeVar("Columns", bound="GroupSeconds | FaceSeconds")

# In place of a count that was not kept.
WITHHELD = -1


@dataclass(frozen=True, slots=True, eq=False)
class GroupSeconds:
    """What a group showed, one row a second in which frames came; n = 0 is legal.

    Attributes:
        second: `(n,)` int64, seconds since the session began, ascending.
        faces: `(n,)` int64, faces in view; `WITHHELD` where they were fewer than the smallest group.
        readable: `(n,)` int64, how many of them could be read; `WITHHELD` where those were fewer.
        unsure: `(n,)` int64, how many of the readable ones showed nothing certain; the same.
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
        """`(n,)` bool, whether something is said of the group."""
        return self.readable != WITHHELD


@dataclass(frozen=True, slots=True, eq=False)
class FaceSeconds:
    """What single faces showed, one row a second and face; m = 0 is legal.

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
        source: What was recorded.
        started: Unix seconds.
        utc_offset: Seconds by which its local time was ahead of UTC.
        ended: Unix seconds; None where the recording did not end by itself.
        duration: Seconds.
        min_group: The least number of faces of which something was kept as a group.
        individuals: Whether single faces were kept too.
        classes: Names of the C columns.
        since: `(C,)` int64, the second in which each class was first known.
        group: What the group showed.
        faces: What single faces showed.
        gaps: When no frames came: first second, last second, and why.
        missing: What is not in it, in sentences.
        keeps_video: Whether an annotated video was kept too.
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
        """Takes the fields of these names from a `realtime.session_reading.Session`."""
        values = {field.name: getattr(session, field.name) for field in fields(cls)}
        values["group"] = _taken(GroupSeconds, session.group)
        values["faces"] = _taken(FaceSeconds, session.faces)
        return cls(**values)

    def __post_init__(self) -> None:
        expected = (len(self.group.second), len(self.classes))
        if self.group.proba.shape != expected:
            raise ValueError(f"group: expected probabilities of shape {expected}, received {self.group.proba.shape}")

    @property
    def length(self) -> int:
        """Whole seconds, enough for all that is told; more than 0."""
        return max(round(self.duration), int(self.group.second[-1:].sum()) + 1)


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


def _check_rows(columns: GroupSeconds | FaceSeconds) -> None:
    n = len(columns.second)
    for field in fields(columns):
        received = len(getattr(columns, field.name))
        if received != n:
            raise ValueError(f"{field.name}: expected {n} rows, as second has, received {received}")


def _taken(kind: type[Columns], source: Any) -> Columns:
    return kind(**{field.name: getattr(source, field.name) for field in fields(kind)})
