"""Tests of classifier/quality_effect.py: low quality lowers the confidence and leaves the order of the classes."""

from dataclasses import replace

import numpy as np
import pytest

from moodspace.classifier.quality_effect import QualityEffect, faults
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.quality import FaceQuality, assess_crops_alone
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle

GOOD = {"size": 100.0, "sharpness": 0.05, "yaw": 0.0, "noise": 2.0, "hidden": 0.1}
BAD = {"blurred": ("sharpness", 0.01), "noisy": ("noise", 30.0), "hidden": ("hidden", 0.99), "turned": ("yaw", -50.0),
       "small": ("size", 20.0)}  # fmt: skip


def quality(**changed: float) -> FaceQuality:
    values = {name: np.array([value], np.float32) for name, value in (GOOD | changed).items()}
    return FaceQuality(
        values["size"], values["sharpness"], values["yaw"], np.ones(1, bool), ("",), values["noise"], values["hidden"]
    )


@pytest.mark.parametrize("fault", BAD)
def test_each_fault_counts_by_its_own_factor(fault: str) -> None:
    name, value = BAD[fault]
    effect = QualityEffect(**{fault: 0.5})
    assert effect.temperature(quality())[0] == 1
    assert effect.temperature(quality(**{name: value}))[0] > 1.1
    assert QualityEffect().temperature(quality(**{name: value}))[0] == 1


def test_grain_has_a_limit_where_noise_begins() -> None:
    assert faults(quality(noise=2.0))[0, 1] == 0
    assert 0 < faults(quality(noise=5.0))[0, 1] < faults(quality(noise=8.0))[0, 1]
    assert faults(quality(noise=30.0))[0, 1] == pytest.approx(faults(quality(noise=8.0))[0, 1], rel=1e-5)


def test_what_was_not_measured_is_no_fault() -> None:
    unknown = float("nan")
    assert not faults(quality(size=unknown, yaw=unknown, noise=unknown, hidden=unknown)).any()


def test_the_recognizer_lowers_the_confidence_and_keeps_the_order() -> None:
    bundle, faces = fake_bundle(drawn_faces(60, seed=0)), drawn_faces(6, seed=1)
    view = bundle.default_labels
    plain = Recognizer(bundle).predict(faces.crops)
    careful = Recognizer(replace(bundle, quality={view: QualityEffect(overall=0.4)})).predict(faces.crops)
    assert (careful.confidence < plain.confidence).all()
    np.testing.assert_array_equal(careful.proba.argsort(axis=1), plain.proba.argsort(axis=1))
    np.testing.assert_allclose(careful.proba.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(careful.unknown, careful.confidence < bundle.calibrations[view].unknown_below)
    np.testing.assert_array_equal(careful.head_proba, plain.head_proba)
    assert len(Recognizer(replace(bundle, quality={view: QualityEffect(blurred=1.0)})).predict(faces.crops[:0])) == 0


def test_the_pictures_quality_counts_where_it_is_known() -> None:
    bundle, faces = fake_bundle(drawn_faces(60, seed=0)), drawn_faces(2, seed=1)
    recognizer = Recognizer(replace(bundle, quality={bundle.default_labels: QualityEffect(small=1.0)}))
    small = replace(assess_crops_alone(faces.crops), size=np.array([10, 100], np.float32))
    plain, known = recognizer.predict(faces.crops), recognizer.predict(faces.crops, quality=small)
    assert known.confidence[0] < plain.confidence[0]
    assert known.confidence[1] == pytest.approx(plain.confidence[1])


def test_what_is_written_reads_the_same() -> None:
    effect = QualityEffect(overall=-0.2, blurred=0.3, hidden=0.5)
    assert QualityEffect.from_json(effect.to_json()) == effect
    assert QualityEffect.from_json({}) == QualityEffect()


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"blurred": -0.1}, "quality, blurred: expected a number >= 0"),
        ({"overall": 3.0}, r"quality, overall: expected a number in \[-2, 2\]"),
        ({"noisy": "much"}, "quality, noisy: expected a finite number"),
        ({"hidden": float("nan")}, "quality, hidden: expected a finite number"),
        ({"ugly": 1.0}, "quality: expected"),
    ],
)
def test_values_that_are_no_effect_are_refused(values: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        QualityEffect.from_json(values)


def test_the_overall_effect_may_be_as_large_as_its_limits_say() -> None:
    for value in (-2.0, 2.0):
        assert QualityEffect(overall=value).overall == value
    for value in (-2.01, 2.01):
        with pytest.raises(ValueError, match="overall"):
            QualityEffect(overall=value)


def test_without_quality_nothing_is_lowered_where_the_bundle_knows_an_effect() -> None:
    bundle = fake_bundle(drawn_faces(70, seed=0))
    encoded = bundle.encoder.encode(drawn_faces(5, seed=1).crops)
    lowering = Recognizer(replace(bundle, quality={"fer2013": QualityEffect(blurred=0.5)}), "fer2013")
    plain = Recognizer(bundle, "fer2013").predict_encoded(encoded)
    np.testing.assert_array_equal(lowering.predict_encoded(encoded).proba, plain.proba)
