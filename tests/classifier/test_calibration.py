"""The calibration's JSON form, and what temperatures do to probabilities."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from classifier.calibration import Calibration, sharpen, softmax

CALIBRATION = Calibration(temperature=1.3, alpha=0.4, tau=0.05, k=20, unknown_below=0.5, ensemble_temperature=0.9)
LOGITS = arrays(np.float32, (4, 5), elements=st.floats(-50, 50, width=32))


def test_json_round_trip() -> None:
    assert Calibration.from_json(json.loads(json.dumps(CALIBRATION.to_json()))) == CALIBRATION


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 0.0}, "temperature: expected a finite number > 0, received 0.0"),
        ({"temperature": float("nan")}, "temperature: expected"),
        ({"ensemble_temperature": float("inf")}, "ensemble_temperature: expected"),
        ({"tau": -1.0}, "tau: expected"),
        ({"alpha": 1.01}, "alpha: expected a number in"),
        ({"alpha": float("nan")}, "alpha: expected"),
        ({"unknown_below": -0.1}, "unknown_below: expected"),
        ({"k": 0}, "k: expected a whole number >= 1, received 0"),
        ({"k": 2.0}, "k: expected a whole number"),
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CALIBRATION, **change)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "received list"),
        ({**CALIBRATION.to_json(), "gamma": 1}, "gamma"),
        ({"alpha": 1.0}, "expected exactly the values"),
        ({**CALIBRATION.to_json(), "alpha": "0.5"}, "alpha: expected a number, received '0.5'"),
        ({**CALIBRATION.to_json(), "k": True}, "k: expected a number, received True"),
    ],
)
def test_foreign_json_is_refused(values: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Calibration.from_json(values)  # type: ignore[arg-type]


def test_softmax_in_closed_form() -> None:
    np.testing.assert_allclose(softmax(np.log([[1.0, 3.0]])), [[0.25, 0.75]])
    np.testing.assert_allclose(softmax(np.log([[1.0, 9.0]]), 2.0), [[0.25, 0.75]])


def test_softmax_stands_logits_of_any_size() -> None:
    np.testing.assert_array_equal(softmax(np.array([[3e38, -3e38]], np.float32)), [[1, 0]])


@given(LOGITS, st.floats(0.05, 20))
def test_a_temperature_keeps_the_order_of_the_classes(logits: np.ndarray, temperature: float) -> None:
    proba = softmax(logits, temperature)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    winners = np.take_along_axis(logits, proba.argmax(axis=1)[:, None], axis=1)[:, 0]
    # Logits that differ by less than the resolution of a double may end equal; then the first of them wins.
    np.testing.assert_allclose(winners, logits.max(axis=1), atol=1e-4)


@given(LOGITS, st.floats(0.25, 4))
def test_sharpening_a_softmax_is_a_softmax_at_that_temperature(logits: np.ndarray, temperature: float) -> None:
    np.testing.assert_allclose(sharpen(softmax(logits), temperature), softmax(logits, temperature), atol=1e-9)
