"""A recorded session as arrays: `realtime.session` reads it, `viz.report` and the web pages show it.

The types live here, beside `arrays` and `errors`, because `viz` must not import `realtime`; they need NumPy alone.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from moodspace.arrays import BoolArray, DoubleArray, FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

# Seconds; a longer time between two frames is a gap, which a kept video leaves out.
LONGEST_STEP_S = 2.0
# A session may not be longer, and no moment of one later.
_LONGEST_S, _LAST_WALL_S = 3.2e9, 1.4e10
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


class Mark(NamedTuple):
    """An event that somebody marked: a moment with a name.

    Attributes:
        time: Seconds since the session began.
        name: What happened.
        source: Where the mark came from: "window", "web", "http", "lsl" or "file".
    """

    time: float
    name: str
    source: str


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


def _is_text(value: object) -> bool:
    """Return whether a value is text that can be written to a file: JSON allows half a character."""
    return isinstance(value, str) and not any("\ud800" <= one <= "\udfff" for one in value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


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
        marks: The marked events, ordered by time.
        clock: `(k, 2)` float64, ascending: session time and unix time of some frames, for `time_of`.
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
    marks: tuple[Mark, ...] = ()
    clock: DoubleArray = field(default_factory=lambda: np.zeros((0, 2)))

    def __post_init__(self) -> None:
        expected = (len(self.group.second), len(self.classes))
        if self.group.proba.shape != expected:
            raise ValueError(f"group: expected probabilities of shape {expected}, got {self.group.proba.shape}")
        if self.since.shape != (len(self.classes),):
            raise ValueError(f"since: expected {len(self.classes)} numbers, got {self.since.shape[0]}")
        if not all(_is_text(name) for name in (self.source, *self.classes, *self.missing)):
            raise ValueError("source and classes: expected texts, got other values")
        if not all(isinstance(value, int) for value in (self.min_group, self.individuals)):
            raise ValueError("min_group and individuals: expected numbers, got other values")
        if not (isinstance(self.utc_offset, int) and abs(self.utc_offset) < 86_400):
            raise ValueError(f"utc_offset: expected seconds within a day, got {str(self.utc_offset)[:40]!r}")
        moments = [self.started, *([] if self.ended is None else [self.ended]), *self.group.wall.tolist()]
        if not all(_is_number(one) and abs(one) < _LAST_WALL_S for one in moments):
            raise ValueError("expected unix times of the years 1500 to 2400, got others")
        times = [self.duration, *(time for gap in self.gaps for time in gap[:2]), *(mark.time for mark in self.marks)]
        if not all(_is_number(one) and 0 <= one < _LONGEST_S for one in times):
            raise ValueError("expected times of the session from 0 to 100 years, got others")
        seconds = [*self.group.second[[0, -1]], *self.since] if len(self.group.second) else [*self.since]
        if not all(0 <= one < _LONGEST_S for one in seconds):
            raise ValueError("expected seconds of the session from 0 to 100 years, got others")
        faces = self.faces
        if len(faces.second) and not (faces.second.min() >= 0 and faces.second.max() < self.length):
            raise ValueError(f"faces: expected seconds of the session of {self.length} s, got others")
        if len(faces.shown) and not (faces.shown.min() >= -1 and faces.shown.max() < len(self.classes)):
            raise ValueError(f"faces: expected {len(self.classes)} classes, got others")
        named = [text for gap in self.gaps for text in gap[2:]] + [text for mark in self.marks for text in mark[1:]]
        if not all(_is_text(text) for text in named):
            raise ValueError("gaps and marks: expected texts, got other values")

    @property
    def length(self) -> int:
        """Duration in whole seconds, at least 1; covers every row of `group`."""
        return max(round(self.duration), int(self.group.second[-1:].sum()) + 1)

    def time_of(self, wall: float) -> float:
        """Return the session time of a unix time, both in seconds; negative if the session had not begun."""
        if not len(self.clock):
            return wall - self.started
        position, walls = self.clock.T
        if not walls[0] <= wall <= walls[-1]:
            at = 0 if wall < walls[0] else -1
            return float(position[at] + wall - walls[at])
        return float(np.interp(wall, walls, position))

    def epochs(self, start: float, stop: float, *, individuals: bool = False) -> "Epochs":
        """Summarize the seconds around each mark.

        Each recorded second counts as a whole, at its middle. The seconds from the mark until `stop` are the response,
        or from `start` if that is later; those from `start` until the mark are the baseline.

        Args:
            start: Beginning of the window in seconds from the mark; negative for a baseline.
            stop: End of the window in seconds from the mark, > 0 and > `start`.
            individuals: Summarize single faces, if the session has them, instead of the group.

        Raises:
            ValueError: The window is empty or ends before the mark, or single faces were not recorded.
        """
        if not (math.isfinite(start) and math.isfinite(stop) and stop > max(start, 0)):
            raise ValueError(f"epochs: expected a window that ends after 0 and after its start, got {start:g}:{stop:g}")
        if individuals and not self.individuals:
            raise ValueError("epochs: expected a session with single faces, got one without")
        if individuals:
            rows = [
                row for number, mark in enumerate(self.marks, 1) for row in self._face_rows(number, mark, start, stop)
            ]
        else:
            rows = [
                row for number, mark in enumerate(self.marks, 1) for row in self._group_rows(number, mark, start, stop)
            ]
        names = ("face", *EPOCH_COLUMNS) if individuals else tuple(EPOCH_COLUMNS)
        return Epochs(start, stop, {name: [row[name] for row in rows] for name in names})

    def _group_rows(self, number: int, mark: Mark, start: float, stop: float) -> Iterator[dict[str, Any]]:
        group = self.group
        around = _Around(group.second[group.recorded], mark.time, start, stop)
        shares, readable = group.proba[group.recorded], group.readable[group.recorded]
        missing = "" if around.response.any() else self._why_missing(mark.time + max(start, 0.0), mark.time + stop)
        for column, expression in enumerate(self.classes):
            yield _epoch(number, mark, expression, around, shares[:, column], readable, missing)

    def _face_rows(self, number: int, mark: Mark, start: float, stop: float) -> Iterator[dict[str, Any]]:
        faces = self.faces
        for track in np.unique(faces.track_ids).tolist():
            rows = np.flatnonzero((faces.track_ids == track) & faces.readable)
            around = _Around(faces.second[rows], mark.time, start, stop)
            if not around.response.any():
                continue
            for column, expression in enumerate(self.classes):
                ones = np.ones(len(rows), np.int64)
                row = _epoch(number, mark, expression, around, faces.proba[rows, column], ones, "")
                yield {"face": track, **row}

    def _why_missing(self, start: float, stop: float) -> str:
        middle = self.group.second + 0.5
        if ((middle >= start) & (middle < stop)).any():
            return f"fewer than {self.min_group} readable faces"
        return "no frames"


# The columns of a table of epochs: kind, unit and meaning.
EPOCH_COLUMNS: dict[str, tuple[str, str, str]] = {
    "event": ("integer", "", "Number of the event in the session, from 1, by time."),
    "name": ("text", "", "Name of the event."),
    "source": ("text", "", "Where the mark came from: window, web, http, lsl or file."),
    "time": ("number", "s", "Time of the event, in seconds since the session began."),
    "expression": ("text", "", "The expression that this row is about."),
    "mean": ("number", "", "Mean share of the expression in the response, 0 to 1."),
    "peak": ("number", "", "Largest share of the expression in one second of the response, 0 to 1."),
    "latency": ("number", "s", "From the event to the middle of the first second with the peak."),
    "baseline": ("number", "", "Mean share of the expression in the baseline, 0 to 1."),
    "change": ("number", "", "mean minus baseline, -1 to 1."),
    "seconds": ("integer", "s", "Number of recorded seconds in the response."),
    "baseline_seconds": ("integer", "s", "Number of recorded seconds in the baseline."),
    "faces": ("number", "", "Mean number of readable faces in the response."),
    "faces_min": ("integer", "", "Smallest number of readable faces in a second of the response."),
    "missing": ("text", "", "Why the response is empty; empty if it is not."),
}
# Shares are recorded with four digits; further ones of their means come from rounding.
_DIGITS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Epochs:
    """A tidy table: one row for each event and expression and, of single faces, for each face.

    Attributes:
        start: Beginning of the window in seconds from the event.
        stop: End of the window in seconds from the event.
        columns: The values of each column of `EPOCH_COLUMNS`, of single faces with `face` first; None where missing.
    """

    start: float
    stop: float
    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(self.columns["event"])

    def to_pandas(self) -> "pd.DataFrame":
        """Return the table; missing numbers are NaN.

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas as pd

        kinds = {"integer": "Int64", "number": "float64", "text": "object"}
        types = {name: kinds[EPOCH_COLUMNS[name][0]] if name in EPOCH_COLUMNS else "Int64" for name in self.columns}
        return pd.DataFrame({name: pd.Series(values, dtype=types[name]) for name, values in self.columns.items()})


class _Around:
    """Which of some seconds belong to the response and to the baseline of an event."""

    def __init__(self, second: IntArray, time: float, start: float, stop: float) -> None:
        self.lag = np.round(second + 0.5 - time, _DIGITS)
        self.response = (self.lag >= max(start, 0.0)) & (self.lag < stop)
        self.baseline = (self.lag >= start) & (self.lag < 0)


def _epoch(
    number: int, mark: Mark, expression: str, around: _Around, share: FloatArray, readable: IntArray, missing: str
) -> dict[str, Any]:
    response, lag = share[around.response].astype(np.float64), around.lag[around.response]
    before, faces = share[around.baseline].astype(np.float64), readable[around.response]
    mean = float(response.mean()) if len(response) else None
    baseline = float(before.mean()) if len(before) else None
    return {
        "event": number,
        "name": mark.name,
        "source": mark.source,
        "time": mark.time,
        "expression": expression,
        "mean": _rounded(mean),
        "peak": _rounded(float(response.max())) if len(response) else None,
        "latency": float(lag[response.argmax()]) if len(response) else None,
        "baseline": _rounded(baseline),
        "change": None if mean is None or baseline is None else _rounded(mean - baseline),
        "seconds": len(response),
        "baseline_seconds": len(before),
        "faces": _rounded(float(faces.mean())) if len(faces) else None,
        "faces_min": int(faces.min()) if len(faces) else None,
        "missing": missing,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def _fill_change(columns: GroupSeconds | FaceSeconds) -> None:
    if columns.change.shape == (0, 0):
        object.__setattr__(columns, "change", np.full_like(columns.proba, np.nan))


def _check_rows(columns: GroupSeconds | FaceSeconds) -> None:
    n = len(columns.second)
    for column in fields(columns):
        rows = len(getattr(columns, column.name))
        if rows != n:
            raise ValueError(f"{column.name}: expected {n} rows, as second has, got {rows}")
