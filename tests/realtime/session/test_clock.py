"""The position of a frame in a session, whatever its source's time and the wall clock do."""

import pytest

from moodspace.realtime.session.recorder import NO_FRAMES, SessionClock
from moodspace.sessions import Gap

# Frames as (source time, wall clock), the position after each, and the gap before the last one.
CASES = {
    "a camera that opens slowly": ([(0.0, 1.5), (0.1, 1.6)], [0.0, 0.1], None),
    "a camera that opens very slowly": ([(0.0, 9.0)], [9.0], Gap(0.0, 9.0, NO_FRAMES)),
    "a file as fast as it goes": ([(0.0, 0.0), (1.5, 0.02), (3.0, 0.04)], [0.0, 1.5, 3.0], None),
    "a file played again": ([(0.0, 0.0), (9.0, 9.0), (0.0, 9.25)], [0.0, 9.0, 9.25], None),
    "a second picture": ([(0.0, 0.0), (0.0, 1.0)], [0.0, 1.0], None),
    "a camera that stopped for a while": ([(0.0, 0.0), (7.0, 7.0)], [0.0, 7.0], Gap(0.0, 7.0, NO_FRAMES)),
    "a camera opened anew": ([(5.0, 0.0), (0.0, 30.0)], [0.0, 30.0], Gap(0.0, 30.0, NO_FRAMES)),
    "a damaged time stamp": ([(0.0, 0.0), (1e9, 0.5)], [0.0, 60.0], Gap(0.0, 60.0, NO_FRAMES)),
    "a clock set back while a file begins anew": ([(9.0, 100.0), (0.0, 3.0)], [100.0, 100.0], None),
}


@pytest.mark.parametrize(("frames", "places", "gap"), CASES.values(), ids=CASES)
def test_positions_and_gaps(frames, places, gap):
    clock, stood = SessionClock(1000.0), []
    for time, wall in frames:
        missed = clock.advance(time, 1000.0 + wall)
        stood.append(clock.position)
    assert stood == pytest.approx(places)
    assert missed == (None if gap is None else pytest.approx(gap))


@pytest.mark.parametrize(
    ("by", "words"), [(-3600.0, "set back by 3600 s"), (90.0, "put forward by 90 s, or the source was paused")]
)
def test_a_changed_clock_is_noted_and_moves_nothing(by, words):
    clock = SessionClock(1000.0)
    clock.advance(0.0, 1000.0)
    assert clock.advance(0.5, 1000.5 + by) == Gap(0.5, 0.5, f"the clock was {words}")
    assert clock.advance(1.0, 1001.0 + by) is None and clock.position == 1.0


def test_only_the_first_reason_is_kept():
    clock = SessionClock(0.0)
    clock.interrupt("not as wide as was wished")
    assert clock.advance(0.0, 0.0) is None
    clock.interrupt("unplugged")
    clock.interrupt("back")
    assert clock.advance(0.5, 0.5) == Gap(0.0, 0.5, "unplugged")
    assert clock.advance(1.0, 1.0) is None


def test_the_end_belongs_to_the_session():
    clock = SessionClock(0.0)
    clock.advance(0.0, 0.0)
    assert clock.end(1.5) is None and clock.position == 1.5
    assert clock.end(8.0) == Gap(1.5, 8.0, NO_FRAMES)
    assert clock.end(3.0) is None and clock.position == 8.0
