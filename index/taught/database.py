"""The SQLite file that holds the user's gallery: its tables, its transactions, and its errors in one line.

Every change is one transaction that leaves a row in `commits`, so that the largest `generation` tells readers in other
processes that there is something new. Ids are never used twice and faces never change, so that whoever knows a gallery
up to one generation needs only the later ids and `removals` to follow it.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from moodspace.embeddings.data.labels import readable
from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError

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


# Ids below belong to bundles.
FIRST_ID = 1_000_000_000
# How long a writer waits for another one, seconds.
TIMEOUT = 10.0
VERSION = 1
_APPLICATION_ID = 0x4D6F6F64  # "Mood"
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


class Database:
    """An open gallery file, with one connection to read and one to write, so that readers never wait for writers.

    May be used by several threads.

    Attributes:
        path: Where the file is.
        writable: Whether it was opened to be written.
    """

    def __init__(self, path: Path, *, writable: bool = True, timeout: float = TIMEOUT) -> None:
        """Opens a file; `create_tables` makes it a gallery.

        Args:
            path: The file, made when missing and `writable`.
            writable: Whether it may be written.
            timeout: How long a writer waits for another one, seconds.

        Raises:
            StorageError: It cannot be opened.
            GalleryError: It is no SQLite file.
        """
        self.path = path
        self.writable = writable
        self._timeout = timeout
        self._reading, self._writing = threading.RLock(), threading.RLock()
        self._writer: sqlite3.Connection | None = None
        with self._told():
            if writable:
                self._writer = connect(path, "rwc", timeout)
            try:
                self._reader = connect(path, "rw", timeout) if writable else connect_reader(path, timeout)
                self._reader.execute("PRAGMA query_only = ON")
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Close both connections once nobody uses them; what was committed is on the disk already."""
        with self._reading, self._writing:
            for connection in (getattr(self, "_reader", None), self._writer):
                if connection is not None:
                    connection.close()

    @property
    def is_new(self) -> bool:
        """Whether the file is still without tables, as a writer leaves it that is killed before its first commit."""
        with self.read() as connection:
            return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]

    def create_tables(self, encoder: str, dim: int) -> None:
        """Makes an empty file a gallery, in one transaction; does nothing where another writer was faster.

        Raises:
            StorageError: The disk refused, or another writer did not finish in time.
        """
        values = {"size": 2 * dim, "before": FIRST_ID - 1, "application": _APPLICATION_ID, "version": VERSION}
        with self._writing, self._told():
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
        """Returns the encoder's fingerprint and the dimension that the gallery was made for.

        Raises:
            GalleryError: The file is no gallery, or a newer program made it.
        """
        with self.read() as connection:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if application != _APPLICATION_ID:
                raise GalleryError(f"{self.path}: expected a gallery, got another database; choose another folder")
            if version > VERSION:
                got = f"expected a gallery of version {VERSION} or older, got {version}"
                raise GalleryError(f"{self.path}: {got}; update this program")
            encoder, dim = connection.execute("SELECT encoder, dim FROM meta").fetchone()
            return encoder, dim

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Lets the block see one state of the gallery, whatever others commit meanwhile; blocks may be nested.

        Raises:
            StorageError: The disk refused.
            GalleryError: The file is damaged.
        """
        with self._reading, self._told():
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
        """Commits what the block does as one new generation, whose number it gets, or nothing of it.

        A block that changes nothing makes no generation.

        Raises:
            StorageError: The disk refused (full, read-only), or another writer did not finish in time.
            GalleryError: The file is damaged.
        """
        with self._writing, self._told():
            writer = self._connected_writer()
            writer.execute("BEGIN IMMEDIATE")
            try:
                # The token tells apart two histories, where a copy of the file was restored and then written to.
                sql = "INSERT INTO commits (token, made) VALUES (?, ?)"
                generation = writer.execute(sql, (secrets.token_hex(8), time.time())).lastrowid
                changes = writer.total_changes
                yield writer, int(generation or 0)
                # What changes nothing leaves no generation that others would have to follow, and no byte in the file.
                writer.execute("COMMIT" if writer.total_changes > changes else "ROLLBACK")
            except BaseException:
                roll_back(writer)
                raise

    def shed_log(self) -> None:
        """Moves the write-ahead log into the file, so that what was removed lies in neither.

        Where others are reading this very moment the log stays; the next one to do this has it.
        """
        with self._writing, self._told(), contextlib.suppress(sqlite3.OperationalError):
            writer = self._connected_writer()
            writer.execute("PRAGMA busy_timeout = 100")
            try:
                writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                writer.execute(f"PRAGMA busy_timeout = {round(1000 * self._timeout)}")

    def _connected_writer(self) -> sqlite3.Connection:
        if self._writer is None:
            raise StorageError(f"{self.path}: expected a gallery open to be written, got a read-only one; open it anew")
        return self._writer

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turns SQLite's errors into ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise worded(self.path, error, self._timeout) from error
        except UnicodeEncodeError as error:
            got = f"expected names that are text, got {error.object!r}"
            raise GalleryError(f"{self.path}: {got}; rename the file") from error


def _statements(script: str) -> Iterator[str]:
    """Parts a script, which `executescript` would run outside of the transaction."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
