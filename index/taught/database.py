"""The SQLite file of the user's gallery: tables, transactions, and errors in one line.

Every change is one transaction that adds a row to `commits`; from the largest `generation` readers in other processes
see that something changed. Ids are never reused and faces never change, so that a reader of an earlier generation needs
only the later ids and `removals` to catch up.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from moodspace.embeddings.data.labels import displayable
from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError

# Smaller ids belong to bundles.
FIRST_ID = 1_000_000_000
# Seconds that a writer waits for another one.
TIMEOUT = 10.0
VERSION = 1
_APPLICATION_ID = 0x4D6F6F64  # "Mood"
# No embedding has so many.
_MOST_NUMBERS = 1 << 20
_SCHEMA = """
CREATE TABLE meta (encoder TEXT NOT NULL, dim INTEGER NOT NULL);
CREATE TABLE commits (generation INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT NOT NULL, made REAL NOT NULL);
CREATE TABLE labels (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE CHECK (name != ''));
CREATE TABLE roots (id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, options TEXT NOT NULL, added REAL);
CREATE TABLE faces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    embedding BLOB NOT NULL CHECK (typeof(embedding) = 'blob' AND length(embedding) = {size}),
    label INTEGER NOT NULL, source TEXT NOT NULL, digest BLOB NOT NULL, added REAL NOT NULL, batch INTEGER NOT NULL,
    root INTEGER);
CREATE INDEX faces_by_label ON faces (label);
CREATE INDEX faces_by_source ON faces (source);
CREATE INDEX faces_by_digest ON faces (digest);
CREATE INDEX faces_by_batch ON faces (batch);
CREATE TABLE removals (id INTEGER PRIMARY KEY, generation INTEGER NOT NULL);
CREATE INDEX removals_by_generation ON removals (generation);
CREATE TRIGGER removed AFTER DELETE ON faces BEGIN
    INSERT INTO removals VALUES (old.id, (SELECT max(generation) FROM commits));
END;
CREATE TABLE files (
    root INTEGER NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL, batch INTEGER NOT NULL, PRIMARY KEY (root, path)) WITHOUT ROWID;
CREATE INDEX files_by_path ON files (path);
INSERT INTO sqlite_sequence VALUES ('faces', {before});
PRAGMA application_id = {application};
PRAGMA user_version = {version};
"""

# Tables that a gallery gets when it first needs them, so that older programs still read galleries without them. Their
# rows go with the face, also where an older program removes it.
# `pictures`: crops that the user chose to keep. `relabeled`: the earlier classes of a face, the latest one last.
_LATER = """
CREATE TABLE IF NOT EXISTS pictures (id INTEGER PRIMARY KEY, pixels BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS relabeled (
    id INTEGER NOT NULL, step INTEGER NOT NULL, label INTEGER NOT NULL, batch INTEGER NOT NULL, added REAL NOT NULL,
    PRIMARY KEY (id, step)) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS removed_with_face AFTER DELETE ON faces BEGIN
    DELETE FROM pictures WHERE id = old.id;
    DELETE FROM relabeled WHERE id = old.id;
END;
"""

_DAMAGED = {"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT", "SQLITE_ERROR", "SQLITE_MISMATCH"}
_BUSY = {"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL"}


class Database:
    """An open gallery file with separate connections for reading and writing, so that readers never wait for writers.

    May be used by several threads.

    Attributes:
        path: The file.
        writable: Whether it was opened for writing.
    """

    def __init__(self, path: Path, *, writable: bool = True, timeout: float = TIMEOUT) -> None:
        """Open a file; `create_tables` turns a new one into a gallery.

        Args:
            path: The file, created if missing and `writable`.
            writable: Whether to open it for writing.
            timeout: Seconds that a writer waits for another one.

        Raises:
            StorageError: It cannot be opened.
            GalleryError: It is not an SQLite file.
        """
        self.path = path
        self.writable = writable
        self._timeout = timeout
        self._reading, self._writing = threading.RLock(), threading.RLock()
        self._writer: sqlite3.Connection | None = None
        with self._translated_errors():
            if writable:
                self._writer = connect(path, "rwc", timeout)
            try:
                self._reader = connect(path, "rw", timeout) if writable else connect_reader(path, timeout)
                self._reader.execute("PRAGMA query_only = ON")
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Close both connections once no thread uses them; everything committed is already on disk."""
        with self._reading, self._writing:
            for connection in (getattr(self, "_reader", None), self._writer):
                if connection is not None:
                    connection.close()

    @property
    def is_new(self) -> bool:
        """Whether the file has no tables yet, also after a writer was killed before its first commit."""
        with self.read() as connection:
            return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]

    def create_tables(self, encoder: str, dim: int) -> None:
        """Create the tables in an empty file, in one transaction, unless another writer already did.

        Raises:
            StorageError: Writing failed, or another writer did not finish in time.
        """
        values = {"size": 2 * dim, "before": FIRST_ID - 1, "application": _APPLICATION_ID, "version": VERSION}
        with self._writing, self._translated_errors():
            writer = self._connected_writer()
            enter_wal(writer, self._timeout)
            writer.execute("BEGIN IMMEDIATE")
            try:
                if not writer.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    for statement in _statements(_SCHEMA.format(**values)):
                        writer.execute(statement)
                    writer.execute("INSERT INTO meta VALUES (?, ?)", (encoder, dim))
                writer.execute("COMMIT")
            except BaseException:
                roll_back(writer)
                raise

    def identity(self) -> tuple[str, int]:
        """Return the encoder's fingerprint and the dimension that the gallery was made for.

        Raises:
            GalleryError: The file is not a gallery, or a newer version made it.
        """
        with self.read() as connection:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if application != _APPLICATION_ID:
                raise GalleryError(f"{self.path}: expected a gallery, got another database; choose another folder")
            if version > VERSION:
                got = f"expected a gallery of version {VERSION} or older, got {version}"
                raise GalleryError(f"{self.path}: {got}; update this program")
            match connection.execute("SELECT encoder, dim FROM meta").fetchone():
                case (str(encoder), int(dim)) if 0 < dim < _MOST_NUMBERS:
                    return encoder, dim
            raise GalleryError(f"{self.path}: expected a whole gallery, got a damaged one; restore a copy of it")

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Open a read transaction: the block sees one state of the gallery. Blocks may be nested.

        Raises:
            StorageError: Reading failed.
            GalleryError: The file is damaged.
        """
        with self._reading, self._translated_errors():
            if self._reader.in_transaction:
                yield self._reader
                return
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                roll_back(self._reader)

    @contextlib.contextmanager
    def write(self) -> Iterator[tuple[sqlite3.Connection, int]]:
        """Open a write transaction and yield its connection and generation; an error rolls it back.

        A block that changes nothing adds no generation.

        Raises:
            StorageError: Writing failed (full, read-only), or another writer did not finish in time.
            GalleryError: The file is damaged.
        """
        with self._writing, self._translated_errors():
            writer = self._connected_writer()
            writer.execute("BEGIN IMMEDIATE")
            try:
                # The token distinguishes histories after a copy of the file was restored and changed.
                sql = "INSERT INTO commits (token, made) VALUES (?, ?)"
                generation = writer.execute(sql, (secrets.token_hex(8), time.time())).lastrowid
                changes = writer.total_changes
                yield writer, int(generation or 0)
                # Without changes, roll back: no generation that others must read, no write to the file.
                writer.execute("COMMIT" if writer.total_changes > changes else "ROLLBACK")
            except BaseException:
                roll_back(writer)
                raise

    def truncate_log(self) -> None:
        """Move the write-ahead log into the file, so that removed content is in neither.

        If another process is reading at the moment, the log stays until the next call.
        """
        with self._writing, self._translated_errors(), contextlib.suppress(sqlite3.OperationalError):
            writer = self._connected_writer()
            writer.execute("PRAGMA busy_timeout = 100")
            try:
                writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                writer.execute(f"PRAGMA busy_timeout = {round(1000 * self._timeout)}")

    def _connected_writer(self) -> sqlite3.Connection:
        if self._writer is None:
            raise StorageError(
                f"{self.path}: expected a gallery opened for writing, got a read-only one; open it again"
            )
        return self._writer

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Translate SQLite's errors into ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise translated_error(self.path, error, self._timeout) from error
        except UnicodeDecodeError as error:  # SQLite's words on a damaged file, with names from it
            got = "expected a gallery, got a damaged file"
            raise GalleryError(f"{self.path}: {got}; restore a copy or delete it") from error
        except UnicodeEncodeError as error:
            got = f"expected names in UTF-8, got {error.object!r}"
            raise GalleryError(f"{self.path}: {got}; rename the file") from error


def _statements(script: str) -> Iterator[str]:
    """Split a script into statements, because `executescript` would run it outside the transaction."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def add_later_tables(connection: sqlite3.Connection) -> None:
    """Add the tables that only some galleries need, inside a transaction."""
    for statement in _statements(_LATER):
        connection.execute(statement)


def has_table(connection: sqlite3.Connection, name: str) -> bool:
    """Return whether the gallery has a table."""
    sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
    return bool(connection.execute(sql, (name,)).fetchone()[0])


def connect(path: Path, mode: str, timeout: float) -> sqlite3.Connection:
    """Open a file with explicit transactions, usable from any thread.

    Args:
        path: The file.
        mode: SQLite's mode: "ro", "rw", or "rwc", which creates a missing file.
        timeout: Seconds to wait for another connection.

    Raises:
        sqlite3.Error: It cannot be opened or is not an SQLite file.
    """
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, timeout=timeout, isolation_level=None, check_same_thread=False, uri=True)
    try:
        # Deleted content is overwritten; committed content has reached the disk.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA synchronous = FULL")
        # Older versions stored names as typed; two spellings of one name are still one class.
        connection.create_function("readable", 1, displayable, deterministic=True)
        connection.execute("SELECT count(*) FROM sqlite_master")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path, timeout: float) -> sqlite3.Connection:
    """Open a file read-only, even where SQLite cannot create its shared memory file.

    In that case, in a read-only folder or on a full disk, later changes by other processes are not seen.

    Raises:
        sqlite3.Error: It cannot be opened or is not an SQLite file.
    """
    try:
        return connect(path, "ro", timeout)
    except sqlite3.OperationalError as error:
        log = path.with_name(path.name + "-wal")
        if _name(error) in _BUSY or not path.exists() or (log.exists() and log.stat().st_size):
            raise
        return connect(path, "ro&immutable=1", timeout)


def enter_wal(connection: sqlite3.Connection, timeout: float) -> None:
    """Switch the file to a write-ahead log, permanently. SQLite itself does not wait for other processes here.

    Raises:
        sqlite3.Error: Writing failed, or the file was in use for longer than `timeout` seconds.
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
    """Roll back the transaction, unless SQLite has already done so after an error."""
    with contextlib.suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _name(error: sqlite3.Error) -> str:
    """Return SQLite's primary error name, such as SQLITE_IOERR for SQLITE_IOERR_WRITE."""
    return "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])


def translated_error(path: Path, error: sqlite3.Error, timeout: float) -> GalleryError | StorageError:
    """Return an SQLite error as one of ours, in one line; `timeout` is how long it waited, in seconds."""
    name, got = _name(error), str(error).splitlines()[0]
    if "closed database" in got:
        return StorageError(f"{path}: expected an open gallery, got a closed one; open it again")
    if name in _BUSY:
        wanted = f"{path}: expected to write within {timeout:g} s, got: another program is writing"
        return StorageError(f"{wanted}; try again when it is done")
    if name in _DAMAGED:
        return GalleryError(f"{path}: expected a gallery, got a damaged file ({got}); restore a copy or delete it")
    remedy = "free some space, make the folder writable, or choose another"
    return StorageError(f"{path}: expected to use this file, got: {got}; {remedy}")
