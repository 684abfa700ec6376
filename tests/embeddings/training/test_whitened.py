"""Tests of embeddings/training/whitened.py: the features become the embedding, and the logits stay."""

import keras
import numpy as np
import pytest

from moodspace.embeddings.encoder import EMBEDDING
from moodspace.embeddings.training.recipe import recipe_for
from moodspace.embeddings.training.trained import merge_encoders, new_encoder
from moodspace.embeddings.training.whitened import fit_whitening, whitened_encoder

CLASSES = {"first": ("a", "b"), "second": ("x", "y", "z")}


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).integers(0, 256, (12, 48, 48), np.uint8)


@pytest.fixture(scope="module")
def members():
    return [_member(0), _member(1)]


def _member(seed):
    keras.utils.set_random_seed(seed)
    encoder = new_encoder(recipe_for("cnn", dim=8), CLASSES)
    # As after training: a new network's normalization changes nothing, and would hide a mistake in folding it.
    encoder.get_layer("neck").set_weights([*np.random.default_rng(seed).uniform(0.5, 2, (4, 8))])
    return encoder


def test_whitened_features_are_centered_uncorrelated_and_equally_wide():
    random = np.random.default_rng(1)
    features = (random.normal(size=(500, 6)) @ random.normal(size=(6, 6)) + 3).astype(np.float32)
    matrix, offset = fit_whitening(features, 4)
    rows = features @ matrix + offset
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(rows.T, bias=True), np.eye(4), atol=1e-2)


def test_directions_that_no_face_moves_in_do_not_explode():
    matrix, offset = fit_whitening(np.repeat(np.float32([[1, 2, 3]]), 5, axis=0), 3)
    assert np.isfinite(matrix).all()
    assert np.abs(np.float32([[1, 2, 3]]) @ matrix + offset).max() < 1


def test_the_logits_stay_and_the_embedding_is_whitened_features(members, crops):
    before = members[0].predict(crops[..., None], verbose=0)
    after = whitened_encoder(members[0], crops, dim=5).predict(crops[..., None], verbose=0)
    assert after.keys() == before.keys()
    for name in CLASSES:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-3, atol=1e-4)
    tap = keras.Model(members[0].input, members[0].get_layer("projection").input)
    features = tap.predict(crops[..., None], verbose=0)
    matrix, offset = fit_whitening(features, 5)
    rows = features @ matrix + offset
    np.testing.assert_allclose(after[EMBEDDING], rows / np.linalg.norm(rows, axis=1, keepdims=True), atol=1e-3)


def test_merged_members_are_whitened_together_and_count_the_same(members, crops):
    taps = [keras.Model(one.input, one.get_layer("projection").input) for one in members]
    features = [tap.predict(crops[..., None], verbose=0) for tap in taps]
    beside = np.concatenate([rows / np.sqrt(rows.var(axis=0).sum()) for rows in features], axis=1)
    matrix, offset = fit_whitening(beside, 3)
    wanted = beside @ matrix + offset
    merged = merge_encoders(members, dim=4)
    out = whitened_encoder(merged, crops, dim=3).predict(crops[..., None], verbose=0)
    np.testing.assert_allclose(out[EMBEDDING], wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=2e-3)
    before = merged.predict(crops[..., None], verbose=0)
    for name in CLASSES:
        np.testing.assert_allclose(out[name], before[name], rtol=1e-3, atol=1e-4)
