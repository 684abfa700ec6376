"""Opens a recorded session as arrays, also one whose recording was killed, and says what is missing in it."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.arrays import BoolArray, FloatArray, IntArray
from moodspace.realtime.session.file import VERSION, VIDEO, SessionError, database_of
from moodspace.realtime.session.time import Gap

# In place of a count that was not kept.
WITHHELD = -1


@dataclass(frozen=True, slots=True, eq=False)
class GroupSeconds:
    """What a group showed, one row a second in which frames came; n = 0 is legal.

    Attributes:
        second: `(n,)` int64, seconds since the session began, ascending.
        wall: `(n,)` float64, unix seconds.
        frames: `(n,)` int64, frames looked at.
        faces: `(n,)` int64, faces in view; `WITHHELD` where they were fewer than the smallest group.
        readable: `(n,)` int64, how many of them could be read; `WITHHELD` where those were fewer.
        unsure: `(n,)` int64, how many of the readable ones showed nothing certain; the same.
        proba: `(n, C)` float32, mean probabilities, rows sum to 1; NaN where `readable` is withheld.
    """

    second: IntArray
    wall: npt.NDArray[np.float64]
    frames: IntArray
    faces: IntArray
    readable: IntArray
    unsure: IntArray
    proba: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class FaceSeconds:
    """What single faces showed, one row a second and face; m = 0 is legal, and the rule without `individuals`.

    Attributes:
        second: `(m,)` int64, ascending.
        track_ids: `(m,)` int64, the faces' numbers in this session, which are no identities.
        shown: `(m,)` int64, columns of the classes, -1 for unsure.
        readable: `(m,)` bool.
        size: `(m,)` float32, pixels.
        sharpness: `(m,)` float32, as `realtime.quality` measures it.
        yaw: `(m,)` float32, degrees.
        proba: `(m, C)` float32, smoothed probabilities, rows sum to 1.
    """

    second: IntArray
    track_ids: IntArray
    shown: IntArray
    readable: BoolArray
    size: FloatArray
    sharpness: FloatArray
    yaw: FloatArray
    proba: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """A recorded session.

    Attributes:
        folder: Where it lies.
        source: What was recorded.
        started: Unix seconds.
        utc_offset: Seconds by which its local time was ahead of UTC.
        ended: Unix seconds; None where the recording did not end by itself, or still goes on.
        duration: Seconds, until its end or, without one, as far as something is known.
        min_group: The least number of faces of which something was kept as a group.
        individuals: Whether single faces were kept too.
        classes: Names of the C columns.
        since: `(C,)` int64, the second in which each class was first known.
        group: What the group showed.
        faces: What single faces showed.
        gaps: When no frames came.
        missing: What a reader of the session should know is not in it, in sentences.
        keeps_video: Whether an annotated video was kept too.
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


def open_session(path: Path) -> Session:
    """Opens a recorded session, whole or with what was safe on the disk when its recording was killed.

    Args:
        path: Its folder, or the file in it.

    Raises:
        SessionError: there is none, it is of another version, damaged, or cannot be read.
    """
    database = database_of(path)
    try:
        with _reading(database) as connection:
            return _read(connection, database.parent)
    except (sqlite3.Error, ValueError, TypeError) as error:
        if isinstance(error, SessionError):
            raise
        reason = " ".join(str(error).split())
        raise SessionError(
            f"{database}: expected a whole session, it cannot be read ({reason}); "
            "copy its folder to where you may write, or delete it"
        ) from error


@contextlib.contextmanager
def _reading(database: Path) -> Iterator[sqlite3.Connection]:
    # Read only, but a session that was killed has a journal, for which sqlite needs a folder that it may write to.
    with contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            raise SessionError(
                f"{database}: expected a session of version {VERSION}, received {version}; use the program it is of"
            )
        connection.execute("BEGIN")  # one state, though it may be recorded on meanwhile
        yield connection


def _read(connection: sqlite3.Connection, folder: Path) -> Session:
    columns = "source, started, utc_offset, ended, duration, ending, min_group, individuals"
    row = connection.execute(f"SELECT {columns} FROM session").fetchone()
    if row is None:
        raise SessionError(f"{folder}: expected a session, it was killed before it began")
    source, started, utc_offset, ended, duration, ending, min_group, individuals = row
    classes = connection.execute("SELECT name, since FROM classes ORDER BY number").fetchall()
    group = _group(connection, len(classes))
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
    )


def _missing(ended: float | None, ending: str, folder: Path) -> tuple[str, ...]:
    said = []
    if ended is None:
        said.append("The recording was killed, or still goes on: up to 2 seconds before its last moment are not in it.")
    if ending:
        said.append(f"The recording ended with an error: {ending}.")
    if (partial := folder / f".{VIDEO}.partial").is_file():
        said.append(f"The video was not finished; players may show what there is of it, {partial.name}.")
    return tuple(said)


def _group(connection: sqlite3.Connection, n_classes: int) -> GroupSeconds:
    names = "second, wall, frames, faces, readable, unsure, proba"
    rows = connection.execute(f"SELECT {names} FROM seconds ORDER BY second").fetchall()
    second, wall, frames, faces, readable, unsure, proba = zip(*rows, strict=True) if rows else ((),) * 7
    return GroupSeconds(
        second=_integers(second),
        wall=np.array(wall, np.float64),
        frames=_integers(frames),
        faces=_integers(faces),
        readable=_integers(readable),
        unsure=_integers(unsure),
        proba=_proba(proba, n_classes),
    )


def _faces(connection: sqlite3.Connection, n_classes: int) -> FaceSeconds:
    names = "second, track, shown, readable, size, sharpness, yaw, proba"
    rows = connection.execute(f"SELECT {names} FROM faces ORDER BY second, track").fetchall()
    second, track, shown, readable, size, sharpness, yaw, proba = zip(*rows, strict=True) if rows else ((),) * 8
    return FaceSeconds(
        second=_integers(second),
        track_ids=_integers(track),
        shown=_integers(shown),
        readable=np.array(readable, bool),
        size=np.array(size, np.float32),
        sharpness=np.array(sharpness, np.float32),
        yaw=np.array(yaw, np.float32),
        proba=_proba(proba, n_classes),
    )


def _integers(values: Sequence[Any]) -> IntArray:
    return np.array([WITHHELD if value is None else value for value in values], np.int64)


def _proba(rows: Sequence[str | None], n_classes: int) -> FloatArray:
    """Returns `(len(rows), n_classes)`; a class that was not known yet had no share."""
    proba = np.zeros((len(rows), n_classes), np.float32)
    for at, row in enumerate(rows):
        if row is None:
            proba[at] = np.nan
        else:
            shares = json.loads(row)
            proba[at, : len(shares)] = shares
    return proba
