"""Optical flow finds the translation, rotation and scale that were applied to a picture."""

import cv2
import numpy as np
import pytest

from moodspace.realtime.tracking.flow import Flow, _small_gray
from tests.realtime.fakes import faces_at
from tests.realtime.tracking.scenes import wall

PICTURE = cv2.resize(wall(240, 140), (960, 540), interpolation=cv2.INTER_CUBIC)
LANDMARKS = faces_at((200, 150, 120, 120), (600, 250, 90, 90)).landmarks


def moved(matrix: np.ndarray) -> np.ndarray:
    return cv2.warpAffine(PICTURE, matrix, (960, 540), borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize(("degrees", "scale", "shift"), [(0, 1, (7, -4)), (4, 1, (0, 0)), (0, 1.06, (3, 2))])
def test_faces_are_found_where_the_picture_went(degrees: float, scale: float, shift: tuple[int, int]) -> None:
    matrix = cv2.getRotationMatrix2D((480, 270), degrees, scale)
    matrix[:, 2] += shift
    flow = Flow()
    flow.advance(PICTURE, LANDMARKS)
    moves, known = flow.advance(moved(matrix), LANDMARKS)
    assert known.all()
    expected = LANDMARKS @ matrix[:, :2].T + matrix[:, 2]
    found = np.stack([points @ move[:, :2].T + move[:, 2] for points, move in zip(LANDMARKS, moves, strict=True)])
    assert np.abs(found - expected).max() < 1


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (960, 540), (1280, 720), (721, 1283), (1920, 1080)])
def test_the_small_copy_is_the_frame_averaged(size: tuple[int, int]) -> None:
    frame = cv2.resize(PICTURE, size, interpolation=cv2.INTER_CUBIC)
    scale = 480 / max(size)
    small = _small_gray(frame, scale)
    assert small.shape == (round(size[1] * scale), round(size[0] * scale))
    gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    wanted = cv2.resize(gray, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    shifted = np.roll(wanted, 1, axis=1).astype(float)
    assert np.abs(small.astype(float) - wanted).mean() < min(0.3, np.abs(shifted - wanted).mean() / 3)


def test_the_first_frame_and_one_of_another_size_tell_nothing() -> None:
    flow = Flow()
    for frame in (PICTURE, PICTURE[:400]):
        moves, known = flow.advance(frame, LANDMARKS)
        assert not known.any()
        np.testing.assert_array_equal(moves, [np.eye(2, 3)] * 2)
    assert flow.advance(PICTURE[:400], LANDMARKS)[1].all()


def test_after_a_restart_the_next_frame_is_the_first() -> None:
    flow = Flow()
    flow.advance(PICTURE, LANDMARKS)
    flow.restart()
    assert not flow.advance(PICTURE, LANDMARKS)[1].any()


def test_a_face_that_something_else_covers_is_lost_and_the_other_is_not() -> None:
    covered = PICTURE.copy()
    covered[130:290, 180:340] = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    flow = Flow()
    flow.advance(PICTURE, LANDMARKS)
    assert flow.advance(covered, LANDMARKS)[1].tolist() == [False, True]


def test_no_faces_are_legal() -> None:
    flow = Flow()
    flow.advance(PICTURE, LANDMARKS[:0])
    moves, known = flow.advance(PICTURE, LANDMARKS[:0])
    assert moves.shape == (0, 2, 3)
    assert known.shape == (0,)
