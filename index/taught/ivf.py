"""An IVF index of 8-bit vectors for galleries that do not fit into memory, mapped from a file that can be rebuilt.

Its candidates are re-ranked by the 16-bit embeddings of the gallery, so that similarities are exact and only neighbors
in lists that were not searched can be missed. `nprobe`, the number of lists to search, is tuned on the gallery's own
faces. Inverted file: Sivic and Zisserman (2003); scalar quantization as in faiss; see also Jégou et al. (2011).
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

IVF_FORMAT, IVF_VERSION = "moodspace-cells", 1
# nprobe is tuned for this recall against exact search, for each k below, on so many faces. Farther neighbors are spread
# over more lists. For a larger k all lists are searched.
RECALL = 0.98
RECALL_AT = 10
_TRIALS_AT = {RECALL_AT: 512, 32: 256, 100: 128, 1000: 32}
_VECTORS = "cells.faiss"
# nlist = 3 * sqrt(n); 20 training vectors per centroid.
_CELLS, _TRAINING_VECTORS_PER_LIST = 3, 20
# A smaller nprobe saves hardly any time.
_MIN_NPROBE = 4
_LOCK_TIMEOUT = 300.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Revision:
    """A point in a gallery's history.

    Attributes:
        generation: The number of the last commit.
        token: The random token of that commit, which differs in a history after restoring a copy.
        last_id: The largest id so far.
    """

    generation: int
    token: str
    last_id: int


@dataclass(frozen=True, slots=True, eq=False)
class IVFIndex:
    """An approximate index of faces.

    Attributes:
        vectors: The faiss index, under the faces' ids.
        nprobe: How many lists to search for `RECALL_AT` neighbors.
        recall: The measured recall of the `RECALL_AT` nearest faces.
        nprobe_at: The same for larger numbers of neighbors; empty in indexes of older versions.
        revision: The revision of the gallery that it was built from.
    """

    vectors: faiss.IndexIVFScalarQuantizer
    nprobe: int
    recall: float
    revision: Revision
    nprobe_at: Mapping[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of faces."""
        return int(self.vectors.ntotal)

    @property
    def last_id(self) -> int:
        """The largest id."""
        return self.revision.last_id

    def nprobe_for(self, k: int) -> int:
        """Return how many lists to search for k neighbors."""
        levels = {RECALL_AT: self.nprobe} | dict(self.nprobe_at)
        return min((nprobe for level, nprobe in levels.items() if level >= k), default=int(self.vectors.nlist))

    def propose(self, queries: FloatArray, k: int, threads: int, hidden: IntArray) -> tuple[FloatArray, IntArray]:
        """Find more than k candidates for each query, to be re-ranked by their embeddings.

        Args:
            queries: `(n, d)` float32 unit rows.
            k: The number of neighbors wanted.
            threads: How many threads may be used.
            hidden: `(m,)` int64, ids to leave out.

        Returns:
            Approximate similarities and ids, -1 for none, `(n, w)`.
        """
        nprobe = self.nprobe_for(k)
        similarities, ids = nearest_in_ivf(self.vectors, queries, _candidates_for(k), nprobe, threads, hidden)
        # If most faces near the query were removed, its nearest lists hold too few.
        while nprobe < self.vectors.nlist and (lacking := ids[:, -1] < 0).any():
            nprobe = min(4 * nprobe, int(self.vectors.nlist))
            more = nearest_in_ivf(self.vectors, queries[lacking], _candidates_for(k), nprobe, threads, hidden)
            similarities[lacking], ids[lacking] = more
        return similarities, ids


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Access to a gallery's embeddings, which need not fit into memory.

    Attributes:
        ids: `(n,)` int64, all ids, increasing.
        stream: Yields all faces in order, in chunks: ids `(m,)` and `(m, d)` float32 unit rows.
        take: Returns the embeddings of the given ids, in increasing order.
    """

    ids: IntArray
    stream: Callable[[], Iterable[tuple[IntArray, FloatArray]]]
    take: Callable[[IntArray], FloatArray]


def build_ivf(embeddings: Embeddings, revision: Revision, threads: int) -> IVFIndex:
    """Train the index, add all faces, and tune nprobe.

    Args:
        embeddings: The faces, at least one.
        revision: The revision of the gallery.
        threads: How many threads the tuning may use.
    """
    rng = np.random.default_rng(0)
    n = len(embeddings.ids)
    ivf = min(n, round(_CELLS * n**0.5))
    vectors = train_ivf(embeddings.take(_sample(embeddings.ids, _TRAINING_VECTORS_PER_LIST * ivf, rng)), ivf)
    levels = {}
    for k, trials in _TRIALS_AT.items():
        own = _sample(embeddings.ids, trials, rng)
        levels[k] = _ExactSearch(embeddings.take(own), own, k)
    for ids, rows in embeddings.stream():
        add_to_ivf(vectors, rows, ids)
        for exact in levels.values():
            exact.look_at(ids, rows)
    found: dict[int, tuple[int, float]] = {}
    nprobe = _MIN_NPROBE
    for k, exact in levels.items():
        # A larger k never needs a smaller nprobe.
        nprobe, recall = found[k] = _tuned_nprobe(vectors, embeddings, exact, threads, nprobe)
        _log.info("%d faces, nlist %d: nprobe %d finds %.1f %% of the %d nearest", n, ivf, nprobe, 100 * recall, k)
    deeper = {k: nprobe for k, (nprobe, _) in found.items() if k != RECALL_AT}
    return IVFIndex(vectors, *found[RECALL_AT], revision, deeper)


def _sample(ids: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    return np.sort(rng.choice(ids, min(count, len(ids)), replace=False))


def _candidates_for(k: int) -> int:
    """Return how many candidates to fetch by 8-bit codes so that they include the k nearest by 16 bits."""
    return k + max(5, k // 2)


class _ExactSearch:
    """Exact search for the k nearest faces of some of the gallery's faces, each without itself, to measure recall."""

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
        """Return the share of the k nearest faces that are among `ids`, `(n, w)`, -1 for none."""
        self._take(np.setdiff1d(ids[ids >= 0], self._taken), embeddings)
        rows = self._rows[np.searchsorted(self._taken, ids).clip(max=len(self._taken) - 1)]
        similarities = np.einsum("nwd,nd->nw", rows, self.queries)
        similarities[(ids < 0) | (ids == self.own[:, None])] = -2
        # Compared by similarity to the k-th face, because any of several equally similar faces is right.
        found = -np.sort(-similarities, axis=1)[:, : self.k]
        return float((found >= self.similarities[:, -1:] - 1e-6).mean())

    def _take(self, fresh: IntArray, embeddings: Embeddings) -> None:
        taken = np.concatenate([self._taken, fresh])
        order = np.argsort(taken)
        self._taken = taken[order]
        self._rows = np.concatenate([self._rows, embeddings.take(fresh)])[order]


def _tuned_nprobe(
    vectors: faiss.IndexIVFScalarQuantizer, embeddings: Embeddings, exact: _ExactSearch, threads: int, nprobe: int
) -> tuple[int, float]:
    """Increase nprobe until the recall suffices; return nprobe and the recall."""
    nprobe = min(nprobe, int(vectors.nlist))
    while True:
        reach, nothing = _candidates_for(exact.k) + 1, np.empty(0, np.int64)
        _, ids = nearest_in_ivf(vectors, exact.queries, reach, nprobe, threads, nothing)
        recall = exact.recall(ids, embeddings)
        if recall >= RECALL or nprobe == vectors.nlist:
            return nprobe, recall
        nprobe = min(nprobe + nprobe // 2, int(vectors.nlist))


def save_ivf(folder: Path, ivf: IVFIndex) -> None:
    """Write an index to its folder, in one step; replace whatever is there.

    Raises:
        StorageError: Writing failed.
    """
    try:
        parse_manifest(folder, IVF_FORMAT, IVF_VERSION)
    except StorageError:
        (folder / MANIFEST).unlink(missing_ok=True)  # because a commit refuses to replace what it cannot read
    revision = ivf.revision
    meta = {
        "probes": ivf.nprobe, "recall": ivf.recall, "probes_at": {str(k): n for k, n in ivf.nprobe_at.items()},
        "count": len(ivf), "dim": int(ivf.vectors.d),
        "generation": revision.generation, "token": revision.token, "last_id": revision.last_id,
    }  # fmt: skip
    files = {_VECTORS: lambda path: write_vectors(path, ivf.vectors)}
    commit(folder, files, meta, format=IVF_FORMAT, version=IVF_VERSION)


def load_ivf(folder: Path, dim: int) -> IVFIndex | None:
    """Open a saved index; return None if it is missing, damaged or of another version, and must be rebuilt."""
    if not (folder / MANIFEST).exists():
        return None
    try:
        return read_stored(folder, format=IVF_FORMAT, version=IVF_VERSION, read=lambda manifest: _opened(manifest, dim))
    except (StorageError, GalleryError, KeyError, TypeError, ValueError, AttributeError) as error:
        _log.warning("rebuilding the search index: %s", error)
        return None


def _opened(manifest: Manifest, dim: int) -> IVFIndex:
    vectors, meta = open_ivf(manifest.path(_VECTORS)), manifest.meta
    revision = Revision(int(meta["generation"]), str(meta["token"]), int(meta["last_id"]))
    nprobe_at = {int(k): int(nprobe) for k, nprobe in meta.get("probes_at", {}).items()}
    looked = (meta["probes"], *nprobe_at.values())
    if (vectors.d, vectors.ntotal) != (dim, meta["count"]) or not all(1 <= one <= vectors.nlist for one in looked):
        got = f"expected {meta['count']} faces, got {vectors.ntotal}"
        raise GalleryError(f"{manifest.folder}: {got}; delete the folder")
    return IVFIndex(vectors, meta["probes"], float(meta["recall"]), revision, nprobe_at)


@contextlib.contextmanager
def building_lock(folder: Path) -> Iterator[None]:
    """Lock a folder so that one process at a time builds its index; others wait and then find it built.

    Raises:
        OSError: The folder cannot be written.
        sqlite3.Error: It cannot be locked, or another process holds the lock for minutes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = sqlite3.connect(folder / "building.lock", timeout=_LOCK_TIMEOUT, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        lock.close()
