"""Fitting finds what the data were made with, and cross-fitting does not look at the faces it scores."""

import dataclasses
import json

import numpy as np
import pytest

from classifier.calibration import Calibration, softmax
from classifier.ensemble import mix
from classifier.fitting import (
    CrossFit,
    Evidence,
    assign_folds,
    cross_fit,
    fit_calibration,
    fit_temperature,
    fit_unknown_threshold,
)
from classifier.metrics import Scores, ece
from classifier.votes import vote
from tests.classifier.evidence import draw_evidence, draw_labels, neighbors_of


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 7)) * 2
    labels = draw_labels(rng, softmax(logits))
    assert fit_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.05)


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


def test_head_and_votes_together_are_better_than_either() -> None:
    scores = cross_fit(draw_evidence(2000, temperature=3.0))
    assert scores.ensemble.nll < min(scores.head.nll, scores.knn.nll) - 0.05
    assert scores.ensemble.accuracy > max(scores.head.accuracy, scores.knn.accuracy) + 0.02
    assert scores.ensemble.ece < 0.05
    assert scores.covered_accuracy > scores.ensemble.accuracy
    assert 0.5 < scores.coverage < 1


def test_the_ensembles_temperature_never_costs_calibration() -> None:
    for seed in (1, 5, 8, 10):  # the likeliest temperature would cost calibration on each
        evidence = draw_evidence(30, seed=seed)
        fitted = fit_calibration(evidence)
        plain = dataclasses.replace(fitted, ensemble_temperature=1.0)
        errors = [ece(mixed(evidence, c), evidence.labels) for c in (fitted, plain)]
        assert errors[0] <= errors[1]


def mixed(evidence: Evidence, calibration: Calibration) -> np.ndarray:
    votes = vote(evidence.similarities, evidence.ballots, 5, tau=calibration.tau, k=calibration.k)
    return mix(softmax(evidence.logits, calibration.temperature), votes.proba, votes.voted, calibration)


def test_a_folds_calibration_does_not_depend_on_its_faces() -> None:
    evidence = draw_evidence(200)
    fold_of = assign_folds(200, 4, seed=1)
    honest = cross_fit(evidence, folds=4, seed=1)
    other = draw_evidence(200, seed=9)
    spoiled = evidence.take(np.arange(200))
    for name in ("logits", "similarities", "ballots", "labels"):
        getattr(spoiled, name)[fold_of == 2] = getattr(other, name)[fold_of == 2]
    changed = cross_fit(spoiled, folds=4, seed=1)
    same = [a == b for a, b in zip(honest.calibrations, changed.calibrations, strict=True)]
    assert same == [False, False, True, False]


def test_a_gallery_without_a_label_of_this_set_leaves_the_head_as_it_is() -> None:
    evidence = draw_evidence(60)
    evidence.ballots[:] = -1
    fitted = fit_calibration(evidence)
    assert (fitted.alpha, fitted.ensemble_temperature) == (1.0, 1.0)
    assert fitted.temperature == fit_temperature(evidence.logits, evidence.labels)


def test_figures_in_json() -> None:
    document = json.loads(json.dumps(cross_fit(draw_evidence(60)).to_json(), allow_nan=False))
    assert document.keys() == {"head", "knn", "ensemble", "coverage", "covered_accuracy"}
    assert document["head"].keys() == {"accuracy", "macro_f1", "ece", "nll"}


def test_nothing_covered_has_no_accuracy() -> None:
    scores = Scores(0.1, 0.1, 0.1, 0.1)
    assert CrossFit(scores, scores, scores, 0.0, float("nan"), ()).to_json()["covered_accuracy"] is None


def test_folds_are_even_seeded_and_cover_all_faces() -> None:
    folds = assign_folds(23, 5, seed=3)
    assert sorted(np.bincount(folds)) == [4, 4, 5, 5, 5]
    np.testing.assert_array_equal(folds, assign_folds(23, 5, seed=3))
    assert (folds != assign_folds(23, 5, seed=4)).any()


def test_faces_without_a_label_are_left_out() -> None:
    neighbors = neighbors_of(
        np.array([[0.9, 0.8], [0.7, 0.6]]),
        {"mood": np.array([[1, -1], [0, 1]])},
        valid=np.array([[True, True], [True, False]]),
    )
    evidence = Evidence.gather(np.eye(2, dtype=np.float32), neighbors, np.array([-1, 0]), "mood")
    np.testing.assert_array_equal(evidence.labels, [0])
    np.testing.assert_array_equal(evidence.ballots, [[0, -1]])
    np.testing.assert_array_equal(evidence.logits, [[0, 1]])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "received none"),
        ([0, 1], "a row for each"),
        ([0, 5, 1], "received 0 to 5"),
        ([0, -1, 1], "received -1 to 1"),
    ],
)
def test_evidence_that_does_not_fit_is_refused(labels: list[int], message: str) -> None:
    rows = 0 if not labels else 3
    with pytest.raises(ValueError, match=message):
        Evidence(
            np.zeros((rows, 5), np.float32),
            np.zeros((rows, 2), np.float32),
            np.zeros((rows, 2), np.int64),
            np.array(labels, np.int64),
        )


@pytest.mark.parametrize("folds", [1, 11])
def test_too_few_or_too_many_folds(folds: int) -> None:
    with pytest.raises(ValueError, match="expected 2 to 10"):
        cross_fit(draw_evidence(10), folds=folds)
