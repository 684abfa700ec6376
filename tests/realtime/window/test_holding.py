"""Holding keys: taps and holds are told apart by their times, and collected frames are reviewed by key."""

import numpy as np
import pytest

from moodspace.realtime.collector import Collector, Offer
from moodspace.realtime.window.holding import FIRST_REPEAT_S, RELEASE_S, REPEAT_S, Answer, Holding, KeyHold, Press

ONE, TWO = ord("1"), ord("2")


def heard(hold: KeyHold, *presses: tuple[float, int], until: float = 0.0) -> list[tuple[Press, int]]:
    """Press keys at their times, looking each 10 ms as the window does."""
    told: list[tuple[Press, int]] = []
    end = max(until, presses[-1][0])
    waiting = sorted(presses)
    for now in np.arange(0, end + 0.005, 0.01).tolist():
        while waiting and waiting[0][0] <= now:
            told += hold.press(waiting.pop(0)[1], now)
        told += hold.poll(now)
    return told


def repeats(key: int, first: float, delay: float, every: float, until: float) -> list[tuple[float, int]]:
    return [(first, key), *((at, key) for at in np.arange(first + delay, until, every).tolist())]


def test_a_press_is_a_tap_at_once() -> None:
    assert KeyHold().press(ONE, 5.0) == [(Press.TAP, ONE)]


@pytest.mark.parametrize(("delay", "every"), [(0.25, 0.033), (0.66, 0.04), (0.5, 0.03), (0.4, 0.2)])
def test_a_key_that_repeats_is_held_until_it_stays_away(delay: float, every: float) -> None:
    told = heard(KeyHold(), *repeats(ONE, 0.0, delay, every, 3.0), until=3.0 + RELEASE_S + 0.1)
    assert told == [(Press.TAP, ONE), (Press.HOLD, ONE), (Press.RELEASE, ONE)]


@pytest.mark.parametrize("gap", [0.3, 0.5, FIRST_REPEAT_S, 1.5])
def test_two_taps_are_two_taps(gap: float) -> None:
    told = heard(KeyHold(), (0.0, ONE), (gap, ONE), until=gap + 1)
    assert told == [(Press.TAP, ONE)] * 2


def test_slow_taps_are_never_a_hold() -> None:
    told = heard(KeyHold(), *((at, ONE) for at in np.arange(0, 3, REPEAT_S + 0.1).tolist()), until=5)
    assert {press for press, _ in told} == {Press.TAP}


def test_another_key_ends_a_hold_and_settles_a_tap() -> None:
    told = heard(KeyHold(), *repeats(ONE, 0.0, 0.3, 0.03, 1.0), (1.0, TWO), until=1.1)
    assert told == [(Press.TAP, ONE), (Press.HOLD, ONE), (Press.RELEASE, ONE), (Press.TAP, TWO)]
    assert heard(KeyHold(), (0.0, ONE), (0.1, ONE), (0.2, TWO)) == [
        (Press.TAP, ONE),
        (Press.TAP, ONE),
        (Press.TAP, TWO),
    ]


def test_a_key_can_be_held_again() -> None:
    hold = KeyHold()
    for start in (0.0, 10.0):
        told = heard(hold, *((start + at, key) for at, key in repeats(ONE, 0, 0.3, 0.03, 1.0)), until=start + 2)
        assert [press for press, _ in told] == [Press.TAP, Press.HOLD, Press.RELEASE]


def held(n: int, label: str = "", capacity: int = 8) -> Holding:
    collector = Collector(lambda rows: rows, 0.999, capacity=capacity)
    holding = Holding(collector, 3, label)
    for at, row in enumerate(np.eye(n, max(n, 1), dtype=np.float32)):
        crop = np.full((48, 48), at, np.uint8)
        holding.offered(collector.offer(row, crop, readable=True, time=float(at)))
    return holding


def grays(holding: Holding) -> list[int]:
    return [int(crop[0, 0]) for crop in holding.view().crops]


def test_a_full_ring_ends_collecting() -> None:
    assert held(7).collecting and not held(8).collecting


@pytest.mark.parametrize("key", [ord("c"), ord("C"), 13, 32])
def test_a_key_stops_collecting(key: int) -> None:
    holding = held(3)
    assert holding.press(key) is None and not holding.collecting
    assert holding.view().marked == 2


def test_the_marked_example_is_removed() -> None:
    holding = held(4)
    holding.press(8)  # while collecting, the newest
    assert grays(holding) == [0, 1, 2]
    holding.stop()
    for key in (9, 9):  # from the last to the first, then the second
        holding.press(key)
    assert holding.view().marked == 1
    assert holding.press(127) is None and grays(holding) == [0, 2] and holding.view().marked == 1
    assert holding.press(ord("d")) is None and grays(holding) == [0]
    assert holding.press(8) is Answer.CANCEL, "nothing is left to review"


@pytest.mark.parametrize(("label", "answer"), [("sad", Answer.TEACH), ("", Answer.NAME)])
def test_enter_teaches_what_has_a_name(label: str, answer: Answer) -> None:
    holding = held(2, label)
    holding.stop()
    assert holding.press(13) is answer
    assert holding.press(ord("n")) is Answer.NAME
    assert ("sad" in holding.view().title) == bool(label)


@pytest.mark.parametrize("key", [27, ord("q")])
def test_all_can_be_discarded_at_any_time(key: int) -> None:
    holding = held(2)
    assert holding.press(key) is Answer.CANCEL
    holding.stop()
    assert holding.press(key) is Answer.CANCEL


def test_the_view_says_what_to_do(recwarn: pytest.WarningsRecorder) -> None:
    holding = held(2)
    states = {holding.state}
    assert holding.view().title == "collecting face 3: 2 of 8" and "c: stop" in holding.view().hint
    holding.offered(Offer.SIMILAR)
    assert "move a little" in holding.view().hint
    states.add(holding.state)
    holding.stop()
    assert holding.view().title == "2 examples of face 3" and "1-9 or n" in holding.view().hint
    states.add(holding.state)
    assert len(states) == 3
