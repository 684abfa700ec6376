"""Unit vectors under ids in faiss: flat 16-bit floats, searched exactly, or cells of 8 bits, searched in part.

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

# Who changes faiss's limit on what a file may make it allocate.
_LIMIT = threading.Lock()


def build_vectors(embeddings: FloatArray, ids: IntArray) -> faiss.IndexIDMap2:
    """Indexes `embeddings`, `(n, d)` float32 unit rows, by inner product under `ids`, `(n,)` int64, unique."""
    flat = faiss.IndexScalarQuantizer(embeddings.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    vectors = faiss.IndexIDMap2(flat)
    if len(ids):
        vectors.add_with_ids(np.ascontiguousarray(embeddings), np.ascontiguousarray(ids))
    return vectors


def decode(vectors: faiss.IndexIDMap2) -> FloatArray:
    """Returns the vectors in the order they were added, `(n, d)` float32, each number rounded to 16 bits."""
    decoded = np.empty((vectors.ntotal, vectors.d), np.float32)
    if vectors.ntotal:
        faiss.downcast_index(vectors.index).reconstruct_n(0, vectors.ntotal, decoded)
    return decoded


def nearest(
    vectors: faiss.IndexIDMap2, queries: FloatArray, k: int, threads: int, hidden: IntArray | None = None
) -> tuple[FloatArray, IntArray]:
    """Finds the k most similar vectors of each query; among equals those with the lowest ids, in rising order.

    Args:
        vectors: What to search.
        queries: `(n, d)` float32, finite.
        k: From 1 to the number of vectors that are not hidden.
        threads: How many threads faiss may use.
        hidden: `(m,)` int64, ids of the index to pass over, each once; None for none.

    Returns:
        Inner products `(n, k)` float32, best first, and ids `(n, k)` int64.
    """
    if not len(queries):
        return np.empty((0, k), np.float32), np.empty((0, k), np.int64)
    count, options = vectors.ntotal, None
    if hidden is not None and len(hidden):
        count, options = count - len(hidden), _options(faiss.SearchParameters, sel=_all_but(hidden))
    with _threads(threads):
        return _nearest(vectors, np.ascontiguousarray(queries), (k, k + 1, count), options)


def _nearest(
    vectors: faiss.IndexIDMap2, queries: FloatArray, widths: tuple[int, int, int], options: Any
) -> tuple[FloatArray, IntArray]:
    """Looks further than k: where the k-th place is a tie, faiss alone would keep an arbitrary part of it."""
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
    return kind(**values)  # faiss 1.15 adds the keywords at import, which its type hints do not know


def _all_but(ids: IntArray) -> faiss.IDSelector:
    return faiss.IDSelectorNot(faiss.IDSelectorBatch(np.ascontiguousarray(ids)))


def nearest_rows(rows: FloatArray, queries: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
    """Finds the rows, of `(n, d)` float32, with the k largest inner products with each of `(m, d)` float32 queries.

    Returns:
        Inner products `(m, k)` float32, best first, and numbers of rows `(m, k)` int64.
    """
    return faiss.knn(queries, rows, k, metric=faiss.METRIC_INNER_PRODUCT)


def train_ivf(sample: FloatArray, cells: int) -> faiss.IndexIVFScalarQuantizer:
    """Lays out cells around the k-means of a sample; the same sample gives the same cells.

    Args:
        sample: `(m, d)` float32 unit rows, m at least `cells`.
        cells: How many.

    Returns:
        An index without vectors, which keeps 8 bits a number.
    """
    dim, bits = sample.shape[1], faiss.ScalarQuantizer.QT_8bit
    middles = faiss.IndexFlatIP(dim)
    vectors = faiss.IndexIVFScalarQuantizer(middles, dim, cells, bits, faiss.METRIC_INNER_PRODUCT)
    vectors.cp.niter = 8
    vectors.cp.spherical = True
    vectors.cp.min_points_per_centroid = 1  # or faiss warns on the terminal of what its caller chose
    vectors.train(np.ascontiguousarray(sample))
    return vectors


def add_to_ivf(vectors: faiss.IndexIVFScalarQuantizer, embeddings: FloatArray, ids: IntArray) -> None:
    """Puts `embeddings`, `(n, d)` float32 unit rows, into their cells under `ids`, `(n,)` int64."""
    vectors.add_with_ids(np.ascontiguousarray(embeddings), np.ascontiguousarray(ids))


def nearest_in_ivf(
    vectors: faiss.IndexIVFScalarQuantizer, queries: FloatArray, k: int, probes: int, threads: int, hidden: IntArray
) -> tuple[FloatArray, IntArray]:
    """Finds the most similar vectors of each query in the cells next to it.

    Args:
        vectors: What to search.
        queries: `(n, d)` float32, finite.
        k: At least 1.
        probes: In how many cells to look.
        threads: How many threads faiss may use.
        hidden: `(m,)` int64, ids to pass over.

    Returns:
        Approximate inner products `(n, k)` float32, best first, and ids `(n, k)` int64, -1 where the cells have no
        k-th vector.
    """
    options = _options(faiss.SearchParametersIVF, nprobe=probes, sel=_all_but(hidden) if len(hidden) else None)
    with _threads(threads):
        return vectors.search(np.ascontiguousarray(queries), k, params=options)


def open_ivf(path: Path) -> faiss.IndexIVFScalarQuantizer:
    """Opens what `write_vectors` wrote of cells, mapped into memory where the system can; the file must be unharmed.

    Raises:
        GalleryError: The file holds something else.
    """
    try:
        # The class that maps inverted lists is left out of faiss on Windows.
        vectors = faiss.read_index(str(path), 0 if os.name == "nt" else faiss.IO_FLAG_MMAP)
    except (RuntimeError, OSError, MemoryError) as error:
        reason = str(error).splitlines()[0]
        raise GalleryError(f"{path}: expected cells of a faiss index, got: {reason}; delete the file") from error
    if not isinstance(vectors, faiss.IndexIVFScalarQuantizer) or vectors.metric_type != faiss.METRIC_INNER_PRODUCT:
        got = type(vectors).__name__
        raise GalleryError(f"{path}: expected cells of 8 bits and inner products, got {got}; delete the file")
    lists: Any = faiss.downcast_InvertedLists(vectors.invlists) if vectors.invlists else None
    if isinstance(lists, faiss.OnDiskInvertedLists):
        lists.prefetch_nthread = 0  # or each search starts threads, which takes longer than the search
    return vectors


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Sets OpenMP's thread count for this block only: it belongs to the calling thread, so others would not see it."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def write_vectors(path: Path, vectors: faiss.Index) -> None:
    """Writes an index to one file.

    Raises:
        OSError: The disk refused.
    """
    # Not faiss.write_index: version 1.15 reports success when a full disk refuses its last buffer.
    path.write_bytes(faiss.serialize_index(vectors).data)


def read_vectors(path: Path) -> tuple[faiss.IndexIDMap2, IntArray]:
    """Reads what `write_vectors` wrote; returns the index and its ids, `(n,)` int64 in the order they were added.

    Raises:
        GalleryError: The file holds something else.
    """
    try:
        vectors = _deserialize(np.fromfile(path, np.uint8))
    except (RuntimeError, OSError, MemoryError) as error:
        reason = str(error).splitlines()[0]
        raise GalleryError(f"{path}: expected a faiss index, got: {reason}; build the gallery again") from error
    flat = _flat(vectors)
    if not isinstance(vectors, faiss.IndexIDMap2) or flat is None:
        got = type(vectors).__name__ + " of another make"
        raise GalleryError(
            f"{path}: expected flat fp16 inner product vectors with ids, got {got}; build the gallery again"
        )
    ids = faiss.vector_to_array(vectors.id_map)
    # faiss trusts these numbers: where they disagree it would read beyond its memory.
    stated = (vectors.ntotal, vectors.ntotal, vectors.d, vectors.d, 2 * vectors.d, 2 * vectors.d)
    held = (flat.ntotal, len(ids), flat.d, flat.sq.d, flat.code_size, flat.sq.code_size)
    if held != stated or flat.codes.size() != vectors.ntotal * flat.code_size or not flat.is_trained:
        raise GalleryError(f"{path}: expected sizes {stated}, got {held}; build the gallery again")
    return vectors, ids


def _deserialize(content: npt.NDArray[np.uint8]) -> faiss.Index:
    """Keeps a damaged length from asking for more memory than the file could fill; faiss itself stops at a terabyte."""
    # The limit is that of the process: two threads at once could leave it at what one of them needed.
    with _LIMIT:
        before = faiss.get_deserialization_vector_byte_limit()
        faiss.set_deserialization_vector_byte_limit(len(content))
        try:
            return faiss.deserialize_index(content)
        finally:
            faiss.set_deserialization_vector_byte_limit(before)


def _flat(index: faiss.Index) -> faiss.IndexScalarQuantizer | None:
    """Returns the flat part of an index as `build_vectors` makes it, None for any other index."""
    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexIDMap2) else None
    if isinstance(inner, faiss.IndexScalarQuantizer) and inner.metric_type == faiss.METRIC_INNER_PRODUCT:
        return inner if inner.sq.qtype == faiss.ScalarQuantizer.QT_fp16 else None
    return None
