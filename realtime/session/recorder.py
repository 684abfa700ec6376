"""Records a live session as it runs: by default what the group shows, once a second, and never a picture."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from moodspace.arrays import FloatArray
from moodspace.realtime.pipeline import LiveResult
from moodspace.realtime.session.file import DATABASE, SCHEMA, SessionError
from moodspace.realtime.session.tally import FaceSecond, FrameStats, face_seconds, group_second
from moodspace.realtime.session.time import Gap, SessionClock

# Below this, differences between probabilities mean nothing.
_DIGITS = 4


class SessionRecorder:
    """Writes a session, to be used in a `with` block; each second is safe on the disk when the next one begins.

    By default only what a group showed is kept, and only of groups of `min_group` readable faces or more. That is no
    anonymity: from who comes and goes, something may still be concluded.

    Args:
        folder: Gets `session.sqlite`; made if missing, for its owner alone.
        classes: Names of the expressions; those that results name later are added.
        individuals: Whether to keep what each face showed too.
        min_group: The least number of faces, >= 1, of which anything is said as a group.
        source: What is recorded, in words.
        now: Says the time, unix seconds.

    Raises:
        SessionError: the folder holds a session already, or nothing can be written there.
        ValueError: a smallest group of no face.
    """

    def __init__(
        self,
        folder: Path,
        *,
        classes: Sequence[str],
        individuals: bool = False,
        min_group: int = 5,
        source: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        if min_group < 1:
            raise ValueError(f"min_group: expected 1 or more, received {min_group}")
        self.path = folder / DATABASE
        self._first_classes, self._source, self._now = tuple(classes), source, now
        self._individuals, self._min_group = individuals, min_group
        self._columns: dict[str, int] = {}
        self._second, self._wall = 0, 0.0
        self._looks: list[FrameStats] = []

    def add(self, result: LiveResult, wall_time: float) -> None:
        """Counts what a frame shows.

        Args:
            result: What it shows.
            wall_time: When the frame came, unix seconds.

        Raises:
            SessionError: what is to be kept cannot be written.
        """
        gap = self._timeline.go_to(result.time, wall_time)
        second = int(self._timeline.position)
        self._learn(result.prediction.classes, second)
        if second > self._second:
            self._write_second()
        if gap is not None:
            self._write_gap(gap)
        if not self._looks:
            self._second, self._wall = second, wall_time
        columns = np.array([self._columns[name] for name in result.prediction.classes], np.int64)
        self._looks.append(FrameStats.at(result, columns, len(self._columns)))

    def interrupt(self, reason: str) -> None:
        """Takes note of why no frames come, as when a camera is lost; may be called from any thread.

        What is said later of the same gap, as that the camera is back, is not noted.
        """
        self._timeline.interrupt(reason)

    def _learn(self, classes: Sequence[str], second: int) -> None:
        new = [name for name in classes if name not in self._columns]
        if new:
            rows = [(len(self._columns) + at, name, second) for at, name in enumerate(new)]
            with self._transaction() as database:
                database.executemany("INSERT INTO classes VALUES (?, ?, ?)", rows)
            self._columns |= {name: column for column, name, _ in rows}

    def _write_second(self) -> None:
        """Writes what the frames since the last time come to; nothing where there were none."""
        if not self._looks:
            return
        group = group_second(self._looks, self._min_group)
        proba = None if group.proba is None else _as_json(group.proba)
        counted = (self._second, self._wall, len(self._looks), group.faces, group.readable, group.unsure, proba)
        faces = face_seconds(self._looks) if self._individuals else []
        with self._transaction() as database:
            database.execute("INSERT INTO seconds VALUES (?, ?, ?, ?, ?, ?, ?)", counted)
            rows = [_face_row(self._second, face) for face in faces]
            database.executemany("INSERT INTO faces VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._looks = []

    def _write_gap(self, gap: Gap) -> None:
        with self._transaction() as database:
            database.execute("INSERT INTO gaps VALUES (?, ?, ?)", gap)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Commits what is done in the block, or nothing of it.

        Raises:
            SessionError: it cannot be written.
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
            self.path.touch(mode=0o600, exist_ok=False)
        except FileExistsError as error:
            raise SessionError(f"{self.path}: expected a folder without a session, it has one; name another") from error
        except OSError as error:
            raise SessionError(f"{self.path}: expected to record a session there, could not ({error})") from error
        self._timeline = SessionClock(started)
        # One thread after another may record, as where a server has several; never two at once.
        self._database = sqlite3.connect(self.path, timeout=1.0, check_same_thread=False)
        try:
            self._begin(started)
        except BaseException:
            self._database.close()
            raise
        return self

    def _begin(self, started: float) -> None:
        offset = time.localtime(started).tm_gmtoff
        described = (self._source, started, offset, self._min_group, self._individuals)
        names = "source, started, utc_offset, min_group, individuals"
        with self._transaction() as database:
            database.executescript(SCHEMA)
            # Readers never wait for the recorder nor it for them, and a kill loses nothing that was committed.
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(f"INSERT INTO session ({names}) VALUES (?, ?, ?, ?, ?)", described)
        self._learn(self._first_classes, 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        now = self._now()
        ending = "" if error is None or isinstance(error, KeyboardInterrupt) else " ".join(str(error).split())
        try:
            self._write_second()
            if (gap := self._timeline.end(now)) is not None:
                self._write_gap(gap)
            with self._transaction() as database:
                ended = (now, self._timeline.position, ending)
                database.execute("UPDATE session SET ended = ?, duration = ?, ending = ?", ended)
            # One plain file, which can be read from anywhere; someone who reads it right now keeps it from that.
            with contextlib.suppress(sqlite3.OperationalError):
                self._database.execute("PRAGMA journal_mode = DELETE")
        finally:
            self._database.close()


def _face_row(second: int, face: FaceSecond) -> tuple[int | float | str | None, ...]:
    shown = None if face.shown < 0 else face.shown
    measured = (round(value, _DIGITS) for value in (face.size, face.sharpness, face.yaw))
    return (second, face.track_id, shown, face.readable, *measured, _as_json(face.proba))


def _as_json(proba: FloatArray) -> str:
    return json.dumps([round(value, _DIGITS) for value in proba.tolist()])
