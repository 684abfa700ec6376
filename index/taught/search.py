"""A searchable snapshot of the user's gallery, which can be updated incrementally.

Most faces are in a base that rarely changes: a flat index in memory or, for large galleries, an IVF index on disk.
Newer faces are in a small flat tail; removed faces are filtered out. Labels and sources are read from the database,
only for the faces that were found.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.index.gallery import unit_rows_problem
from moodspace.index.search import Neighbors
from moodspace.index.taught.faces import TAUGHT
from moodspace.index.taught.ivf import IVFIndex, Revision
from moodspace.index.vectors import build_vectors, decode, nearest

if TYPE_CHECKING:
    import faiss

# The base is rebuilt when tail and removed faces exceed this share of it, and at least this number.
TAIL_SHARE, TAIL_LEAST = 0.05, 1000
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class FoundFaces:
    """The faces that a lookup found; missing ones are left out.

    Attributes:
        ids: `(n,)` int64, increasing.
        labels: n class names.
        sources: Where the n faces came from.
        embeddings: `(n, d)` float32 unit rows, rounded to 16 bits.
    """

    ids: IntArray
    labels: tuple[str, ...]
    sources: tuple[str, ...]
    embeddings: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class FlatIndex:
    """An exact index in memory, 16 bits per value.

    Attributes:
        vectors: The faiss index, under the faces' ids.
        ids: `(n,)` int64, increasing.
    """

    vectors: faiss.IndexIDMap2
    ids: IntArray

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.ids)

    @property
    def last_id(self) -> int:
        """The largest id."""
        return int(self.ids[-1]) if len(self) else -1

    @classmethod
    def build(cls, embeddings: FloatArray, ids: IntArray) -> FlatIndex:
        """Index `embeddings`, `(n, d)` float32 unit rows, under `ids`, `(n,)` int64, increasing."""
        return cls(build_vectors(embeddings, ids), ids)

    def propose(self, queries: FloatArray, k: int, threads: int, hidden: IntArray) -> tuple[FloatArray, IntArray]:
        """Return similarities and ids `(n, <= k)` of the nearest faces, without those in `hidden`."""
        k = min(k, len(self) - len(hidden))
        if k < 1:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        return nearest(self.vectors, queries, k, threads, hidden)

    def without(self, hidden: IntArray) -> tuple[FloatArray, IntArray]:
        """Return the embeddings and ids of all faces that are not in `hidden`."""
        keep = ~np.isin(self.ids, hidden)
        return decode(self.vectors)[keep], self.ids[keep]


class TaughtIndex:
    """An immutable snapshot of the user's gallery; see `TaughtGallery.snapshot`.

    Attributes:
        revision: The revision of the gallery.
        classes: The names of the classes that have faces, sorted.
        threads: How many threads a search may use.
    """

    def __init__(
        self,
        base: FlatIndex | IVFIndex,
        tail: FlatIndex,
        hidden: IntArray,
        *,
        revision: Revision,
        classes: tuple[str, ...],
        look_up: Callable[[IntArray], FoundFaces],
        newest: Callable[[str, int], FloatArray],
        threads: int = 1,
    ) -> None:
        """Combine the parts.

        Args:
            base: The index of most faces.
            tail: The index of the faces taught since.
            hidden: `(m,)` int64, ids of the base that were removed since.
            revision: The revision of the gallery.
            classes: The names of the classes that have faces, sorted.
            look_up: Returns the faces with the given distinct ids.
            newest: Returns the embeddings of up to the given number of newest faces of a class.
            threads: How many threads a search may use.
        """
        self.base, self.tail, self.hidden = base, tail, hidden
        self.revision, self.classes, self.threads = revision, classes, threads
        self._look_up, self._newest = look_up, newest

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.base) + len(self.tail) - len(self.hidden)

    @property
    def generation(self) -> int:
        """The gallery's `generation` at this revision."""
        return self.revision.generation

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self.tail.vectors.d)

    def look_up(self, ids: IntArray) -> FoundFaces:
        """Return those of the faces with these distinct ids that still exist.

        Raises:
            GalleryError: The gallery is damaged.
            StorageError: The gallery can no longer be read.
        """
        return self._look_up(ids)

    def examples(self, name: str, limit: int) -> FloatArray:
        """Return the embeddings, `(n, d)` float32 unit rows, of up to `limit` newest faces of a class.

        Raises:
            GalleryError: The gallery is damaged.
            StorageError: The gallery can no longer be read.
        """
        return self._newest(name, limit)

    def search(self, queries: FloatArray, k: int) -> Neighbors:
        """Find the taught faces most similar to each query; ties go to the face taught first.

        Faces removed after this snapshot was taken are left out, so that they no longer vote.

        Args:
            queries: `(n, d)` float32, rows of unit length, finite; n = 0 is legal.
            k: How many neighbors to return; columns beyond the size of the gallery have none.

        Returns:
            Neighbors with one label set, `TAUGHT`, whose columns are `classes`.

        Raises:
            ValueError: `queries` are invalid, or k is less than 1.
            GalleryError: The gallery is damaged.
            StorageError: The gallery can no longer be read.
        """
        if problem := unit_rows_problem(queries, self.dim):
            raise ValueError(f"queries: {problem}")
        if (k := operator.index(k)) < 1:
            raise ValueError(f"k: expected at least 1, got {k}; ask for one neighbor or more")
        proposed = [
            self.base.propose(queries, k, self.threads, self.hidden),
            self.tail.propose(queries, k, self.threads, _NONE),
            (np.full((len(queries), k), -1, np.float32), np.full((len(queries), k), -1, np.int64)),
        ]
        similarities, ids = (np.concatenate(part, axis=1) for part in zip(*proposed, strict=True))
        if isinstance(self.base, FlatIndex):
            best = _best(similarities, ids, k)
            similarities, ids = (np.take_along_axis(column, best, axis=1) for column in (similarities, ids))
        return self._neighbors(queries, similarities, ids, k)

    def _neighbors(self, queries: FloatArray, similarities: FloatArray, ids: IntArray, k: int) -> Neighbors:
        wanted = np.unique(ids)
        faces = self._look_up(wanted[wanted >= 0])
        # The row after the last face stands for ids that are missing or removed.
        rows = np.searchsorted(faces.ids, ids)
        present = np.append(faces.ids, -1)[rows] == ids
        rows[~(present & (ids >= 0))] = len(faces.ids)
        ids = np.where(rows < len(faces.ids), ids, -1)
        if isinstance(self.base, IVFIndex):
            embeddings = np.concatenate([faces.embeddings, np.zeros((1, self.dim), np.float32)])
            similarities = np.einsum("nwd,nd->nw", embeddings[rows], queries)
        similarities = np.where(ids < 0, np.float32(-1), similarities.clip(-1, 1))
        columns = {name: column for column, name in enumerate(self.classes)}
        labels = np.array([*(columns.get(label, -1) for label in faces.labels), -1], np.int64)
        best = _best(similarities, ids, k)
        ids, rows = np.take_along_axis(ids, best, axis=1), np.take_along_axis(rows, best, axis=1)
        sources = np.array([*faces.sources, ""], np.str_)[rows]
        similarities = np.take_along_axis(similarities, best, axis=1)
        return Neighbors(ids, {TAUGHT: labels[rows]}, similarities, ids >= 0, sources)

    def updated(
        self, ids: IntArray, embeddings: FloatArray, removed: IntArray, revision: Revision, classes: tuple[str, ...]
    ) -> TaughtIndex:
        """Return the next snapshot.

        Args:
            ids: `(n,)` int64, increasing: faces taught since.
            embeddings: `(n, d)` float32 unit rows: their embeddings.
            removed: `(m,)` int64, ids of faces removed since.
            revision: The new revision.
            classes: The new classes.
        """
        kept, kept_ids = self.tail.without(removed)
        tail = FlatIndex.build(np.concatenate([kept, embeddings]), np.concatenate([kept_ids, ids]))
        base = self.base
        # Faces that were taught and removed since are in neither part.
        hidden = np.concatenate([self.hidden, removed[removed <= base.last_id]])
        if isinstance(base, FlatIndex) and is_large(len(tail) + len(hidden), len(base)):
            rows, row_ids = base.without(hidden)
            base = FlatIndex.build(np.concatenate([rows, decode(tail.vectors)]), np.concatenate([row_ids, tail.ids]))
            tail, hidden = FlatIndex.build(rows[:0], _NONE), _NONE
        return TaughtIndex(
            base,
            tail,
            hidden,
            revision=revision,
            classes=classes,
            look_up=self._look_up,
            newest=self._newest,
            threads=self.threads,
        )


def is_large(changes: int, base: int) -> bool:
    """Return whether the base should be rebuilt after this many taught and removed faces."""
    return changes > max(TAIL_LEAST, TAIL_SHARE * base)


def _best(similarities: FloatArray, ids: IntArray, k: int) -> IntArray:
    """Return the columns of the k best in each row; ties go to the lower id, missing ones come last."""
    return np.lexsort((ids, -similarities, ids < 0), axis=-1)[:, :k]
