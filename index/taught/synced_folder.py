"""The part of the user's gallery that belongs to one synced folder: its files and their faces."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from pathlib import Path

from moodspace.arrays import ByteArray, FloatArray
from moodspace.index.store.commit import GalleryError
from moodspace.index.taught.database import Database
from moodspace.index.taught.faces import NewFaces
from moodspace.index.taught.faces_table import insert_faces
from moodspace.index.taught.sync_plan import FACES, FORGOTTEN, FileState

_COLUMNS = "path, size, mtime_ns, sha256, status, reason"


class TaughtFolder:
    """The part of a gallery that belongs to one folder; implements `ingest.apply.FolderWriter`.

    Everything that one object records can be undone together.

    Attributes:
        root: The folder, absolute.
        batch: The batch of its faces, for `undo`; None before the first record. Another folder may share it.
    """

    def __init__(self, database: Database, root: Path, options: str = "", batch: int | None = None) -> None:
        """Prepare; write nothing yet.

        Args:
            database: The gallery.
            root: The folder, absolute.
            options: How its pictures are read, stored with the folder.
            batch: An earlier batch to join; None starts a new one.
        """
        self._database, self._options = database, options
        self.root, self.batch = root, batch

    def known(self) -> dict[str, FileState]:
        """Return the recorded state of the folder's files, by path.

        Raises:
            StorageError: The gallery cannot be read.
        """
        own = "root = (SELECT id FROM roots WHERE path = ?)"
        with self._database.read() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM files WHERE {own}", (str(self.root),))
            return {row[0]: FileState(*row) for row in rows}

    def elsewhere(self) -> list[FileState]:
        """Return the files of other folders that have a face in the gallery or whose face was removed by the user.

        Raises:
            StorageError: The gallery cannot be read.
        """
        others = "root NOT IN (SELECT id FROM roots WHERE path = ?)"
        with self._database.read() as connection:
            values = (FACES, FORGOTTEN, str(self.root))
            sql = f"SELECT {_COLUMNS} FROM files WHERE (status = ? OR reason = ?) AND {others}"
            rows = connection.execute(sql, values)
            return [FileState(*row) for row in rows]

    def record(
        self,
        files: Sequence[FileState],
        embeddings: FloatArray,
        digests: Sequence[str],
        pictures: Sequence[ByteArray | None] | None = None,
    ) -> None:
        """Replace the records and faces of these files, in one transaction.

        Args:
            files: The present state of the files. Their previous faces are removed.
            embeddings: `(m, d)` float32, unit rows: the new face of each file with status `FACES`, in order.
            digests: The SHA-256 of each new face's crop.
            pictures: The crops to keep with the faces; None keeps none.

        Raises:
            StorageError: Writing failed, or another writer did not finish in time.
            GalleryError: Embeddings, digests and files with faces differ in number, or a row is not of unit length.
        """
        shown = [file for file in files if file.status == FACES]
        labels, paths = [file.label for file in shown], [file.path for file in shown]
        faces = NewFaces(embeddings, labels, paths, digests, pictures=pictures)
        with self._database.write() as (connection, generation):
            batch = self.batch if self.batch is not None else generation
            root = self._root(connection)
            _delete_faces(connection, root, (file.path for file in files))
            insert_faces(connection, faces, batch, root)
            rows = ((root, *astuple(file), batch) for file in files)
            connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self.batch = batch

    def touch(self, files: Sequence[FileState]) -> None:
        """Update the size and time of files whose faces stay, in one transaction.

        Raises:
            StorageError: Writing failed, or another writer did not finish in time.
        """
        with self._database.write() as (connection, _):
            root = self._root(connection)
            rows = ((file.size, file.mtime_ns, root, file.path) for file in files)
            connection.executemany("UPDATE files SET size = ?, mtime_ns = ? WHERE root = ? AND path = ?", rows)

    def drop(self, paths: Sequence[str]) -> None:
        """Remove files and their faces, in one transaction.

        Raises:
            StorageError: Writing failed, or another writer did not finish in time.
        """
        with self._database.write() as (connection, _):
            root = self._root(connection)
            _delete_faces(connection, root, paths)
            rows = ((root, path) for path in paths)
            connection.executemany("DELETE FROM files WHERE root = ? AND path = ?", rows)
        self._database.truncate_log()

    def _root(self, connection: sqlite3.Connection) -> int:
        """Return the folder's id, after storing its options."""
        if not self.root.is_absolute():
            raise GalleryError(f"{self.root}: expected an absolute path of a folder to sync, got a relative one")
        values = (str(self.root), self._options, time.time())
        sql = "INSERT INTO roots (path, options, added) VALUES (?, ?, ?) ON CONFLICT (path) DO UPDATE SET options = "
        connection.execute(sql + "excluded.options", values)
        return int(connection.execute("SELECT id FROM roots WHERE path = ?", values[:1]).fetchone()[0])


def _delete_faces(connection: sqlite3.Connection, root: int, paths: Iterable[str]) -> None:
    rows = ((path, root) for path in paths)
    connection.executemany("DELETE FROM faces WHERE source = ? AND root = ?", rows)
