"""Tests of index/search.py: the right neighbors in the documented order, and refused queries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moodspace.index.gallery import Gallery
from moodspace.index.search import GalleryIndex

pytestmark = pytest.mark.numeric


def _same(one: Gallery, other: Gallery) -> None:
    for field in ("embeddings", "ids", "sources", "added"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
    assert dict(one.classes) == dict(other.classes)
    for name in one.classes:
        np.testing.assert_array_equal(one.labels[name], other.labels[name])


def _same_neighbors(one, other) -> None:
    for field in ("ids", "similarities", "valid", "sources"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
    for name in one.labels:
        np.testing.assert_array_equal(one.labels[name], other.labels[name])


def test_neighbours_agree_with_sorting_everything(make_gallery, unit_rows):
    gallery, queries = make_gallery(300, dim=32), unit_rows(11, 32, seed=5)
    found = GalleryIndex(gallery).search(queries, 25)
    order = np.argsort(-queries @ gallery.embeddings.astype(np.float16).astype(np.float32).T, axis=1)[:, :25]
    np.testing.assert_array_equal(found.ids, gallery.ids[order])
    np.testing.assert_array_equal(found.sources, gallery.sources[order])
    for name, column in gallery.labels.items():
        np.testing.assert_array_equal(found.labels[name], column[order])
    assert found.valid.all()
    assert len(found) == 11
    assert (found.ids.dtype, found.similarities.dtype, found.valid.dtype) == (np.int64, np.float32, np.bool_)


@pytest.mark.parametrize("exclude", [False, True])
def test_more_neighbours_than_faces_leaves_columns_that_never_vote(make_gallery, exclude):
    gallery = make_gallery(3)
    found = GalleryIndex(gallery).search(gallery.embeddings[:2], 5, exclude=gallery.ids[:2] if exclude else None)
    real = 2 if exclude else 3
    assert found.valid.tolist() == [[True] * real + [False] * (5 - real)] * 2
    assert set(found.ids[~found.valid]) == {-1}
    assert set(found.similarities[~found.valid]) == {-1}
    assert set(found.sources[~found.valid]) == {""}
    for name, labels in found.labels.items():
        assert set(labels[~found.valid]) == {-1}
        np.testing.assert_array_equal(labels[0, :real], gallery.labels[name][_rows(gallery, found.ids[0, :real])])


def _rows(gallery: Gallery, ids: np.ndarray) -> list[int]:
    return [gallery.ids.tolist().index(one) for one in ids]


@pytest.mark.parametrize("n", [0, 1, 4])
@pytest.mark.parametrize("n_queries", [0, 1, 3])
def test_empty_galleries_and_no_queries_are_legal(make_gallery, unit_rows, n, n_queries):
    found = GalleryIndex(make_gallery(n)).search(unit_rows(n_queries, 16, seed=9), 2)
    assert found.ids.shape == found.similarities.shape == found.valid.shape == found.sources.shape == (n_queries, 2)
    assert {name: labels.shape for name, labels in found.labels.items()} == {
        "fer2013": (n_queries, 2),
        "ferplus": (n_queries, 2),
    }
    assert found.valid.sum() == n_queries * min(n, 2)


def test_cosines_never_leave_minus_one_to_one(make_gallery):
    gallery = make_gallery(500, dim=8)
    index = GalleryIndex(gallery)
    both = np.concatenate([gallery.embeddings, -gallery.embeddings])
    similarities = index.search(both, 500).similarities
    assert similarities.max() == 1
    assert similarities.min() == -1


def test_leaving_oneself_out_gives_the_neighbours_of_a_gallery_without_oneself(make_gallery):
    gallery = make_gallery(40)
    found = GalleryIndex(gallery).search(gallery.embeddings, 30, exclude=gallery.ids)
    for row in range(len(gallery)):
        rest = gallery.take(np.arange(len(gallery)) != row)
        alone = GalleryIndex(rest).search(gallery.embeddings[row : row + 1], 30)
        np.testing.assert_array_equal(found.ids[row], alone.ids[0])
        np.testing.assert_array_equal(found.similarities[row], alone.similarities[0])


def test_excluding_nothing_or_a_stranger_changes_nothing(make_gallery):
    gallery = make_gallery(8)
    index = GalleryIndex(gallery)
    for k in (3, 8, 12):
        expected = index.search(gallery.embeddings, k)
        _same_neighbors(index.search(gallery.embeddings, k, exclude=np.full(8, -1)), expected)
        _same_neighbors(index.search(gallery.embeddings, k, exclude=np.full(8, 10_000)), expected)


def test_of_equal_faces_the_lower_id_wins(make_gallery):
    gallery = make_gallery(1)
    many = [np.repeat(part, 30, axis=0) for part in (gallery.embeddings, gallery.sources, gallery.added)]
    ids = np.random.default_rng(0).permutation(30)
    labels = {name: np.repeat(column, 30) for name, column in gallery.labels.items()}
    index = GalleryIndex(Gallery(many[0], ids, labels, gallery.classes, many[1], many[2]))
    np.testing.assert_array_equal(index.search(gallery.embeddings, 7).ids, [range(7)])


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 30),
    dim=st.integers(1, 12),
    k=st.integers(1, 35),
    factor=st.floats(1e-3, 1e3),
    seed=st.integers(0, 999),
)
def test_neither_scale_nor_the_order_of_the_gallery_matters(n, dim, k, factor, seed):
    rng = np.random.default_rng(seed)
    raw, raw_queries = rng.standard_normal((n, dim)), rng.standard_normal((4, dim))
    order = rng.permutation(n)

    def found(gallery_scale, query_scale, rows):
        embeddings, queries = raw * gallery_scale, raw_queries * query_scale
        embeddings, queries = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (embeddings, queries))
        labels = {"set": (np.arange(n) % 4 - 1)[rows]}
        sources, added = np.arange(n).astype(np.str_)[rows], np.zeros(n)
        classes = {"set": ("a", "b", "c")}
        gallery = Gallery(embeddings.astype(np.float32)[rows], np.arange(n)[rows] * 2, labels, classes, sources, added)
        return GalleryIndex(gallery).search(queries.astype(np.float32), k)

    expected = found(1, 1, np.arange(n))
    _same_neighbors(found(1, 1, order), expected)
    scaled = found(factor, 1 / factor, order)
    np.testing.assert_allclose(scaled.similarities, expected.similarities, atol=2e-3)
    assert (np.diff(expected.similarities[:, : min(n, k)], axis=1) <= 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda q: {"queries": q[:, :8]}, r"queries: expected shape \(n, 16\), got \(2, 8\)"),
        (lambda q: {"queries": q[0]}, r"queries: expected shape \(n, 16\), got \(16,\)"),
        (lambda q: {"queries": q.astype(np.float64)}, "queries: expected float32, got float64"),
        (lambda q: {"queries": q * np.nan}, "queries: expected finite rows, got NaN or infinity in row 0"),
        (lambda q: {"queries": q * np.float32(np.inf)}, "queries: expected finite rows, got NaN or infinity in row 0"),
        (lambda q: {"queries": q * 2}, "queries: expected rows of length 1, got 2 in row 0"),
        (lambda q: {"queries": q * 0}, "queries: expected rows of length 1, got 0 in row 0"),
        (lambda q: {"k": 0}, "k: expected at least 1, got 0"),
        (lambda q: {"k": -3}, "k: expected at least 1, got -3"),
        (lambda q: {"exclude": np.array([1])}, r"exclude: expected shape \(2,\), got \(1,\)"),
    ],
)
@pytest.mark.parametrize("n", [0, 5])
def test_wrong_questions_are_refused_in_one_line(make_gallery, n, change, message):
    queries = make_gallery(2).embeddings
    with pytest.raises(ValueError, match=message) as caught:
        GalleryIndex(make_gallery(n)).search(**({"queries": queries, "k": 3} | change(queries)))
    assert "\n" not in str(caught.value)


def test_k_must_be_a_whole_number(make_gallery):
    with pytest.raises(TypeError):
        GalleryIndex(make_gallery(2)).search(make_gallery(2).embeddings, 2.0)


def test_threads_below_one_are_refused(make_gallery):
    with pytest.raises(ValueError, match="threads: expected at least 1, got 0"):
        GalleryIndex(make_gallery(1), threads=0)


@pytest.mark.parametrize("n", [0, 1, 50])
def test_rows_of_ids(make_gallery, n):
    gallery = make_gallery(n)
    index = GalleryIndex(gallery)
    np.testing.assert_array_equal(index.rows(gallery.ids), np.arange(n))
    np.testing.assert_array_equal(index.rows(np.array([[-1, 10_000], [0, 5]])), [[-1, -1], [-1, -1]])
    assert index.rows(np.empty((0, 3), np.int64)).shape == (0, 3)


def test_the_gallery_inside_is_the_gallery_given_rounded_to_16_bits(make_gallery):
    gallery = make_gallery(30)
    inside = GalleryIndex(gallery).gallery
    np.testing.assert_array_equal(inside.embeddings, gallery.embeddings.astype(np.float16).astype(np.float32))
    _same(inside, GalleryIndex(inside).gallery)


def test_the_face_with_the_id_0_votes(make_gallery):
    gallery = replace(make_gallery(5), ids=np.arange(5))
    found = GalleryIndex(gallery).search(gallery.embeddings[:1], 5)
    assert found.ids[0, 0] == 0 and found.valid.all()
