"""How the states of the user's gallery that can be searched follow one another, and when cells are built."""

from __future__ import annotations

import logging
import sqlite3
import threading
from functools import partial
from pathlib import Path

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.database import Database
from moodspace.index.taught.faces_table import (
    is_past,
    look_up,
    newest_embeddings,
    read_classes,
    read_revision,
    stream_embeddings,
    take_embeddings,
)
from moodspace.index.taught.ivf import Embeddings, IVFIndex, Revision, build_ivf, building, load_ivf, save_ivf
from moodspace.index.taught.search import FlatIndex, TaughtIndex, is_large

# Up to this number of faces a flat search takes well under a millisecond or two, and is exact.
FLAT_LIMIT = 100_000
_log = logging.getLogger(__name__)


class Snapshots:
    """Keeps the newest state that was asked for, so that the next one needs only what changed."""

    def __init__(self, database: Database, dim: int, cells_folder: Path, *, flat_limit: int, threads: int) -> None:
        """Reads nothing yet.

        Args:
            database: The gallery.
            dim: How many numbers an embedding has.
            cells_folder: Where cells are kept; a folder of its own.
            flat_limit: Up to how many faces are searched in memory.
            threads: How many threads a search may use.
        """
        self._database, self._dim, self._folder = database, dim, cells_folder
        self._flat_limit, self._threads = flat_limit, threads
        self._lock = threading.Lock()
        self._newest: TaughtIndex | None = None

    def current(self) -> TaughtIndex:
        """Returns the gallery as it is now; the same object for as long as nothing changed.

        Raises:
            GalleryError: The gallery is damaged.
            StorageError: It cannot be read.
        """
        with self._lock, self._database.read() as connection:
            stand = read_revision(connection)
            if self._newest is None or not is_past(connection, self._newest.stand):
                self._newest = self._started(connection, stand)
            if self._newest.stand != stand:
                self._newest = self._followed(connection, self._newest, stand)
            return self._newest

    def prepare(self) -> None:
        """Builds the cells of a large gallery anew where they are due, so that the next to open it need not wait.

        Raises:
            GalleryError: The gallery is damaged.
            StorageError: It cannot be read.
        """
        with self._lock:
            self._newest = None
        self.current()

    def _started(self, connection: sqlite3.Connection, stand: Revision) -> TaughtIndex:
        count = connection.execute("SELECT count(*) FROM faces").fetchone()[0]
        base: FlatIndex | IVFIndex
        if count > self._flat_limit:
            base = self._cells(connection, stand)
            stand = base.stand
        else:
            base = FlatIndex.build(*self._embeddings())
        nothing = FlatIndex.build(np.empty((0, self._dim), np.float32), np.empty(0, np.int64))
        return TaughtIndex(
            base,
            nothing,
            np.empty(0, np.int64),
            stand=stand,
            classes=read_classes(connection),
            look_up=partial(look_up, self._database, self._dim),
            newest=partial(newest_embeddings, self._database, self._dim),
            threads=self._threads,
        )

    def _followed(self, connection: sqlite3.Connection, before: TaughtIndex, stand: Revision) -> TaughtIndex:
        embeddings, ids = self._embeddings(before.stand.last_id)
        removals = connection.execute("SELECT id FROM removals WHERE generation > ?", (before.generation,))
        removed = np.array([number for (number,) in removals], np.int64)
        return before.followed(ids, embeddings, removed, stand, read_classes(connection))

    def _embeddings(self, after: int = -1) -> tuple[FloatArray, IntArray]:
        """Returns the embeddings `(n, d)` and ids `(n,)` of all faces beyond an id."""
        parts = list(stream_embeddings(self._database, self._dim, after))
        nothing = (np.empty(0, np.int64), np.empty((0, self._dim), np.float32))
        ids, embeddings = (np.concatenate(column) for column in zip(nothing, *parts, strict=True))
        return embeddings, ids

    def _cells(self, connection: sqlite3.Connection, stand: Revision) -> IVFIndex:
        """Returns cells that the gallery has grown little beyond: those on the disk, or new ones."""
        if found := self._stored_cells(connection):
            return found
        if not self._database.writable:
            return self._built(connection, stand)
        built = None
        try:
            with building(self._folder):
                # Another process may have been faster while this one waited.
                if found := self._stored_cells(connection):
                    return found
                built = self._built(connection, stand)
                save_ivf(self._folder, built)
                # Mapped from the disk they take no memory.
                return load_ivf(self._folder, self._dim) or built
        except (OSError, sqlite3.Error, StorageError) as error:
            _log.warning("%s: expected to keep the search index here, got %s; it stays in memory", self._folder, error)
        return built or self._built(connection, stand)

    def _stored_cells(self, connection: sqlite3.Connection) -> IVFIndex | None:
        cells = load_ivf(self._folder, self._dim)
        if cells is None or not is_past(connection, cells.stand):
            return None
        taught = connection.execute("SELECT count(*) FROM faces WHERE id > ?", (cells.last_id,)).fetchone()[0]
        since = (cells.stand.generation,)
        forgotten = connection.execute("SELECT count(*) FROM removals WHERE generation > ?", since).fetchone()[0]
        # Who may not write cannot keep new ones either: a longer tail is better than building them at each start.
        return None if self._database.writable and is_large(taught + forgotten, len(cells)) else cells

    def _built(self, connection: sqlite3.Connection, stand: Revision) -> IVFIndex:
        _log.info("building the search index of a large gallery")
        ids = np.fromiter((row[0] for row in connection.execute("SELECT id FROM faces ORDER BY id")), np.int64)
        return build_ivf(
            Embeddings(
                ids,
                stream=partial(stream_embeddings, self._database, self._dim),
                take=partial(take_embeddings, self._database, self._dim),
            ),
            stand,
            self._threads,
        )
