"""Tests of index/vectors.py: exact, deterministic, and safe with damaged and foreign files."""

from __future__ import annotations

import threading

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moodspace.index.store.commit import GalleryError
from moodspace.index.vectors import build_vectors, decode, nearest, read_vectors, write_vectors

pytestmark = pytest.mark.numeric


def _oracle(embeddings: np.ndarray, ids: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Sort all similarities of the 16-bit embeddings, the lower id first among equals."""
    similarities = queries.astype(np.float64) @ embeddings.astype(np.float16).astype(np.float64).T
    order = np.lexsort((np.broadcast_to(ids, similarities.shape), -similarities), axis=-1)[:, :k]
    return np.take_along_axis(similarities, order, axis=1), ids[order]


@pytest.mark.parametrize("dim", [1, 2, 7, 16, 33, 128])
@pytest.mark.parametrize("n", [1, 2, 40, 500])
def test_search_agrees_with_sorting_everything(unit_rows, n, dim):
    embeddings, queries = unit_rows(n, dim), unit_rows(9, dim, seed=1)
    ids = np.random.default_rng(2).permutation(5 * n)[:n].astype(np.int64)
    k = min(n, 30)
    similarities, found = nearest(build_vectors(embeddings, ids), queries, k, threads=1)
    expected, expected_ids = _oracle(embeddings, ids, queries, k)
    np.testing.assert_allclose(similarities, expected, atol=2e-6)
    clear = np.ones(found.shape, bool)  # where the next similarity is too close for 32 bits the order may differ
    clear[:, 1:] &= np.diff(expected, axis=1) < -1e-6
    clear[:, :-1] &= np.diff(expected, axis=1) < -1e-6
    np.testing.assert_array_equal(found[clear], expected_ids[clear])
    assert clear.mean() > 0.8 or dim <= 2


def test_cosines_are_within_the_stated_error_of_32_bits(unit_rows):
    embeddings, queries = unit_rows(400, 128), unit_rows(20, 128, seed=1)
    similarities, ids = nearest(build_vectors(embeddings, np.arange(400)), queries, 400, threads=1)
    exact = np.take_along_axis(queries @ embeddings.T, ids, axis=1)
    assert np.abs(similarities - exact).max() < 0.0005


@settings(deadline=None, max_examples=60)
@given(
    copies=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    dim=st.integers(1, 9),
    k=st.integers(1, 20),
    seed=st.integers(0, 2**16),
)
def test_ties_go_to_the_lowest_ids_whatever_the_order_of_the_gallery(copies, dim, k, seed):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((len(copies), dim))
    embeddings = np.repeat(rows / np.linalg.norm(rows, axis=1, keepdims=True), copies, axis=0).astype(np.float32)
    ids, order = rng.permutation(3 * len(embeddings))[: len(embeddings)], rng.permutation(len(embeddings))
    k, n = min(k, len(embeddings)), len(embeddings)
    everything, all_ids = nearest(build_vectors(embeddings, ids), embeddings[:3], n, threads=1)
    ranked = np.lexsort((all_ids, -everything), axis=-1)[:, :k]
    for arranged in (np.arange(n), order):
        similarities, found = nearest(build_vectors(embeddings[arranged], ids[arranged]), embeddings[:3], k, threads=1)
        np.testing.assert_array_equal(found, np.take_along_axis(all_ids, ranked, axis=1))
        np.testing.assert_array_equal(similarities, np.take_along_axis(everything, ranked, axis=1))


def test_a_tie_across_the_last_place_keeps_the_lowest_ids(unit_rows):
    embeddings = np.repeat(unit_rows(2, 8), 40, axis=0)
    ids = np.arange(80)[::-1].copy()
    _, found = nearest(build_vectors(embeddings, ids), embeddings[:1], 3, threads=1)
    np.testing.assert_array_equal(found, [[40, 41, 42]])


def test_one_query_and_many_give_the_same_neighbours(unit_rows):
    vectors = build_vectors(unit_rows(200, 16), np.arange(200))
    queries = unit_rows(50, 16, seed=3)
    together = nearest(vectors, queries, 7, threads=2)
    for row in range(50):
        alone = nearest(vectors, queries[row : row + 1], 7, threads=1)
        np.testing.assert_array_equal(alone[1][0], together[1][row])
        np.testing.assert_array_equal(alone[0][0], together[0][row])


def test_arrays_in_any_memory_layout(unit_rows):
    embeddings = unit_rows(60, 16)
    slanted, ids = np.asfortranarray(embeddings)[::2], np.arange(60)[::2]
    expected = nearest(build_vectors(embeddings[::2].copy(), ids.copy()), embeddings[:4], 5, threads=1)
    found = nearest(build_vectors(slanted, ids), np.asfortranarray(embeddings)[:4], 5, threads=1)
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_hold_for_the_search_only_and_in_any_thread(unit_rows, monkeypatch, threads):
    vectors, seen = build_vectors(unit_rows(10, 4), np.arange(10)), []
    search = faiss.IndexIDMap2.search

    def spy(self, *args, **options):
        seen.append(faiss.omp_get_max_threads())
        return search(self, *args, **options)

    monkeypatch.setattr(faiss.IndexIDMap2, "search", spy)

    def work():
        before = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(3)
        nearest(vectors, unit_rows(1, 4), 2, threads)
        seen.append(faiss.omp_get_max_threads())
        faiss.omp_set_num_threads(before)

    work()
    other = threading.Thread(target=work)
    other.start()
    other.join()
    assert seen == [threads, 3, threads, 3]


@pytest.mark.parametrize("n", [0, 1, 33])
@pytest.mark.parametrize("dim", [1, 5, 128])
def test_files_come_back_bit_for_bit(unit_rows, tmp_path, n, dim):
    ids = np.arange(n, dtype=np.int64)[::-1] * 7
    vectors = build_vectors(unit_rows(n, dim), ids)
    write_vectors(tmp_path / "v.faiss", vectors)
    limit = faiss.get_deserialization_vector_byte_limit()
    again, found = read_vectors(tmp_path / "v.faiss")
    assert faiss.get_deserialization_vector_byte_limit() == limit
    np.testing.assert_array_equal(found, ids)
    np.testing.assert_array_equal(decode(again), unit_rows(n, dim).astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(decode(again), decode(vectors))
    if n:
        np.testing.assert_array_equal(nearest(again, decode(again), 1, 1)[1].shape, (n, 1))


def _flat(kind: int, metric: int) -> faiss.IndexScalarQuantizer:
    return faiss.IndexScalarQuantizer(8, kind, metric)


@pytest.mark.parametrize(
    "make",
    [
        lambda: faiss.IndexFlatIP(8),
        lambda: faiss.IndexIDMap2(faiss.IndexFlatIP(8)),
        lambda: faiss.IndexIDMap(_flat(faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)),
        lambda: faiss.IndexIDMap2(_flat(faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_L2)),
        lambda: faiss.IndexIDMap2(_flat(faiss.ScalarQuantizer.QT_bf16, faiss.METRIC_INNER_PRODUCT)),
        lambda: _flat(faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT),
    ],
)
def test_another_kind_of_index_is_refused(tmp_path, make):
    (tmp_path / "v.faiss").write_bytes(faiss.serialize_index(make()).data)
    with pytest.raises(
        GalleryError,
        match=r"v\.faiss: expected flat fp16 inner product vectors with ids, got another kind of index, Index",
    ):
        read_vectors(tmp_path / "v.faiss")


def test_a_file_cut_anywhere_is_refused(unit_rows, tmp_path):
    write_vectors(tmp_path / "v.faiss", build_vectors(unit_rows(5, 4), np.arange(5)))
    whole = (tmp_path / "v.faiss").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "v.faiss").write_bytes(whole[:length])
        with pytest.raises(GalleryError, match=r"v\.faiss: expected") as caught:
            read_vectors(tmp_path / "v.faiss")
        assert "\n" not in str(caught.value)


def test_a_missing_file_is_a_gallery_error(tmp_path):
    with pytest.raises(GalleryError, match="No such file"):
        read_vectors(tmp_path / "v.faiss")


def test_a_file_with_any_byte_changed_is_read_or_refused_but_never_crashes(unit_rows, tmp_path):
    write_vectors(tmp_path / "v.faiss", build_vectors(unit_rows(5, 4), np.arange(5)))
    whole, refused = (tmp_path / "v.faiss").read_bytes(), 0
    for place in range(len(whole)):
        for byte in (0, 1, 0x7F, 0xFF):
            (tmp_path / "v.faiss").write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
            try:
                vectors, _ = read_vectors(tmp_path / "v.faiss")
            except GalleryError:
                refused += 1
            else:
                nearest(vectors, unit_rows(1, 4), 5, threads=1)
                assert decode(vectors).shape == (5, 4)
    assert refused > 200
