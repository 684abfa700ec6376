"""Tests of embeddings/training/augmentation.py: what may change in a face, how often, and that the seed decides."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from moodspace.embeddings.training.augmentation import NO_AUGMENTATION, Augment, AugmentationStrength
from tests.drawn_faces import drawn_faces


@pytest.fixture(scope="module")
def faces():
    return drawn_faces(32, 5).crops[..., None].astype(np.float32)


def changed(strength, faces, seed=0):
    return ops.convert_to_numpy(Augment(strength, seed=seed)(faces))


def only(**changes):
    return dataclasses.replace(NO_AUGMENTATION, **changes)


def test_shape_type_and_range_stay(faces):
    out = changed(None, faces)
    assert out.shape == faces.shape
    assert out.dtype == np.float32
    assert out.min() >= 0
    assert out.max() <= 255
    assert np.abs(out - faces).mean(axis=(1, 2, 3)).min() > 1  # no face is left as it was


def test_the_still_strength_changes_nothing(faces):
    np.testing.assert_allclose(changed(NO_AUGMENTATION, faces), faces, atol=0.01)


def test_the_flip_mirrors_about_half(faces):
    many = np.concatenate([faces] * 8)
    out = changed(only(flip=True), many)
    mirrored = np.isclose(out, many[:, :, ::-1], atol=0.01).all(axis=(1, 2, 3))
    kept = np.isclose(out, many, atol=0.01).all(axis=(1, 2, 3))
    assert (mirrored ^ kept).all()
    # 256 fair coins: six standard deviations are 0.19.
    assert mirrored.mean() == pytest.approx(0.5, abs=0.19)


def test_the_seed_decides(faces):
    np.testing.assert_array_equal(changed(None, faces, 7), changed(None, faces, 7))
    assert not np.allclose(changed(None, faces, 7), changed(None, faces, 8))


def test_each_batch_is_changed_in_another_way(faces):
    augment = Augment(seed=1)
    assert not np.allclose(ops.convert_to_numpy(augment(faces)), ops.convert_to_numpy(augment(faces)))


@pytest.mark.parametrize("change", [f.name for f in dataclasses.fields(AugmentationStrength)])
def test_every_strength_has_an_effect(faces, change):
    value = True if change == "flip" else getattr(AugmentationStrength(), change)
    assert np.abs(changed(only(**{change: value}), faces) - faces).max() > 1


@pytest.mark.parametrize("change", ["rotation", "zoom", "stretch", "shift", "blur", "flip"])
def test_a_plain_picture_stays_plain_where_pixels_only_move(change):
    """Neither what comes in over the border nor the blur's own border is black."""
    plain = np.full((16, 48, 48, 1), 180, np.float32)
    strength = only(**{change: {"blur": 1.0, "flip": True}.get(change, getattr(AugmentationStrength(), change))})
    np.testing.assert_allclose(changed(strength, plain), plain, atol=0.01)


def test_shifts_stay_within_their_share():
    """A dot in the middle moves by at most 0.1 of 48 pixels to either side."""
    dots = np.zeros((64, 48, 48, 1), np.float32)
    dots[:, 24, 24] = 255
    out = changed(only(shift=0.1), dots)[..., 0]
    mass = out.sum(axis=(1, 2))
    rows = (out.sum(axis=2) * np.arange(48)).sum(axis=1) / mass
    assert np.abs(rows - 24).max() <= 4.81
    assert np.abs(rows - 24).max() > 2


def test_brightness_moves_all_pixels_alike(faces):
    middle = 100 + faces / 10
    move = changed(only(brightness=20.0), middle) - middle
    assert np.ptp(move, axis=(1, 2, 3)).max() < 0.02
    assert 10 < np.abs(move).max() <= 20.01
