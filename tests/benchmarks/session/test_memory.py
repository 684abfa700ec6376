"""Tests of benchmarks/session/memory.py and the watched session, by a clock of their own."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.session import watched
from benchmarks.session.memory import LoopedClip, Memory, growth, resident
from moodspace.classifier.recognizer import Recognizer
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle
from tests.realtime.fakes import FakeDetector, ListSource, clip_frames, faces_at


def test_growth_is_from_minute_2_to_the_last():
    assert growth([[500], [90], [100, 100, 400], [150], [101, 103, 101]]) == pytest.approx(0.01)


@pytest.mark.parametrize("minutes", [[], [[1], [1], [1]], [[1], [1], [1], []]])
def test_too_short_a_watch_says_nothing(minutes):
    with pytest.raises(ValueError, match="run it longer"):
        growth(minutes)


def test_memory_is_noted_once_a_second_by_the_minute():
    now, sizes = [0.0], iter(range(1000))
    memory = Memory(lambda: next(sizes), lambda: now[0])
    for now[0] in (0.0, 0.5, 1.0, 59.9, 60.5, 61.0, 200.0):
        memory.look(np.zeros((1, 1, 3), np.uint8))
    assert memory.minutes == [[0, 1, 2], [3], [], [4]]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="expected /proc, as Linux has it")
def test_resident_memory_grows_with_what_is_held():
    before = resident()
    held = np.ones(50_000_000, np.uint8)
    assert 45_000_000 < resident() - before < 80_000_000
    assert held[-1] == 1


def test_a_clip_is_looped_at_its_own_speed(tmp_path):
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (80, 60))
    for grey in (0, 100, 200):
        writer.write(np.full((60, 80, 3), grey, np.uint8))
    writer.release()
    now = [5.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    loop = LoopedClip(path, 0.7, lambda: now[0], sleep)
    seen = [(now[0] - 5, frame) for frame in loop]
    assert [frame.index for _, frame in seen] == list(range(7))
    assert [round(frame.bgr.mean(), -2) for _, frame in seen] == [0, 100, 200, 0, 100, 200, 0]
    np.testing.assert_allclose([frame.time for _, frame in seen], np.arange(7) / 10)
    np.testing.assert_allclose([at for at, _ in seen], np.arange(7) / 10)


def test_every_picture_of_a_session_is_looked_at(monkeypatch):
    monkeypatch.setattr(watched, "open_detector", lambda: FakeDetector(faces_at((10, 5, 40, 50))))
    recognizer = Recognizer(fake_bundle(drawn_faces(35, seed=1)))
    pictures = []
    count = watched.watch(ListSource(clip_frames(3), live=True), recognizer, pictures.append, on_screen=False)
    assert count >= 1
    assert pictures
    assert np.median(watched.frame_in_window(pictures[-1], 80, 60)) == 20  # the last frame's grey
