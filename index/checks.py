"""Looks at every part of the user's gallery and says what is wrong with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import numpy as np

from index.database import FIRST_ID, Database
from index.gallery import NORM_TOLERANCE
from index.storage import GalleryError
from index.sync import FACES

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
