"""Record a live session as numbers: by default what the group shows, once a second, and never a picture.

A frame counts for the group only if at least `min_group` of its faces are readable, so no recorded mean covers fewer
faces. Faces are counted within one frame, never across frames: a face that is lost and found under a new number is
still one face.
"""

import contextlib
import json
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.embeddings.detection.quality import FaceQuality
from moodspace.embeddings.files.names import partial_path, rename_new
from moodspace.realtime.pipeline import LiveResult
from moodspace.realtime.session.file import DATABASE, SCHEMA, SessionError
from moodspace.realtime.session.marks import mark_name
from moodspace.sessions import LONGEST_STEP_S, Gap, Mark

# If the source's time jumps farther, as in streams with damaged time stamps, the wall clock must confirm it.
_LONGEST_JUMP_S = 60.0

NO_FRAMES = "no frames came"

# No session is longer.
_LONGEST_S = 3.2e9

# More are a program that went wrong.
_MAX_MARKS = 100_000

# How many frames are remembered to find the session time of an event, and how even the pace between two of them is.
_MAX_ANCHORS, _EVEN_S = 20_000, 0.001

# Further digits of a probability carry no information.
_DIGITS = 4


class SessionRecorder:
    """Write a session; use it in a `with` block. Each second is on the disk before the next one begins.

    By default only groups of at least `min_group` readable faces are recorded. This does not make the recording
    anonymous: people who come and go may still be recognized by the change. Thread-safe.

    Args:
        folder: Gets `session.sqlite`; created if missing, readable by its owner only.
        classes: Names of the expressions; names that occur later in results are added.
        individuals: Whether to record single faces too.
        min_group: Smallest group that is recorded, >= 1.
        source: What is recorded, such as "camera 0".
        live: Whether frames come as they are captured; False for a file, which may be paused or take longer.
        now: Returns the time in unix seconds.

    Raises:
        SessionError: The folder already holds a session, or cannot be written.
        ValueError: `min_group` is less than 1.
    """

    def __init__(
        self,
        folder: Path,
        *,
        classes: Sequence[str],
        individuals: bool = False,
        min_group: int = 5,
        source: str,
        live: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        if min_group < 1:
            raise ValueError(f"min_group: expected 1 or more, got {min_group}")
        self.path = folder / DATABASE
        self._first_classes, self._source, self._now = tuple(classes), source, now
        self._individuals, self._min_group, self._live = individuals, min_group, live
        self._lock = threading.RLock()
        self._marks = 0
        self._columns: dict[str, int] = {}
        self._second, self._start, self._wall = 0, 0.0, 0.0
        self._frames: list[FrameStats] = []

    def add(self, result: LiveResult, wall_time: float) -> None:
        """Add a frame.

        Args:
            result: The faces of the frame.
            wall_time: When the frame was captured or, from a file, shown; unix seconds.

        Raises:
            SessionError: The session cannot be written.
        """
        with self._lock:
            self._add(result, wall_time)

    def mark(self, name: str, source: str, wall_time: float | None = None) -> Mark:
        """Write a marked event to the disk.

        Args:
            name: What happened; see `marks.mark_name`.
            source: Where the mark comes from.
            wall_time: When it happened, unix seconds; now if None. Earlier moments of the session are found to the
                frame; a moment before the session began becomes its beginning.

        Returns:
            The mark with its session time.

        Raises:
            ValueError: The name cannot be used.
            SessionError: The session cannot be written, or has too many marks.
        """
        named = mark_name(name)
        with self._lock:
            if self._marks >= _MAX_MARKS:
                raise SessionError(f"{self.path}: expected at most {_MAX_MARKS:,} marks, got more")
            at = self._clock.position_at(self._now() if wall_time is None else wall_time, live=self._live)
            if not at < _LONGEST_S:  # the clock of another program; not a number is not less either
                raise ValueError(f"expected the time of an event in this session, got {wall_time}")
            made = Mark(round(at, _DIGITS), named, source)
            with self._transaction() as database:
                database.execute("INSERT INTO marks VALUES (?, ?, ?)", made)
            self._marks += 1
        return made

    def _add(self, result: LiveResult, wall_time: float) -> None:
        gap = self._clock.advance(result.time, wall_time)
        second = int(self._clock.position)
        self._add_classes(result.prediction.classes, second)
        if second > self._second:
            self._write_second()
        if gap is not None:
            self._write_gap(gap)
        if not self._frames:
            self._second, self._start, self._wall = second, self._clock.position, wall_time
        columns = np.array([self._columns[name] for name in result.prediction.classes], np.int64)
        self._frames.append(FrameStats.from_result(result, columns, len(self._columns)))

    def interrupt(self, reason: str) -> None:
        """Note why no frames come, for example that the camera was lost. Safe to call from any thread.

        Only the first reason of a gap is kept.
        """
        self._clock.interrupt(reason)

    def _add_classes(self, classes: Sequence[str], second: int) -> None:
        new = [name for name in classes if name not in self._columns]
        if new:
            rows = [(len(self._columns) + offset, name, second) for offset, name in enumerate(new)]
            with self._transaction() as database:
                database.executemany("INSERT INTO classes VALUES (?, ?, ?)", rows)
            self._columns |= {name: column for column, name, _ in rows}

    def _write_second(self) -> None:
        """Write the summary of the frames since the last one, if there are any.

        Ctrl-C may come after the second is on the disk and before its frames are forgotten. They are then written once
        more when the session ends, in the place of the same rows.
        """
        if not self._frames:
            return
        group = group_second(self._frames, self._min_group)
        proba = None if group.proba is None else _to_json(group.proba)
        counts = (len(self._frames), group.faces, group.readable, group.unsure)
        row = (self._second, self._wall, *counts, proba, round(self._start, _DIGITS))
        faces = face_seconds(self._frames) if self._individuals else []
        changes = [] if group.change is None else [(self._second, _to_json(group.change))]
        face_changes = [
            (self._second, face.track_id, _to_json(face.change)) for face in faces if face.change is not None
        ]
        with self._transaction() as database:
            database.execute("INSERT OR REPLACE INTO seconds VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            rows = [_face_row(self._second, face) for face in faces]
            database.executemany("INSERT OR REPLACE INTO faces VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            database.executemany("INSERT OR REPLACE INTO changes VALUES (?, ?)", changes)
            database.executemany("INSERT OR REPLACE INTO face_changes VALUES (?, ?, ?)", face_changes)
        self._frames = []

    def _write_gap(self, gap: Gap) -> None:
        with self._transaction() as database:
            database.execute("INSERT INTO gaps VALUES (?, ?, ?)", gap)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit everything done in the block, or nothing.

        Raises:
            SessionError: The session cannot be written.
        """
        try:
            with self._database:
                yield self._database
        except sqlite3.Error as error:
            raise SessionError(f"{self.path}: expected to record the session, could not ({error})") from error

    def __enter__(self) -> Self:
        started = self._now()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._create(started)
        except FileExistsError as error:
            raise SessionError(f"{self.path}: expected a folder without a session, got one; name another") from error
        except OSError as error:
            raise SessionError(f"{self.path}: expected to record a session there, could not ({error})") from error
        self._clock = SessionClock(started)
        self._database = self._connect(self.path)
        with self._transaction() as database:
            database.execute("SELECT 1 FROM session")  # from here on, others see that it is in use
        return self

    def _create(self, started: float) -> None:
        """Make the file under another name first: a kill leaves no session, or one that can be read.

        Raises:
            FileExistsError: The folder has a session.
            OSError: Nothing can be written there.
            SessionError: The same, in the words of SQLite.
        """
        if self.path.exists():
            raise FileExistsError(str(self.path))
        # Another program may begin a session in the same folder.
        partial = partial_path(self.path.with_name(f"{self.path.name}-{os.getpid()}"))
        partial.unlink(missing_ok=True)
        try:
            partial.touch(mode=0o600, exist_ok=False)
            self._database = self._connect(partial)
            try:
                self._begin(started)
            finally:
                self._database.close()
            rename_new(partial, self.path)
        finally:
            partial.unlink(missing_ok=True)

    @staticmethod
    def _connect(path: Path) -> sqlite3.Connection:
        # The threads of a server may record in turn, never two at once.
        return sqlite3.connect(path, timeout=1.0, check_same_thread=False)

    def _begin(self, started: float) -> None:
        offset = time.localtime(started).tm_gmtoff
        row = (self._source, started, offset, self._min_group, self._individuals)
        names = "source, started, utc_offset, min_group, individuals"
        with self._transaction() as database:
            database.executescript(SCHEMA)
            # In WAL mode readers and the recorder never wait for each other, and a kill loses nothing committed.
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(f"INSERT INTO session ({names}) VALUES (?, ?, ?, ?, ?)", row)
        self._add_classes(self._first_classes, 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        now = self._now()
        ending = "" if error is None or isinstance(error, KeyboardInterrupt) else " ".join(str(error).split())
        try:
            self._write_second()
            if (gap := self._clock.end(now)) is not None:
                self._write_gap(gap)
            with self._transaction() as database:
                row = (now, self._clock.position, ending)
                database.execute("UPDATE session SET ended = ?, duration = ?, ending = ?", row)
            # Leave one plain file, which can be read from anywhere; a concurrent reader prevents it.
            with contextlib.suppress(sqlite3.OperationalError):
                self._database.execute("PRAGMA journal_mode = DELETE")
        finally:
            self._database.close()


def _face_row(second: int, face: "FaceSecond") -> tuple[int | float | str | None, ...]:
    shown = None if face.shown < 0 else face.shown
    measured = (round(value, _DIGITS) for value in (face.size, face.sharpness, face.yaw))
    return (second, face.track_id, shown, face.readable, *measured, _to_json(face.proba))


def _to_json(proba: FloatArray) -> str:
    return json.dumps([round(value, _DIGITS) for value in proba.tolist()])


class SessionClock:
    """The session's time: follows the source's time while that advances, and the wall clock where it restarts.

    Attributes:
        position: Seconds since the session began; never decreases.

    Args:
        started: When the session began, unix seconds.
    """

    def __init__(self, started: float) -> None:
        self.position = 0.0
        self._time: float | None = None
        self._wall = started
        self._reason = ""
        # Unix time and position of frames; frames between two others at an even pace are left out.
        self._anchors: deque[tuple[float, float]] = deque(maxlen=_MAX_ANCHORS)

    def position_at(self, wall: float, *, live: bool = True) -> float:
        """Return the position at a unix time, interpolated between the frames around it.

        Args:
            wall: Unix seconds.
            live: Whether the source goes on after the last frame; if not, later times get the position of that frame.
        """
        later: tuple[float, float] | None = None
        for anchor in reversed(self._anchors):
            if anchor[0] <= wall:
                passed = wall - anchor[0]
                if later is None:
                    return anchor[1] + (passed if live else 0.0)
                return anchor[1] + (later[1] - anchor[1]) * passed / (later[0] - anchor[0])
            later = anchor
        return 0.0 if later is None else max(later[1] - (later[0] - wall), 0.0)

    def interrupt(self, reason: str) -> None:
        """Note why no frames come. Only the first reason of a gap is kept."""
        self._reason = self._reason or reason

    def advance(self, time: float, wall: float) -> Gap | None:
        """Advance to the next frame.

        Args:
            time: The frame's time in seconds since its source began; less than before if the source restarted.
            wall: When the frame came, unix seconds.

        Returns:
            The gap since the last frame, or None.
        """
        passed = wall - self._wall
        step = 0.0 if self._time is None else time - self._time
        first, self._time = self._time is None, time
        if step > 0:
            return self._move(min(step, max(passed, _LONGEST_JUMP_S)), wall) or self._clock_change(passed - step)
        if first and passed <= LONGEST_STEP_S:
            # Opening a camera takes a moment, which is not part of the session; drop messages from that time.
            self._reason, passed = "", 0.0
        return self._move(max(passed, 0.0), wall)

    def end(self, wall: float) -> Gap | None:
        """Advance to the session's end at `wall` (unix seconds); return the gap since the last frame, or None."""
        return self._move(max(wall - self._wall, 0.0), wall)

    def _move(self, step: float, wall: float) -> Gap | None:
        start, reason = self.position, self._reason
        self.position, self._wall, self._reason = start + step, wall, ""
        self._add_anchor(wall)
        if step > LONGEST_STEP_S or reason:
            return Gap(start, self.position, reason or NO_FRAMES)
        return None

    def _add_anchor(self, wall: float) -> None:
        anchors, offset = self._anchors, self.position - wall
        while anchors and anchors[-1][0] >= wall:  # the clock was set back
            anchors.pop()
        if len(anchors) >= 2 and all(abs(at - then - offset) < _EVEN_S for then, at in (anchors[-1], anchors[-2])):
            anchors.pop()
        anchors.append((wall, self.position))

    def _clock_change(self, by: float) -> Gap | None:
        """Return a gap without length if the wall clock and the source differ by too many seconds, or None."""
        if abs(by) <= LONGEST_STEP_S:
            return None
        what = f"set back by {-by:.0f} s" if by < 0 else f"put forward by {by:.0f} s, or the source was paused"
        return Gap(self.position, self.position, f"the clock was {what}")


@dataclass(frozen=True, slots=True, eq=False)
class FrameStats:
    """The n faces of one frame, in the session's classes.

    Attributes:
        track_ids: `(n,)` int64.
        proba: `(n, C)` float32, smoothed probabilities; columns in the order of the session's classes.
        shown: `(n,)` int64, columns of the expressions shown, -1 for unsure.
        quality: How readable the faces are.
        change: `(n, C)` float32, the difference of `proba` from what the face is read as at rest; NaN rows without a
            baseline.
    """

    track_ids: IntArray
    proba: FloatArray
    shown: IntArray
    quality: FaceQuality
    change: FloatArray

    @classmethod
    def from_result(cls, result: LiveResult, columns: IntArray, n_classes: int) -> Self:
        """Map a result to the session's classes.

        Args:
            result: The faces of a frame.
            columns: `(c,)` int64, the session's column for each of the result's c classes.
            n_classes: The session's number of classes, C.
        """
        proba = np.zeros((len(result.track_ids), n_classes), np.float32)
        proba[:, columns] = result.smoothed
        shown = np.where(result.shown < 0, -1, columns[result.shown])
        rest = np.full_like(proba, np.nan)
        for row, baseline in enumerate(result.baselines):
            if baseline.rest is not None:
                rest[row] = 0.0  # of the classes that were taught
                rest[row, columns[: len(baseline.rest)]] = baseline.rest
        return cls(result.track_ids, proba, shown, result.quality, proba - rest)


class GroupSecond(NamedTuple):
    """The group's expression in one second.

    Attributes:
        faces: Faces in view; None if fewer than the smallest group.
        readable: Readable faces; None, like the next two, if fewer than the smallest group.
        unsure: Readable faces without a certain expression.
        proba: `(C,)` float32, the mean of the readable faces' smoothed probabilities; sums to 1.
        change: `(C,)` float32, the mean change of the readable faces with a baseline from their resting faces; None
            if these are fewer than the smallest group.
    """

    faces: int | None = None
    readable: int | None = None
    unsure: int | None = None
    proba: FloatArray | None = None
    change: FloatArray | None = None


class FaceSecond(NamedTuple):
    """One face's expression in one second.

    Attributes:
        track_id: The face's number.
        shown: Column of the last expression shown, -1 for unsure.
        readable: Whether the face was readable in any frame.
        size: Mean size in pixels.
        sharpness: Mean sharpness, as in `embeddings.detection.quality`.
        yaw: Mean yaw in degrees.
        proba: `(C,)` float32, mean of the smoothed probabilities over the frames in which the face was readable, or
            over all frames if there was none.
        change: `(C,)` float32, the mean change from the resting face over its readable frames with a baseline; or None.
    """

    track_id: int
    shown: int
    readable: bool
    size: float
    sharpness: float
    yaw: float
    proba: FloatArray
    change: FloatArray | None = None


def group_second(frames: Sequence[FrameStats], min_group: int) -> GroupSecond:
    """Summarize the group over the frames of one second.

    Args:
        frames: The frames; later ones may have more classes.
        min_group: Smallest group that is recorded, >= 1.
    """
    enough = [frame for frame in frames if frame.quality.good.sum() >= min_group]
    if not enough:
        in_view = [len(frame.track_ids) for frame in frames if len(frame.track_ids) >= min_group]
        return GroupSecond(faces=_rounded_mean(in_view) if in_view else None)
    proba = np.zeros(max(frame.proba.shape[1] for frame in enough))
    for frame in enough:
        proba[: frame.proba.shape[1]] += frame.proba[frame.quality.good].mean(axis=0)
    return GroupSecond(
        faces=_rounded_mean([len(frame.track_ids) for frame in enough]),
        readable=_rounded_mean([int(frame.quality.good.sum()) for frame in enough]),
        unsure=_rounded_mean([int((frame.quality.good & (frame.shown < 0)).sum()) for frame in enough]),
        proba=(proba / proba.sum()).astype(np.float32),
        change=_mean_change(frames, min_group),
    )


def _mean_change(frames: Sequence[FrameStats], min_group: int) -> FloatArray | None:
    means = []
    for frame in frames:
        rows = frame.quality.good & ~np.isnan(frame.change).any(axis=1)
        if rows.sum() >= min_group:
            means.append(frame.change[rows].mean(axis=0))
    return _mean_of_longer(means)


def _mean_of_longer(rows: Sequence[FloatArray]) -> FloatArray | None:
    """Return the mean of rows, of which later ones may have more columns; None without rows."""
    if not rows:
        return None
    total = np.zeros(max(len(row) for row in rows))
    for row in rows:
        total[: len(row)] += row
    return (total / len(rows)).astype(np.float32)


def face_seconds(frames: Sequence[FrameStats]) -> list[FaceSecond]:
    """Summarize each face over the frames of one second, in the order of the faces' numbers."""
    rows: dict[int, list[tuple[FrameStats, int]]] = {}
    for frame in frames:
        for row, track_id in enumerate(frame.track_ids.tolist()):
            rows.setdefault(track_id, []).append((frame, row))
    return [_face_second(track_id, rows[track_id]) for track_id in sorted(rows)]


def _face_second(track_id: int, rows: list[tuple[FrameStats, int]]) -> FaceSecond:
    readable = [(frame, row) for frame, row in rows if frame.quality.good[row]]
    last, last_row = rows[-1]
    proba = np.zeros(last.proba.shape[1])
    for frame, row in readable or rows:
        proba[: frame.proba.shape[1]] += frame.proba[row]
    size, sharpness, yaw = (
        float(np.mean([getattr(frame.quality, name)[row] for frame, row in rows]))
        for name in ("size", "sharpness", "yaw")
    )
    mean = (proba / proba.sum()).astype(np.float32)
    changes = [frame.change[row] for frame, row in readable if not np.isnan(frame.change[row]).any()]
    change = _mean_of_longer(changes)
    return FaceSecond(track_id, int(last.shown[last_row]), bool(readable), size, sharpness, yaw, mean, change)


def _rounded_mean(counts: Sequence[int]) -> int:
    return int(np.floor(np.mean(counts) + 0.5))
