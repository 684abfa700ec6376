"""A hidden mouth is told from one that can be seen, whatever hides it, in any light and on any skin."""

import cv2
import numpy as np
import pytest

from benchmarks.robustness.covers import FITTED_TEXTURES, MEASURED_TEXTURES, MOUTH, WHOLE, covered, eyes_bar
from moodspace.arrays import ByteArray
from moodspace.embeddings.crops import crop_faces
from moodspace.embeddings.detection.occlusion import CELLS, DIRECTIONS, MOST_HIDDEN, edges, mouth_hidden_probability
from moodspace.embeddings.detection.occlusion_weights import BIAS, WEIGHTS
from moodspace.realtime.demo import picture_path
from tests.drawn_faces import drawn_faces
from tests.realtime.fakes import read

# Where a detector finds the eyes, the nose's tip and the mouth's corners of the astronaut.
LANDMARKS = np.array([[[205, 103], [246, 104], [227, 127], [208, 144], [246, 143]]], np.float32)


@pytest.fixture(scope="module")
def picture() -> ByteArray:
    return read(picture_path())


@pytest.fixture(scope="module")
def crop(picture: ByteArray) -> ByteArray:
    return crop_faces(picture, LANDMARKS)[0]


def share(crops: ByteArray) -> float:
    return float((mouth_hidden_probability(crops) > MOST_HIDDEN).mean())


def test_a_clear_face_is_not_hidden(crop: ByteArray) -> None:
    noisy = np.clip(crop + np.random.default_rng(0).normal(0, 8, crop.shape), 0, 255).astype(np.uint8)
    half = cv2.resize(cv2.resize(crop, (24, 24), interpolation=cv2.INTER_AREA), (48, 48))
    faces = np.array([crop, crop[:, ::-1], noisy, cv2.GaussianBlur(crop, (0, 0), 0.8), half])
    assert share(faces) == 0


@pytest.mark.parametrize(("contrast", "brightness"), [(0.3, 10), (0.5, 60), (0.6, 100), (0.2, 5)])
def test_the_tone_of_the_skin_and_the_light_play_no_part(crop: ByteArray, contrast: float, brightness: float) -> None:
    changed = (contrast * crop + brightness).astype(np.uint8)
    masked = covered(crop[None], MOUTH["mask"], FITTED_TEXTURES, 0)
    assert mouth_hidden_probability(changed[None])[0] == pytest.approx(
        mouth_hidden_probability(crop[None])[0], abs=0.15
    )
    assert share((contrast * masked + brightness).astype(np.uint8)) == share(masked) == 1


@pytest.mark.parametrize("name", [*MOUTH, "pixels"])
def test_covers_of_a_known_face_are_noticed(crop: ByteArray, name: str) -> None:
    faces = np.repeat(crop[None], 60, axis=0)
    assert share(covered(faces, {**MOUTH, **WHOLE}[name], FITTED_TEXTURES, 3)) >= 0.8
    assert share(covered(faces, {**MOUTH, **WHOLE}[name], MEASURED_TEXTURES, 3)) >= 0.6


@pytest.mark.parametrize("grey", [(20, 20, 20), (190, 220, 230), (110, 140, 180), (250, 250, 250), (60, 40, 120)])
def test_a_mask_of_one_color_is_noticed_in_a_picture(picture: ByteArray, grey: tuple[int, int, int]) -> None:
    masked = picture.copy()
    mask = np.array([(186, 118), (226, 108), (268, 118), (264, 165), (226, 182), (190, 165)])
    cv2.fillPoly(masked, [mask], grey)
    assert share(crop_faces(masked, LANDMARKS)) == 1
    assert share(crop_faces(masked, LANDMARKS + np.random.default_rng(0).normal(0, 2, (20, 5, 2)).astype(np.float32)))


def test_covered_eyes_alone_do_not_hide_the_mouth(crop: ByteArray) -> None:
    assert share(covered(np.repeat(crop[None], 40, axis=0), eyes_bar, FITTED_TEXTURES, 0)) <= 0.1


def test_drawn_faces_are_clear() -> None:
    assert share(drawn_faces(70, seed=4).crops) <= 0.05


def test_edges_are_shares_of_cells_and_directions() -> None:
    stripes = np.zeros((1, 48, 48), np.uint8)
    stripes[0, :, ::4] = 200
    found = edges(stripes).reshape(CELLS, CELLS, DIRECTIONS)
    assert (found[2:4, 2:4, 0] > 3 * found[2:4, 2:4, 3]).all()
    assert float((found**2).sum()) == pytest.approx(1, abs=0.05)
    assert edges(np.zeros((0, 48, 48), np.uint8)).shape == (0, 288)
    assert not edges(np.full((1, 48, 48), 90, np.uint8)).any()


def test_there_is_a_weight_for_each_feature_and_no_face_is_legal() -> None:
    assert len(WEIGHTS) == CELLS * CELLS * DIRECTIONS
    assert np.isfinite([*WEIGHTS, BIAS]).all()
    assert mouth_hidden_probability(np.zeros((0, 48, 48), np.uint8)).shape == (0,)
