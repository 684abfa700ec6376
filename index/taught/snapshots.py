"""Keep the searchable snapshot of the user's gallery current, and build the IVF index of a large one."""

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
    is_ancestor,
    look_up,
    newest_embeddings,
    read_classes,
    read_revision,
    stream_embeddings,
    take_embeddings,
)
from moodspace.index.taught.ivf import Embeddings, IVFIndex, Revision, build_ivf, building_lock, load_ivf, save_ivf
from moodspace.index.taught.search import FlatIndex, TaughtIndex, is_large

# Up to this number of faces an exact flat search takes under 2 ms.
FLAT_LIMIT = 100_000
_log = logging.getLogger(__name__)


class Snapshots:
    """Caches the newest snapshot, so that the next one reads only what changed."""

    def __init__(self, database: Database, dim: int, ivf_folder: Path, *, flat_limit: int, threads: int) -> None:
        """Prepare; read nothing yet.

        Args:
            database: The gallery.
            dim: Length of an embedding.
            ivf_folder: The folder of the IVF index, which holds nothing else.
            flat_limit: Up to how many faces are searched exactly in memory.
            threads: How many threads a search may use.
        """
        self._database, self._dim, self._folder = database, dim, ivf_folder
        self._flat_limit, self._threads = flat_limit, threads
        self._lock = threading.Lock()
        self._newest: TaughtIndex | None = None

    def current(self) -> TaughtIndex:
        """Return the present snapshot; the same object as long as nothing changes.

        Raises:
            GalleryError: The gallery is damaged.
            StorageError: It cannot be read.
        """
        with self._lock, self._database.read() as connection:
            revision = read_revision(connection)
            if self._newest is None or not is_ancestor(connection, self._newest.revision):
                self._newest = self._load(connection, revision)
            if self._newest.revision != revision:
                self._newest = self._update(connection, self._newest, revision)
            return self._newest

    def prepare(self) -> None:
        """Rebuild the IVF index of a large gallery if it is due, so that the next process to open it need not.

        Raises:
            GalleryError: The gallery is damaged.
            StorageError: It cannot be read.
        """
        with self._lock:
            self._newest = None
        self.current()

    def _load(self, connection: sqlite3.Connection, revision: Revision) -> TaughtIndex:
        count = connection.execute("SELECT count(*) FROM faces").fetchone()[0]
        base: FlatIndex | IVFIndex
        if count > self._flat_limit:
            base = self._ivf(connection, revision)
            revision = base.revision
        else:
            base = FlatIndex.build(*self._embeddings())
        nothing = FlatIndex.build(np.empty((0, self._dim), np.float32), np.empty(0, np.int64))
        return TaughtIndex(
            base,
            nothing,
            np.empty(0, np.int64),
            revision=revision,
            classes=read_classes(connection),
            look_up=partial(look_up, self._database, self._dim),
            newest=partial(newest_embeddings, self._database, self._dim),
            threads=self._threads,
        )

    def _update(self, connection: sqlite3.Connection, before: TaughtIndex, revision: Revision) -> TaughtIndex:
        embeddings, ids = self._embeddings(before.revision.last_id)
        removals = connection.execute("SELECT id FROM removals WHERE generation > ?", (before.generation,))
        removed = np.array([number for (number,) in removals], np.int64)
        return before.updated(ids, embeddings, removed, revision, read_classes(connection))

    def _embeddings(self, after: int = -1) -> tuple[FloatArray, IntArray]:
        """Return the embeddings `(n, d)` and ids `(n,)` of all faces with larger ids."""
        parts = list(stream_embeddings(self._database, self._dim, after))
        nothing = (np.empty(0, np.int64), np.empty((0, self._dim), np.float32))
        ids, embeddings = (np.concatenate(column) for column in zip(nothing, *parts, strict=True))
        return embeddings, ids

    def _ivf(self, connection: sqlite3.Connection, revision: Revision) -> IVFIndex:
        """Return the IVF index from disk if it is recent enough, else build it."""
        if found := self._stored_ivf(connection):
            return found
        if not self._database.writable:
            return self._build(connection, revision)
        built = None
        try:
            with building_lock(self._folder):
                # Another process may have built it while this one waited.
                if found := self._stored_ivf(connection):
                    return found
                built = self._build(connection, revision)
                save_ivf(self._folder, built)
                # Memory-mapped from disk it takes no memory of its own.
                return load_ivf(self._folder, self._dim) or built
        except (OSError, sqlite3.Error, StorageError) as error:
            _log.warning("%s: expected to save the search index here, got %s; it stays in memory", self._folder, error)
        return built or self._build(connection, revision)

    def _stored_ivf(self, connection: sqlite3.Connection) -> IVFIndex | None:
        ivf = load_ivf(self._folder, self._dim)
        if ivf is None or not is_ancestor(connection, ivf.revision):
            return None
        taught = connection.execute("SELECT count(*) FROM faces WHERE id > ?", (ivf.last_id,)).fetchone()[0]
        since = (ivf.revision.generation,)
        forgotten = connection.execute("SELECT count(*) FROM removals WHERE generation > ?", since).fetchone()[0]
        # A read-only process cannot save a new one; a longer tail is better than building it at each start.
        return None if self._database.writable and is_large(taught + forgotten, len(ivf)) else ivf

    def _build(self, connection: sqlite3.Connection, revision: Revision) -> IVFIndex:
        _log.info("building the search index of a large gallery")
        ids = np.fromiter((row[0] for row in connection.execute("SELECT id FROM faces ORDER BY id")), np.int64)
        return build_ivf(
            Embeddings(
                ids,
                stream=partial(stream_embeddings, self._database, self._dim),
                take=partial(take_embeddings, self._database, self._dim),
            ),
            revision,
            self._threads,
        )
