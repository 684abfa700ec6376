"""Read a recorded session as arrays, even one whose recording was killed, and say what it lacks."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.arrays import DoubleArray, FloatArray, IntArray
from moodspace.realtime.session.document import SUFFIX, read_document
from moodspace.realtime.session.file import VERSION, VIDEO, SessionError, database_of, finish_killed
from moodspace.sessions import WITHHELD, FaceSeconds, Gap, GroupSeconds, Mark, Session


def open_session(path: Path) -> Session:
    """Read a recorded session; if its recording was killed, read what was on the disk by then.

    Args:
        path: The session's folder or its file; or the JSON document of a session from one of the web apps.

    Raises:
        SessionError: There is no session, it has another version, is damaged, or cannot be read.
    """
    if path.suffix.lower() == SUFFIX and not path.is_dir():
        return read_document(path)
    database = database_of(path)
    try:
        with _reading(database) as connection:
            return _read(connection, database.parent)
    except (sqlite3.Error, ValueError, TypeError, OverflowError, RecursionError) as error:
        if isinstance(error, SessionError):
            raise
        reason = " ".join(str(error).split())
        raise SessionError(
            f"{database}: expected a readable session, it cannot be read ({reason}); "
            "copy its folder to where you may write, or delete it"
        ) from error


@contextlib.contextmanager
def _reading(database: Path) -> Iterator[sqlite3.Connection]:
    # Read-only; yet for the journal of a killed session SQLite needs a writable folder.
    finish_killed(database)
    with contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            raise SessionError(
                f"{database}: expected a session of version {VERSION}, got {version}; use the program that wrote it"
            )
        connection.execute("BEGIN")  # a consistent state, even while it is being recorded
        yield connection


def _read(connection: sqlite3.Connection, folder: Path) -> Session:
    columns = "source, started, utc_offset, ended, duration, ending, min_group, individuals"
    row = connection.execute(f"SELECT {columns} FROM session").fetchone()
    if row is None:
        raise SessionError(f"{folder}: expected a session, got one that was killed before it began")
    source, started, utc_offset, ended, duration, ending, min_group, individuals = row
    classes = connection.execute("SELECT name, since FROM classes ORDER BY number").fetchall()
    group = _group(connection, len(classes))
    if (group.recorded == np.isnan(group.proba).any(axis=1)).any():
        raise ValueError("expected shares exactly where faces were readable, got others")
    gaps = tuple(Gap(*gap) for gap in connection.execute("SELECT start, stop, reason FROM gaps ORDER BY rowid"))
    known = max([0.0, *(group.second[-1:] + 1.0).tolist(), *(gap.stop for gap in gaps)])
    return Session(
        folder=folder,
        source=source,
        started=started,
        utc_offset=utc_offset,
        ended=ended,
        duration=known if duration is None else duration,
        min_group=min_group,
        individuals=bool(individuals),
        classes=tuple(name for name, _ in classes),
        since=_integers([since for _, since in classes]),
        group=group,
        faces=_faces(connection, len(classes)),
        gaps=gaps,
        missing=_missing(ended, ending, folder),
        keeps_video=(folder / VIDEO).is_file(),
        marks=_marks(connection),
        clock=_clock(connection),
    )


def _marks(connection: sqlite3.Connection) -> tuple[Mark, ...]:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'marks'").fetchone():
        return ()
    return tuple(Mark(*row) for row in connection.execute("SELECT time, name, source FROM marks ORDER BY time, rowid"))


def _clock(connection: sqlite3.Connection) -> DoubleArray:
    """Return session and unix time of each second's first frame, without those after which a clock was set back."""
    columns = {row[1] for row in connection.execute("PRAGMA table_info(seconds)")}
    start = "start" if "start" in columns else "second"
    rows = np.array(connection.execute(f"SELECT {start}, wall FROM seconds ORDER BY second").fetchall(), np.float64)
    rows = rows.reshape(-1, 2)
    latest = np.minimum.accumulate(rows[::-1, 1])[::-1]
    return rows[rows[:, 1] <= latest]


def _missing(ended: float | None, ending: str, folder: Path) -> tuple[str, ...]:
    said = []
    if ended is None:
        said.append("The recording was killed or is still running; up to 2 seconds at its end are missing.")
    if ending:
        said.append(f"The recording ended with an error: {ending}.")
    if (partial := folder / f".{VIDEO}.partial").is_file():
        said.append(f"The video was not finished; players may still show part of it, {partial.name}.")
    return tuple(said)


def _group(connection: sqlite3.Connection, n_classes: int) -> GroupSeconds:
    names = "second, wall, frames, faces, readable, unsure, proba"
    rows = connection.execute(f"SELECT {names} FROM seconds ORDER BY second").fetchall()
    second, wall, frames, faces, readable, unsure, proba = zip(*rows, strict=True) if rows else ((),) * 7
    changes = dict(_changes(connection, "SELECT second, change FROM changes"))
    return GroupSeconds(
        second=_integers(second),
        wall=np.array(wall, np.float64),
        frames=_integers(frames),
        faces=_integers(faces),
        readable=_integers(readable),
        unsure=_integers(unsure),
        proba=_proba(proba, n_classes),
        change=_proba([changes.get(one) for one in second], n_classes),
    )


def _faces(connection: sqlite3.Connection, n_classes: int) -> FaceSeconds:
    names = "second, track, shown, readable, size, sharpness, yaw, proba"
    rows = connection.execute(f"SELECT {names} FROM faces ORDER BY second, track").fetchall()
    second, track, shown, readable, size, sharpness, yaw, proba = zip(*rows, strict=True) if rows else ((),) * 8
    found = _changes(connection, "SELECT second, track, change FROM face_changes")
    changes = {(one, number): change for one, number, change in found}
    return FaceSeconds(
        second=_integers(second),
        track_ids=_integers(track),
        shown=_integers(shown),
        readable=np.array(readable, bool),
        size=np.array(size, np.float32),
        sharpness=np.array(sharpness, np.float32),
        yaw=np.array(yaw, np.float32),
        proba=_proba(proba, n_classes),
        change=_proba([changes.get(pair) for pair in zip(second, track, strict=True)], n_classes),
    )


def _changes(connection: sqlite3.Connection, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query for changes from baselines; none from a session recorded before there were any."""
    known = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'face_changes'").fetchone()[0]
    return connection.execute(query).fetchall() if known else []


def _integers(values: Sequence[Any]) -> IntArray:
    return np.array([WITHHELD if value is None else value for value in values], np.int64)


def _proba(rows: Sequence[str | None], n_classes: int) -> FloatArray:
    """Return `(len(rows), n_classes)` float32; a class that was not yet known gets 0, a withheld row NaN."""
    proba = np.zeros((len(rows), n_classes), np.float32)
    for n, row in enumerate(rows):
        if row is None:
            proba[n] = np.nan
        else:
            shares = json.loads(row)
            proba[n, : len(shares)] = shares
            if not np.isfinite(proba[n]).all():
                raise ValueError(f"expected numbers, got {row[:60]}")
    return proba
