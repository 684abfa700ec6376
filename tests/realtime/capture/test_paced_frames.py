"""Video files keep their own speed; the clock stands still but for sleep and for what a reader takes."""

import time
from collections.abc import Iterator

import pytest

from moodspace.realtime.capture.newest import paced_frames
from moodspace.realtime.capture.source import Frame
from tests.realtime.fakes import clip_frames


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def pass_by(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.pass_by)
    return clock


def read(frames: Iterator[Frame], clock: Clock, seconds_each: float) -> list[int]:
    seen = []
    for frame in frames:
        seen.append(frame.index)
        clock.pass_by(seconds_each)
    return seen


def test_a_video_keeps_its_speed(clock: Clock) -> None:
    assert read(paced_frames(clip_frames(6), clock), clock, 0.03) == [0, 1, 2, 3, 4, 5]
    assert clock.now == pytest.approx(100.53)


def test_frames_that_are_overdue_are_left_out(clock: Clock) -> None:
    # A little more than three of the video's frames.
    assert read(paced_frames(clip_frames(20), clock), clock, 0.33) == [0, 3, 6, 9, 13, 16, 19]


def test_a_video_goes_on_where_it_was_after_a_pause(clock: Clock) -> None:
    seen = []
    for frame in paced_frames(clip_frames(6), clock):
        seen.append((frame.index, round(clock.now - 100, 3)))
        clock.pass_by(60 if frame.index == 2 else 0.0)
    assert seen == [(0, 0), (1, 0.1), (2, 0.2), (3, 60.2), (4, 60.3), (5, 60.4)]


def test_a_reader_that_cannot_keep_up_sees_frames_all_the_same(clock: Clock) -> None:
    assert read(paced_frames(clip_frames(4), clock), clock, 5.0) == [0, 1, 2, 3]


def test_pictures_do_not_wait(clock: Clock) -> None:
    pictures = [*clip_frames(1, "a", None), *clip_frames(1, "b", None)]
    assert read(paced_frames(pictures, clock), clock, 0.0) == [0, 0]
    assert clock.now == 100


def test_each_video_of_a_folder_starts_anew(clock: Clock) -> None:
    frames = [*clip_frames(3, "a"), *clip_frames(3, "b")]
    assert read(paced_frames(frames, clock), clock, 0.0) == [0, 1, 2, 0, 1, 2]
    assert clock.now == pytest.approx(100.4)
