"""The table of taught faces: insert, look up and delete."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from moodspace.arrays import ByteArray, FloatArray, IntArray
from moodspace.embeddings.crops import SIZE
from moodspace.index.gallery import unit_rows_problem
from moodspace.index.store.commit import GalleryError
from moodspace.index.taught.database import Database, add_later_tables, has_table
from moodspace.index.taught.faces import NewFaces, TaughtFaces
from moodspace.index.taught.ivf import Revision
from moodspace.index.taught.search import FoundFaces
from moodspace.index.taught.sync_plan import DUPLICATE, FACES, FORGOTTEN, NONE

_CHUNK = 50_000
# SQLite before 3.32 allows 999 parameters.
_PARAMETERS = 500
# Selects the faces of a class; the class name is one parameter.
OF_CLASS = "label IN (SELECT id FROM labels WHERE readable(name) = readable(?))"


def insert_faces(connection: sqlite3.Connection, faces: NewFaces, batch: int, root: int | None = None) -> range:
    """Insert faces, inside a transaction.

    Args:
        connection: The connection of the transaction.
        faces: The faces.
        batch: The batch that undoes them.
        root: The id of the synced folder that they came from, if any.

    Returns:
        Their ids.

    Raises:
        GalleryError: The embeddings have another dimension.
    """
    dim = connection.execute("SELECT dim FROM meta").fetchone()[0]
    if faces.embeddings.shape[1] != dim:
        got = f"expected embeddings of {dim} numbers, got {faces.embeddings.shape[1]}"
        raise GalleryError(f"faces to teach: {got}; use the encoder that the gallery was made with")
    labels = _label_ids(connection, faces.labels)
    first = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'faces'").fetchone()[0] + 1
    added = np.full(len(faces), time.time()) if faces.added is None else faces.added
    # Normalized first: a length at the edge of the tolerance would leave no room for rounding to 16 bits.
    rounded = (faces.embeddings / np.linalg.norm(faces.embeddings, axis=1, keepdims=True)).astype(np.float16)
    rows = (
        (first + at, rounded[at].tobytes(), labels[faces.labels[at]], faces.sources[at],
         bytes.fromhex(faces.digests[at]), float(added[at]), batch, root)
        for at in range(len(faces))
    )  # fmt: skip
    connection.executemany("INSERT INTO faces VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    kept = [(first + at, one) for at, one in enumerate(faces.pictures or ()) if one is not None]
    if kept:
        add_later_tables(connection)
        pixels = ((number, one.tobytes()) for number, one in kept)
        connection.executemany("INSERT INTO pictures VALUES (?, ?)", pixels)
    return range(first, first + len(faces))


def read_pictures(connection: sqlite3.Connection, ids: IntArray) -> dict[int, ByteArray]:
    """Return the crops that were kept, `(48, 48)` uint8 gray, by id of their face.

    Raises:
        GalleryError: A picture is damaged.
    """
    found: dict[int, ByteArray] = {}
    if not has_table(connection, "pictures"):
        return found
    for marks, part in _sql_chunks(ids.tolist()):
        sql = f"SELECT id, pixels FROM pictures WHERE id IN ({marks})"
        for number, pixels in connection.execute(sql, part):
            if not isinstance(pixels, bytes) or len(pixels) != SIZE * SIZE:
                wanted = f"picture of face {number}: expected {SIZE * SIZE} bytes, got another number"
                raise GalleryError(f"{wanted}; forget this face")
            found[number] = np.frombuffer(pixels, np.uint8).reshape(SIZE, SIZE)
    return found


def relabel_faces(connection: sqlite3.Connection, ids: Sequence[int], name: str, batch: int) -> list[int]:
    """Teach faces as another class, inside a transaction; each gets a new id and keeps everything else.

    Args:
        connection: The connection of the transaction.
        ids: The faces; those that have this class already, or do not exist, stay as they are.
        name: The class.
        batch: The batch that undoes it.

    Returns:
        The new ids.

    Raises:
        GalleryError: A face belongs to a synced folder, whose class folders say what it is.
    """
    rows: list[tuple[Any, ...]] = []
    columns = "f.id, f.embedding, f.label, f.source, f.digest, f.added, f.batch, f.root"
    for marks, part in _sql_chunks(sorted(set(ids))):
        sql = f"SELECT {columns} FROM faces f JOIN labels l ON l.id = f.label WHERE readable(l.name) != readable(?)"
        rows += connection.execute(f"{sql} AND f.id IN ({marks}) ORDER BY f.id", (name, *part)).fetchall()
    if synced := [row[3] for row in rows if row[7] is not None]:
        raise GalleryError(
            f"{synced[0]}: expected a face outside synced folders, got {len(synced)} inside one; move the pictures to "
            f"the folder of their class and run `moodspace index`"
        )
    if not rows:
        return []
    add_later_tables(connection)
    label = _label_ids(connection, [name])[name]
    first = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'faces'").fetchone()[0] + 1
    now, numbered = time.time(), [(first + at, *row) for at, row in enumerate(rows)]
    connection.executemany(
        "INSERT INTO faces VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
        [(new, blob, label, source, digest, now, batch) for new, _, blob, _, source, digest, *_ in numbered],
    )
    for new, old, _, old_label, _, _, added, old_batch, _ in numbered:
        _copy_extras(connection, old, new)
        step = "(SELECT coalesce(max(step), 0) + 1 FROM relabeled WHERE id = ?)"
        connection.execute(
            f"INSERT INTO relabeled VALUES (?, {step}, ?, ?, ?)", (new, new, old_label, old_batch, added)
        )
    connection.executemany("DELETE FROM faces WHERE id = ?", [(row[1],) for row in numbered])
    return [row[0] for row in numbered]


def _copy_extras(connection: sqlite3.Connection, old: int, new: int) -> None:
    """Copy a face's picture and earlier classes to its new id."""
    connection.execute("INSERT INTO pictures SELECT ?, pixels FROM pictures WHERE id = ?", (new, old))
    connection.execute(
        "INSERT INTO relabeled SELECT ?, step, label, batch, added FROM relabeled WHERE id = ?", (new, old)
    )


def restore_relabeled(connection: sqlite3.Connection, batch: int) -> dict[str, int]:
    """Give faces that a batch relabeled their earlier class, under new ids; return how many by class.

    The faces of the batch itself stay; the caller removes them.
    """
    if not has_table(connection, "relabeled"):
        return {}
    latest = "(SELECT max(step) FROM relabeled WHERE id = f.id)"
    rows = connection.execute(
        "SELECT f.id, f.embedding, r.label, f.source, f.digest, r.added, r.batch, readable(l.name) FROM faces f "
        f"JOIN relabeled r ON r.id = f.id AND r.step = {latest} JOIN labels l ON l.id = r.label "
        "WHERE f.batch = ? ORDER BY f.id",
        (batch,),
    ).fetchall()
    first = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'faces'").fetchone()[0] + 1
    restored: dict[str, int] = {}
    for new, (old, *values, name) in enumerate(rows, first):
        connection.execute("INSERT INTO faces VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", (new, *values))
        _copy_extras(connection, old, new)
        connection.execute(
            "DELETE FROM relabeled WHERE id = ? AND step = (SELECT max(step) FROM relabeled WHERE id = ?)", (new, new)
        )
        restored[name] = restored.get(name, 0) + 1
    return dict(sorted(restored.items()))


def _label_ids(connection: sqlite3.Connection, names: Iterable[str]) -> Mapping[str, int]:
    connection.executemany("INSERT OR IGNORE INTO labels (name) VALUES (?)", [(name,) for name in sorted(set(names))])
    return {name: number for number, name in connection.execute("SELECT id, name FROM labels")}


def forget_faces(connection: sqlite3.Connection, condition: str, values: Sequence[Any]) -> int:
    """Remove faces, inside a transaction, and record that a sync must not add their files again.

    Args:
        connection: The connection of the transaction.
        condition: An SQL condition on the columns of `faces`.
        values: The parameters of the condition.

    Returns:
        How many faces were removed.
    """
    paths = f"SELECT source FROM faces WHERE root IS NOT NULL AND ({condition})"
    contents = f"SELECT sha256 FROM files WHERE sha256 != '' AND status = '{FACES}' AND path IN ({paths})"
    for where in (f"status = '{DUPLICATE}' AND sha256 IN ({contents})", f"status = '{FACES}' AND path IN ({paths})"):
        connection.execute(f"UPDATE files SET status = ?, reason = ? WHERE {where}", (NONE, FORGOTTEN, *values))
    return connection.execute(f"DELETE FROM faces WHERE {condition}", values).rowcount


def forget_ids(connection: sqlite3.Connection, ids: Sequence[int]) -> int:
    """Remove the faces with these ids, as `forget_faces`; return how many there were."""
    return sum(forget_faces(connection, f"id IN ({marks})", part) for marks, part in _sql_chunks(ids))


def read_revision(connection: sqlite3.Connection) -> Revision:
    """Return the gallery's present revision."""
    newest = "SELECT generation, token FROM commits ORDER BY generation DESC LIMIT 1"
    generation, token = connection.execute(newest).fetchone() or (0, "")
    match connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'faces'").fetchone():
        case (int(last),):
            return Revision(generation, token, last)
    raise GalleryError("expected a whole gallery, got a damaged one that has lost its last id; restore a copy of it")


def is_ancestor(connection: sqlite3.Connection, revision: Revision) -> bool:
    """Return whether a revision is in the gallery's history; after restoring a copy it may not be."""
    row = connection.execute("SELECT token FROM commits WHERE generation = ?", (revision.generation,)).fetchone()
    return not revision.generation or row == (revision.token,)


def read_classes(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the names of the classes that have faces, sorted."""
    sql = "SELECT DISTINCT readable(name) FROM labels WHERE EXISTS (SELECT 1 FROM faces WHERE label = labels.id)"
    return tuple(sorted(name for (name,) in connection.execute(sql)))


def stream_embeddings(database: Database, dim: int, after: int = -1) -> Iterator[tuple[IntArray, FloatArray]]:
    """Yield ids `(m,)` and embeddings `(m, dim)` of all faces with ids above `after`, in order, in chunks.

    Raises:
        GalleryError: An embedding is damaged.
    """
    with database.read() as connection:
        cursor = connection.execute("SELECT id, embedding FROM faces WHERE id > ? ORDER BY id", (after,))
        while rows := cursor.fetchmany(_CHUNK):
            ids, blobs = zip(*rows, strict=True)
            yield np.array(ids, np.int64), decoded(database, dim, blobs)


def take_embeddings(database: Database, dim: int, ids: IntArray) -> FloatArray:
    """Return the embeddings `(n, dim)` of existing faces, given `(n,)` int64 ids in increasing order."""
    return look_up(database, dim, ids).embeddings


def newest_embeddings(database: Database, dim: int, name: str, limit: int) -> FloatArray:
    """Return the embeddings `(n, dim)` of up to `limit` faces of a class, newest first.

    Raises:
        GalleryError: An embedding is damaged.
    """
    with database.read() as connection:
        sql = f"SELECT embedding FROM faces WHERE {OF_CLASS} ORDER BY id DESC LIMIT ?"
        rows = connection.execute(sql, (name, limit)).fetchall()
    return decoded(database, dim, [blob for (blob,) in rows])


def look_up(database: Database, dim: int, ids: IntArray) -> FoundFaces:
    """Return those of the faces with these distinct ids that exist.

    Raises:
        GalleryError: An embedding is damaged.
    """
    columns = "f.id, readable(l.name), f.source, f.embedding"
    sql = f"SELECT {columns} FROM faces f JOIN labels l ON l.id = f.label WHERE f.id IN ({{}})"
    rows: list[tuple[Any, ...]] = []
    with database.read() as connection:
        for marks, part in _sql_chunks(ids.tolist()):
            rows += connection.execute(sql.format(marks), part).fetchall()
    rows.sort(key=lambda row: row[0])
    found, labels, sources, blobs = zip(*rows, strict=True) if rows else ((), (), (), ())
    _check_texts(database, labels, sources)
    return FoundFaces(np.array(found, np.int64), labels, sources, decoded(database, dim, blobs))


def read_faces(database: Database, dim: int, ids: IntArray | None = None) -> Iterator[TaughtFaces]:
    """Yield all that is known of faces, some at a time in the order of their ids; of all faces where `ids` is None."""
    columns = "f.id, f.embedding, readable(l.name), f.source, f.digest, f.added, f.batch"
    sql = f"SELECT {columns} FROM faces f JOIN labels l ON l.id = f.label WHERE"
    if ids is not None:
        for marks, part in _sql_chunks(np.unique(ids).tolist()):
            with database.read() as connection:
                rows = connection.execute(f"{sql} f.id IN ({marks}) ORDER BY f.id", part).fetchall()
            yield _faces(database, dim, rows)
        return
    last = -1
    while True:
        with database.read() as connection:
            rows = connection.execute(f"{sql} f.id > ? ORDER BY f.id LIMIT {_CHUNK}", (last,)).fetchall()
        if not rows:
            return
        yield _faces(database, dim, rows)
        last = rows[-1][0]


def decoded(database: Database, dim: int, blobs: Sequence[bytes]) -> FloatArray:
    """Decode stored embeddings to `(n, dim)` float32 unit rows.

    Raises:
        GalleryError: An embedding is damaged.
    """
    problem: str | None = f"expected {2 * dim} bytes each, got others"
    if all(isinstance(blob, bytes) and len(blob) == 2 * dim for blob in blobs):
        rows = np.frombuffer(b"".join(blobs), np.float16).reshape(-1, dim).astype(np.float32)
        problem = unit_rows_problem(rows)
    if problem:
        raise GalleryError(f"{database.path}: a damaged embedding: {problem}; find it with `moodspace gallery verify`")
    return rows


def _check_texts(database: Database, *columns: Sequence[Any]) -> None:
    """Raise GalleryError unless all values are texts: SQLite keeps what it is given."""
    if not all(isinstance(value, str) for column in columns for value in column):
        wanted = "expected texts as classes and sources, got other values"
        raise GalleryError(f"{database.path}: {wanted}; restore a copy of it")


def _faces(database: Database, dim: int, rows: Sequence[tuple[Any, ...]]) -> TaughtFaces:
    ids, blobs, labels, sources, digests, added, batches = zip(*rows, strict=True) if rows else ((),) * 7
    _check_texts(database, labels, sources)
    numbers = all(isinstance(one, (int, float)) for one in (*added, *batches))
    if not numbers or not all(isinstance(one, bytes) for one in digests):
        wanted = "expected times, batches and digests, got other values"
        raise GalleryError(f"{database.path}: {wanted}; restore a copy of it")
    return TaughtFaces(
        ids=np.array(ids, np.int64),
        embeddings=decoded(database, dim, blobs),
        labels=labels,
        sources=sources,
        digests=tuple(digest.hex() for digest in digests),
        added=np.array(added, np.float64),
        batches=np.array(batches, np.int64),
    )


def _sql_chunks(values: Sequence[Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield chunks of values that fit into one SQL statement, each with its question marks."""
    for start in range(0, len(values), _PARAMETERS):
        part = values[start : start + _PARAMETERS]
        yield ",".join("?" * len(part)), part
