"""Changes that last are real and have a delay; the others are flicker."""

import numpy as np
import pytest

from benchmarks.session.steadiness import History, Steadiness, settled, steadiness


def history(raw: list[int], shown: list[int]) -> History:
    """Looks ten times a second."""
    return History(np.arange(len(raw)) / 10, np.array(raw, np.int64), np.array(shown, np.int64))


def test_a_change_that_lasts_is_real_and_its_delay_is_from_its_first_look() -> None:
    found = steadiness([history([3] * 20 + [5] * 20, [3] * 24 + [5] * 16)])
    assert (found.raw, found.shown, found.real, found.missed) == (1, 1, 1, 0)
    assert found.delays_s == pytest.approx((0.4,))
    assert found.seconds == pytest.approx(3.9)


def test_short_changes_are_flicker() -> None:
    raw = [3] * 10 + [5] + [3] * 10 + [-1, 5] + [3] * 10
    found = steadiness([history(raw, [3] * len(raw))])
    assert (found.raw, found.shown, found.real, found.delays_s) == (5, 0, 0, ())
    assert found.to_json()["times_less_flicker"] == 5


def test_a_change_that_is_never_shown_is_missed() -> None:
    found = steadiness([history([3] * 20 + [5] * 20, [3] * 40)])
    assert (found.real, found.missed, found.delays_s) == (1, 1, ())


def test_a_label_that_flickers_before_it_settles_counts_from_where_it_stays() -> None:
    found = steadiness([history([3] * 20 + [5, 3, 5, 3] + [5] * 20, [3] * 30 + [5] * 14)])
    assert found.delays_s == pytest.approx((0.6,))


def test_unknown_is_a_label_and_stretches_of_one_label_are_one() -> None:
    raw = np.array([-1] * 20 + [2] * 6 + [-1] * 20)
    assert settled(np.arange(46) / 10, raw) == [(0, 46, -1)]


def test_faces_are_added_up_and_counted_by_the_minute() -> None:
    found = steadiness([history([1] * 301, [1] * 301), history([1, 2] * 150 + [1], [1] * 301)])
    assert found == Steadiness(60.0, 300, 0, 0, (), 0)
    assert found.to_json()["raw_changes_a_minute"] == 300
    assert found.to_json()["delay_s_most"] is None
