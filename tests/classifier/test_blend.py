"""Tests of classifier/views.py: label sets that are believed class by class."""

import numpy as np
import pytest

from moodspace.classifier.bundle.build import default_blend
from moodspace.classifier.recognizer import Recognizer
from moodspace.classifier.views import BLEND, Blend
from moodspace.embeddings.data.labels import FER2013_CLASSES, FERPLUS_CLASSES
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle

CLASSES = {"acted": ("calm", "glad", "cross"), "seen": ("glad", "proud", "calm", "cross")}
# "acted" is believed about glad and cross, "seen" about calm.
BLEND_OF_TWO = Blend(("calm", "glad", "cross"), {"acted": (0.0, 1.0, 1.0), "seen": (1.0, 0.0, 0.0)}, truth="seen")


def test_each_class_is_read_from_the_set_that_is_believed_about_it():
    proba = {"acted": np.array([[0.2, 0.2, 0.6]]), "seen": np.array([[0.1, 0.5, 0.3, 0.1]])}
    # Without "proud" the second view is 0.2, 0.6, 0.2: calm is 0.6, then glad 0.2 and cross 0.6 of the first.
    np.testing.assert_allclose(BLEND_OF_TWO.mean(proba, CLASSES), [[0.6 / 1.4, 0.2 / 1.4, 0.6 / 1.4]])


def test_a_temperature_below_one_makes_the_blend_surer_and_names_the_same_class():
    proba = {"acted": np.array([[0.2, 0.2, 0.6]]), "seen": np.array([[0.5, 0.0, 0.3, 0.2]])}
    plain = BLEND_OF_TWO.mean(proba, CLASSES)
    sure = Blend(BLEND_OF_TWO.classes, BLEND_OF_TWO.shares, "seen", temperature=0.5).mean(proba, CLASSES)
    assert sure.argmax() == plain.argmax()
    assert sure.max() > plain.max()
    np.testing.assert_allclose(sure.sum(axis=1), 1)


def test_a_face_of_two_labels_is_the_one_that_is_believed_more():
    blend = Blend(("calm", "glad", "cross"), {"acted": (0.2, 0.7, 0.7), "seen": (0.8, 0.3, 0.3)}, "seen")
    acted, seen = np.array([[0, 1, 2, 2, -1]]), np.array([[2, 3, 2, 1, 1]])
    # calm and calm; glad over cross (0.7 to 0.3); calm (0.8) over cross (0.7); cross; "proud" alone is no class here.
    np.testing.assert_array_equal(blend.labels({"acted": acted, "seen": seen}, CLASSES), [[0, 1, 0, 2, -1]])


def test_what_is_written_reads_the_same():
    assert Blend.from_json(BLEND_OF_TWO.to_json()) == BLEND_OF_TWO
    with pytest.raises(ValueError, match="blend: expected classes, shares, truth, temperature"):
        Blend.from_json({"classes": ["calm"]})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"shares": {"acted": (0.5, 1, 1), "seen": (1, 0, 0)}}, "shares: expected the sets' shares"),
        ({"shares": {"acted": (-1, 1, 1), "seen": (2, 0, 0)}}, "shares: expected the sets' shares"),
        ({"shares": {"acted": (1, 1)}}, "shares: expected the sets' shares"),
        ({"truth": "told"}, "truth: expected one of acted, seen"),
        ({"temperature": 0.0}, "temperature: expected a finite number > 0"),
        ({"unknown_below": 1.5}, r"unknown_below: expected a number in \[0, 1\]"),
    ],
)
def test_numbers_that_are_no_blend_are_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        Blend(**({"classes": BLEND_OF_TWO.classes, "shares": BLEND_OF_TWO.shares, "truth": "acted"} | change))


def test_fer2013_and_its_votes_have_a_blend_over_the_seven_classes_and_other_sets_none():
    blend = default_blend({"fer2013": FER2013_CLASSES, "ferplus": FERPLUS_CLASSES})
    assert blend is not None
    assert blend.classes == FER2013_CLASSES
    calm = FER2013_CLASSES.index("neutral")
    assert blend.shares["ferplus"][calm] > 0.5 > blend.shares["ferplus"][0]
    assert default_blend({"fer2013": FER2013_CLASSES}) is None
    assert default_blend({"mine": ("a", "b"), "yours": ("a", "b")}) is None


def test_the_recognizer_blends_what_it_reads_in_each_set():
    bundle = fake_bundle(drawn_faces(60, seed=0, votes=True))
    faces = drawn_faces(5, seed=1)
    assert bundle.blend is not None
    blended, views = Recognizer(bundle, BLEND).predict(faces.crops), {}
    for name in bundle.classes:
        views[name] = Recognizer(bundle, name).predict(faces.crops)
    np.testing.assert_allclose(
        blended.proba, bundle.blend.mean({n: v.proba for n, v in views.items()}, bundle.classes), atol=1e-6
    )
    assert blended.classes == FER2013_CLASSES
    labels = {name: blended.neighbors.labels[name] for name in bundle.classes}
    np.testing.assert_array_equal(blended.neighbors.labels[BLEND], bundle.blend.labels(labels, bundle.classes))
    assert Recognizer(bundle, BLEND).predict(faces.crops[:0]).proba.shape == (0, 7)
