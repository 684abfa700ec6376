"""The map of one visitor: the gallery's faces where they were drawn, taught ones by their likes."""

from dataclasses import replace

import numpy as np
import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.index.taught.faces import TaughtFaces
from moodspace.viz.map.face_map import FaceMap
from moodspace.web.components.map import gallery_map, map_html, with_taught
from tests.web.looked_at import RECOGNIZER

GALLERY = RECOGNIZER.bundle.index.gallery
PLACES = np.random.default_rng(1).normal(size=(len(GALLERY), 2)).astype(np.float32)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(replace(RECOGNIZER.bundle, map_coordinates=PLACES, meta={"metrics": {}}))


@pytest.fixture(scope="module")
def base(recognizer) -> FaceMap:
    return gallery_map(recognizer)


def taught(*labels: str) -> TaughtFaces:
    """Copies of the gallery's first faces, rounded as a gallery of taught faces rounds."""
    n = len(labels)
    rows = GALLERY.embeddings[:n].astype(np.float16).astype(np.float32)
    ids = 10**9 + np.arange(n)
    return TaughtFaces(ids, rows, labels, ("a.png",) * n, ("",) * n, np.zeros(n), np.ones(n, np.int64))


def test_who_taught_nothing_sees_the_gallery_with_its_likes(recognizer, base) -> None:
    np.testing.assert_array_equal(base.coordinates, PLACES)
    np.testing.assert_array_equal(base.labels, recognizer.gallery_labels)
    assert set(base.origin) == {"gallery"} and base.classes == recognizer.classes
    assert (base.neighbors[:, 0] >= 0).all()


def test_taught_faces_stand_by_their_likes_under_their_own_class(recognizer, base) -> None:
    face_map = with_taught(base, recognizer, taught("confused", "happy"))
    assert len(face_map) == len(GALLERY) + 2 and face_map.origin[-2:].tolist() == ["taught", "taught"]
    assert [face_map.classes[label] for label in face_map.labels[-2:]] == ["confused", "happy"]
    np.testing.assert_array_equal(face_map.neighbors[-2:, 0], [0, 1])
    np.testing.assert_array_equal(face_map.coordinates[:-2], PLACES)
    own = np.linalg.norm(face_map.coordinates[-2:] - PLACES[:2], axis=1)
    others = np.linalg.norm(face_map.coordinates[-2:] - PLACES[1::-1], axis=1)
    assert (own < others).all() and "your taught faces" in face_map.note


def test_a_bundle_without_a_map_has_none() -> None:
    assert gallery_map(Recognizer(replace(RECOGNIZER.bundle, map_coordinates=None))) is None


def test_the_page_is_closed_and_has_the_taught_class(recognizer, base) -> None:
    page = map_html(with_taught(base, recognizer, taught("verwirrt")), recognizer.pictures).decode()
    assert "verwirrt" in page and "default-src 'none'" in page
