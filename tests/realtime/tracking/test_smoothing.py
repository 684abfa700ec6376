"""Smoothing has a half-life in seconds at any frame rate, and the shown label does not flicker."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodspace.realtime.tracking.smoothing import FADING_S, PATIENCE_S, LabelSmoother, approach, by_name

CLASSES = ("happy", "neutral", "sad")
HAPPY, NEUTRAL, SAD = np.eye(3, dtype=np.float32)
STEPS = st.lists(st.floats(0.001, 2.0), min_size=1, max_size=20)


@given(STEPS, st.floats(0.05, 3.0))
def test_after_a_half_life_half_of_the_way_is_gone_in_steps_of_any_length(steps: list[float], half_life: float) -> None:
    value, whole = HAPPY, sum(steps)
    for step in steps:
        value = approach(value, SAD, step * half_life / whole, half_life)
    assert value == pytest.approx(np.array([0.5, 0, 0.5]), abs=1e-5)


@given(STEPS)
def test_probabilities_stay_probabilities(steps: list[float]) -> None:
    smoother, now = LabelSmoother(0.5), 0.0
    for number, step in enumerate(steps):
        now += step
        smoother.update((HAPPY, SAD, NEUTRAL)[number % 3], CLASSES, now)
        assert smoother.proba.min() >= 0
        assert smoother.proba.sum() == pytest.approx(1, abs=1e-5)


def test_no_half_life_is_no_smoothing() -> None:
    np.testing.assert_array_equal(approach(HAPPY, SAD, 0.01, 0.0), SAD)


def test_the_first_prediction_counts_in_full_and_the_next_by_its_time() -> None:
    smoother = LabelSmoother(0.5)
    smoother.update(HAPPY, CLASSES, 10.0)
    np.testing.assert_array_equal(smoother.proba, HAPPY)
    smoother.update(SAD, CLASSES, 11.0)
    assert smoother.proba == pytest.approx([0.25, 0, 0.75])


def test_columns_are_followed_by_name() -> None:
    proba = np.array([0.5, 0.3, 0.2], np.float32)
    assert by_name(proba, CLASSES, ("angry", "sad", "happy", "neutral")) == pytest.approx([0, 0.2, 0.5, 0.3])
    assert by_name(proba, CLASSES, ("happy", "neutral")) == pytest.approx([0.625, 0.375])
    assert by_name(HAPPY, CLASSES, ("sad", "neutral")) == pytest.approx([0.5, 0.5])


def test_a_class_that_was_taught_meanwhile_grows_from_nothing() -> None:
    smoother, grown = LabelSmoother(0.5), ("happy", "neutral", "puzzled", "sad")
    smoother.update(HAPPY, CLASSES, 0.0)
    assert smoother.shown(0.4, 0.0) == 0
    smoother.use_classes(grown)
    assert smoother.proba.tolist() == [1, 0, 0, 0]
    smoother.update(np.array([0, 0, 1, 0], np.float32), grown, 1.0)
    assert smoother.proba == pytest.approx([0.25, 0, 0.75, 0])
    assert smoother.shown(0.4, 1.0) == 2


def shown(predictions: list[tuple[float, np.ndarray]], unknown_below: float = 0.3) -> list[int]:
    """Return the labels shown after predictions at these times, without smoothing."""
    smoother, columns = LabelSmoother(0.0), []
    for now, proba in predictions:
        smoother.update(np.array(proba, np.float32), CLASSES, now)
        columns.append(smoother.shown(unknown_below, now))
    return columns


def test_a_label_that_leads_clearly_is_shown_at_once() -> None:
    assert shown([(0.0, [0.6, 0.2, 0.2]), (0.1, [0.2, 0.2, 0.6])]) == [0, 2]


def test_a_label_that_hardly_leads_is_shown_after_some_time_without_a_break() -> None:
    close = [0.48, 0.52, 0.0]
    predictions = [(0.0, [0.9, 0.1, 0.0])] + [(0.1 * step, close) for step in range(1, 8)]
    assert shown(predictions) == [0] * 4 + [1] * 4
    assert 0.3 <= PATIENCE_S < 0.4


def test_a_label_that_flickers_is_not_shown() -> None:
    first, close = [0.52, 0.48, 0.0], [0.48, 0.52, 0.0]
    predictions = [(0.0, [0.9, 0.1, 0.0])] + [(0.1 * step, close if step % 3 else first) for step in range(1, 30)]
    assert set(shown(predictions)) == {0}


def test_a_label_that_two_rivals_take_turns_to_beat_is_replaced() -> None:
    one, other = [0.30, 0.39, 0.31], [0.30, 0.31, 0.39]
    predictions = [(0.0, [0.8, 0.1, 0.1])] + [(step / 30, other if step % 2 else one) for step in range(1, 600)]
    columns = shown(predictions, unknown_below=0.2)
    replaced = next(at for at, column in enumerate(columns) if column != 0)
    assert predictions[replaced][0] == pytest.approx(1 / 30 + PATIENCE_S, abs=1.5 / 30)
    assert len(set(columns[replaced:])) == 1, "the two rivals must not flicker"


def test_a_label_that_unknown_and_a_rival_take_turns_to_beat_is_replaced() -> None:
    rival, doubt = [0.36, 0.42, 0.22], [0.36, 0.38, 0.26]
    predictions = [(0.0, [0.8, 0.1, 0.1])] + [(step / 30, doubt if step % 2 else rival) for step in range(1, 60)]
    assert shown(predictions, unknown_below=0.4)[15] != 0


def test_the_best_label_keeps_its_time_when_others_change_behind_it() -> None:
    predictions = [(step / 30, [0.40, 0.31, 0.29] if step % 2 else [0.40, 0.29, 0.31]) for step in range(60)]
    assert set(shown(predictions)) == {0}


def test_unknown_is_a_label_with_inertia_too() -> None:
    sure, unsure = [0.7, 0.2, 0.1], [0.45, 0.35, 0.2]
    predictions = [(0.0, sure), (0.1, unsure), (0.2, sure), (0.3, unsure), (0.4, unsure), (0.5, unsure), (0.65, unsure)]
    assert shown(predictions, unknown_below=0.5) == [0, 0, 0, 0, 0, 0, -1]
    assert shown([(0.0, [0.34, 0.33, 0.33])], unknown_below=0.5) == [-1]


def test_a_face_that_cannot_be_read_fades_to_unknown() -> None:
    smoother = LabelSmoother(0.5)
    smoother.update(HAPPY, CLASSES, 0.0)
    assert smoother.shown(0.5, 0.0) == 0
    smoother.fade(CLASSES, FADING_S)
    assert smoother.proba == pytest.approx([2 / 3, 1 / 6, 1 / 6])
    assert smoother.shown(0.5, FADING_S) == 0
    smoother.fade(CLASSES, 4 * FADING_S)
    assert smoother.shown(0.5, 4 * FADING_S) == -1


def test_equal_probabilities_are_unknown_whatever_the_names() -> None:
    for names in (("aaa", "zzz", "sad"), ("sad", "zzz", "aaa")):
        smoother = LabelSmoother(0.0)
        smoother.update(np.array([0.49, 0.49, 0.02], np.float32), names, 0.0)
        assert smoother.shown(0.3, 0.0) == -1
        smoother.update(np.array([0.4, 0.58, 0.02], np.float32), names, 1.0)
        assert smoother.shown(0.3, 1.0) == 1
