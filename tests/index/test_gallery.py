"""Tests of index/gallery.py: validation, and columns on disk."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from moodspace.index.gallery import NORM_TOLERANCE, Gallery, concatenate, read_columns, unit_rows_problem, write_columns
from moodspace.index.store.commit import GalleryError


def _equal(one: Gallery, other: Gallery) -> None:
    for field in ("embeddings", "ids", "sources", "added"):
        assert getattr(one, field).dtype.kind == getattr(other, field).dtype.kind
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
    assert dict(one.classes) == dict(other.classes)
    assert one.labels.keys() == other.labels.keys()
    for name in one.labels:
        np.testing.assert_array_equal(one.labels[name], other.labels[name])


def test_empty_gallery_keeps_dimension_and_label_sets():
    gallery = Gallery.empty(128, {"fer2013": ("happy", "sad")})
    assert len(gallery) == 0
    assert gallery.embeddings.shape == (0, 128)
    assert gallery.labels["fer2013"].dtype == np.int64


def test_a_gallery_without_label_sets_is_legal(make_gallery):
    assert len(make_gallery(3, classes={})) == 3


def _with(column, row, value):
    changed = column.copy()
    changed[row] = value
    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: {"embeddings": g.embeddings.astype(np.float64)}, "embeddings: expected float32, got float64"),
        (lambda g: {"embeddings": g.embeddings[0]}, r"embeddings: expected shape \(n, d\), got \(16,\)"),
        (lambda g: {"embeddings": g.embeddings[:, :0]}, r"expected shape \(n, d\), got \(5, 0\)"),
        (lambda g: {"embeddings": g.embeddings.tolist()}, r"expected shape \(n, d\)"),
        (lambda g: {"embeddings": g.embeddings[:4]}, "expected 5 rows as there are ids, got 4"),
        (lambda g: {"embeddings": _with(g.embeddings, 2, np.nan)}, "NaN or infinity in row 2"),
        (lambda g: {"embeddings": _with(g.embeddings, (3, 1), np.inf)}, "NaN or infinity in row 3"),
        (lambda g: {"embeddings": _with(g.embeddings, 4, 0)}, "rows of length 1, got 0 in row 4"),
        (lambda g: {"embeddings": g.embeddings * 1.01}, "rows of length 1, got 1.01 in row 0"),
        (lambda g: {"ids": g.ids.astype(np.int32)}, r"ids: expected int64 of shape \(n,\), got int32"),
        (lambda g: {"ids": g.ids[:, None]}, r"ids: expected int64 of shape \(n,\), got int64 \(5, 1\)"),
        (lambda g: {"ids": _with(g.ids, 1, -1)}, "ids: expected at least 0, got -1"),
        (lambda g: {"ids": _with(g.ids, 1, g.ids[3])}, "ids: expected each once, got"),
        (lambda g: {"sources": tuple(g.sources)}, r"sources: expected str_ of shape \(5,\), got tuple"),
        (lambda g: {"sources": g.sources.astype(object)}, r"sources: expected str_ of shape \(5,\), got object"),
        (lambda g: {"sources": g.sources[:4]}, r"sources: expected str_ of shape \(5,\), got .* \(4,\)"),
        (lambda g: {"added": g.added[1:]}, r"added: expected float64 of shape \(5,\), got float64 \(4,\)"),
        (lambda g: {"added": _with(g.added, 0, np.nan)}, "added: expected finite seconds"),
        (lambda g: {"labels": {"fer2013": g.labels["fer2013"]}}, "labels: expected the label sets of the classes"),
        (lambda g: {"labels": g.labels | {"ferplus": g.ids}}, "labels 'ferplus': expected -1 to 3, got"),
        (lambda g: {"labels": g.labels | {"ferplus": _with(g.ids * 0, 0, -2)}}, "expected -1 to 3, got -2 to 0"),
        (
            lambda g: {"labels": g.labels | {"ferplus": g.ids[:2] * 0}},
            r"labels 'ferplus': expected int64 of shape \(5,\)",
        ),
        (
            lambda g: {"classes": g.classes | {"fer2013": ("a", "b", "a")}},
            "classes 'fer2013': expected different names",
        ),
        (lambda g: {"classes": g.classes | {"fer2013": ("a", "b", "")}}, "classes 'fer2013': expected different names"),
    ],
)
def test_a_broken_field_is_refused_in_one_line(make_gallery, change, message):
    gallery = make_gallery(5)
    with pytest.raises(GalleryError, match=message) as caught:
        dataclasses.replace(gallery, **change(gallery))
    assert "\n" not in str(caught.value)
    assert ";" in str(caught.value)


def test_rounding_to_16_bits_stays_within_the_norm_tolerance(unit_rows):
    rounded = unit_rows(2000, 128).astype(np.float16).astype(np.float32)
    assert unit_rows_problem(rounded) is None
    assert unit_rows_problem(rounded * np.float32(1 + 2 * NORM_TOLERANCE)) is not None


def test_take_by_rows_and_by_mask_keeps_the_columns_aligned(make_gallery):
    gallery = make_gallery(6)
    rows = np.array([4, 1])
    taken = gallery.take(rows)
    for row, place in enumerate(rows):
        np.testing.assert_array_equal(taken.embeddings[row], gallery.embeddings[place])
        assert taken.ids[row] == gallery.ids[place]
        assert taken.sources[row] == gallery.sources[place]
        assert taken.added[row] == gallery.added[place]
        assert all(taken.labels[name][row] == gallery.labels[name][place] for name in gallery.labels)
    _equal(gallery.take(np.isin(np.arange(6), [1, 4])), gallery.take(np.array([1, 4])))
    assert len(gallery.take(np.zeros(6, bool))) == 0
    with pytest.raises(GalleryError, match="expected each once"):
        gallery.take(np.array([1, 1]))


def test_concatenate_undoes_a_split(make_gallery):
    gallery = make_gallery(7)
    parts = [gallery.take(np.arange(7) < 3), gallery.take(np.zeros(7, bool)), gallery.take(np.arange(7) >= 3)]
    _equal(concatenate(parts), gallery)


def test_concatenate_refuses_what_does_not_fit(make_gallery):
    gallery = make_gallery(3)
    with pytest.raises(GalleryError, match="at least one to join"):
        concatenate([])
    with pytest.raises(GalleryError, match=r"expected d = 16, .*got d = 8"):
        concatenate([gallery, make_gallery(3, dim=8)])
    with pytest.raises(GalleryError, match="expected d = 16"):
        concatenate([gallery, make_gallery(3, classes={"labels": ("yes", "no")})])
    with pytest.raises(GalleryError, match="expected each once"):
        concatenate([gallery, gallery])


@pytest.mark.parametrize("n", [0, 1, 5, 300])
@pytest.mark.parametrize("classes", [{}, {"labels": ("yes", "no")}, {"b/..": ("x",), "a": ("y", "z")}])
def test_columns_come_back_equal(make_gallery, tmp_path, n, classes):
    gallery = make_gallery(n, classes=classes)
    write_columns(tmp_path / "columns.npz", gallery.columns)
    columns = read_columns(tmp_path / "columns.npz", classes)
    _equal(
        Gallery(gallery.embeddings, *(getattr(columns, field.name) for field in dataclasses.fields(columns))), gallery
    )


def test_label_columns_follow_their_names_not_their_order(make_gallery, tmp_path):
    gallery = make_gallery(5)
    write_columns(tmp_path / "columns.npz", gallery.columns)
    columns = read_columns(tmp_path / "columns.npz", dict(reversed(gallery.classes.items())))
    for name, column in gallery.labels.items():
        np.testing.assert_array_equal(columns.labels[name], column)


def test_pickled_columns_are_never_loaded(make_gallery, tmp_path):
    path = tmp_path / "columns.npz"
    gallery = make_gallery(2)
    write_columns(path, gallery.columns)
    with np.load(path) as stored:
        parts = dict(stored)
    np.savez(path, **(parts | {"sources": gallery.sources.astype(object)}))
    with pytest.raises(GalleryError, match=r"columns\.npz: expected the columns .* foreign file \(ValueError\)"):
        read_columns(path, gallery.classes)


def test_other_files_in_place_of_the_columns_are_refused(make_gallery, tmp_path):
    path, gallery = tmp_path / "columns.npz", make_gallery(3)
    write_columns(path, gallery.columns)
    content = path.read_bytes()
    for damaged in (b"", b"PK", content[:-40], content[:30], content[:60] + b"\xff" * 20 + content[80:]):
        path.write_bytes(damaged)
        with pytest.raises(GalleryError, match=r"columns\.npz: expected the columns of a gallery"):
            read_columns(path, gallery.classes)
    np.savez(path, ids=gallery.ids)
    with pytest.raises(GalleryError, match="KeyError"):
        read_columns(path, gallery.classes)
    path.unlink()
    with pytest.raises(GalleryError, match="FileNotFoundError"):
        read_columns(path, gallery.classes)


def test_columns_of_other_label_sets_are_refused(make_gallery, tmp_path):
    path, gallery = tmp_path / "columns.npz", make_gallery(3)
    write_columns(path, gallery.columns)
    with pytest.raises(GalleryError, match="label sets of the classes"):
        read_columns(path, {"fer2013": ("angry", "happy", "sad")})
    with pytest.raises(GalleryError, match="expected -1 to -1"):
        read_columns(path, {"fer2013": (), "ferplus": gallery.classes["ferplus"]})
