"""Tests of realtime/similar.py: the most similar faces of both galleries, and their crops where they can be had."""

import numpy as np
import pytest
from PIL import Image

from moodspace.classifier.recognizer import Recognizer
from moodspace.classifier.similar import crop_from_source, crop_of, similar_faces
from moodspace.classifier.user_gallery import FollowedGallery, open_gallery
from moodspace.index.ingest.apply import EmbeddedFile
from moodspace.index.ingest.read_faces import NO_FACE, FaceCrop, crop_whole_picture, digest_of
from moodspace.index.ingest.teach import teach
from moodspace.index.taught.faces import LIVE
from moodspace.realtime.capture.source import SourceError
from tests.drawn_faces import drawn_faces
from tests.hostile_pictures import face, saved
from tests.index.ingest.fake_bundles import BUNDLE, cut_mirrored

FACES = drawn_faces(14, seed=1)  # those of the bundle
GALLERY = BUNDLE.index.gallery


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "face.png"
    path.write_bytes(saved(face(np.random.default_rng(4), "L", (48, 48)), "PNG"))
    return path


def test_the_bundles_faces_by_similarity():
    recognizer = Recognizer(BUNDLE)
    found = similar_faces(recognizer, FACES.crops[3], 5)
    cosines = GALLERY.embeddings @ GALLERY.embeddings[3]
    assert [one.id for one in found] == np.argsort(-cosines)[:5].tolist()
    np.testing.assert_allclose([one.similarity for one in found], np.sort(cosines)[::-1][:5], atol=2e-3)
    assert found[0].id == 3 and found[0].label == FACES.classes[FACES.labels[3]]
    assert found[0].source == FACES.sources[3] and not any(one.taught for one in found)


def test_taught_faces_stand_among_them(tmp_path, picture):
    folder = tmp_path / "gallery"
    with open_gallery(folder, BUNDLE, create=True) as opened:
        embedded = BUNDLE.encoder.encode(crop_whole_picture(picture.read_bytes()).crop[None]).embeddings[0]
        teach(opened, "star-struck", [str(picture)], lambda paths: [[_embedded(path, embedded) for path in paths]])
    recognizer = Recognizer(BUNDLE, taught=FollowedGallery(folder, BUNDLE))
    found = similar_faces(recognizer, crop_of(picture, crop_whole_picture), 4)
    assert (found[0].label, found[0].source, found[0].taught) == ("star-struck", str(picture), True)
    assert found[0].similarity == pytest.approx(1, abs=2e-3) and found[0].id >= 1_000_000_000
    assert [one.taught for one in found] == [True, False, False, False]
    similarities = [one.similarity for one in found]
    assert similarities == sorted(similarities, reverse=True)
    assert found[0].to_json()["label"] == "star-struck"
    # Of a hundred there are only these.
    assert len(similar_faces(recognizer, FACES.crops[3], 100)) == len(GALLERY) + 1
    assert similar_faces(recognizer, FACES.crops[3], 1)[0].id == 3


def _embedded(path, embedding):
    return EmbeddedFile(path, embedding=embedding, digest="0" * 64)


def test_a_face_without_a_label_has_none(monkeypatch):
    monkeypatch.setattr(Recognizer, "gallery_labels", property(lambda self: np.full(len(GALLERY), -1)))
    assert {one.label for one in similar_faces(Recognizer(BUNDLE), FACES.crops[0], 3)} == {None}


def test_what_cannot_be_asked_about_is_refused(tmp_path, picture):
    (tmp_path / "broken.png").write_text("no picture")
    with pytest.raises(SourceError, match=r"gone\.png: expected a picture, got: No such file"):
        crop_of(tmp_path / "gone.png", crop_whole_picture)
    with pytest.raises(SourceError, match=r"broken\.png: expected"):
        crop_of(tmp_path / "broken.png", crop_whole_picture)
    with pytest.raises(SourceError, match=f"{picture.name}: {NO_FACE}"):
        crop_of(picture, lambda content: FaceCrop(None))


def test_a_face_is_cut_as_it_was(picture):
    content = picture.read_bytes()
    whole, mirrored = crop_whole_picture(content).crop, cut_mirrored(content).crop
    ways = (cut_mirrored, crop_whole_picture)
    assert np.array_equal(crop_from_source(str(picture), digest_of(whole), ways), whole)
    assert np.array_equal(crop_from_source(str(picture), digest_of(mirrored), ways), mirrored)
    # A bundle that cuts otherwise, or a digest that nobody noted: the first way that finds a face.
    assert np.array_equal(crop_from_source(str(picture), "", ways), mirrored)
    assert np.array_equal(
        crop_from_source(str(picture), "", (lambda content: FaceCrop(None), crop_whole_picture)), whole
    )
    assert crop_from_source(str(picture), "", (lambda content: FaceCrop(None),)) is None


def test_pictures_that_are_not_at_hand(tmp_path, monkeypatch, picture):
    monkeypatch.chdir(tmp_path)
    Image.open(picture).save(tmp_path / LIVE, "PNG")
    (tmp_path / "broken.png").write_text("no picture")
    for source in (LIVE, "import:/home/face.png", "gone.png", "broken.png", "no\0name.png", str(tmp_path)):
        assert crop_from_source(source, "", (crop_whole_picture,)) is None
