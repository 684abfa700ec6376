"""Unit vectors with ids in faiss: a flat index of 16-bit floats (exact), and an IVF index of 8-bit codes (approximate).

The only file that imports faiss.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from moodspace.arrays import FloatArray, IntArray
from moodspace.index.store.commit import GalleryError

# Held while faiss's process-wide limit on allocations is changed.
_LIMIT = threading.Lock()


def build_vectors(embeddings: FloatArray, ids: IntArray) -> faiss.IndexIDMap2:
    """Index `embeddings`, `(n, d)` float32 unit rows, by inner product under `ids`, `(n,)` int64, unique."""
    flat = faiss.IndexScalarQuantizer(embeddings.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    vectors = faiss.IndexIDMap2(flat)
    if len(ids):
        vectors.add_with_ids(np.ascontiguousarray(embeddings), np.ascontiguousarray(ids))
    return vectors


def decode(vectors: faiss.IndexIDMap2) -> FloatArray:
    """Return the vectors in insertion order, `(n, d)` float32, each value rounded to 16 bits."""
    decoded = np.empty((vectors.ntotal, vectors.d), np.float32)
    if vectors.ntotal:
        faiss.downcast_index(vectors.index).reconstruct_n(0, vectors.ntotal, decoded)
    return decoded


def nearest(
    vectors: faiss.IndexIDMap2, queries: FloatArray, k: int, threads: int, hidden: IntArray | None = None
) -> tuple[FloatArray, IntArray]:
    """Find the k most similar vectors of each query; ties go to the lower ids.

    Args:
        vectors: The index.
        queries: `(n, d)` float32, finite.
        k: From 1 to the number of vectors that are not hidden.
        threads: How many threads faiss may use.
        hidden: `(m,)` int64, distinct ids to leave out; None for none.

    Returns:
        Inner products `(n, k)` float32, largest first, and ids `(n, k)` int64.
    """
    if not len(queries):
        return np.empty((0, k), np.float32), np.empty((0, k), np.int64)
    count, options = vectors.ntotal, None
    if hidden is not None and len(hidden):
        count, options = count - len(hidden), _options(faiss.SearchParameters, sel=_exclude(hidden))
    with _threads(threads):
        return _nearest(vectors, np.ascontiguousarray(queries), (k, k + 1, count), options)


def _nearest(
    vectors: faiss.IndexIDMap2, queries: FloatArray, widths: tuple[int, int, int], options: Any
) -> tuple[FloatArray, IntArray]:
    """Search wider than k until ties at rank k are complete; faiss alone keeps an arbitrary part of a tie."""
    k, width, count = widths
    width = min(width, count)
    similarities, ids = vectors.search(queries, width, params=options)
    order = np.lexsort((ids, -similarities), axis=-1)[:, :k]
    tied = similarities[:, k - 1] == similarities[:, width - 1]
    similarities, ids = np.take_along_axis(similarities, order, axis=1), np.take_along_axis(ids, order, axis=1)
    if width < count and tied.any():
        similarities[tied], ids[tied] = _nearest(vectors, queries[tied], (k, 2 * width, count), options)
    return similarities, ids


def _options(kind: Any, **values: Any) -> Any:
    return kind(**values)  # faiss 1.15 adds the keywords at import; its type hints lack them


def _exclude(ids: IntArray) -> faiss.IDSelector:
    return faiss.IDSelectorNot(faiss.IDSelectorBatch(np.ascontiguousarray(ids)))


def nearest_rows(rows: FloatArray, queries: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
    """Find the k rows of `(n, d)` float32 with the largest inner products with each of `(m, d)` float32 queries.

    Returns:
        Inner products `(m, k)` float32, largest first, and row numbers `(m, k)` int64.
    """
    return faiss.knn(queries, rows, k, metric=faiss.METRIC_INNER_PRODUCT)


def train_ivf(sample: FloatArray, nlist: int) -> faiss.IndexIVFScalarQuantizer:
    """Train an IVF index by k-means on a sample; the same sample gives the same index.

    Args:
        sample: `(m, d)` float32 unit rows, m at least `nlist`.
        nlist: The number of centroids, each with an inverted list.

    Returns:
        An empty index that stores 8 bits per value.
    """
    dim, bits = sample.shape[1], faiss.ScalarQuantizer.QT_8bit
    centroids = faiss.IndexFlatIP(dim)
    vectors = faiss.IndexIVFScalarQuantizer(centroids, dim, nlist, bits, faiss.METRIC_INNER_PRODUCT)
    vectors.cp.niter = 8
    vectors.cp.spherical = True
    vectors.cp.min_points_per_centroid = 1  # or faiss prints a warning about small samples
    vectors.train(np.ascontiguousarray(sample))
    return vectors


def add_to_ivf(vectors: faiss.IndexIVFScalarQuantizer, embeddings: FloatArray, ids: IntArray) -> None:
    """Add `embeddings`, `(n, d)` float32 unit rows, under `ids`, `(n,)` int64."""
    vectors.add_with_ids(np.ascontiguousarray(embeddings), np.ascontiguousarray(ids))


def nearest_in_ivf(
    vectors: faiss.IndexIVFScalarQuantizer, queries: FloatArray, k: int, nprobe: int, threads: int, hidden: IntArray
) -> tuple[FloatArray, IntArray]:
    """Find the most similar vectors of each query in the inverted lists of its nearest centroids.

    Args:
        vectors: The index.
        queries: `(n, d)` float32, finite.
        k: At least 1.
        nprobe: How many inverted lists to search.
        threads: How many threads faiss may use.
        hidden: `(m,)` int64, ids to leave out.

    Returns:
        Approximate inner products `(n, k)` float32, best first, and ids `(n, k)` int64, -1 where the lists have
        fewer than k vectors.
    """
    options = _options(faiss.SearchParametersIVF, nprobe=nprobe, sel=_exclude(hidden) if len(hidden) else None)
    with _threads(threads):
        return vectors.search(np.ascontiguousarray(queries), k, params=options)


def open_ivf(path: Path) -> faiss.IndexIVFScalarQuantizer:
    """Open an IVF index that `write_vectors` wrote, memory-mapped where possible; the file must be verified before.

    Raises:
        GalleryError: The file is not such an index.
    """
    try:
        # faiss on Windows lacks the class that maps inverted lists.
        vectors = faiss.read_index(str(path), 0 if os.name == "nt" else faiss.IO_FLAG_MMAP)
    except (RuntimeError, OSError, MemoryError) as error:
        reason = str(error).splitlines()[0]
        raise GalleryError(f"{path}: expected a faiss IVF index, got: {reason}; delete the file") from error
    if not isinstance(vectors, faiss.IndexIVFScalarQuantizer) or vectors.metric_type != faiss.METRIC_INNER_PRODUCT:
        got = type(vectors).__name__
        raise GalleryError(
            f"{path}: expected an IVF index of 8-bit codes and inner products, got {got}; delete the file"
        )
    lists: Any = faiss.downcast_InvertedLists(vectors.invlists) if vectors.invlists else None
    if isinstance(lists, faiss.OnDiskInvertedLists):
        lists.prefetch_nthread = 0  # prefetching starts threads at each search, which takes longer than the search
    return vectors


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Set OpenMP's thread count within this block; the setting belongs to the calling thread."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def write_vectors(path: Path, vectors: faiss.Index) -> None:
    """Write an index to one file.

    Raises:
        OSError: The disk refused.
    """
    # faiss.write_index 1.15 reports success even if the last buffer does not fit on a full disk.
    path.write_bytes(faiss.serialize_index(vectors).data)


def read_vectors(path: Path) -> tuple[faiss.IndexIDMap2, IntArray]:
    """Read a flat index that `write_vectors` wrote; return it and its ids, `(n,)` int64 in insertion order.

    Raises:
        GalleryError: The file is not such an index.
    """
    try:
        vectors = _deserialize(np.fromfile(path, np.uint8))
    except (RuntimeError, OSError, MemoryError) as error:
        reason = str(error).splitlines()[0]
        raise GalleryError(f"{path}: expected a faiss index, got: {reason}; build the gallery again") from error
    flat = _flat(vectors)
    if not isinstance(vectors, faiss.IndexIDMap2) or flat is None:
        got = f"another kind of index, {type(vectors).__name__}"
        raise GalleryError(
            f"{path}: expected flat fp16 inner product vectors with ids, got {got}; build the gallery again"
        )
    ids = faiss.vector_to_array(vectors.id_map)
    # faiss does not check these numbers against each other and would read beyond its memory.
    stated = (vectors.ntotal, vectors.ntotal, vectors.d, vectors.d, 2 * vectors.d, 2 * vectors.d)
    held = (flat.ntotal, len(ids), flat.d, flat.sq.d, flat.code_size, flat.sq.code_size)
    if held != stated or flat.codes.size() != vectors.ntotal * flat.code_size or not flat.is_trained:
        raise GalleryError(f"{path}: expected sizes {stated}, got {held}; build the gallery again")
    return vectors, ids


def _deserialize(content: npt.NDArray[np.uint8]) -> faiss.Index:
    """Deserialize with a limit on allocations, so that a damaged length cannot ask for more than the file's size."""
    # The limit is process-wide, so only one thread at a time may change it.
    with _LIMIT:
        before = faiss.get_deserialization_vector_byte_limit()
        faiss.set_deserialization_vector_byte_limit(len(content))
        try:
            return faiss.deserialize_index(content)
        finally:
            faiss.set_deserialization_vector_byte_limit(before)


def _flat(index: faiss.Index) -> faiss.IndexScalarQuantizer | None:
    """Return the flat part of an index from `build_vectors`, or None for any other index."""
    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexIDMap2) else None
    if isinstance(inner, faiss.IndexScalarQuantizer) and inner.metric_type == faiss.METRIC_INNER_PRODUCT:
        return inner if inner.sq.qtype == faiss.ScalarQuantizer.QT_fp16 else None
    return None
