"""Small, blurred and turned faces are told from those that can be read."""

import cv2
import numpy as np
import pytest

from moodspace.embeddings.detection.faces import Faces
from moodspace.embeddings.detection.quality import (
    LEAST_SHARPNESS,
    FaceQuality,
    assess,
    assess_crops,
    cut_off,
    estimate_yaw,
    sharpness,
)
from tests.drawn_faces import drawn_faces
from tests.realtime.fakes import faces_at

CROPS = drawn_faces(7, seed=2).crops


def turned(degrees: float) -> np.ndarray:
    """Landmarks of a face in space, its nose's tip 0.35 eye distances before the eyes, as seen from far away."""
    points = np.array([[-32, -20, 0], [32, -20, 0], [0, 5, 0.35 * 64], [-25, 35, 0], [25, 35, 0]], float)
    angle = np.radians(degrees)
    x = points[:, 0] * np.cos(angle) + points[:, 2] * np.sin(angle)
    return np.stack([200 + x, 200 + points[:, 1]], axis=1)[None].astype(np.float32)


@pytest.mark.parametrize("degrees", [-60, -30, 0, 10, 45, 75])
def test_yaw_is_the_angle_that_a_face_is_turned_by(degrees: float) -> None:
    assert estimate_yaw(turned(degrees))[0] == pytest.approx(degrees, abs=0.1)


def test_yaw_does_not_depend_on_size_or_tilt() -> None:
    tilt = np.array([[0.8, -0.6], [0.6, 0.8]], np.float32)
    assert estimate_yaw(3 * turned(30) @ tilt.T)[0] == pytest.approx(30, abs=0.1)


def test_yaw_of_landmarks_in_one_place_is_a_number() -> None:
    assert estimate_yaw(np.zeros((1, 5, 2), np.float32)).tolist() == [0.0]


@pytest.mark.parametrize("row", range(7))
def test_sharpness_falls_with_blur_and_not_with_contrast(row: int) -> None:
    crop = CROPS[row]
    blurred = [sharpness(cv2.GaussianBlur(crop, (0, 0), sigma)) for sigma in (0.8, 1.5, 2.5)]
    assert sharpness(crop) > blurred[0] > blurred[1] > blurred[2]
    assert sharpness((0.4 * crop + 60).astype(np.uint8)) == pytest.approx(sharpness(crop), rel=0.15)
    assert sharpness(np.full((48, 48), 80, np.uint8)) == 0


def test_sensor_noise_does_not_pass_for_sharpness() -> None:
    blurred = cv2.GaussianBlur(CROPS[0], (0, 0), 4)
    noisy = np.clip(blurred + np.random.default_rng(0).normal(0, 4, (48, 48)), 0, 255).astype(np.uint8)
    assert sharpness(noisy) < LEAST_SHARPNESS


def test_a_face_is_good_when_it_is_large_sharp_and_not_turned_away() -> None:
    boxes = faces_at((0, 0, 40, 50), (0, 0, 12, 14), (0, 0, 40, 50), (0, 0, 40, 50))
    landmarks = boxes.landmarks.copy()
    landmarks[3] = turned(70)[0]
    quality = assess(Faces(boxes.xywh, landmarks, boxes.confidence), np.array([0.04, 0.04, 0.004, 0.04], np.float32))
    assert quality.good.tolist() == [True, False, False, False]
    assert quality.size.tolist() == [50, 14, 50, 50]
    assert len(quality) == 4
    assert len(assess(Faces.empty(), np.zeros(0, np.float32))) == 0


SHARP = np.full(1, 0.04, np.float32)


@pytest.mark.parametrize("move", [(0, -40), (0, 45), (-37, 0), (60, 0)])
def test_a_face_that_the_picture_cuts_is_not_good(move: tuple[int, int]) -> None:
    # In a picture of 100x100; where the detector guesses landmarks beyond its edge, or squeezes them to it.
    face = faces_at((20, 20, 60, 60))
    moved = Faces(face.xywh, face.landmarks + np.array(move, np.float32), face.confidence)
    squeezed = Faces(face.xywh, np.clip(moved.landmarks, 0, 99), face.confidence)
    assert assess(face, SHARP, frame_shape=(100, 100, 3)).reasons == ("",)
    for cut in (moved, squeezed):
        assert cut_off(cut.landmarks, (100, 100, 3)).tolist() == [True]
        assert assess(cut, SHARP, frame_shape=(100, 100, 3)).reasons == ("cut off",)
        assert assess(cut, SHARP).reasons != ("cut off",)


def test_whole_faces_at_the_edge_of_a_picture_are_good() -> None:
    corners = faces_at((0, 0, 60, 60), (140, 0, 60, 60), (0, 90, 60, 60), (140, 90, 60, 60))
    assert not cut_off(corners.landmarks, (150, 200, 3)).any()
    assert cut_off(np.zeros((0, 5, 2), np.float32), (150, 200)).shape == (0,)


def test_a_hidden_mouth_is_a_reason() -> None:
    quality = assess(faces_at((0, 0, 40, 50)), SHARP, np.array([0.99], np.float32))
    assert (quality.good.tolist(), quality.reasons) == ([False], ("mouth hidden",))
    assert assess(faces_at((0, 0, 40, 50)), SHARP, np.array([0.1], np.float32)).good.all()


def test_there_is_a_reason_exactly_where_a_face_is_not_good() -> None:
    quality = assess_crops(faces_at(*[(0, 0, 40, 50)] * 7), CROPS)
    assert [not reason for reason in quality.reasons] == quality.good.tolist()
    with pytest.raises(ValueError, match="expected 1, one per face, got 2"):
        FaceQuality(SHARP, SHARP, SHARP, np.ones(1, bool), ("", "blurred"))
