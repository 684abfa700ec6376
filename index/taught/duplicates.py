"""Find faces that a gallery already has, so that importing a file twice adds nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import numpy as np

from moodspace.arrays import DoubleArray, FloatArray
from moodspace.embeddings.data.labels import displayable
from moodspace.index.taught.database import Database
from moodspace.index.taught.faces import NewFaces
from moodspace.index.taught.faces_table import OF_CLASS, decoded

# Embeddings are stored in 16 bits and may be rounded again when they move to another gallery. That changes a cosine by
# about 1e-7; visibly different pictures differ by more.
_SAME = 1 - 1e-6
_CHUNK = 4096


def missing_rows(connection: sqlite3.Connection, database: Database, dim: int, faces: NewFaces) -> list[int]:
    """Return the rows of faces that the gallery lacks under the same class; of identical faces only the first.

    Two faces of a class are identical if their digests are equal, or if one has no digest and their embeddings are
    equal up to rounding.

    Args:
        connection: The connection of the transaction that will add them.
        database: The gallery, for its path in error messages.
        dim: Length of an embedding.
        faces: The n faces.

    Raises:
        GalleryError: An embedding in the gallery is damaged.
    """
    by_class: dict[str, list[int]] = {}
    for row, label in enumerate(faces.labels):
        by_class.setdefault(displayable(label), []).append(row)
    missing: list[int] = []
    for label, rows in by_class.items():
        fresh = _unknown_digests(connection, label, faces.digests, rows)
        own, named = _unit_rows(faces.embeddings[fresh]), np.array([bool(faces.digests[row]) for row in fresh], bool)
        # A face with a digest can be identical to one without.
        blank = "digest = x'' AND " if named.all() else ""
        cursor = connection.execute(f"SELECT embedding, digest != x'' FROM faces WHERE {blank}{OF_CLASS}", (label,))
        held = np.zeros(len(fresh), bool)
        while part := cursor.fetchmany(_CHUNK):
            theirs = _unit_rows(decoded(database, dim, [blob for blob, _ in part]))
            they_named = np.array([bool(digest) for _, digest in part], bool)
            for start in range(0, len(fresh), _CHUNK):
                block = slice(start, start + _CHUNK)
                same = own[block] @ theirs.T >= _SAME
                held[block] |= (same & ~(named[block, None] & they_named)).any(axis=1)
        with_digest, without = _Rows(dim), _Rows(dim)
        for at in np.flatnonzero(~held):
            if without.has(own[at]) or (not named[at] and with_digest.has(own[at])):
                continue
            (with_digest if named[at] else without).add(own[at])
            missing.append(fresh[at])
    return sorted(missing)


class _Rows:
    """A growing list of unit rows of one class, to compare with."""

    def __init__(self, dim: int) -> None:
        self._rows = np.empty((64, dim))
        self._count = 0

    def has(self, row: DoubleArray) -> bool:
        return bool((self._rows[: self._count] @ row >= _SAME).any())

    def add(self, row: DoubleArray) -> None:
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[self._count] = row
        self._count += 1


def _unknown_digests(
    connection: sqlite3.Connection, label: str, digests: Sequence[str], rows: Sequence[int]
) -> list[int]:
    """Return the rows without a digest and those whose digest is new to the class, each digest once."""
    seen: set[str] = set()
    fresh = []
    for row in rows:
        digest = digests[row]
        if digest:
            found = f"SELECT 1 FROM faces WHERE digest = ? AND {OF_CLASS} LIMIT 1"
            if digest in seen or connection.execute(found, (bytes.fromhex(digest), label)).fetchone():
                continue
            seen.add(digest)
        fresh.append(row)
    return fresh


def _unit_rows(rows: FloatArray) -> DoubleArray:
    wide = rows.astype(np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True))
