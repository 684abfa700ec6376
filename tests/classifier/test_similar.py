"""Tests of classifier/similar.py: the most similar faces of both galleries."""

import numpy as np
import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.classifier.similar import QueryError, crop_of, similar_faces
from moodspace.index.ingest.apply import EmbeddedFile
from moodspace.index.ingest.read_faces import NO_FACE, FaceCrop, crop_whole_picture
from moodspace.index.ingest.teach import teach
from moodspace.index.taught.user_gallery import FollowedGallery, open_gallery
from tests.drawn_faces import drawn_faces
from tests.hostile_pictures import face, saved
from tests.index.ingest.fake_bundles import BUNDLE

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
    with open_gallery(folder, BUNDLE.encoder_spec, create=True) as opened:
        embedded = BUNDLE.encoder.encode(crop_whole_picture(picture.read_bytes()).crop[None]).embeddings[0]
        teach(opened, "star-struck", [[_embedded(str(picture), embedded)]])
    recognizer = Recognizer(BUNDLE, taught=FollowedGallery(folder, BUNDLE.encoder_spec))
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
    with pytest.raises(QueryError, match=r"gone\.png: expected a picture, got: No such file"):
        crop_of(tmp_path / "gone.png", crop_whole_picture)
    with pytest.raises(QueryError, match=r"broken\.png: expected"):
        crop_of(tmp_path / "broken.png", crop_whole_picture)
    with pytest.raises(QueryError, match=f"{picture.name}: {NO_FACE}"):
        crop_of(picture, lambda content: FaceCrop(None))


def test_a_document_has_the_similarity_once_and_rounded():
    found = similar_faces(Recognizer(BUNDLE), FACES.crops[3], 2)[1]
    document = found.to_json()
    assert document.keys() == set(type(found).__dataclass_fields__)
    assert document["similarity"] == round(found.similarity, 6)
