"""The user's gallery of taught faces, one SQLite file in its own folder: open, change, search, summarize, verify."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from moodspace.arrays import ByteArray, FloatArray, IntArray
from moodspace.embeddings.data.labels import class_name
from moodspace.index.gallery import NORM_TOLERANCE
from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.database import FIRST_ID, TIMEOUT, Database
from moodspace.index.taught.duplicates import missing_rows
from moodspace.index.taught.faces import IMPORTED, LIVE, AddedBatch, NewFaces, Summary, TaughtFaces, UndoneBatch
from moodspace.index.taught.faces_table import (
    OF_CLASS,
    forget_faces,
    forget_ids,
    insert_faces,
    newest_embeddings,
    read_classes,
    read_faces,
    read_pictures,
    read_revision,
    relabel_faces,
    restore_relabeled,
)
from moodspace.index.taught.search import TaughtIndex
from moodspace.index.taught.snapshots import FLAT_LIMIT, Snapshots
from moodspace.index.taught.sync_plan import FACES, FORGOTTEN
from moodspace.index.taught.synced_folder import TaughtFolder

FILE = "gallery.sqlite"
_IVF_FOLDER = "cells"

# The word for faces of single pictures in `Summary.sources`.
PICTURES = "pictures"

# How many ids or paths a problem of `verify` names.
_SHOWN = 5
_CHUNK = 50_000
# Each query returns the ids or paths that have the problem.
_CHECKS = {
    "expected ids from {first}, got {found}": "SELECT id FROM faces WHERE id < {first}",
    "expected the class of each face among the labels, got none for {found}": (
        "SELECT id FROM faces WHERE label NOT IN (SELECT id FROM labels)"
    ),
    "expected the folder of each synced face among the roots, got none for {found}": (
        "SELECT id FROM faces WHERE root IS NOT NULL AND root NOT IN (SELECT id FROM roots)"
    ),
    "expected one class for each crop, got two or more for the same: {found}": (
        "SELECT group_concat(id, ' = ') FROM faces WHERE digest != x'' GROUP BY digest HAVING "
        "count(DISTINCT coalesce((SELECT readable(name) FROM labels WHERE id = label), label)) > 1"
    ),
    "expected SHA-256 of 32 bytes, got another length for {found}": (
        "SELECT id FROM faces WHERE length(digest) NOT IN (0, 32)"
    ),
    "expected the face of each synced file, got none for {found}": (
        "SELECT path FROM files WHERE status = '" + FACES + "' AND NOT EXISTS "
        "(SELECT 1 FROM faces WHERE source = files.path AND root = files.root)"
    ),
}


def open_taught(
    folder: Path,
    *,
    encoder: str,
    dim: int,
    create: bool = True,
    read_only: bool = False,
    threads: int = 1,
    flat_limit: int = FLAT_LIMIT,
    timeout: float = TIMEOUT,
) -> TaughtGallery:
    """Open a user's gallery, even while other processes read or write it.

    Args:
        folder: The gallery's folder.
        encoder: The fingerprint of the encoder in use.
        dim: Length of its embeddings.
        create: Whether to create a missing gallery.
        read_only: Whether to write nothing, not even a search index; then a missing gallery is an error.
        threads: How many threads a search may use.
        flat_limit: Up to how many faces are searched exactly in memory.
        timeout: Seconds that a write waits for another process.

    Raises:
        GalleryError: There is no gallery and none may be created, it is damaged or something else, or another encoder
            made its embeddings.
        StorageError: It cannot be opened or created.
    """
    path = folder / FILE
    if not path.is_file() and (read_only or not create):
        raise GalleryError(f"{folder}: expected a gallery, got none; teach it a face first")
    if not read_only:
        _make(folder)
    database = Database(path, writable=not read_only, timeout=timeout)
    try:
        if database.is_new:
            if read_only:
                raise GalleryError(f"{folder}: expected a gallery, got an empty file; teach it a face first")
            database.create_tables(encoder, dim)
        made_by, made_dim = database.identity()
        if (made_by, made_dim) != (encoder, dim):
            wanted, got = f"{encoder[:12]} ({dim} numbers)", f"{made_by[:12]} ({made_dim} numbers)"
            remedy = "embed the faces again with `moodspace index --full`"
            raise GalleryError(f"{folder}: expected a gallery of encoder {wanted}, got {got}; {remedy}")
    except BaseException:
        database.close()
        raise
    snapshots = Snapshots(database, dim, folder / _IVF_FOLDER, flat_limit=flat_limit, threads=threads)
    return TaughtGallery(folder, encoder, dim, database, snapshots)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        got = error.strerror or str(error)
        raise StorageError(f"{folder}: expected to create this folder, got: {got}; choose another") from error


class TaughtGallery:
    """An open gallery of taught faces, from `open_taught`; close it after use.

    Each change is one transaction: a crash leaves the old state or the new one. Several threads may use it; reading
    never waits for writing. Methods that write raise `StorageError` if writing fails or another writer does not finish
    in time, and `GalleryError` if the file is damaged; then nothing has changed.

    Attributes:
        folder: The gallery's folder.
        encoder: The fingerprint of the encoder that made the embeddings.
        dim: Length of an embedding.
    """

    def __init__(self, folder: Path, encoder: str, dim: int, database: Database, snapshots: Snapshots) -> None:
        """Combine the parts; use `open_taught` instead."""
        self.folder, self.encoder, self.dim = folder, encoder, dim
        self._database, self._snapshots = database, snapshots

    def __enter__(self) -> TaughtGallery:
        """Return the gallery itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the gallery."""
        self.close()

    def close(self) -> None:
        """Close the file; its snapshots can no longer be searched."""
        self._database.close()

    def __len__(self) -> int:
        """Return the number of faces."""
        with self._database.read() as connection:
            return int(connection.execute("SELECT count(*) FROM faces").fetchone()[0])

    @property
    def generation(self) -> int:
        """A number that increases with each change by any process; cheap to read."""
        with self._database.read() as connection:
            return read_revision(connection).generation

    def snapshot(self) -> TaughtIndex:
        """Return a searchable snapshot of the gallery; the same object as long as nothing changes.

        The first call reads the faces or, for a large gallery, maps its IVF index and builds it if due, which takes a
        while; later calls read only the changes, in milliseconds. A large index is rebuilt only by `prepare` or when
        the gallery is next opened.

        Raises:
            GalleryError: The gallery is damaged.
            StorageError: It cannot be read.
        """
        return self._snapshots.current()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that have faces, sorted."""
        with self._database.read() as connection:
            return read_classes(connection)

    def examples(self, name: str, limit: int) -> FloatArray:
        """Return the embeddings, `(n, d)` float32 unit rows, of up to `limit` newest faces of a class."""
        return newest_embeddings(self._database, self.dim, name, limit)

    def prepare(self) -> None:
        """Build the IVF index of a large gallery if it is due; call this after many changes."""
        self._snapshots.prepare()

    def add(self, faces: NewFaces, *, batch: int | None = None) -> AddedBatch:
        """Add faces, all or none.

        Args:
            faces: The faces; may be empty.
            batch: An earlier `AddedBatch.batch` to add to, so that `undo` removes both; None starts a new batch.

        Raises:
            GalleryError: The embeddings have another dimension, or the gallery is damaged.
            StorageError: Writing failed, or another writer did not finish in time.
        """
        with self._database.write() as (connection, generation):
            batch = generation if batch is None else batch
            ids = insert_faces(connection, faces, batch)
        return AddedBatch(batch, tuple(ids), 0)

    def add_missing(self, faces: NewFaces, *, most: int | None = None) -> AddedBatch:
        """Add the faces that the gallery lacks under the same class, each once.

        Two faces are identical if their crops are equal or, if the crop of either is unknown, if their embeddings are
        equal up to rounding.

        Args:
            faces: The faces.
            most: How many faces the gallery may hold afterwards; None for any number.

        Raises:
            GalleryError: The embeddings have another dimension, there are too many, or the gallery is damaged.
            StorageError: Writing failed, or another writer did not finish in time.
        """
        with self._database.write() as (connection, generation):
            missing = missing_rows(connection, self._database, self.dim, faces)
            room = most - connection.execute("SELECT count(*) FROM faces").fetchone()[0] if most is not None else None
            if room is not None and len(missing) > room:
                got = f"expected room for {len(missing):,} faces, got room for {max(room, 0):,}"
                raise GalleryError(f"{got}; forget some")
            ids = insert_faces(connection, faces.take(missing), generation) if missing else ()
        return AddedBatch(generation, tuple(ids), 0)

    def synced(self, root: Path, *, options: str = "", batch: int | None = None) -> TaughtFolder:
        """Return the part of the gallery that belongs to a folder, for `sync_plan` and `ingest.apply`.

        Args:
            root: The folder, absolute.
            options: How its pictures are read, stored with the folder.
            batch: An earlier batch to add to; None starts a new batch.
        """
        return TaughtFolder(self._database, root, options, batch)

    def roots(self) -> dict[Path, str]:
        """Return the synced folders and their options, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT path, options FROM roots ORDER BY id")
            return {Path(path): options for path, options in rows}

    def known(self, digests: Iterable[str]) -> dict[str, str]:
        """Return the class of each crop, given by SHA-256, that is in the gallery; the newest if there are several."""
        found: dict[str, str] = {}
        faces = "faces f JOIN labels l ON l.id = f.label WHERE f.digest = ?"
        sql = f"SELECT readable(l.name) FROM {faces} ORDER BY f.id DESC LIMIT 1"
        with self._database.read() as connection:
            for digest in {one for one in digests if one}:
                if row := connection.execute(sql, (bytes.fromhex(digest),)).fetchone():
                    found[digest] = row[0]
        return found

    def remove(self, ids: Sequence[int] | IntArray) -> int:
        """Remove faces by id; return how many there were. A sync does not add their files again."""
        numbers = sorted({int(number) for number in ids if 0 <= number < 2**63})
        with self._database.write() as (connection, _):
            removed = forget_ids(connection, numbers)
        return self._truncated(removed)

    def relabel(self, ids: Sequence[int] | IntArray, name: str, *, more: NewFaces | None = None) -> AddedBatch:
        """Teach faces as another class, all or none, as one batch; `undo` gives them their earlier class again.

        Args:
            ids: The faces; those that have this class already, or do not exist, stay as they are.
            name: The class; any name.
            more: Faces to add in the same batch.

        Returns:
            The batch, with the new ids of the changed faces, then those of the added ones.

        Raises:
            ClassNameError: The name is not a valid class name.
            GalleryError: A face belongs to a synced folder, or the gallery is damaged.
        """
        numbers = sorted({int(number) for number in ids if 0 <= number < 2**63})
        with self._database.write() as (connection, generation):
            changed = relabel_faces(connection, numbers, class_name(name), generation)
            added = insert_faces(connection, more, generation) if more is not None and len(more) else ()
        return AddedBatch(generation, (*changed, *added), len(changed))

    def pictures(self, ids: Sequence[int] | IntArray) -> dict[int, ByteArray]:
        """Return the pictures of faces that were taught with theirs, by id: `(48, 48)` uint8 gray in [0, 255]."""
        with self._database.read() as connection:
            return read_pictures(connection, np.asarray(ids, np.int64))

    def remove_label(self, name: str) -> int:
        """Remove a class; return how many faces it had. A sync does not add their files again."""
        with self._database.write() as (connection, _):
            removed = forget_faces(connection, OF_CLASS, (name,))
        return self._truncated(removed)

    def remove_source(self, source: str) -> int:
        """Remove the faces of one source, or of all sources below a folder; synced folders there are no longer synced.

        Args:
            source: As in `TaughtFaces.sources`, or a folder above.

        Returns:
            How many faces were removed.
        """
        place = source.rstrip(os.sep)
        values = (place, place + os.sep, place + chr(ord(os.sep) + 1))
        there = "{0} = ? OR ({0} >= ? AND {0} < ?)"
        with self._database.write() as (connection, _):
            removed = forget_faces(connection, there.format("source"), values)
            roots = f"SELECT id FROM roots WHERE {there.format('path')}"
            connection.execute(f"DELETE FROM files WHERE root IN ({roots})", values)
            connection.execute(f"DELETE FROM roots WHERE id IN ({roots})", values)
        return self._truncated(removed)

    def _truncated(self, removed: int) -> int:
        if removed:
            self._database.truncate_log()
        return removed

    def undo(self, batch: int | None = None) -> UndoneBatch | None:
        """Remove the faces of one batch; return what was removed, or None if there is nothing left of it.

        Synced files among them count as new at the next sync, unless the user removed their face. Faces that the batch
        relabeled have their earlier class again, under new ids; those that a sync replaced do not come back.

        Args:
            batch: An `AddedBatch.batch`; None for the newest batch, by any program.
        """
        labels = (
            "SELECT readable(l.name), count(*) FROM faces f JOIN labels l ON l.id = f.label WHERE f.batch = ? "
            "GROUP BY 1 ORDER BY 1"
        )
        with self._database.write() as (connection, _):
            if batch is None:
                batch = connection.execute("SELECT max(batch) FROM faces").fetchone()[0]
            first = connection.execute("SELECT min(added) FROM faces WHERE batch = ?", (batch,)).fetchone()[0]
            if batch is None or first is None:
                return None
            counts = dict(connection.execute(labels, (batch,)).fetchall())
            undone = UndoneBatch(batch, first, counts, restore_relabeled(connection, batch))
            connection.execute("DELETE FROM faces WHERE batch = ?", (batch,))
            connection.execute("DELETE FROM files WHERE batch = ? AND reason != ?", (batch, FORGOTTEN))
        self._database.truncate_log()
        return undone

    def rows(self, ids: IntArray | None = None) -> Iterator[TaughtFaces]:
        """Yield the faces with these ids, or all faces, in chunks, in order of id."""
        return read_faces(self._database, self.dim, ids)

    def summary(self) -> Summary:
        """Return the gallery's counts."""
        return read_summary(self._database, self.folder)

    def verify(self) -> list[str]:
        """Check everything in the gallery; return the problems, each in one line, empty if there are none."""
        return gallery_problems(self._database, self.dim)


def read_summary(database: Database, folder: Path) -> Summary:
    """Count the faces of a gallery.

    Args:
        database: The gallery.
        folder: Its folder, for its size on disk.

    Raises:
        GalleryError: It is damaged.
        StorageError: It cannot be read.
    """
    origin = (
        f"CASE WHEN r.path IS NOT NULL THEN r.path WHEN f.source = '{LIVE}' THEN '{LIVE}' "
        f"WHEN f.source LIKE '{IMPORTED}%' THEN '{IMPORTED.rstrip(':')}' ELSE '{PICTURES}' END"
    )
    encoder, dim = database.identity()
    with database.read() as connection:
        labels = connection.execute(
            "SELECT readable(l.name), count(*) FROM faces f JOIN labels l ON l.id = f.label GROUP BY 1 ORDER BY 1"
        ).fetchall()
        sources = connection.execute(
            f"SELECT {origin}, count(*) FROM faces f LEFT JOIN roots r ON r.id = f.root GROUP BY 1 ORDER BY 1"
        ).fetchall()
        roots = connection.execute("SELECT path, options FROM roots ORDER BY id").fetchall()
        first, last = connection.execute("SELECT min(added), max(added) FROM faces").fetchone()
    return Summary(
        labels=dict(labels),
        sources=dict(sources),
        roots={Path(path): options for path, options in roots},
        first=first,
        last=last,
        bytes=_size(folder),
        encoder=encoder,
        dim=dim,
    )


def _size(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # other processes may remove their log files
            size += path.stat().st_size if path.is_file() else 0
    return size


def gallery_problems(database: Database, dim: int) -> list[str]:
    """Return the problems of a gallery, each in one line with what to do; empty if there are none.

    Args:
        database: The gallery.
        dim: Length of an embedding.

    Raises:
        StorageError: It cannot be read.
    """
    problems: list[str] = []
    try:
        with database.read() as connection:
            for (line,) in connection.execute("PRAGMA integrity_check(20)"):
                if line != "ok":
                    problems.append(f"expected an intact file, got {' '.join(line.split())}; restore a copy of it")
            problems += _failed_checks(connection)
            problems += _embedding_problems(connection, dim)
    except GalleryError as error:
        problems.append(str(error))
    return problems


def _failed_checks(connection: sqlite3.Connection) -> Iterator[str]:
    for problem, question in _CHECKS.items():
        rows = connection.execute(question.format(first=FIRST_ID)).fetchall()
        if rows:
            found = _listed([str(row[0]) for row in rows])
            yield problem.format(first=FIRST_ID, found=found) + "; forget them or sync again with `index --full`"


def _embedding_problems(connection: sqlite3.Connection, dim: int) -> Iterator[str]:
    wrong: dict[str, list[str]] = {}
    cursor = connection.execute("SELECT id, embedding FROM faces ORDER BY id")
    while rows := cursor.fetchmany(_CHUNK):
        sized = [(number, blob) for number, blob in rows if isinstance(blob, bytes) and len(blob) == 2 * dim]
        if len(sized) < len(rows):
            kept = {number for number, _ in sized}
            wrong.setdefault(f"{dim} numbers", []).extend(str(number) for number, _ in rows if number not in kept)
        embeddings = np.frombuffer(b"".join(blob for _, blob in sized), np.float16).reshape(-1, dim).astype(np.float32)
        norms = np.sqrt(np.einsum("nd,nd->n", embeddings, embeddings))
        finite = np.isfinite(norms)
        for rule, broken in (
            ("finite numbers", ~finite),
            ("length 1", finite & (np.abs(norms - 1) > NORM_TOLERANCE)),
        ):
            if broken.any():
                wrong.setdefault(rule, []).extend(str(sized[at][0]) for at in np.flatnonzero(broken))
    for rule, ids in wrong.items():
        yield f"expected embeddings of {rule}, got others for {_listed(ids)}; forget them by their ids"


def _listed(found: list[str]) -> str:
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more
