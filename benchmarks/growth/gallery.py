"""Search in galleries of growing size: exact, and by the inverted lists of large taught galleries.

Counted is the processor time of the one thread that searches; `build_s` is that of all threads. `mb` is the size of the
vectors, ids and centers that the search needs in memory or mapped.
"""

import time
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.growth.curves import Curve
from benchmarks.growth.gallery_scale import DIM, Crowd, K
from moodspace.arrays import FloatArray, IntArray
from moodspace.index.taught.ivf import Embeddings, Revision, build_ivf
from moodspace.index.vectors import build_vectors, nearest

_CHUNK = 100_000
_QUERIES, _TIMED_S = 200, 3.0
_IVF_FROM = 10_000  # below, a taught gallery has no inverted lists


def crowd_rows(n: int, seed: int) -> np.ndarray:
    """Draw n faces of the distribution of `gallery_scale`, `(n, 128)` float16 unit rows."""
    crowd = Crowd.make(0)
    centers, rng = crowd.centers.astype(np.float32), np.random.default_rng(seed)
    rows = np.empty((n, DIM), np.float16)
    for first in range(0, n, _CHUNK):
        part = rng.standard_normal((min(_CHUNK, n - first), DIM), np.float32) * np.float32(0.8 / DIM**0.5)
        part += centers[rng.integers(0, len(centers), len(part))]
        rows[first : first + len(part)] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return rows


def gallery_curves(sizes: Sequence[int], *, lists: bool = True) -> Iterator[Curve]:
    """Measure one query at a time on one thread; yield both curves after each size.

    Args:
        sizes: How many faces.
        lists: Whether to build the inverted lists too, which takes minutes for ten million faces.
    """
    x, label = "faces in the gallery", "processor ms a query"
    exact = Curve("gallery_exact", x, "median_ms", f"exact: {label}")
    ivf = Curve("gallery_lists", x, "median_ms", f"inverted lists: {label}")
    queries = crowd_rows(_QUERIES, 1).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    for n in sizes:
        rows = crowd_rows(n, 2)
        point, truth = _exact(rows, queries)
        exact.points.append(point)
        yield exact
        if lists and n >= _IVF_FROM:
            ivf.points.append(_lists(rows, queries[: len(truth)], truth))
            yield ivf


def _float_chunks(rows: np.ndarray) -> Iterator[tuple[IntArray, FloatArray]]:
    for first in range(0, len(rows), _CHUNK):
        part = rows[first : first + _CHUNK].astype(np.float32)
        yield np.arange(first, first + len(part)), part


def _exact(rows: np.ndarray, queries: FloatArray) -> tuple[dict[str, float], FloatArray]:
    start = time.process_time()
    vectors = build_vectors(np.zeros((0, DIM), np.float32), np.zeros(0, np.int64))
    for ids, part in _float_chunks(rows):
        vectors.add_with_ids(part, ids)
    built = time.process_time() - start
    mb = len(rows) * (2 * DIM + 8) / 1e6
    times: list[float] = []
    nearest(vectors, queries[:1], K, 1)
    truth = []
    while len(times) < len(queries) and (len(times) < 5 or sum(times) < 1000 * _TIMED_S):
        start = time.thread_time()
        truth.append(nearest(vectors, queries[len(times) : len(times) + 1], K, 1)[0])
        times.append(1000 * (time.thread_time() - start))
    return _point(len(rows), times) | {"build_s": round(built, 2), "mb": round(mb, 1)}, np.concatenate(truth)


def _lists(rows: np.ndarray, queries: FloatArray, truth: FloatArray) -> dict[str, float]:
    def take(ids: IntArray) -> FloatArray:
        return rows[ids].astype(np.float32)

    start = time.process_time()
    embeddings = Embeddings(np.arange(len(rows)), lambda: _float_chunks(rows), take)
    index = build_ivf(embeddings, Revision(1, "growth", len(rows) - 1), 1)
    built = time.process_time() - start
    ivf = index.vectors
    mb = (len(rows) * (ivf.code_size + 8) + ivf.nlist * 4 * DIM) / 1e6
    times, right = [], 0
    nothing = np.zeros(0, np.int64)
    index.propose(queries[:1], K, 1, nothing)
    for at in range(len(queries)):
        query = queries[at : at + 1]
        start = time.thread_time()
        # As a taught gallery does: candidates by 8-bit codes, ranked by the 16-bit embeddings.
        _, ids = index.propose(query, K, 1, nothing)
        similarities = take(ids[0]) @ query[0]
        best = np.sort(similarities)[: -K - 1 : -1]
        times.append(1000 * (time.thread_time() - start))
        right += int((best >= truth[at, -1] - 1e-6).sum())
    return _point(len(rows), times) | {
        "build_s": round(built, 2), "mb": round(mb, 1), "recall_at_10": round(right / (K * len(queries)), 4),
        "lists": int(ivf.nlist), "lists_searched": index.nprobe,
    }  # fmt: skip


def _point(n: int, times: Sequence[float]) -> dict[str, float]:
    return {"at": n, "median_ms": round(float(np.median(times)), 4), "least_ms": round(min(times), 4)}
