"""The calibration's JSON form, and what scales, biases and temperatures do to probabilities."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from moodspace.classifier.calibration import Calibration, calibrated, sharpen, softmax

CALIBRATION = Calibration(
    scale=(1.3, 0.7),
    bias=(-0.2, 0.1),
    alpha=0.4,
    tau=0.05,
    k=20,
    unknown_below=0.5,
    votes_temperature=2.0,
    votes_smoothing=1e-3,
    ensemble_temperature=0.9,
)
LOGITS = arrays(np.float32, (4, 5), elements=st.floats(-50, 50, width=32))


def test_json_round_trip() -> None:
    assert Calibration.from_json(json.loads(json.dumps(CALIBRATION.to_json()))) == CALIBRATION


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": (1.0, 0.0)}, r"scale: expected a finite number > 0 for each class, got \(1.0, 0.0\)"),
        ({"scale": (1.0, float("nan"))}, "scale: expected"),
        ({"scale": (), "bias": ()}, "scale: expected"),
        ({"bias": (0.0,)}, "bias: expected 2 finite numbers, one per scale, got"),
        ({"bias": (0.0, float("inf"))}, "bias: expected"),
        ({"votes_temperature": 0.0}, "votes_temperature: expected a finite number > 0, got 0.0"),
        ({"votes_temperature": float("nan")}, "votes_temperature: expected"),
        ({"votes_smoothing": -1e-9}, "votes_smoothing: expected a finite number >= 0"),
        ({"votes_smoothing": float("nan")}, "votes_smoothing: expected"),
        ({"ensemble_temperature": float("inf")}, "ensemble_temperature: expected"),
        ({"tau": -1.0}, "tau: expected"),
        ({"alpha": 1.01}, "alpha: expected a number in"),
        ({"alpha": float("nan")}, "alpha: expected"),
        ({"unknown_below": -0.1}, "unknown_below: expected"),
        ({"k": 0}, "k: expected a whole number >= 1, got 0"),
        ({"k": 2.0}, "k: expected a whole number"),
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CALIBRATION, **change)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "got list"),
        ({**CALIBRATION.to_json(), "gamma": 1}, "gamma"),
        ({"alpha": 1.0}, "expected exactly the values"),
        ({**CALIBRATION.to_json(), "alpha": "0.5"}, "alpha: expected a number, got '0.5'"),
        ({**CALIBRATION.to_json(), "k": True}, "k: expected a number, got True"),
        ({**CALIBRATION.to_json(), "alpha": [0.5]}, "alpha: expected a number, got"),
        ({**CALIBRATION.to_json(), "scale": 1.0}, "scale: expected a list of numbers, got 1.0"),
        ({**CALIBRATION.to_json(), "bias": [0.0, None]}, "bias: expected a list of numbers, got"),
    ],
)
def test_foreign_json_is_refused(values: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Calibration.from_json(values)  # type: ignore[arg-type]


def test_softmax_in_closed_form() -> None:
    np.testing.assert_allclose(softmax(np.log([[1.0, 3.0]])), [[0.25, 0.75]])


def test_calibrated_logits_in_closed_form() -> None:
    calibration = dataclasses.replace(CALIBRATION, scale=(1.0, 0.5), bias=(0.0, float(np.log(3.0))))
    np.testing.assert_allclose(calibrated(np.log([[1.0, 9.0]]), calibration), [[0.1, 0.9]])
    assert calibrated(np.zeros((0, 2), np.float32), calibration).shape == (0, 2)


@pytest.mark.parametrize("columns", [1, 3])
def test_logits_of_another_number_of_classes_are_refused(columns: int) -> None:
    with pytest.raises(ValueError, match=rf"expected the 2 columns of the calibration, got \(4, {columns}\)"):
        calibrated(np.zeros((4, columns), np.float32), CALIBRATION)


def test_softmax_stands_logits_of_any_size() -> None:
    np.testing.assert_array_equal(softmax(np.array([[3e38, -3e38]], np.float32)), [[1, 0]])


@given(LOGITS, st.floats(0.25, 4))
def test_sharpening_a_softmax_is_a_softmax_of_larger_logits(logits: np.ndarray, temperature: float) -> None:
    expected = softmax(logits.astype(np.float64) / temperature)
    np.testing.assert_allclose(sharpen(softmax(logits), temperature), expected, atol=1e-9)
    np.testing.assert_allclose(sharpen(3 * softmax(logits), temperature), expected, atol=1e-9)
