"""The file of a session: its form, how to know one, how to delete it, and when it is old enough for that.

A session is a folder with `session.sqlite`; what is made of it lies beside it under the names of `OWN_FILES`.
Nothing of a picture, no crop and no embedding has a place in it.
"""

import contextlib
import logging
import sqlite3
import time
from pathlib import Path

from moodspace.errors import MoodspaceError

logger = logging.getLogger(__name__)

DATABASE, VIDEO, REPORT = "session.sqlite", "session.mp4", "session.html"

# What `delete_session` may remove: what sqlite, the video's writer and the exports make under these names.
OWN_FILES = (
    *(DATABASE + suffix for suffix in ("", "-wal", "-shm", "-journal")),
    *(VIDEO, f".{VIDEO}.partial", REPORT),
    *(name + suffix for name in ("session", "session-faces") for suffix in (".csv", ".parquet")),
)

VERSION = 1
# Says in the file's header, at byte 68, that it is a session: "MOOD".
APPLICATION_ID = 0x4D4F4F44
_MAGIC = b"SQLite format 3\x00"

SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
-- One row. Times are unix seconds, utc_offset and duration are seconds. ended and duration are empty as long as it is
-- recorded, and stay so when the program was killed. ending is the error that ended it, if one did.
CREATE TABLE session (source TEXT NOT NULL, started REAL NOT NULL, utc_offset INTEGER NOT NULL, ended REAL,
    duration REAL, ending TEXT NOT NULL DEFAULT '', min_group INTEGER NOT NULL, individuals INTEGER NOT NULL);
-- Columns of every proba, which is a JSON list. since is the second in which the class was first known.
CREATE TABLE classes (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, since INTEGER NOT NULL);
-- What the group showed. faces is empty when they were fewer than min_group, the others when fewer could be read.
CREATE TABLE seconds (second INTEGER PRIMARY KEY, wall REAL NOT NULL, frames INTEGER NOT NULL, faces INTEGER,
    readable INTEGER, unsure INTEGER, proba TEXT);
-- What single faces showed, only where that was asked for. shown is empty for unsure.
CREATE TABLE faces (second INTEGER NOT NULL, track INTEGER NOT NULL, shown INTEGER, readable INTEGER NOT NULL,
    size REAL NOT NULL, sharpness REAL NOT NULL, yaw REAL NOT NULL, proba TEXT NOT NULL, PRIMARY KEY (second, track));
-- When no frames came, and why; start and stop are seconds of the session.
CREATE TABLE gaps (start REAL NOT NULL, stop REAL NOT NULL, reason TEXT NOT NULL);
"""


class SessionError(MoodspaceError):
    """A session that cannot be written, read or deleted."""

    exit_code = 3


def new_session_folder(root: Path, now: float) -> Path:
    """Returns a folder for a session that begins now, below `root` and named for the time; it is not made yet.

    Args:
        root: Where sessions are kept.
        now: Unix seconds.
    """
    name = time.strftime("%Y-%m-%d_%H%M%S", time.localtime(now))
    folder, number = root / name, 1
    while folder.exists():
        number += 1
        folder = root / f"{name}_{number}"
    return folder


def database_of(path: Path) -> Path:
    """Returns the file of a session.

    Args:
        path: The session's folder, or the file itself.

    Raises:
        SessionError: there is none, or it is something else.
    """
    database = path / DATABASE if path.is_dir() else path
    try:
        with database.open("rb") as file:
            header = file.read(72)
    except OSError as error:
        reason = error.strerror or error
        raise SessionError(f"{path}: expected a recorded session, found none ({reason}); name its folder") from error
    if not header.startswith(_MAGIC) or header[68:72] != APPLICATION_ID.to_bytes(4, "big"):
        raise SessionError(f"{database}: expected a recorded session, found another kind of file; name its folder")
    return database


def delete_session(folder: Path) -> list[Path]:
    """Deletes a session and what was made of it in its folder, then the folder where nothing else is in it.

    Args:
        folder: The session's folder.

    Returns:
        The files that were deleted; others are left as they are, and so are copies elsewhere.

    Raises:
        SessionError: it is no session, or it is being recorded or read right now.
        OSError: a file cannot be deleted.
    """
    database = database_of(folder)
    if database.name != DATABASE:
        raise SessionError(f"{database}: expected {DATABASE} or its folder; delete a copy of another name by hand")
    folder = database.parent
    if _in_use(database):
        raise SessionError(f"{folder}: expected a session that nobody uses, it is being recorded or read; stop that")
    deleted = []
    # The database last: what was deleted only in part is still a session, and can be deleted again.
    for name in reversed(OWN_FILES):
        path = folder / name
        if path.is_file() or path.is_symlink():
            path.unlink()
            deleted.append(path)
    with contextlib.suppress(OSError):  # other files are in it, or it is where somebody works
        folder.rmdir()
    return deleted


def expire_sessions(root: Path, keep_days: float, now: float) -> list[Path]:
    """Deletes the sessions directly below a folder that are older than they should be kept.

    Args:
        root: Where sessions are kept; a missing folder holds none.
        keep_days: Days, >= 0, counted from a session's end.
        now: Unix seconds.

    Returns:
        The folders of the sessions that were deleted. One that is in use, or that cannot be deleted, stays and is
        logged.

    Raises:
        ValueError: a negative number of days.
    """
    if not keep_days >= 0:
        raise ValueError(f"keep_days: expected 0 or more, received {keep_days}")
    expired = []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if folder.is_symlink() or not (folder / DATABASE).is_file():
            continue
        try:
            if _end(database_of(folder)) <= now - 86400 * keep_days:
                delete_session(folder)
                expired.append(folder)
        except (SessionError, OSError) as error:
            logger.warning("not deleted: %s", error)
    return expired


def _end(database: Path) -> float:
    """Returns when a session ended, unix seconds; of a damaged one, when its file was last written."""
    query = "SELECT coalesce(ended, (SELECT max(wall) FROM seconds), started) FROM session"
    try:
        with contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return float(connection.execute(query).fetchone()[0])
    except (sqlite3.Error, TypeError, ValueError):
        return database.stat().st_mtime


def _in_use(database: Path) -> bool:
    """Tells whether another connection has the file open: only the last one may leave sqlite's WAL mode."""
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            # In the other mode, that of a session that ended, only one that reads or writes right now counts.
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return "locked" in str(error)
    except sqlite3.DatabaseError:  # damaged beyond use
        return False
    return False
