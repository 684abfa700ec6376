"""Search among more faces than fit into memory: cells of 8-bit vectors, mapped from a file that can always be rebuilt.

What the cells propose is compared again with the 16-bit embeddings in the gallery, so that similarities are as exact as
those of a small gallery, and only a neighbour in a cell that nobody looked into can be missed. How many cells to look
into is measured on the gallery's own faces. An inverted file with scalar quantization: Sivic and Zisserman (2003),
Jégou et al. (2011), as faiss has it.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.index.store.commit import GalleryError, commit
from moodspace.index.store.lock import read_stored
from moodspace.index.store.manifest import MANIFEST, Manifest, StorageError, parse_manifest
from moodspace.index.vectors import add_to_ivf, nearest_in_ivf, nearest_rows, open_ivf, train_ivf, write_vectors

if TYPE_CHECKING:
    import faiss

CELLS_FORMAT, CELLS_VERSION = "moodspace-cells", 1
# Recall against exact search that the numbers of probes are chosen for: for so many neighbors each, measured on so many
# faces. The farther neighbors are, the more they scatter over the cells. For more neighbors than these all cells count.
RECALL = 0.98
RECALL_AT = 10
_TRIALS_AT = {RECALL_AT: 512, 32: 256, 100: 128, 1000: 32}
_VECTORS = "cells.faiss"
# How many cells, times the square root of the number of faces, and from how many faces each is laid out.
_CELLS, _SAMPLE_PER_CELL = 3, 20
# Looking into fewer cells saves next to nothing.
_LEAST_PROBES = 4
_LOCK_TIMEOUT = 300.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Revision:
    """Up to where a gallery's history is known.

    Attributes:
        generation: The last commit.
        token: What tells that commit from one of the same number in another history.
        last_id: The largest id.
    """

    generation: int
    token: str
    last_id: int


@dataclass(frozen=True, slots=True, eq=False)
class IVFIndex:
    """Faces in cells.

    Attributes:
        vectors: The faiss index, under the faces' ids.
        probes: In how many cells a search for `RECALL_AT` neighbors looks.
        recall: The share of the `RECALL_AT` nearest faces that this found at the time.
        probes_at: The same for more neighbors, by their number; empty in those that an older program wrote.
        stand: The state of the gallery they were built from.
    """

    vectors: faiss.IndexIVFScalarQuantizer
    probes: int
    recall: float
    stand: Revision
    probes_at: Mapping[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """Returns the number of faces."""
        return int(self.vectors.ntotal)

    @property
    def last_id(self) -> int:
        """The largest id."""
        return self.stand.last_id

    def probes_for(self, k: int) -> int:
        """Returns in how many cells a search for k neighbors has to look."""
        levels = {RECALL_AT: self.probes} | dict(self.probes_at)
        return min((probes for level, probes in levels.items() if level >= k), default=int(self.vectors.nlist))

    def propose(self, queries: FloatArray, k: int, threads: int, hidden: IntArray) -> tuple[FloatArray, IntArray]:
        """Finds more than k faces for each query, among which the k nearest are to be chosen by their embeddings.

        Args:
            queries: `(n, d)` float32 unit rows.
            k: How many are asked for.
            threads: How many threads may be used.
            hidden: `(m,)` int64, ids to pass over.

        Returns:
            Approximate similarities and ids, -1 for none, `(n, w)`.
        """
        probes = self.probes_for(k)
        similarities, ids = nearest_in_ivf(self.vectors, queries, _reach(k), probes, threads, hidden)
        # Where all around was forgotten, the cells next to the query hold too few.
        while probes < self.vectors.nlist and (lacking := ids[:, -1] < 0).any():
            probes = min(4 * probes, int(self.vectors.nlist))
            more = nearest_in_ivf(self.vectors, queries[lacking], _reach(k), probes, threads, hidden)
            similarities[lacking], ids[lacking] = more
        return similarities, ids


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """The ways to a gallery's embeddings, which need not fit into memory.

    Attributes:
        ids: `(n,)` int64, all of them, rising.
        stream: Yields all faces in order, ids `(m,)` and `(m, d)` float32 unit rows at a time.
        take: Returns the embeddings of some ids, given in rising order.
    """

    ids: IntArray
    stream: Callable[[], Iterable[tuple[IntArray, FloatArray]]]
    take: Callable[[IntArray], FloatArray]


def build_ivf(embeddings: Embeddings, stand: Revision, threads: int) -> IVFIndex:
    """Lays out the cells, fills them, and measures how many of them a search has to look into.

    Args:
        embeddings: The faces, at least one.
        stand: The state of the gallery they are of.
        threads: How many threads the measurement may use.
    """
    rng = np.random.default_rng(0)
    n = len(embeddings.ids)
    cells = min(n, round(_CELLS * n**0.5))
    vectors = train_ivf(embeddings.take(_some(embeddings.ids, _SAMPLE_PER_CELL * cells, rng)), cells)
    levels = {}
    for k, trials in _TRIALS_AT.items():
        own = _some(embeddings.ids, trials, rng)
        levels[k] = _Nearest(embeddings.take(own), own, k)
    for ids, rows in embeddings.stream():
        add_to_ivf(vectors, rows, ids)
        for exact in levels.values():
            exact.look_at(ids, rows)
    found: dict[int, tuple[int, float]] = {}
    probes = _LEAST_PROBES
    for k, exact in levels.items():
        # A larger number of neighbors never takes fewer.
        probes, recall = found[k] = _measured(vectors, embeddings, exact, threads, probes)
        _log.info("%d faces in %d cells: looking into %d finds %.1f %% of %d", n, cells, probes, 100 * recall, k)
    deeper = {k: probes for k, (probes, _) in found.items() if k != RECALL_AT}
    return IVFIndex(vectors, *found[RECALL_AT], stand, deeper)


def _some(ids: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    return np.sort(rng.choice(ids, min(count, len(ids)), replace=False))


def _reach(k: int) -> int:
    """Returns how many of 8 bits it takes to have the k nearest of 16 bits among them."""
    return k + max(5, k // 2)


class _Nearest:
    """How near the k nearest faces are to some faces of the gallery, themselves left out, found by looking at all."""

    def __init__(self, queries: FloatArray, own: IntArray, k: int) -> None:
        self.queries, self.own, self.k = queries, own, k
        self.similarities = np.full((len(own), k), -2, np.float32)
        self._taken, self._rows = np.empty(0, np.int64), queries[:0]

    def look_at(self, ids: IntArray, rows: FloatArray) -> None:
        similarities, places = nearest_rows(rows, self.queries, min(self.k + 1, len(ids)))
        similarities[ids[places] == self.own[:, None]] = -2
        found = np.concatenate([self.similarities, similarities], axis=1)
        self.similarities = -np.sort(-found, axis=1)[:, : self.k]

    def recall(self, ids: IntArray, embeddings: Embeddings) -> float:
        """Returns the share of the k nearest that is among `ids`, `(n, w)`, -1 for none."""
        self._take(np.setdiff1d(ids[ids >= 0], self._taken), embeddings)
        rows = self._rows[np.searchsorted(self._taken, ids).clip(max=len(self._taken) - 1)]
        similarities = np.einsum("nwd,nd->nw", rows, self.queries)
        similarities[(ids < 0) | (ids == self.own[:, None])] = -2
        # Counted by similarity to the farthest that belongs: of faces that are equally near any will do.
        found = -np.sort(-similarities, axis=1)[:, : self.k]
        return float((found >= self.similarities[:, -1:] - 1e-6).mean())

    def _take(self, fresh: IntArray, embeddings: Embeddings) -> None:
        taken = np.concatenate([self._taken, fresh])
        order = np.argsort(taken)
        self._taken = taken[order]
        self._rows = np.concatenate([self._rows, embeddings.take(fresh)])[order]


def _measured(
    vectors: faiss.IndexIVFScalarQuantizer, embeddings: Embeddings, exact: _Nearest, threads: int, probes: int
) -> tuple[int, float]:
    """Looks into ever more cells until enough is found; returns how many that took, and the recall."""
    probes = min(probes, int(vectors.nlist))
    while True:
        reach, nothing = _reach(exact.k) + 1, np.empty(0, np.int64)
        _, ids = nearest_in_ivf(vectors, exact.queries, reach, probes, threads, nothing)
        recall = exact.recall(ids, embeddings)
        if recall >= RECALL or probes == vectors.nlist:
            return probes, recall
        probes = min(probes + probes // 2, int(vectors.nlist))


def save_ivf(folder: Path, cells: IVFIndex) -> None:
    """Writes cells to a folder of their own, in one step, over whatever was there.

    Raises:
        StorageError: The disk refused.
    """
    try:
        parse_manifest(folder, CELLS_FORMAT, CELLS_VERSION)
    except StorageError:
        (folder / MANIFEST).unlink(missing_ok=True)  # or the commit would refuse to replace what it cannot read
    stand = cells.stand
    meta = {
        "probes": cells.probes, "recall": cells.recall, "probes_at": {str(k): n for k, n in cells.probes_at.items()},
        "count": len(cells), "dim": int(cells.vectors.d),
        "generation": stand.generation, "token": stand.token, "last_id": stand.last_id,
    }  # fmt: skip
    files = {_VECTORS: lambda path: write_vectors(path, cells.vectors)}
    commit(folder, files, meta, format=CELLS_FORMAT, version=CELLS_VERSION)


def load_ivf(folder: Path, dim: int) -> IVFIndex | None:
    """Opens what `save_ivf` wrote; None where it is missing, damaged or of another make, and has to be rebuilt."""
    if not (folder / MANIFEST).exists():
        return None
    try:
        return read_stored(
            folder, format=CELLS_FORMAT, version=CELLS_VERSION, read=lambda manifest: _opened(manifest, dim)
        )
    except (StorageError, GalleryError, KeyError, TypeError, ValueError, AttributeError) as error:
        _log.warning("the search index will be built again: %s", error)
        return None


def _opened(manifest: Manifest, dim: int) -> IVFIndex:
    vectors, meta = open_ivf(manifest.path(_VECTORS)), manifest.meta
    stand = Revision(int(meta["generation"]), str(meta["token"]), int(meta["last_id"]))
    probes_at = {int(k): int(probes) for k, probes in meta.get("probes_at", {}).items()}
    looked = (meta["probes"], *probes_at.values())
    if (vectors.d, vectors.ntotal) != (dim, meta["count"]) or not all(1 <= one <= vectors.nlist for one in looked):
        got = f"expected {meta['count']} faces, got {vectors.ntotal}"
        raise GalleryError(f"{manifest.folder}: {got}; delete the folder")
    return IVFIndex(vectors, meta["probes"], float(meta["recall"]), stand, probes_at)


@contextlib.contextmanager
def building(folder: Path) -> Iterator[None]:
    """Lets one process at a time build the cells of a folder; others wait and then find them built.

    Raises:
        OSError: The folder cannot be written.
        sqlite3.Error: It cannot be locked, or another process took minutes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = sqlite3.connect(folder / "building.lock", timeout=_LOCK_TIMEOUT, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        lock.close()
