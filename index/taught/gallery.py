"""What a user teaches: the gallery layer that can be written, one SQLite file in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from moodspace.arrays import IntArray
from moodspace.index.gallery import NORM_TOLERANCE
from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.database import FIRST_ID, TIMEOUT, Database
from moodspace.index.taught.duplicates import missing_rows
from moodspace.index.taught.faces import IMPORTED, LIVE, NewFaces, Recorded, Summary, TaughtFaces, Undone
from moodspace.index.taught.faces_table import (
    OF_CLASS,
    forget_faces,
    forget_ids,
    insert_faces,
    read_faces,
    read_revision,
)
from moodspace.index.taught.search import TaughtIndex
from moodspace.index.taught.snapshots import FLAT_LIMIT, Snapshots
from moodspace.index.taught.sync_plan import FACES, FORGOTTEN
from moodspace.index.taught.synced_folder import TaughtFolder

PICTURES = "pictures"


def read_summary(database: Database, folder: Path) -> Summary:
    """Counts what is in a gallery.

    Args:
        database: The gallery.
        folder: Where it lies, with all that belongs to it.

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
        with contextlib.suppress(FileNotFoundError):  # others remove their logs when they finish
            size += path.stat().st_size if path.is_file() else 0
    return size


_SHOWN = 5
_CHUNK = 50_000
# What each question finds is wrong; all ask for ids or paths.
_QUESTIONS = {
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


def gallery_problems(database: Database, dim: int) -> list[str]:
    """Returns what is wrong with a gallery, in one line each with what to do; empty if nothing.

    Args:
        database: The gallery.
        dim: How many numbers an embedding has.

    Raises:
        StorageError: It cannot be read.
    """
    problems: list[str] = []
    try:
        with database.read() as connection:
            for (line,) in connection.execute("PRAGMA integrity_check(20)"):
                if line != "ok":
                    problems.append(f"expected a sound file, got {' '.join(line.split())}; restore a copy of it")
            problems += _answers(connection)
            problems += _embedding_problems(connection, dim)
    except GalleryError as error:
        problems.append(str(error))
    return problems


def _answers(connection: sqlite3.Connection) -> Iterator[str]:
    for problem, question in _QUESTIONS.items():
        rows = connection.execute(question.format(first=FIRST_ID)).fetchall()
        if rows:
            found = _named([str(row[0]) for row in rows])
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
        yield f"expected embeddings of {rule}, got others for {_named(ids)}; forget them by their ids"


def _named(found: list[str]) -> str:
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


FILE = "gallery.sqlite"
_CELLS = "cells"


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
    """Opens a user's gallery, also while other processes read or write it.

    Args:
        folder: Where it lies, or is to lie.
        encoder: The fingerprint of the encoder in use.
        dim: How many numbers its embeddings have.
        create: Whether to make a gallery where there is none.
        read_only: Whether nothing may be written, not even a search index; then nothing is made either.
        threads: How many threads a search may use.
        flat_limit: Up to how many faces are searched in memory, exactly.
        timeout: How long a write waits for that of another process, seconds.

    Raises:
        GalleryError: There is no gallery and none may be made, it is damaged or something else, or another encoder made
            its embeddings.
        StorageError: It cannot be opened or made.
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
            remedy = "embed the faces again with `cli.py index --full`"
            raise GalleryError(f"{folder}: expected a gallery of encoder {wanted}, got {got}; {remedy}")
    except BaseException:
        database.close()
        raise
    snapshots = Snapshots(database, dim, folder / _CELLS, flat_limit=flat_limit, threads=threads)
    return TaughtGallery(folder, encoder, dim, database, snapshots)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        got = error.strerror or str(error)
        raise StorageError(f"{folder}: expected to make this folder, got: {got}; choose another") from error


class TaughtGallery:
    """An open gallery of taught faces; made by `open_taught`, and to be closed.

    Each change is one transaction: a crash at any instant leaves the old state or the new one. May be used by several
    threads; reading never waits for writing. Methods that write raise `StorageError` where the disk refuses or another
    writer does not finish in time, and `GalleryError` where the file is damaged; nothing has changed then.

    Attributes:
        folder: Where it lies.
        encoder: The fingerprint of the encoder that made the embeddings.
        dim: How many numbers an embedding has.
    """

    def __init__(self, folder: Path, encoder: str, dim: int, database: Database, snapshots: Snapshots) -> None:
        """Takes the parts that `open_taught` made."""
        self.folder, self.encoder, self.dim = folder, encoder, dim
        self._database, self._snapshots = database, snapshots

    def __enter__(self) -> TaughtGallery:
        """Returns the gallery itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
        self.close()

    def close(self) -> None:
        """Closes the file; its snapshots cannot be searched any more."""
        self._database.close()

    def __len__(self) -> int:
        """Returns the number of faces."""
        with self._database.read() as connection:
            return int(connection.execute("SELECT count(*) FROM faces").fetchone()[0])

    @property
    def generation(self) -> int:
        """A number that rises with each change, whichever process makes it; read in microseconds."""
        with self._database.read() as connection:
            return read_revision(connection).generation

    def snapshot(self) -> TaughtIndex:
        """Returns the gallery as it can be searched now; the same object for as long as nothing changed.

        The first call reads the faces, or maps the cells of a large gallery and builds them where that is due, which
        takes a while; later calls follow changes in milliseconds. Changes this large wait for `prepare` or for the next
        one to open the gallery.

        Raises:
            GalleryError: The gallery is damaged.
            StorageError: It cannot be read.
        """
        return self._snapshots.current()

    def prepare(self) -> None:
        """Builds the cells of a large gallery where they are due; to be called after many changes."""
        self._snapshots.prepare()

    def add(self, faces: NewFaces, *, batch: int | None = None) -> Recorded:
        """Teaches faces, all or none.

        Args:
            faces: Which; no faces at all is legal.
            batch: An earlier `Recorded.batch`, to be undone together with that; None for a batch of their own.

        Raises:
            GalleryError: Their embeddings are of another dimension, or the gallery is damaged.
            StorageError: The disk refused, or another writer did not finish in time.
        """
        with self._database.write() as (connection, generation):
            batch = generation if batch is None else batch
            ids = insert_faces(connection, faces, batch)
        return Recorded(batch, tuple(ids), 0)

    def add_missing(self, faces: NewFaces, *, most: int | None = None) -> Recorded:
        """Teaches those of the faces that the gallery has not under the same class, each once.

        The same face is the same crop or, where the crop of either is not known, the same embedding but for rounding.

        Args:
            faces: Which.
            most: How many faces the gallery may hold then; None for any number.

        Raises:
            GalleryError: Their embeddings are of another dimension, they are too many, or the gallery is damaged.
            StorageError: The disk refused, or another writer did not finish in time.
        """
        with self._database.write() as (connection, generation):
            missing = missing_rows(connection, self._database, self.dim, faces)
            room = most - connection.execute("SELECT count(*) FROM faces").fetchone()[0] if most is not None else None
            if room is not None and len(missing) > room:
                got = f"expected room for {len(missing):,} faces, got room for {max(room, 0):,}"
                raise GalleryError(f"{got}; forget some")
            ids = insert_faces(connection, faces.take(missing), generation) if missing else ()
        return Recorded(generation, tuple(ids), 0)

    def synced(self, root: Path, *, options: str = "", batch: int | None = None) -> TaughtFolder:
        """Returns the part that belongs to a folder, for `index.sync` and `index.apply`.

        Args:
            root: The folder, absolute.
            options: How its pictures are read, remembered with the folder.
            batch: An earlier batch, to be undone together with that; None for a batch of its own.
        """
        return TaughtFolder(self._database, root, options, batch)

    def roots(self) -> dict[Path, str]:
        """Returns the folders that are kept in sync, in the order they came, with their options."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT path, options FROM roots ORDER BY id")
            return {Path(path): options for path, options in rows}

    def known(self, digests: Iterable[str]) -> dict[str, str]:
        """Returns the class of those crops, named by SHA-256, that the gallery has already, the last taught one's."""
        found: dict[str, str] = {}
        faces = "faces f JOIN labels l ON l.id = f.label WHERE f.digest = ?"
        sql = f"SELECT readable(l.name) FROM {faces} ORDER BY f.id DESC LIMIT 1"
        with self._database.read() as connection:
            for digest in {one for one in digests if one}:
                if row := connection.execute(sql, (bytes.fromhex(digest),)).fetchone():
                    found[digest] = row[0]
        return found

    def remove(self, ids: Sequence[int] | IntArray) -> int:
        """Forgets faces by id; returns how many there were. Synced files among them are not taught again unasked."""
        numbers = sorted({int(number) for number in ids if 0 <= number < 2**63})
        with self._database.write() as (connection, _):
            removed = forget_ids(connection, numbers)
        return self._shed(removed)

    def remove_label(self, name: str) -> int:
        """Forgets a class; returns how many faces it had. Synced files among them are not taught again unasked."""
        with self._database.write() as (connection, _):
            removed = forget_faces(connection, OF_CLASS, (name,))
        return self._shed(removed)

    def remove_source(self, source: str) -> int:
        """Forgets the faces from one place, or from anywhere below a folder; such folders are no longer kept in sync.

        Args:
            source: As in `TaughtFaces.sources`, or a folder above.

        Returns:
            How many faces left.
        """
        place = source.rstrip(os.sep)
        values = (place, place + os.sep, place + chr(ord(os.sep) + 1))
        there = "{0} = ? OR ({0} >= ? AND {0} < ?)"
        with self._database.write() as (connection, _):
            removed = forget_faces(connection, there.format("source"), values)
            roots = f"SELECT id FROM roots WHERE {there.format('path')}"
            connection.execute(f"DELETE FROM files WHERE root IN ({roots})", values)
            connection.execute(f"DELETE FROM roots WHERE id IN ({roots})", values)
        return self._shed(removed)

    def _shed(self, removed: int) -> int:
        if removed:
            self._database.shed_log()
        return removed

    def undo(self, batch: int | None = None) -> Undone | None:
        """Takes back what was taught together, and returns what that was; None where there is nothing of it.

        Synced files among the faces count as new at the next sync, but for those that were forgotten. Faces that the
        batch removed do not come back.

        Args:
            batch: A `Recorded.batch`; None for what was taught last, by whatever program.
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
            undone = Undone(batch, first, dict(connection.execute(labels, (batch,)).fetchall()))
            connection.execute("DELETE FROM faces WHERE batch = ?", (batch,))
            connection.execute("DELETE FROM files WHERE batch = ? AND reason != ?", (batch, FORGOTTEN))
        self._database.shed_log()
        return undone

    def rows(self, ids: IntArray | None = None) -> Iterator[TaughtFaces]:
        """Yields all that is known of the faces with these ids, or of all faces, some at a time in rising order."""
        return read_faces(self._database, self.dim, ids)

    def summary(self) -> Summary:
        """Returns what is in the gallery."""
        return read_summary(self._database, self.folder)

    def verify(self) -> list[str]:
        """Looks at everything in the gallery and returns what is wrong with it, in one line each; empty if nothing."""
        return gallery_problems(self._database, self.dim)
