"""The recognizer is encode, search and combine, with the label set that was asked for."""

import numpy as np
import pytest

from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.ensemble import combine
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.data.labelled import LabelledFaces
from moodspace.embeddings.data.labels import FER2013_CLASSES, FERPLUS_CLASSES
from tests.drawn_faces import drawn_faces


def test_the_default_label_set_is_the_bundles(bundle: Bundle) -> None:
    assert (Recognizer(bundle).label_set, Recognizer(bundle).classes) == ("fer2013", FER2013_CLASSES)
    assert Recognizer(bundle, "ferplus").classes == FERPLUS_CLASSES


@pytest.mark.parametrize("label_set", ["fer2013", "ferplus"])
def test_prediction_is_encode_search_combine(bundle: Bundle, other_faces: LabelledFaces, label_set: str) -> None:
    found = Recognizer(bundle, label_set).predict(other_faces.crops[:5])
    encoded = bundle.encoder.encode(other_faces.crops[:5])
    calibration = bundle.calibrations[label_set]
    neighbors = bundle.index.search(encoded.embeddings, calibration.k)
    expected = combine(encoded.logits[label_set], neighbors, calibration, label_set, bundle.classes[label_set])
    np.testing.assert_array_equal(found.proba, expected.proba)
    np.testing.assert_array_equal(found.neighbors.ids, neighbors.ids)


def test_a_gallery_face_is_recognised_by_itself(bundle: Bundle, gallery_faces: LabelledFaces) -> None:
    found = Recognizer(bundle).predict(gallery_faces.crops)
    np.testing.assert_array_equal(found.neighbors.ids[:, 0], np.arange(len(gallery_faces)))
    np.testing.assert_array_equal(found.labels, gallery_faces.labels)


def test_no_crops_are_legal(bundle: Bundle) -> None:
    assert len(Recognizer(bundle).predict(np.zeros((0, 48, 48), np.uint8))) == 0


def test_an_unknown_label_set_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match=r"expected one of \['blend', 'fer2013', 'ferplus'\], got 'moods'"):
        Recognizer(bundle, "moods")


def test_unreadable_faces_are_unknown_and_keep_their_probabilities(recognizer: Recognizer) -> None:
    prediction = recognizer.predict(drawn_faces(2, seed=3).crops)
    withheld = prediction.withheld(np.array([True, False]))
    assert withheld.unknown.tolist() == [prediction.unknown[0], True]
    np.testing.assert_array_equal(withheld.proba, prediction.proba)
