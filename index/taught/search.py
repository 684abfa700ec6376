"""The user's gallery as it can be searched: one state of it, from which the next follows without starting anew.

Most faces lie in a base that changes seldom, flat in memory or, where they are many, in cells on the disk. Faces taught
since lie in a small flat tail, ids of faces forgotten since are passed over. Labels and sources are read where they
stand, in the database, and only for the faces that were found.
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

# The tail, and what is passed over, may grow to this share of the base, or to this number.
TAIL_SHARE, TAIL_LEAST = 0.05, 1000
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Faces that were looked up; those that are gone are left out.

    Attributes:
        ids: `(n,)` int64, rising.
        labels: n class names.
        sources: n places where they came from.
        embeddings: `(n, d)` float32 unit rows, rounded to 16 bits.
    """

    ids: IntArray
    labels: tuple[str, ...]
    sources: tuple[str, ...]
    embeddings: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class FlatIndex:
    """Faces in memory, 16 bits a number, searched exactly.

    Attributes:
        vectors: The faiss index, under the faces' ids.
        ids: `(n,)` int64, rising.
    """

    vectors: faiss.IndexIDMap2
    ids: IntArray

    def __len__(self) -> int:
        """Returns the number of faces."""
        return len(self.ids)

    @property
    def last_id(self) -> int:
        """The largest id."""
        return int(self.ids[-1]) if len(self) else -1

    @classmethod
    def build(cls, embeddings: FloatArray, ids: IntArray) -> FlatIndex:
        """Indexes `embeddings`, `(n, d)` float32 unit rows, under `ids`, `(n,)` int64, rising."""
        return cls(build_vectors(embeddings, ids), ids)

    def propose(self, queries: FloatArray, k: int, threads: int, hidden: IntArray) -> tuple[FloatArray, IntArray]:
        """Finds the k nearest faces, or all, without those of the ids in `hidden`; similarities and ids `(n, <= k)`."""
        k = min(k, len(self) - len(hidden))
        if k < 1:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        return nearest(self.vectors, queries, k, threads, hidden)

    def without(self, hidden: IntArray) -> tuple[FloatArray, IntArray]:
        """Returns embeddings and ids of all faces but those in `hidden`."""
        keep = ~np.isin(self.ids, hidden)
        return decode(self.vectors)[keep], self.ids[keep]


class TaughtIndex:
    """One state of the user's gallery, which does not change; see `TaughtGallery.snapshot`.

    Attributes:
        stand: Which state.
        classes: The names of the classes that have faces, sorted.
        threads: How many threads a search may use.
    """

    def __init__(
        self,
        base: FlatIndex | IVFIndex,
        tail: FlatIndex,
        hidden: IntArray,
        *,
        stand: Revision,
        classes: tuple[str, ...],
        look_up: Callable[[IntArray], Found],
        newest: Callable[[str, int], FloatArray],
        threads: int = 1,
    ) -> None:
        """Puts the parts together.

        Args:
            base: Most faces.
            tail: Faces taught since.
            hidden: `(m,)` int64, ids of the base that were forgotten since.
            stand: The state of the gallery that this is.
            classes: The names of the classes that have faces, sorted.
            look_up: Returns what the gallery knows of the faces with some ids, each once.
            newest: Returns the embeddings of the newest faces of a class, at most so many.
            threads: How many threads a search may use.
        """
        self.base, self.tail, self.hidden = base, tail, hidden
        self.stand, self.classes, self.threads = stand, classes, threads
        self._look_up, self._newest = look_up, newest

    def __len__(self) -> int:
        """Returns the number of faces."""
        return len(self.base) + len(self.tail) - len(self.hidden)

    @property
    def generation(self) -> int:
        """The gallery's `generation` at the time."""
        return self.stand.generation

    @property
    def dim(self) -> int:
        """How many numbers an embedding has."""
        return int(self.tail.vectors.d)

    def look_up(self, ids: IntArray) -> Found:
        """Returns what the gallery knows now of the faces with these ids, each given once.

        Raises:
            GalleryError: The gallery is damaged.
            StorageError: The gallery cannot be read any more.
        """
        return self._look_up(ids)

    def examples(self, name: str, limit: int) -> FloatArray:
        """Returns the embeddings `(n, d)`, float32 unit rows, of the newest faces of a class, at most `limit`.

        Raises:
            GalleryError: The gallery is damaged.
            StorageError: The gallery cannot be read any more.
        """
        return self._newest(name, limit)

    def search(self, queries: FloatArray, k: int) -> Neighbors:
        """Finds the taught faces most similar to each query; of equally similar ones the first taught wins.

        Faces forgotten after this state was taken are left out, so that they cannot vote any more.

        Args:
            queries: `(n, d)` float32, rows of unit length, finite; n = 0 is legal.
            k: How many neighbours to return; more than there are leaves the last columns without a neighbour.

        Returns:
            Neighbours whose only label set is `TAUGHT`, in the columns of `classes`.

        Raises:
            ValueError: `queries` break these rules, or k is less than 1.
            GalleryError: The gallery is damaged.
            StorageError: The gallery cannot be read any more.
        """
        if problem := unit_rows_problem(queries, self.dim):
            raise ValueError(f"queries: {problem}")
        if (k := operator.index(k)) < 1:
            raise ValueError(f"k: expected at least 1, got {k}; ask for one neighbour or more")
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
        # One row more than there are faces, at the end, for ids that are missing or gone.
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

    def followed(
        self, ids: IntArray, embeddings: FloatArray, removed: IntArray, stand: Revision, classes: tuple[str, ...]
    ) -> TaughtIndex:
        """Returns the state that follows this one.

        Args:
            ids: `(n,)` int64, faces taught since, rising.
            embeddings: `(n, d)` float32 unit rows, theirs.
            removed: `(m,)` int64, ids of faces forgotten since.
            stand: Which state the new one is.
            classes: Its classes.
        """
        kept, kept_ids = self.tail.without(removed)
        tail = FlatIndex.build(np.concatenate([kept, embeddings]), np.concatenate([kept_ids, ids]))
        base = self.base
        # What was taught and forgotten since is in neither part.
        hidden = np.concatenate([self.hidden, removed[removed <= base.last_id]])
        if isinstance(base, FlatIndex) and is_large(len(tail) + len(hidden), len(base)):
            rows, row_ids = base.without(hidden)
            base = FlatIndex.build(np.concatenate([rows, decode(tail.vectors)]), np.concatenate([row_ids, tail.ids]))
            tail, hidden = FlatIndex.build(rows[:0], _NONE), _NONE
        return TaughtIndex(
            base,
            tail,
            hidden,
            stand=stand,
            classes=classes,
            look_up=self._look_up,
            newest=self._newest,
            threads=self.threads,
        )


def is_large(changes: int, base: int) -> bool:
    """Tells whether so many faces were taught or forgotten since the base was built that a new one is due."""
    return changes > max(TAIL_LEAST, TAIL_SHARE * base)


def _best(similarities: FloatArray, ids: IntArray, k: int) -> IntArray:
    """Returns the places of the k best in each row, the lower id first among equals, missing ones last."""
    return np.lexsort((ids, -similarities, ids < 0), axis=-1)[:, :k]
