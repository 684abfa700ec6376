"""The drawing of what a video shows over its time."""

import numpy as np
import pytest

from moodspace.web.components.timeline import mean_shares

CLASSES = ("happy", "sad", "fear")


def frame(time: float, *happy: float) -> dict:
    return {"time": time, "faces": [{"probabilities": {"happy": one, "sad": 1 - one, "fear": 0.0}} for one in happy]}


def test_each_stretch_has_the_mean_of_its_faces_and_none_without() -> None:
    frames = [frame(0.0, 1.0, 0.5), frame(1.0), frame(2.0, 0.0), frame(3.0, 1.0)]
    np.testing.assert_allclose(mean_shares(frames, 4.0, CLASSES), [[0.75, 0.25, 0], [np.nan] * 3, [0, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize("fps", [10, 12.5, 23.976, 24, 25, 29.97, 30])
@pytest.mark.parametrize("count", [1, 7, 90, 150, 599, 600, 601, 1234])
def test_no_stretch_is_blank_whose_frames_show_a_face(fps: float, count: int) -> None:
    frames = [frame(round(at / fps, 3), 0.5) for at in range(count)]  # as in a video's document
    assert np.isfinite(mean_shares(frames, count / fps, CLASSES)).all()


@pytest.mark.parametrize("fps", [24, 29.97, 30])
def test_each_frame_has_its_own_stretch_while_there_are_few(fps: float) -> None:
    shown = np.random.default_rng(0).random(150)
    frames = [frame(round(at / fps, 3), *([one] if at % 3 else [])) for at, one in enumerate(shown.tolist())]
    shares = mean_shares(frames, 150 / fps, CLASSES)
    assert np.isnan(shares[::3]).all()
    np.testing.assert_allclose(np.delete(shares[:, 0], slice(None, None, 3)), np.delete(shown, slice(None, None, 3)))


def test_frames_that_come_unevenly_stand_where_they_are_shown() -> None:
    frames = [frame(0.0, 1.0), frame(0.1, 1.0), frame(0.2, 1.0), frame(0.3, 0.0), frame(3.0)]
    shares = mean_shares(frames, 5.0, CLASSES)  # a still of 2.7 s, then nobody
    np.testing.assert_allclose(shares[:, 0], [0.3, 0, 0, np.nan, np.nan])


def test_a_time_beyond_the_end_or_twice_does_no_harm() -> None:
    frames = [frame(at, 0.5) for at in (0.0, 1.0, 1.0, 9.0)]
    assert np.isfinite(mean_shares(frames, 2.0, CLASSES)).all()


def test_a_long_video_is_drawn_in_so_many_stretches_that_can_be_told_apart() -> None:
    shares = mean_shares([frame(at / 30, 0.5) for at in range(3000)], 100.0, CLASSES)
    assert shares.shape == (600, 3) and np.allclose(shares, [0.5, 0.5, 0])
