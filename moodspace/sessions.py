"""A recorded session as arrays: `realtime.session` reads it, `viz.report` and the web pages show it.

The types live here, beside `arrays` and `errors`, because `viz` must not import `realtime`; they need NumPy alone.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np

from moodspace.arrays import BoolArray, DoubleArray, FloatArray, IntArray

# Stands for a count that was not recorded because the group was too small.
WITHHELD = -1


class Gap(NamedTuple):
    """A part of a session without frames.

    Attributes:
        start: Seconds since the session began.
        stop: Seconds since the session began; equal to `start` for a jump of the clock, whose length is unknown.
        reason: Why, in words.
    """

    start: float
    stop: float
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class GroupSeconds:
    """The group's expressions, one row for each second with frames; n = 0 is legal.

    Attributes:
        second: `(n,)` int64, seconds since the session began, ascending.
        wall: `(n,)` float64, unix seconds.
        frames: `(n,)` int64, number of frames.
        faces: `(n,)` int64, faces in view; `WITHHELD` if fewer than `Session.min_group`.
        readable: `(n,)` int64, readable faces; `WITHHELD` if fewer than `Session.min_group`.
        unsure: `(n,)` int64, readable faces without a certain expression; `WITHHELD` where `readable` is.
        proba: `(n, C)` float32, mean probabilities, rows sum to 1; NaN where `readable` is withheld.
        change: `(n, C)` float32, mean change of the faces with a baseline from their resting faces, rows sum to 0; NaN
            where too few had one. All NaN if omitted.
    """

    second: IntArray
    wall: DoubleArray
    frames: IntArray
    faces: IntArray
    readable: IntArray
    unsure: IntArray
    proba: FloatArray
    change: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def __post_init__(self) -> None:
        _fill_change(self)
        _check_rows(self)

    @property
    def recorded(self) -> BoolArray:
        """`(n,)` bool, True where probabilities were recorded."""
        return self.readable != WITHHELD


@dataclass(frozen=True, slots=True, eq=False)
class FaceSeconds:
    """The expressions of single faces, one row for each second and face; m = 0 unless `Session.individuals`.

    Attributes:
        second: `(m,)` int64, seconds since the session began, ascending.
        track_ids: `(m,)` int64, numbers of the faces in this session; they do not identify people.
        shown: `(m,)` int64, column of the expression shown, -1 for unsure.
        readable: `(m,)` bool, True if the face was readable in at least one frame.
        size: `(m,)` float32, longer side of the box in pixels.
        sharpness: `(m,)` float32, as in `embeddings.detection.quality`.
        yaw: `(m,)` float32, degrees.
        proba: `(m, C)` float32, smoothed probabilities, rows sum to 1.
        change: `(m, C)` float32, change from the resting face, rows sum to 0; NaN without a baseline. All NaN if
            omitted.
    """

    second: IntArray
    track_ids: IntArray
    shown: IntArray
    readable: BoolArray
    size: FloatArray
    sharpness: FloatArray
    yaw: FloatArray
    proba: FloatArray
    change: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def __post_init__(self) -> None:
        _fill_change(self)
        _check_rows(self)


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """A recorded session.

    Attributes:
        folder: The session's folder.
        source: What was recorded, such as "camera 0".
        started: Unix seconds.
        utc_offset: Offset of the local time from UTC in seconds.
        ended: Unix seconds; None if the recording was killed or is still running.
        duration: Seconds up to the end or, without one, up to the last record.
        min_group: Smallest group that is recorded.
        individuals: Whether single faces were recorded too.
        classes: Names of the C columns of every `proba`.
        since: `(C,)` int64, the second from which each class was known.
        group: The group's expressions.
        faces: The expressions of single faces.
        gaps: The parts without frames.
        missing: What the recording lacks, in sentences.
        keeps_video: Whether an annotated video was recorded too.
    """

    folder: Path
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
    gaps: tuple[Gap, ...]
    missing: tuple[str, ...]
    keeps_video: bool

    def __post_init__(self) -> None:
        expected = (len(self.group.second), len(self.classes))
        if self.group.proba.shape != expected:
            raise ValueError(f"group: expected probabilities of shape {expected}, got {self.group.proba.shape}")

    @property
    def length(self) -> int:
        """Duration in whole seconds, at least 1; covers every row of `group`."""
        return max(round(self.duration), int(self.group.second[-1:].sum()) + 1)


def _fill_change(columns: GroupSeconds | FaceSeconds) -> None:
    if columns.change.shape == (0, 0):
        object.__setattr__(columns, "change", np.full_like(columns.proba, np.nan))


def _check_rows(columns: GroupSeconds | FaceSeconds) -> None:
    n = len(columns.second)
    for column in fields(columns):
        rows = len(getattr(columns, column.name))
        if rows != n:
            raise ValueError(f"{column.name}: expected {n} rows, as second has, got {rows}")
