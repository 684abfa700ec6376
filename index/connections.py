"""Connections to SQLite: how they are opened, also where nothing can be written, and what their errors mean."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

from embeddings.class_names import readable
from index.storage import GalleryError, StorageError

_DAMAGED = {"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT", "SQLITE_ERROR", "SQLITE_MISMATCH"}
_BUSY = {"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL"}


def connect(path: Path, mode: str, timeout: float) -> sqlite3.Connection:
    """Opens a file for transactions that are begun by hand, in whatever thread.

    Args:
        path: The file.
        mode: SQLite's: "ro", "rw" or "rwc", which makes a missing file.
        timeout: How long to wait for another connection, seconds.

    Raises:
        sqlite3.Error: It cannot be opened or is no SQLite file.
    """
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, timeout=timeout, isolation_level=None, check_same_thread=False, uri=True)
    try:
        # What is forgotten is overwritten; what is acknowledged has reached the disk.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA synchronous = FULL")
        # Older programs kept names as they came: two spellings of one word are one class all the same.
        connection.create_function("readable", 1, readable, deterministic=True)
        connection.execute("SELECT count(*) FROM sqlite_master")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path, timeout: float) -> sqlite3.Connection:
    """Opens a file that is only read, also where SQLite cannot put its shared memory beside it.

    There, in a read-only folder or on a full disk, the file is read as it is: changes that others make are not seen.

    Raises:
        sqlite3.Error: It cannot be opened or is no SQLite file.
    """
    try:
        return connect(path, "ro", timeout)
    except sqlite3.OperationalError as error:
        log = path.with_name(path.name + "-wal")
        if _name(error) in _BUSY or not path.exists() or (log.exists() and log.stat().st_size):
            raise
        return connect(path, "ro&immutable=1", timeout)


def enter_wal(connection: sqlite3.Connection, timeout: float) -> None:
    """Switches to a write-ahead log, which the file remembers. SQLite itself does not wait for others here.

    Raises:
        sqlite3.Error: The disk refused, or the file was in use for longer than `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if _name(error) not in _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def roll_back(connection: sqlite3.Connection) -> None:
    """Ends a transaction, if there is one, as if it had not been; after some errors SQLite has done so itself."""
    with contextlib.suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _name(error: sqlite3.Error) -> str:
    """Returns SQLite's name of an error without its refinement, such as SQLITE_IOERR for SQLITE_IOERR_WRITE."""
    return "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])


def worded(path: Path, error: sqlite3.Error, timeout: float) -> GalleryError | StorageError:
    """Says in one line what SQLite ran into with a file, after waiting for `timeout` seconds where it had to wait."""
    name, got = _name(error), str(error).splitlines()[0]
    if "closed database" in got:
        return StorageError(f"{path}: expected an open gallery, got a closed one; open it again")
    if name in _BUSY:
        wanted = f"{path}: expected to write within {timeout:g} s, got: another program is writing"
        return StorageError(f"{wanted}; try again when it has finished")
    if name in _DAMAGED:
        return GalleryError(f"{path}: expected a gallery, got a damaged file ({got}); restore a copy or delete it")
    remedy = "free some space, allow to write there, or choose another folder"
    return StorageError(f"{path}: expected to use this file, got: {got}; {remedy}")
