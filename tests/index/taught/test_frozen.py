"""A frozen gallery answers as the gallery did at that moment, whatever is taught or forgotten later, in any process."""

import pickle

import numpy as np
import pytest

from moodspace.index.taught.faces import TAUGHT, NewFaces
from moodspace.index.taught.frozen import FrozenGallery, freeze
from moodspace.index.taught.gallery import open_taught


def unit_rows(n, seed):
    rows = np.random.default_rng(seed).normal(size=(n, 16)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def gallery(tmp_path):
    with open_taught(tmp_path, encoder="encoder", dim=16) as opened:
        opened.add(NewFaces(unit_rows(30, 1), ["tired", "proud", "shy"] * 10, ["live"] * 30, [""] * 30))
        yield opened


def test_it_answers_as_the_gallery_did(gallery):
    live, queries = gallery.snapshot(), unit_rows(5, 2)
    frozen = FrozenGallery(pickle.loads(pickle.dumps(freeze(gallery)))).current()
    expected = live.search(queries, 7)
    examples = {name: live.examples(name, 4) for name in live.classes}
    gallery.remove_label("shy")
    gallery.add(NewFaces(queries, ["new"] * 5, ["live"] * 5, [""] * 5))
    found = frozen.search(queries, 7)
    assert (frozen.classes, len(frozen)) == (live.classes, 30)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.labels[TAUGHT], expected.labels[TAUGHT])
    np.testing.assert_allclose(found.similarities, expected.similarities, atol=1e-6)
    for name, rows in examples.items():
        np.testing.assert_array_equal(frozen.examples(name, 4), rows)


def test_its_digest_changes_with_its_faces(gallery):
    before = freeze(gallery)
    assert freeze(gallery).sha256 == before.sha256
    gallery.add(NewFaces(unit_rows(1, 3), ["shy"], ["live"], [""]))
    assert freeze(gallery).sha256 != before.sha256


def test_an_empty_gallery_is_none(tmp_path):
    with open_taught(tmp_path / "empty", encoder="encoder", dim=16) as opened:
        assert freeze(opened) is None
    assert FrozenGallery(None).current() is None
