"""The file format of a session: its schema, how to recognize a session, delete it, and expire old ones.

A session is a folder with `session.sqlite`. Files derived from it have the names in `OWN_FILES`. The schema has no
place for a picture, a crop or an embedding.
"""

import contextlib
import logging
import sqlite3
import time
from pathlib import Path

from moodspace.errors import MoodspaceError

logger = logging.getLogger(__name__)

DATABASE, VIDEO, REPORT, EPOCHS = "session.sqlite", "session.mp4", "session.html", "session-epochs.csv"

# What browsers play, by the ending of a file's name; a report may have a copy beside it.
PLAYABLE = (".mp4", ".m4v", ".mov", ".webm", ".ogv", ".mp3", ".m4a", ".wav", ".ogg", ".flac")

# The only files that `delete_session` removes: those of SQLite, the video writer, the report and the exports.
OWN_FILES = (
    *(DATABASE + suffix for suffix in ("", "-wal", "-shm", "-journal")),
    *(VIDEO, f".{VIDEO}.partial", REPORT),
    *(
        f"session{table}{suffix}"
        for table in ("", "-faces", "-marks", "-epochs", "-epochs-faces")
        for suffix in (".csv", ".parquet")
    ),
    "session-epochs.json",
    *(f"session-beside{suffix}" for suffix in PLAYABLE),
)

VERSION = 1
# Identifies a session in the header of the SQLite file, at byte 68: "MOOD".
APPLICATION_ID = 0x4D4F4F44
_MAGIC = b"SQLite format 3\x00"

SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
-- One row. Times are unix seconds; utc_offset and duration are seconds. ended and duration are NULL while the session
-- is being recorded, and stay NULL if the program is killed. ending is the error that ended the session, if any.
CREATE TABLE session (source TEXT NOT NULL, started REAL NOT NULL, utc_offset INTEGER NOT NULL, ended REAL,
    duration REAL, ending TEXT NOT NULL DEFAULT '', min_group INTEGER NOT NULL, individuals INTEGER NOT NULL);
-- The columns of every proba, a JSON list. since is the second from which the class was known.
CREATE TABLE classes (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, since INTEGER NOT NULL);
-- The group. start is the session time of the second's first frame, and wall its unix time. faces is NULL if fewer than
-- min_group faces were in view; readable, unsure and proba if fewer were readable.
CREATE TABLE seconds (second INTEGER PRIMARY KEY, wall REAL NOT NULL, frames INTEGER NOT NULL, faces INTEGER,
    readable INTEGER, unsure INTEGER, proba TEXT, start REAL);
-- Single faces, only if individuals is set. shown is NULL for unsure.
CREATE TABLE faces (second INTEGER NOT NULL, track INTEGER NOT NULL, shown INTEGER, readable INTEGER NOT NULL,
    size REAL NOT NULL, sharpness REAL NOT NULL, yaw REAL NOT NULL, proba TEXT NOT NULL, PRIMARY KEY (second, track));
-- Mean change of the group's probabilities from what the faces are read as at rest, a JSON list, over the seconds in
-- which at least min_group readable faces had a baseline; and of single faces, only if individuals is set.
CREATE TABLE changes (second INTEGER PRIMARY KEY, change TEXT NOT NULL);
CREATE TABLE face_changes (second INTEGER NOT NULL, track INTEGER NOT NULL, change TEXT NOT NULL,
    PRIMARY KEY (second, track));
-- When no frames came, and why; start and stop are seconds since the session began.
CREATE TABLE gaps (start REAL NOT NULL, stop REAL NOT NULL, reason TEXT NOT NULL);
-- Marked events; time is seconds since the session began. Older sessions lack this table and seconds.start.
CREATE TABLE marks (time REAL NOT NULL, name TEXT NOT NULL, source TEXT NOT NULL);
"""


class SessionError(MoodspaceError):
    """A session cannot be written, read or deleted."""

    exit_code = 3


def new_session_folder(root: Path, now: float) -> Path:
    """Return an unused folder in `root`, named after the time; do not create it.

    Args:
        root: Folder of all sessions.
        now: Unix seconds.
    """
    name = time.strftime("%Y-%m-%d_%H%M%S", time.localtime(now))
    folder, number = root / name, 1
    while folder.exists():
        number += 1
        folder = root / f"{name}_{number}"
    return folder


def database_of(path: Path) -> Path:
    """Return the database file of a session.

    Args:
        path: The session's folder or its file.

    Raises:
        SessionError: There is no such file, or it is not a session.
    """
    database = path / DATABASE if path.is_dir() else path
    try:
        with database.open("rb") as file:
            header = file.read(72)
    except OSError as error:
        reason = error.strerror or error
        raise SessionError(f"{path}: expected a recorded session, got none ({reason}); name its folder") from error
    if not header.startswith(_MAGIC) or header[68:72] != APPLICATION_ID.to_bytes(4, "big"):
        raise SessionError(f"{database}: expected a recorded session, got another kind of file; name its folder")
    return database


def delete_session(folder: Path) -> list[Path]:
    """Delete a session and the files derived from it, and then its folder if nothing else is in it.

    Args:
        folder: The session's folder.

    Returns:
        The deleted files. Other files in the folder, and copies elsewhere, are left alone.

    Raises:
        SessionError: It is not a session, or it is being recorded or read right now.
        OSError: A file cannot be deleted.
    """
    database = database_of(folder)
    if database.name != DATABASE:
        raise SessionError(f"{database}: expected {DATABASE} or its folder; delete a copy with another name by hand")
    folder = database.parent
    if _in_use(database):
        raise SessionError(f"{folder}: expected an unused session, it is being recorded or read; stop that first")
    deleted = []
    # Delete the database last: a partly deleted session is then still a session, and can be deleted again.
    for name in reversed(OWN_FILES):
        path = folder / name
        if path.is_file() or path.is_symlink():
            path.unlink()
            deleted.append(path)
    with contextlib.suppress(OSError):  # it holds other files, or is a working directory
        folder.rmdir()
    return deleted


def expire_sessions(root: Path, keep_days: float, now: float) -> list[Path]:
    """Delete the sessions directly in a folder that ended too long ago.

    Args:
        root: Folder of all sessions; may be missing.
        keep_days: Days to keep a session after its end, >= 0.
        now: Unix seconds.

    Returns:
        The folders of the deleted sessions. A session that is in use or cannot be deleted is logged and kept.

    Raises:
        ValueError: `keep_days` is negative.
    """
    if not keep_days >= 0:
        raise ValueError(f"keep_days: expected 0 or more, got {keep_days}")
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


def finish_killed(database: Path) -> None:
    """Undo the change that a killed program was making at the end of a session; without it, nothing can be read.

    Args:
        database: The file of the session. One that cannot be written, or is damaged, stays as it is.
    """
    if not database.with_name(database.name + "-journal").exists():
        return
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True, timeout=1.0)) as killed,
    ):
        killed.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _end(database: Path) -> float:
    """Return when a session ended, unix seconds; for a damaged one, when its file was last written."""
    query = "SELECT coalesce(ended, (SELECT max(wall) FROM seconds), started) FROM session"
    finish_killed(database)
    try:
        with contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return float(connection.execute(query).fetchone()[0])
    except (sqlite3.Error, TypeError, ValueError):
        return database.stat().st_mtime


def _in_use(database: Path) -> bool:
    """Return whether another connection has the file open: only the last one may leave SQLite's WAL mode."""
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            # A session that ended is not in WAL mode; there only an active reader or writer counts.
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return "locked" in str(error)
    except sqlite3.DatabaseError:  # damaged beyond use
        return False
    return False
