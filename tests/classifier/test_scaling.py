"""Scales, biases and votes' temperatures: found where data show them, held in place where they do not."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from moodspace.classifier.calibration import sharpen, softmax
from moodspace.classifier.fitting import _cost_and_gradient, fit_scaling, fit_temperature, fit_votes_scaling
from moodspace.classifier.metrics import ece, nll
from tests.classifier.evidence import draw_labels


def draw(n: int, n_classes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """True logits and labels drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, n_classes)) * 2
    return logits, draw_labels(rng, softmax(logits))


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_one_temperature_for_all_classes_is_recovered(temperature: float) -> None:
    logits, labels = draw(20_000)
    scale, bias = fit_scaling(logits * temperature, labels)
    np.testing.assert_allclose(scale, 1 / temperature, rtol=0.06)
    np.testing.assert_allclose(bias, 0, atol=0.06)


def test_a_scale_and_a_bias_for_each_class_are_recovered() -> None:
    logits, labels = draw(20_000)
    wanted_scale, wanted_bias = np.array([0.5, 1.0, 1.5, 1.0, 0.8]), np.array([0.4, 0.0, -0.3, 0.2, -0.3])
    scale, bias = fit_scaling((logits - wanted_bias) / wanted_scale, labels)
    np.testing.assert_allclose(scale, wanted_scale, rtol=0.1)
    np.testing.assert_allclose(bias - np.mean(bias), wanted_bias - wanted_bias.mean(), atol=0.1)


def test_the_gradient_is_that_of_the_cost() -> None:
    logits, labels = draw(40)
    at = np.random.default_rng(1).normal(size=10)
    found = _cost_and_gradient(at, logits, labels)[1]
    np.testing.assert_allclose(found, approx_fprime(at, lambda p: _cost_and_gradient(p, logits, labels)[0]), atol=1e-5)


def test_a_class_without_faces_stays_in_reach() -> None:
    logits, labels = draw(500)
    seen = labels != 4
    scale, bias = fit_scaling(logits[seen], labels[seen])
    assert 0.3 < scale[4] < 3
    assert -3 < bias[4] < 0
    # A face that the head is sure of is still called by that name.
    assert (softmax(np.eye(5) * 12 * scale + bias).argmax(axis=1) == np.arange(5)).all()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_faces_hardly_tell_classes_apart(n: int) -> None:
    logits, labels = draw(n)
    scale, bias = fit_scaling(logits, labels)
    assert min(scale) >= 0.05 and max(scale) <= 20
    assert max(scale) < 2 * min(scale)
    assert np.abs(bias).max() < 0.5


def test_faces_that_are_all_right_do_not_ask_for_infinite_scales() -> None:
    scale, _ = fit_scaling(np.eye(3)[[0, 1, 2] * 50], np.array([0, 1, 2] * 50))
    assert max(scale) <= 20.0001
    assert min(scale) > 5


def test_votes_that_agree_more_than_they_are_right_become_honest() -> None:
    rng = np.random.default_rng(0)
    truth = softmax(rng.normal(size=(4000, 5)) * 2)
    labels = draw_labels(rng, truth)
    shares = sharpen(truth, 0.1).round(2)
    shares /= shares.sum(axis=1, keepdims=True)
    temperature, smoothing = fit_votes_scaling(shares, labels)
    honest = sharpen(shares + smoothing, temperature)
    assert ece(shares, labels) > 0.15
    assert ece(honest, labels) < 0.05
    assert nll(honest, labels) < nll(sharpen(shares + 1e-3, 1.0), labels)


def test_without_any_vote_nothing_is_changed() -> None:
    assert fit_votes_scaling(np.zeros((0, 5)), np.zeros(0, np.int64)) == (1.0, 0.0)


def test_a_temperature_outside_its_bounds_ends_at_them() -> None:
    logits, labels = draw(500)
    found = fit_temperature(lambda value: softmax(logits / 9 / value), labels, 0.25, 4.0)
    assert found == pytest.approx(0.25, rel=1e-2)
