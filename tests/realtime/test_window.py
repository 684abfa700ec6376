"""The live loop shows, reports, keeps a video's speed, and leaves when asked; OpenCV's window is stood in for."""

import time

import cv2
import numpy as np
import pytest

from realtime import window
from realtime.pipeline import Pipeline
from realtime.sources import SourceError
from realtime.window import WindowError, live
from tests.realtime.stand_ins import ByteArray, ListSource, clip_frames


class Screen:
    """What OpenCV was told to show; keys to press by turn."""

    def __init__(self) -> None:
        self.shown: list[ByteArray] = []
        self.keys: list[int] = []
        self.sizes: list[tuple[int, int]] = []
        self.closed_after = 1_000
        self.destroyed = False

    def press(self, delay_ms: int = 0) -> int:
        return self.keys.pop(0) if self.keys else -1

    def visible(self, title: str, what: int) -> float:
        if len(self.shown) >= self.closed_after:
            raise cv2.error("NULL guiReceiver (please create a window)")
        return 1.0

    def destroy(self) -> None:
        self.destroyed = True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    screen = Screen()
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("QT_QPA_FONTDIR", "")
    monkeypatch.setattr(cv2, "namedWindow", lambda title, flags: None)
    monkeypatch.setattr(cv2, "resizeWindow", lambda title, width, height: screen.sizes.append((width, height)))
    monkeypatch.setattr(cv2, "imshow", lambda title, picture: screen.shown.append(picture))
    monkeypatch.setattr(cv2, "pollKey", screen.press)
    monkeypatch.setattr(cv2, "waitKey", screen.press)
    monkeypatch.setattr(cv2, "getWindowProperty", screen.visible)
    monkeypatch.setattr(cv2, "destroyAllWindows", screen.destroy)
    return screen


class Clock:
    """Stands still but for sleep, and for the time that each frame is said to take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "sleep", self.pass_by)

    def pass_by(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


def test_without_a_window_every_frame_is_reported(pipeline: Pipeline) -> None:
    source, seen = ListSource(clip_frames(5)), []
    count = live(source, pipeline, show=False, on_result=lambda frame, result: seen.append((frame.index, result.time)))
    assert count == 5
    assert seen == [(i, i / 10) for i in range(5)]
    assert source.closed


def test_a_window_shows_the_drawn_frames(pipeline: Pipeline, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert live(ListSource(clip_frames(3)), pipeline, clock=clock) == 3
    assert len(screen.shown) == 3
    assert all(shown.shape == (60, 80, 3) and np.ptp(shown) > 0 for shown in screen.shown)
    assert screen.sizes == [(80, 60)]
    assert screen.destroyed


@pytest.mark.parametrize("key", [ord("q"), ord("Q"), 27, 27 | 0x100000])
def test_a_key_leaves(pipeline: Pipeline, screen: Screen, monkeypatch: pytest.MonkeyPatch, key: int) -> None:
    screen.keys = [-1, ord("x"), key]
    source = ListSource(clip_frames(9))
    assert live(source, pipeline, clock=Clock(monkeypatch)) == 3
    assert source.closed
    assert screen.destroyed


def test_closing_the_window_leaves(pipeline: Pipeline, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    screen.closed_after = 2
    assert live(ListSource(clip_frames(9)), pipeline, clock=Clock(monkeypatch)) == 2


def test_a_picture_stays_until_a_key_is_pressed(pipeline: Pipeline, screen: Screen) -> None:
    screen.keys = [-1, -1, ord(" "), -1, ord("q")]
    pictures = [*clip_frames(1, "a", None), *clip_frames(1, "b", None), *clip_frames(1, "c", None)]
    assert live(ListSource(pictures), pipeline) == 2
    assert screen.keys == []


def test_a_video_keeps_its_speed(pipeline: Pipeline, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert live(ListSource(clip_frames(6)), pipeline, clock=clock) == 6
    assert clock.now == pytest.approx(100.5)


def test_a_video_drops_frames_that_are_overdue(
    pipeline: Pipeline, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, seen = Clock(monkeypatch), []
    slow = 0.33  # seconds for each frame, a little more than three of the video's

    def report(frame: object, result: object) -> None:
        seen.append(frame.index)  # type: ignore[attr-defined]
        clock.pass_by(slow)

    live(ListSource(clip_frames(20)), pipeline, on_result=report, clock=clock)
    assert seen == [0, 3, 6, 9, 13, 16, 19]


def test_a_camera_is_read_by_the_capture_thread(pipeline: Pipeline, screen: Screen) -> None:
    source = ListSource(clip_frames(3), live=True, error=SourceError("unplugged"))
    seen = []
    with pytest.raises(SourceError, match="unplugged"):
        live(source, pipeline, on_result=lambda frame, result: seen.append(frame.index))
    assert seen[-1] == 2
    assert source.closed


def test_a_large_frame_gets_a_window_for_small_screens(pipeline: Pipeline, screen: Screen) -> None:
    with window.Window() as opened:
        opened.show(np.zeros((2160, 3840, 3), np.uint8))
    assert screen.sizes == [(1280, 720)]


def test_no_display_is_an_error(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(WindowError, match="expected a display, found none"):
        live(ListSource(clip_frames(1)), pipeline)
