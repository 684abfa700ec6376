"""Tests of benchmarks/session/time_code.py: a number survives what a window does to a picture, and time is a fake."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.session import time_code
from benchmarks.session.time_code import CodedSource, moving, read_code, write_code
from benchmarks.session.watched import frame_in_window
from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.window.draw import draw_live
from moodspace.realtime.window.panel import Panel
from moodspace.realtime.window.state import ViewState, window_size
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle
from tests.realtime.live_results import crowd, live_result


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (480, 640, 3), np.uint8)


@given(st.integers(0, 2**24 - 1))
def test_a_number_is_read_as_written(number):
    picture = np.full((60, 400, 3), 128, np.uint8)
    write_code(picture, number)
    assert read_code(picture) == number


@pytest.mark.parametrize("grey", [0, 127, 128, 255])
def test_a_picture_without_a_number_has_none(grey):
    assert read_code(np.full((480, 640, 3), grey, np.uint8)) is None


def test_one_block_painted_over_is_noticed():
    picture = noise()
    write_code(picture, 12345)
    picture[-12:, 36:48] = 255 - picture[-12:, 36:48]
    assert read_code(picture) is None


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.44, 2.3])
def test_a_number_survives_scaling(scale):
    picture = noise()
    write_code(picture, 0xABCDEF)
    scaled = cv2.resize(picture, None, fx=scale, fy=scale)
    assert read_code(cv2.resize(scaled, (640, 480), interpolation=cv2.INTER_AREA)) == 0xABCDEF


@pytest.mark.parametrize("message", ["", "taught 1 as happy"])
def test_a_number_survives_the_live_window(message):
    recognizer = Recognizer(fake_bundle(drawn_faces(35, seed=1)))
    frame = noise()
    write_code(frame, 4242)
    result = live_result(recognizer, crowd(1, 640, 480), ["happy"])
    size = window_size(frame.shape, panel=True)
    view = ViewState(size=size, selected=1, evidence=True, fps=30, latency_ms=40, message=message)
    picture = draw_live(frame, result, view, Panel(recognizer))
    assert picture.shape[1::-1] == size
    assert read_code(frame_in_window(picture, 640, 480)) == 4242


class Sleeper:
    """A clock that goes on while somebody sleeps."""

    def __init__(self):
        self.now = 50.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Sleeper()
    monkeypatch.setattr(time_code.time, "sleep", clock.sleep)
    return clock


def test_pictures_come_when_they_are_due(clock):
    source = CodedSource([noise(0), noise(1)], 10, 0.5, clock)
    seen = [(clock.now - 50, frame.index, read_code(frame.bgr)) for frame in source]
    assert [index for _, index, _ in seen] == [number for _, _, number in seen] == [0, 1, 2, 3, 4]
    assert [at for at, _, _ in seen] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_a_camera_does_not_wait_for_those_who_are_late(clock):
    source = CodedSource([noise()], 10, 1.0, clock)
    frames = iter(source)
    next(frames)
    clock.now += 0.57
    frame = next(frames)
    assert (frame.index, read_code(frame.bgr)) == (1, 5)
    assert frame.time == 0.5
    assert source.age(frame.bgr) == pytest.approx(0.07)


def test_an_age_that_cannot_be_read_is_none(clock):
    assert CodedSource([noise()], 10, 1.0, clock).age(noise()) is None


def test_a_picture_goes_from_side_to_side():
    left, *_, middle, _ = frames = moving(np.full((40, 40, 3), 255, np.uint8), 160, 120, 8)[:6]
    assert {frame.shape for frame in frames} == {(120, 160, 3)}
    assert (left[:, :120] == 255).all()
    assert (left[:, 120:] == 96).all()
    assert (middle[:, 40:] == 255).all()
