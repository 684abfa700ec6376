"""Fitting finds what the data were made with."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest

from moodspace.classifier.calibration import softmax
from moodspace.classifier.ensemble import combine
from moodspace.classifier.fitting import (
    CalibrationData,
    calibration_scores,
    fit_calibration,
    fit_scaling,
    fit_unknown_threshold,
)
from moodspace.classifier.metrics import ece, nll
from tests.classifier.evidence import draw_evidence, draw_labels, neighbors_of


def test_calibrated_confidence_is_unknown_below_the_accuracy_asked_for() -> None:
    rng = np.random.default_rng(0)
    proba = softmax(rng.normal(size=(40_000, 5)) * 1.5).astype(np.float32)
    labels = draw_labels(rng, proba)
    for level in (0.4, 0.5, 0.7):
        assert fit_unknown_threshold(proba, labels, unknown_accuracy=level) == pytest.approx(level, abs=0.03)


@pytest.mark.parametrize(("right", "expected"), [([1, 1, 1, 1], 0.0), ([0, 0, 0, 0], 1.0), ([0, 0, 1, 1], 0.8)])
def test_threshold_by_hand(right: list[int], expected: float) -> None:
    confidence = np.array([0.6, 0.7, 0.8, 0.9], np.float32)
    proba = np.stack([confidence, 1 - confidence], axis=1)
    assert fit_unknown_threshold(proba, 1 - np.array(right)) == pytest.approx(expected)


def test_equal_confidences_stand_on_one_side_of_the_threshold() -> None:
    proba = np.array([[0.6, 0.4]] * 4, np.float32)
    assert fit_unknown_threshold(proba, np.array([0, 1, 1, 1])) == 1.0
    assert fit_unknown_threshold(proba, np.array([1, 0, 0, 0])) == 0.0


def test_the_ensembles_temperature_never_costs_calibration() -> None:
    for seed in (1, 5, 8, 10):  # the likeliest temperature would cost calibration on each
        evidence = draw_evidence(30, seed=seed)
        fitted = fit_calibration(evidence)
        plain = dataclasses.replace(fitted, ensemble_temperature=1.0)
        errors = [ece(calibration_scores(evidence, c).ensemble, evidence.labels) for c in (fitted, plain)]
        assert errors[0] <= errors[1]


def test_k_is_that_of_the_likeliest_ensemble() -> None:
    # The three nearest tell what the head does not know, all others repeat the head.
    rng = np.random.default_rng(0)
    seen, felt = rng.normal(size=(2, 1500, 5)) * [[[2.0]], [[1.5]]]
    labels = draw_labels(rng, softmax(seen + felt))
    ballots = np.repeat(seen.argmax(axis=1)[:, None], 30, axis=1)
    ballots[:, :3] = draw_labels(rng, np.repeat(softmax(felt), 3, axis=0)).reshape(1500, 3)
    similarities = np.full((1500, 30), 0.9, np.float32)  # no tau tells them apart
    evidence = CalibrationData(seen.astype(np.float32), similarities, ballots, labels)
    assert fit_calibration(evidence).k <= 5


def test_where_the_head_decides_alone_the_votes_are_at_their_likeliest() -> None:
    drawn = draw_evidence(400)
    heads = 20 * np.eye(5, dtype=np.float32)[drawn.labels]
    fitted = fit_calibration(CalibrationData(heads, drawn.similarities, drawn.neighbor_labels, drawn.labels))
    assert fitted.alpha == 1
    votes = [nll(calibration_scores(drawn, replace(fitted, k=k)).knn, drawn.labels) for k in (3, fitted.k)]
    assert votes[1] <= votes[0]


def test_evidence_is_heard_as_predictions_are_made() -> None:
    evidence = draw_evidence(80)
    evidence.neighbor_labels[:5] = -1
    calibration = fit_calibration(evidence)
    neighbors = neighbors_of(evidence.similarities, {"mood": evidence.neighbor_labels})
    prediction = combine(evidence.logits, neighbors, calibration, "mood", tuple("abcde"))
    heard = calibration_scores(evidence, calibration)
    np.testing.assert_allclose(heard.head, prediction.head_proba, atol=1e-6)
    np.testing.assert_allclose(heard.knn, prediction.knn_proba, atol=1e-6)
    np.testing.assert_allclose(heard.ensemble, prediction.proba, atol=1e-6)
    np.testing.assert_array_equal(heard.voted, np.arange(80) >= 5)


def test_a_gallery_without_a_label_of_this_set_leaves_the_head_as_it_is() -> None:
    evidence = draw_evidence(60)
    evidence.neighbor_labels[:] = -1
    fitted = fit_calibration(evidence)
    assert (fitted.alpha, fitted.ensemble_temperature) == (1.0, 1.0)
    assert (fitted.votes_temperature, fitted.votes_smoothing) == (1.0, 0.0)
    assert (fitted.scale, fitted.bias) == fit_scaling(evidence.logits, evidence.labels)


def test_faces_without_a_label_are_left_out() -> None:
    neighbors = neighbors_of(
        np.array([[0.9, 0.8], [0.7, 0.6]]),
        {"mood": np.array([[1, -1], [0, 1]])},
        valid=np.array([[True, True], [True, False]]),
    )
    evidence = CalibrationData.gather(np.eye(2, dtype=np.float32), neighbors, np.array([-1, 0]), "mood")
    np.testing.assert_array_equal(evidence.labels, [0])
    np.testing.assert_array_equal(evidence.neighbor_labels, [[0, -1]])
    np.testing.assert_array_equal(evidence.logits, [[0, 1]])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "got none"),
        ([0, 1], "a row for each"),
        ([0, 5, 1], "got 0 to 5"),
        ([0, -1, 1], "got -1 to 1"),
    ],
)
def test_evidence_that_does_not_fit_is_refused(labels: list[int], message: str) -> None:
    rows = 0 if not labels else 3
    with pytest.raises(ValueError, match=message):
        CalibrationData(
            np.zeros((rows, 5), np.float32),
            np.zeros((rows, 2), np.float32),
            np.zeros((rows, 2), np.int64),
            np.array(labels, np.int64),
        )
