"""Metrics against scikit-learn, and on bins and curves small enough to work out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from moodspace.classifier.calibration import softmax
from moodspace.classifier.metrics import (
    PROBA_FLOOR,
    Coverage,
    Scores,
    accuracy,
    confusion,
    ece,
    macro_f1,
    nll,
    per_class,
    risk_coverage,
    wilson,
)
from tests.classifier.evidence import draw_labels


def two_columns(*confidences: float) -> np.ndarray:
    """Rows whose first class has the given probability."""
    first = np.array(confidences)
    return np.stack([first, 1 - first], axis=1)


@pytest.mark.parametrize("occurring", [5, 3])
def test_counts_are_scikit_learns(occurring: int) -> None:
    rng = np.random.default_rng(occurring)
    labels, predicted = rng.integers(0, occurring, (2, 200))
    assert accuracy(predicted, labels) == pytest.approx(oracle.accuracy_score(labels, predicted))
    assert macro_f1(predicted, labels, 5) == pytest.approx(oracle.f1_score(labels, predicted, average="macro"))
    np.testing.assert_array_equal(
        confusion(predicted, labels, 5), oracle.confusion_matrix(labels, predicted, labels=range(5))
    )
    precision, recall, _, n = oracle.precision_recall_fscore_support(
        labels, predicted, labels=range(5), zero_division=0
    )
    found = per_class(predicted, labels, 5)
    np.testing.assert_allclose(found.precision, precision)
    np.testing.assert_allclose(found.recall, recall)
    np.testing.assert_array_equal(found.n, n)


def test_likelihood_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(4), 100).astype(np.float32)
    labels = rng.integers(0, 4, 100)
    assert nll(proba, labels) == pytest.approx(oracle.log_loss(labels, proba, labels=range(4)), rel=1e-6)


def test_a_true_class_without_any_share_costs_a_finite_amount() -> None:
    assert nll(two_columns(1.0, 0.5), np.array([1, 1])) == pytest.approx((-math.log(PROBA_FLOOR) + math.log(2)) / 2)


def test_calibration_error_of_two_bins_by_hand() -> None:
    # (0.6, 0.667]: confidence 0.65, half of it right; (0.867, 0.933]: confidence 0.9, all right: (2 * .15 + 2 * .1) / 4
    assert ece(two_columns(0.65, 0.65, 0.9, 0.9), np.array([0, 1, 0, 0])) == pytest.approx(0.125)


def test_gaps_of_opposite_sign_cancel_inside_a_bin_only() -> None:
    # 0.55 wrong and 0.95 right are one bin of [0.5, 1] whose mean confidence, .75, misses its accuracy, .5, by .25
    assert ece(two_columns(0.55, 0.95), np.array([1, 0]), bins=2) == pytest.approx(0.25)
    assert ece(two_columns(0.55, 0.95), np.array([1, 0]), bins=15) == pytest.approx((0.55 + 0.05) / 2)


def test_a_bin_holds_its_upper_edge() -> None:
    # 0.8 belongs to (0.6, 0.8] together with 0.7, where the gaps cancel: .75 against .5; apart they would give .45
    assert ece(two_columns(0.7, 0.8), np.array([0, 1]), bins=5) == pytest.approx(0.25)


def test_calibrated_probabilities_have_next_to_no_calibration_error() -> None:
    rng = np.random.default_rng(0)
    proba = softmax(rng.normal(size=(50_000, 5)) * 2)
    labels = draw_labels(rng, proba)
    assert ece(proba, labels) < 0.01
    assert ece(proba**2 / (proba**2).sum(axis=1, keepdims=True), labels) > 0.05


def test_risk_at_each_coverage_by_hand() -> None:
    curve = risk_coverage(two_columns(0.9, 0.6, 0.8, 0.6), np.array([0, 1, 1, 0]))
    np.testing.assert_allclose(curve.coverage, [0.25, 0.5, 1.0])
    np.testing.assert_allclose(curve.risk, [0, 0.5, 0.5])
    np.testing.assert_allclose(curve.threshold, [0.9, 0.8, 0.6])


@given(st.integers(0, 1000))
def test_risk_at_full_coverage_is_the_error_rate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    proba, labels = rng.dirichlet(np.ones(3), 20).round(1), rng.integers(0, 3, 20)
    curve = risk_coverage(proba, labels)
    assert curve.coverage[-1] == 1
    assert curve.risk[-1] == pytest.approx(1 - accuracy(proba.argmax(axis=1), labels))
    assert (np.diff(curve.coverage) > 0).all() and (np.diff(curve.threshold) < 0).all()


def test_coverage_by_hand() -> None:
    confidences = np.linspace(0.95, 0.55, 10)
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 0, 1, 1])  # wrong at the 7th, 9th and 10th
    found = Coverage.of(two_columns(*confidences), labels, confidences < 0.75)  # the last five
    assert found.accuracy_at == pytest.approx((7 / 10, 7 / 9, 7 / 8, 6 / 7, 1))
    assert (found.known, found.known_accuracy) == (0.5, 1)
    assert found.to_json()["accuracy_at"] == dict(
        zip(("100%", "90%", "80%", "70%", "50%"), found.accuracy_at, strict=True)
    )


def test_at_least_the_share_asked_for_is_covered() -> None:
    labels, none = np.array([0, 1, 0]), np.zeros(3, np.bool_)
    # Half of three faces is more than one; of three equally sure ones it is all.
    assert Coverage.of(two_columns(0.9, 0.8, 0.7), labels, none).accuracy_at[-1] == pytest.approx(1 / 2)
    assert Coverage.of(two_columns(0.9, 0.9, 0.9), labels, none).accuracy_at[-1] == pytest.approx(2 / 3)


def test_nothing_known_has_no_accuracy() -> None:
    found = Coverage.of(two_columns(0.9, 0.8), np.array([0, 0]), np.ones(2, np.bool_))
    assert found.to_json()["known"] == 0
    assert found.to_json()["known_accuracy"] is None


def test_no_faces_have_no_scores() -> None:
    nothing = Coverage.of(np.zeros((0, 3)), np.zeros(0, np.int64), np.zeros(0, np.bool_)).to_json()
    assert {nothing["known"], nothing["known_accuracy"], *nothing["accuracy_at"].values()} == {None}
    scores = Scores.of(np.zeros((0, 3), np.float32), np.zeros(0, np.int64))
    assert all(math.isnan(value) for value in (scores.accuracy, scores.macro_f1, scores.ece, scores.nll))
    assert not risk_coverage(np.zeros((0, 3)), np.zeros(0, np.int64)).coverage.size


@pytest.mark.parametrize(
    ("right", "n", "interval"),
    [(0.5, 10, (0.2366, 0.7634)), (0.0, 7, (0.0, 0.3543)), (1.0, 7, (0.6457, 1.0)), (0.8, 1000, (0.7741, 0.8236))],
)
def test_wilson_s_interval(right: float, n: int, interval: tuple[float, float]) -> None:
    """The figures of the closed form, as in Newcombe (1998), method 3."""
    assert wilson(right, n) == pytest.approx(interval, abs=1e-4)


def test_wilson_s_interval_of_no_faces_is_everything() -> None:
    assert wilson(float("nan"), 0) == (0.0, 1.0)
