"""Tests of saving and loading a gallery, and of every inconsistency between its files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from moodspace.index.gallery import Gallery
from moodspace.index.search import (
    GALLERY_FORMAT,
    GALLERY_VERSION,
    GalleryIndex,
    gallery_meta,
    gallery_writers,
    load_gallery,
)
from moodspace.index.store.commit import GalleryError, commit
from moodspace.index.store.manifest import StorageError, read_manifest
from moodspace.index.vectors import build_vectors, write_vectors


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


@pytest.mark.parametrize("n", [0, 1, 3, 400])
@pytest.mark.parametrize("dim", [1, 16, 128])
@pytest.mark.parametrize("classes", [{}, {"labels": ("yes", "no")}, {"z": ("böse", "b"), "a": ("c",)}])
def test_a_saved_gallery_comes_back_equal(make_gallery, unit_rows, tmp_path, n, dim, classes):
    index = GalleryIndex(make_gallery(n, dim, classes), encoder="abc")
    index.save(tmp_path / "gallery")
    again = GalleryIndex.load(tmp_path / "gallery", encoder="abc", threads=2)
    _same(again.gallery, index.gallery)
    assert (again.encoder, again.threads, again.dim, len(again)) == ("abc", 2, dim, n)
    queries = unit_rows(5, dim, seed=1)
    _same_neighbors(again.search(queries, 4), index.search(queries, 4))
    again.save(tmp_path / "copy")
    _same(GalleryIndex.load(tmp_path / "copy").gallery, index.gallery)


def test_saving_again_replaces_the_gallery(make_gallery, tmp_path):
    for n in (5, 0, 9, 9):
        GalleryIndex(make_gallery(n)).save(tmp_path)
        assert len(GalleryIndex.load(tmp_path)) == n
        assert len(list(tmp_path.iterdir())) == 3


def test_a_gallery_of_another_encoder_is_refused(make_gallery, tmp_path):
    GalleryIndex(make_gallery(3), encoder="mobilenet-1").save(tmp_path / "known")
    GalleryIndex(make_gallery(3)).save(tmp_path / "unknown")
    assert GalleryIndex.load(tmp_path / "known").encoder == "mobilenet-1"
    with pytest.raises(GalleryError, match="expected a gallery of encoder mobilenet-2, got mobilenet-1; index"):
        GalleryIndex.load(tmp_path / "known", encoder="mobilenet-2")
    with pytest.raises(GalleryError, match="expected a gallery of encoder mobilenet-2, got an unknown encoder"):
        GalleryIndex.load(tmp_path / "unknown", encoder="mobilenet-2")


def test_a_bundle_commits_its_gallery_together_with_its_other_files(make_gallery, tmp_path):
    index = GalleryIndex(make_gallery(6), encoder="e")
    files = gallery_writers(index) | {"encoder.tflite": lambda path: path.write_bytes(b"net")}
    commit(tmp_path, files, gallery_meta(index) | {"note": 1}, format="bundle", version=1)
    manifest = read_manifest(tmp_path, format="bundle", version=1)
    assert manifest.meta["note"] == 1
    _same(load_gallery(manifest, encoder="e").gallery, index.gallery)
    with pytest.raises(StorageError, match=f"expected format '{GALLERY_FORMAT}', got 'bundle'"):
        index.save(tmp_path)


def _forge(folder, index, files=None, **meta):
    """Commit a gallery whose parts do not belong together, under correct sizes and hashes."""
    forged = {"gallery": gallery_meta(index)["gallery"] | meta}
    commit(folder, gallery_writers(index) | (files or {}), forged, format=GALLERY_FORMAT, version=GALLERY_VERSION)


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"dim": 8}, "expected 6 faces of dimension 8, got 6 of dimension 16"),
        ({"count": 7}, "expected 7 faces of dimension 16, got 6 of dimension 16 and 6 in columns"),
        ({"count": None}, "expected None faces"),
        ({"classes": {}}, "label sets of the classes"),
        ({"classes": {"fer2013": ["a"], "ferplus": ["a", "b", "c", "d"]}}, "labels 'fer2013': expected -1 to 0"),
        ({"classes": {"fer2013": [1, 2, 3], "ferplus": ["a", "b", "c", "d"]}}, "expected different names"),
        ({"classes": {"fer2013": "abc", "ferplus": ["a", "b", "c", "d"]}}, "encoder, dim, count and classes in the"),
        ({"classes": None}, "encoder, dim, count and classes in the manifest"),
    ],
)
def test_a_gallery_that_contradicts_its_manifest_is_refused(make_gallery, tmp_path, meta, message):
    _forge(tmp_path, GalleryIndex(make_gallery(6)), **meta)
    with pytest.raises(GalleryError, match=message) as caught:
        GalleryIndex.load(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("meta", [{}, {"gallery": None}, {"gallery": {"dim": 3}}, {"gallery": [1]}])
def test_a_manifest_without_a_gallery_is_refused(make_gallery, tmp_path, meta):
    commit(tmp_path, gallery_writers(GalleryIndex(make_gallery(2))), meta, format=GALLERY_FORMAT, version=1)
    with pytest.raises(GalleryError, match="expected a gallery with encoder, dim, count and classes in the manifest"):
        GalleryIndex.load(tmp_path)


def test_parts_of_two_galleries_are_refused(make_gallery, tmp_path):
    index, other, longer = (GalleryIndex(make_gallery(n, seed=seed)) for n, seed in ((6, 0), (6, 1), (7, 0)))
    for foreign in (other, longer):
        for name in ("gallery.faiss", "gallery.npz"):
            _forge(tmp_path, index, {name: gallery_writers(foreign)[name]})
            with pytest.raises(GalleryError, match=r"expected 6 faces of dimension 16, got .* or other ids"):
                GalleryIndex.load(tmp_path)


def test_vectors_that_are_not_of_unit_length_are_refused(make_gallery, tmp_path):
    gallery = make_gallery(4)
    vectors = build_vectors(gallery.embeddings * 2, gallery.ids)
    _forge(tmp_path, GalleryIndex(gallery), {"gallery.faiss": lambda path: write_vectors(path, vectors)})
    with pytest.raises(GalleryError, match="expected rows of length 1, got 2 in row 0"):
        GalleryIndex.load(tmp_path)


def test_files_that_are_something_else_are_refused(make_gallery, tmp_path):
    index = GalleryIndex(make_gallery(4))
    for name in ("gallery.faiss", "gallery.npz"):
        _forge(tmp_path, index, {name: lambda path: path.write_bytes(b"something else")})
        with pytest.raises(GalleryError, match=r"gallery.*expected (a faiss index|the columns)") as caught:
            GalleryIndex.load(tmp_path)
        assert "\n" not in str(caught.value)


def test_a_manifest_that_names_no_gallery_files_is_refused(make_gallery, tmp_path):
    commit(tmp_path, {}, gallery_meta(GalleryIndex(make_gallery(2))), format=GALLERY_FORMAT, version=1)
    with pytest.raises(StorageError, match=r"expected a file 'gallery\.faiss', got no file"):
        GalleryIndex.load(tmp_path)


def test_the_manifest_can_be_read_by_people_and_other_programs(make_gallery, tmp_path):
    GalleryIndex(make_gallery(5), encoder="e").save(tmp_path)
    document = json.loads((tmp_path / "manifest.json").read_text())
    classes = {name: list(names) for name, names in make_gallery(0).classes.items()}
    assert document["meta"]["gallery"] == {"encoder": "e", "dim": 16, "count": 5, "classes": classes}
    assert (document["format"], document["version"]) == ("moodspace-gallery", 1)


def test_a_large_gallery_stays_small_on_the_disk(make_gallery, tmp_path):
    n, dim = 4000, 128
    GalleryIndex(make_gallery(n, dim)).save(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < n * (2 * dim + 8) * 1.07
