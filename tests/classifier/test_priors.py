"""Tests of classifier/priors.py: predictions adjusted to how common each class is."""

import json
from pathlib import Path

import numpy as np
import pytest

from moodspace.classifier.priors import adjust, class_frequencies, read_prior
from moodspace.classifier.recognizer import Recognizer
from moodspace.errors import MoodspaceError
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle

CLASSES = ("calm", "glad", "cross")


def test_a_class_that_is_more_common_elsewhere_becomes_more_probable_by_bayes() -> None:
    # Likelihoods 0.2 and 0.4 under frequencies 3:1 give 0.6 to 0.4; under 1:1 they give 1/3 to 2/3.
    adjusted = adjust(np.array([[0.6, 0.4]]), np.array([0.75, 0.25]), np.array([0.5, 0.5]))
    np.testing.assert_allclose(adjusted, [[1 / 3, 2 / 3]])


def test_frequencies_count_labelled_faces_and_are_never_zero() -> None:
    np.testing.assert_allclose(class_frequencies(np.array([0, 0, 1, -1]), 3), [3 / 6, 2 / 6, 1 / 6])


def test_priors_by_name_and_by_file(tmp_path: Path) -> None:
    assert read_prior("data", CLASSES) is None
    np.testing.assert_allclose(read_prior("balanced", CLASSES), 1 / 3)
    file = tmp_path / "prior.json"
    file.write_text(json.dumps({"cross": 1, "calm": 2, "glad": 5}))
    np.testing.assert_allclose(read_prior(str(file), CLASSES), [0.25, 0.625, 0.125])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[1, 2, 3]", "expected a number for each of calm, glad, cross, got list"),
        ('{"calm": 1, "glad": 1}', "expected a number for each of calm, glad, cross, got calm, glad"),
        ('{"calm": 1, "glad": 1, "cross": 0}', "cross: expected a finite number > 0, got 0"),
        ('{"calm": 1, "glad": 1, "cross": true}', "cross: expected a finite number > 0, got True"),
        ("calm", "expected JSON"),
    ],
)
def test_a_file_that_is_no_prior_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "prior.json"
    file.write_text(text)
    with pytest.raises(MoodspaceError, match=complaint):
        read_prior(str(file), CLASSES)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(MoodspaceError, match="prior: expected balanced, data or a JSON file, got 'even'"):
        read_prior("even", CLASSES)


def test_the_recognizer_adjusts_from_the_frequencies_of_its_gallery() -> None:
    bundle, faces = fake_bundle(drawn_faces(60, seed=0)), drawn_faces(6, seed=1)
    plain = Recognizer(bundle)
    gallery = class_frequencies(plain.gallery_labels, len(plain.classes))
    same = Recognizer(bundle, prior=gallery).predict(faces.crops)
    np.testing.assert_allclose(same.proba, plain.predict(faces.crops).proba, atol=1e-6)
    rare = np.where(np.arange(len(plain.classes)) == 0, 10.0, 1.0) * gallery
    shifted = Recognizer(bundle, prior=rare / rare.sum()).predict(faces.crops)
    assert (shifted.proba[:, 0] > same.proba[:, 0]).all()
    np.testing.assert_allclose(shifted.proba.sum(axis=1), 1, rtol=1e-5)
    with pytest.raises(ValueError, match="prior: expected a number for each of"):
        Recognizer(bundle, prior=np.ones(2) / 2)
