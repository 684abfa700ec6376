"""The work file beside a table: the rows of each finished video, kept until the user deletes it.

It is one SQLite file, `table.csv.work` for `table.csv`, so that a program that is killed loses only the videos that it
was reading. One program at a time may open it.
"""

import contextlib
import json
import math
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from moodspace.realtime.videos.reading import Columns, Job, Summary, VideosError, file_sha256

ENDING = ".work"

VERSION = 1
# In the header of the SQLite file: "MOOW".
_APPLICATION_ID = 0x4D4F4F57

_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {VERSION};
-- One row: how the videos were read, a JSON object.
CREATE TABLE settings (value TEXT NOT NULL);
-- The finished videos. name is as the user gave it; bytes and mtime_ns are the file's; summary is a JSON object.
CREATE TABLE videos (name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, summary TEXT NOT NULL);
-- The rows of videos, some in each: a JSON object of columns, compressed. Those of other videos are unfinished.
CREATE TABLE chunks (name TEXT NOT NULL, number INTEGER NOT NULL, columns BLOB NOT NULL, PRIMARY KEY (name, number));
"""


@dataclass(slots=True)
class _Open:
    """A video that is being read: how many chunks it has, and its file's size and time at the start."""

    chunks: int
    bytes: int
    mtime_ns: int


class WorkFile:
    """The finished videos of a table; use it in a `with` block.

    Args:
        out: The table.
        settings: How videos are read, plain JSON values. The finished ones must have been read in the same way.
        restart: Whether to forget the finished videos.

    Raises:
        VideosError: Another program has it open, or its videos were read in another way, or it is damaged.
        OSError: It cannot be written.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], *, restart: bool = False) -> None:
        self._out, self._settings = out, json.loads(json.dumps(settings))
        self.path = out.with_name(out.name + ENDING)
        self._restart = restart
        self._reading: dict[str, _Open] = {}

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._explaining():
            # No other program can read or write it until it is closed; a killed program frees it.
            self._db = sqlite3.connect(self.path, timeout=0, isolation_level=None)
        try:
            with self._explaining():
                self._open()
        except BaseException:
            self._db.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def _open(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("BEGIN EXCLUSIVE")
        application, version, tables = (
            self._db.execute(sql).fetchone()[0]
            for sql in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        )
        if tables and (application, version) != (_APPLICATION_ID, VERSION):
            got = f"version {version}" if application == _APPLICATION_ID else "another file"
            raise VideosError(f"{self.path}: expected a work file of version {VERSION}, got {got}; name another table")
        if not tables:
            self._db.execute("COMMIT")
            self._db.executescript(f"BEGIN EXCLUSIVE; {_SCHEMA}")
        if self._restart:
            for table in ("settings", "videos", "chunks"):
                self._db.execute(f"DELETE FROM {table}")
        stored = self._db.execute("SELECT value FROM settings").fetchone()
        finished = self._db.execute("SELECT count(*) FROM videos").fetchone()[0]
        if stored is not None and finished:
            settings = json.loads(stored[0])
            if not isinstance(settings, dict):
                raise ValueError("other settings")
            self._check(settings, finished)
        self._db.execute("DELETE FROM settings")
        self._db.execute("INSERT INTO settings VALUES (?)", (json.dumps(self._settings),))
        self._db.execute("DELETE FROM chunks WHERE name NOT IN (SELECT name FROM videos)")
        self._db.execute("COMMIT")

    def _check(self, stored: Mapping[str, Any], finished: int) -> None:
        """Refuse to add videos to those that were read in another way."""
        for name in dict.fromkeys([*self._settings, *stored]):
            old, new = stored.get(name), self._settings.get(name)
            if old != new:
                videos = "1 finished video" if finished == 1 else f"{finished} finished videos"
                raise VideosError(
                    f"{self._out}: expected {name.replace('_', ' ')} {_short(old)}, as its {videos} had, got "
                    f"{_short(new)}; name another table, or read all again with --restart"
                )

    def finished(self, job: Job) -> Summary | None:
        """Return the summary of a video if it is finished and its file is still the same; else None."""
        with self._explaining():
            query = "SELECT bytes, mtime_ns, summary FROM videos WHERE name = ?"
            row = self._db.execute(query, (job.name,)).fetchone()
            if row is None:
                return None
            summary = _summary(row[2])
        try:
            status = job.path.stat()
            if (status.st_size, status.st_mtime_ns) != row[:2]:
                # A copy has another time.
                if status.st_size != row[0] or file_sha256(job.path) != summary.sha256:
                    return None
                with self._explaining():
                    self._db.execute("UPDATE videos SET mtime_ns = ? WHERE name = ?", (status.st_mtime_ns, job.name))
        except OSError:
            return None
        return summary

    def begin(self, job: Job) -> None:
        """Forget what is known of a video that is going to be read."""
        status = job.path.stat()
        with self._explaining(), self._transaction():
            self._db.execute("DELETE FROM videos WHERE name = ?", (job.name,))
            self._db.execute("DELETE FROM chunks WHERE name = ?", (job.name,))
        self._reading[job.name] = _Open(0, status.st_size, status.st_mtime_ns)

    def add(self, job: Job, columns: Columns) -> None:
        """Add the next rows of a video."""
        blob = zlib.compress(json.dumps(columns, ensure_ascii=False).encode(), 1)
        reading = self._reading[job.name]
        with self._explaining():
            self._db.execute("INSERT INTO chunks VALUES (?, ?, ?)", (job.name, reading.chunks, blob))
        reading.chunks += 1

    def finish(self, job: Job, summary: Summary) -> None:
        """Record that a video is finished."""
        reading = self._reading.pop(job.name)
        values = (job.name, reading.bytes, reading.mtime_ns, json.dumps(summary.to_json(), ensure_ascii=False))
        with self._explaining():
            self._db.execute("INSERT INTO videos VALUES (?, ?, ?, ?)", values)

    def rows(self, name: str) -> Iterator[Columns]:
        """Yield the rows of a finished video, some at a time."""
        with self._explaining():
            sql = "SELECT columns FROM chunks WHERE name = ? ORDER BY number"
            for (blob,) in self._db.execute(sql, (name,)):
                yield _columns(blob)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn an error of SQLite into one line."""
        try:
            yield
        except sqlite3.OperationalError as error:
            reason = str(error)
            if "locked" in reason:
                wanted = "expected a table that no other program is making, got one that another program is making"
                raise VideosError(f"{self._out}: {wanted}; wait until it ends") from error
            if "full" in reason:
                raise OSError(28, "No space left on device", str(self.path)) from error
            raise VideosError(f"{self.path}: expected to write this file, got: {reason}; name another table") from error
        except (sqlite3.DatabaseError, zlib.error, ValueError, TypeError, RecursionError) as error:
            if isinstance(error, VideosError):
                raise
            reason = " ".join(str(error).split())
            wanted = f"expected the work file of a table, cannot read it ({reason})"
            raise VideosError(f"{self.path}: {wanted}; delete it to read all videos again") from error


def _summary(stored: str) -> Summary:
    """Return a stored summary; raise ValueError or TypeError if its fields have other types."""
    found = Summary(**json.loads(stored))
    for one in fields(Summary):
        value, like = getattr(found, one.name), one.default
        if isinstance(like, str):
            right = isinstance(value, str)
        elif isinstance(like, int | float):
            right = isinstance(value, int | float) and math.isfinite(value)
        elif one.name == "fps":
            right = value is None or (isinstance(value, int | float) and math.isfinite(value))
        else:
            right = isinstance(value, str if one.name == "video" else dict)
        if not right:
            raise ValueError(f"another value of {one.name}")
    return found


def _columns(blob: bytes) -> Columns:
    """Return stored rows; raise ValueError or TypeError if they are no columns of one length."""
    columns: Columns = json.loads(zlib.decompress(blob))
    if not isinstance(columns, dict) or not all(isinstance(values, list) for values in columns.values()):
        raise ValueError("other rows")
    if len({len(values) for values in columns.values()}) > 1:
        raise ValueError("columns of different lengths")
    return columns


def _short(value: Any) -> str:
    """Return a setting in an error message; of a digest, as many digits as tell two apart."""
    if value is None:
        return "none"
    text = json.dumps(value) if isinstance(value, dict | list) else str(value)
    return text[:12] if len(text) == 64 and text.isalnum() else text
