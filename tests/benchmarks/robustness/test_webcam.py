"""Tests of benchmarks/robustness/webcam.py: each change does what its name and unit say, the same for the same seed."""

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.robustness import webcam
from benchmarks.robustness.webcam import CORRUPTIONS
from moodspace.embeddings.crops import SIZE
from tests.drawn_faces import drawn_faces

pytestmark = pytest.mark.numeric

CENTRE = (SIZE - 1) / 2


@pytest.fixture(scope="module")
def crops():
    return drawn_faces(7, seed=4).crops


def rng(seed=0):
    return np.random.default_rng(seed)


def dot(row=24, column=24):
    face = np.zeros((SIZE, SIZE))
    face[row, column] = 200
    return face


def flat(level=100.0):
    return np.full((SIZE, SIZE), level)


def spread(face):
    """Standard deviation of the light about its centre, along both axes together, in pixels."""
    places = np.indices(face.shape)
    middle = [(face * place).sum() / face.sum() for place in places]
    return np.sqrt(sum((face * (place - at) ** 2).sum() for place, at in zip(places, middle, strict=True)) / face.sum())


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda c: f"{c.kind} {c.severity}")
def test_a_corruption_changes_faces_the_same_way_each_time(corruption, crops):
    before = crops.copy()
    changed = corruption.apply(crops, seed=3)
    assert changed.dtype == np.uint8 and changed.shape == crops.shape
    assert (changed != crops).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(crops, before)
    np.testing.assert_array_equal(changed, corruption.apply(crops, seed=3))
    # A face's draws do not depend on how many follow it.
    np.testing.assert_array_equal(changed[:2], corruption.apply(crops[:2], seed=3))


@pytest.mark.parametrize("kind", ["sensor noise", "motion blur", "half in shadow", "crop shifted", "occlusion"])
def test_another_seed_draws_otherwise(kind, crops):
    corruption = next(c for c in CORRUPTIONS if c.kind == kind)
    assert (corruption.apply(crops, seed=1) != corruption.apply(crops, seed=2)).any()


@pytest.mark.parametrize("kind", sorted({c.kind for c in CORRUPTIONS}))
def test_severities_rise(kind, crops):
    changes = [np.abs(c.apply(crops, 0).astype(float) - crops).mean() for c in CORRUPTIONS if c.kind == kind]
    assert 2 <= len(changes) <= 3
    assert changes == sorted(changes)


def test_kinds_stand_together_and_no_condition_twice():
    kinds = [c.kind for c in CORRUPTIONS]
    assert [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] != kind] == list(dict.fromkeys(kinds))
    assert len({(c.kind, c.severity) for c in CORRUPTIONS}) == len(CORRUPTIONS)


def test_blur_has_the_stated_sigma():
    assert spread(webcam.gaussian_blur(dot(), rng(), sigma=2.0)) == pytest.approx(2.0 * np.sqrt(2), rel=0.02)


@pytest.mark.parametrize("length", [3, 5, 9])
def test_motion_blur_is_a_streak_of_the_stated_length(length):
    for seed in range(5):
        streak = webcam.motion_blur(dot(), rng(seed), length=length)
        assert streak.sum() == pytest.approx(200)
        places = np.argwhere(streak > 0) - 24
        deviations = np.linalg.eigvalsh(np.cov(places.T, aweights=streak[streak > 0], ddof=0))
        # Uniform over the length; sharing out a shift between two pixels adds at most a quarter.
        assert deviations[1] == pytest.approx(length**2 / 12, abs=0.4)
        assert deviations[0] < 0.4


def test_noise_has_the_stated_deviation():
    assert (webcam.noise(flat(), rng(), deviation=16) - 100).std() == pytest.approx(16, rel=0.05)


def test_gamma_keeps_black_and_white():
    face = flat()
    face[0, :2] = 0, 255
    changed = webcam.gamma(face, rng(), exponent=2.0)
    assert changed[0, :2].tolist() == [0, 255]
    assert changed[1, 0] == pytest.approx(255 * (100 / 255) ** 2)


def test_contrast_keeps_the_mean(crops):
    face = crops[0].astype(float)
    changed = webcam.low_contrast(face, rng(), share=0.25)
    assert changed.mean() == pytest.approx(face.mean())
    assert changed.std() == pytest.approx(face.std() / 4)


def test_a_near_face_loses_less_to_jpeg_than_a_far_one(crops):
    face = crops[0].astype(float)
    near, far = (np.abs(webcam.jpeg(face, rng(), side=side, quality=10) - face).mean() for side in (160, SIZE))
    assert near < far


def test_half_of_the_face_is_in_shadow():
    lit = webcam.shadow(flat(), rng(), light=0.3)
    assert lit.min() == pytest.approx(30) and lit.max() == pytest.approx(100)
    assert lit.mean() == pytest.approx(65, abs=1)


def test_low_resolution_leaves_no_detail_of_one_pixel():
    stripes = np.tile([0.0, 255.0], (SIZE, SIZE // 2))
    assert np.ptp(webcam.low_resolution(stripes, rng(), side=24)) <= 1


@pytest.mark.parametrize("seed", range(4))
def test_a_shift_moves_by_the_stated_distance(seed):
    blob = ndimage.gaussian_filter(dot(), 2)
    moved = np.subtract(ndimage.center_of_mass(webcam.shift(blob, rng(seed), distance=4)), 24)
    assert np.hypot(*moved) == pytest.approx(4, abs=0.05)


def test_scaling_and_turning_leave_the_centre():
    blob = ndimage.gaussian_filter(dot(24, 36), 2)
    reach = 36 - CENTRE
    for seed in range(6):
        scaled = np.subtract(ndimage.center_of_mass(webcam.rescale(blob, rng(seed), share=0.2)), CENTRE)
        assert np.hypot(*scaled) / np.hypot(0.5, reach) in (pytest.approx(1.2, 0.01), pytest.approx(1 / 1.2, 0.01))
        turned = np.subtract(ndimage.center_of_mass(webcam.turn(blob, rng(seed), degrees=20)), CENTRE)
        start = np.degrees(np.arctan2(0.5, reach))
        assert abs(np.degrees(np.arctan2(*turned)) - start) == pytest.approx(20, abs=0.2)


def test_occlusion_hides_one_square():
    hidden = webcam.occlusion(flat(), rng(1), side=12)
    assert (hidden != 100).sum() == 144
    assert len(np.unique(hidden)) == 2
