"""Tests of embeddings/training/trained.py and embeddings/training/trained.py: several trainings as one network."""

import json

import numpy as np
import pytest

from moodspace.embeddings.data.labels import targets_from_labels
from moodspace.embeddings.encoder import EMBEDDING
from moodspace.embeddings.training.fit import FaceTargets, train_encoder
from moodspace.embeddings.training.recipe import recipe_for
from moodspace.embeddings.training.trained import (
    TrainingError,
    fit_projection,
    load_encoder,
    merge_encoders,
    merge_trainings,
    new_encoder,
)

CLASSES = {"first": ("a", "b"), "second": ("x", "y", "z")}


def member(seed, classes=CLASSES):
    import keras

    keras.utils.set_random_seed(seed)
    return new_encoder(recipe_for("cnn", dim=8), classes)


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).integers(0, 256, (12, 48, 48), np.uint8)


@pytest.fixture(scope="module")
def trio(crops):
    members = [member(0), member(1)]
    return [one.predict(crops[..., None], verbose=0) for one in members], merge_encoders(members, dim=16)


def test_logits_are_the_mean_and_cosines_the_mean_of_cosines(trio, crops):
    apart, merged = trio
    assert fit_projection(merged, crops) == pytest.approx(1)
    out = merged.predict(crops[..., None], verbose=0)
    for name in CLASSES:
        np.testing.assert_allclose(out[name], (apart[0][name] + apart[1][name]) / 2, rtol=1e-4, atol=1e-5)
    cosines = [one[EMBEDDING] @ one[EMBEDDING].T for one in apart]
    np.testing.assert_allclose(out[EMBEDDING] @ out[EMBEDDING].T, (cosines[0] + cosines[1]) / 2, atol=1e-4)


def test_fewer_numbers_keep_the_longest_directions(crops):
    merged = merge_encoders([member(0), member(1)], dim=2)
    kept = fit_projection(merged, crops)
    assert 0 < kept < 1
    kernel = merged.get_layer("joint_projection").get_weights()[0]
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(2), atol=1e-5)


@pytest.mark.parametrize(
    "others", [[], [{"first": ("a", "b")}], [{"first": ("a", "b", "c"), "second": ("x", "y", "z")}]]
)
def test_only_encoders_of_the_same_classes_are_merged(others):
    with pytest.raises(ValueError, match="two or more encoders of the same label sets"):
        merge_encoders([member(0), *(member(1, classes) for classes in others)], dim=4)


def test_an_embedding_longer_than_the_members_together_is_refused():
    with pytest.raises(ValueError, match="dim: expected 1 to 16"):
        merge_encoders([member(0), member(1)], dim=17)


def test_merged_trainings_load_like_a_trained_one(tmp_path, crops):
    faces = FaceTargets(crops, {"first": targets_from_labels(np.arange(12) % 2, ("a", "b"))})
    for seed in (0, 1):
        train_encoder(faces, faces, recipe_for("cnn", dim=8, epochs=1, seed=seed), tmp_path / str(seed))
    merge_trainings([tmp_path / "0", tmp_path / "1"], tmp_path / "both", crops, dim=8, data_hash="abc")
    apart = [load_encoder(tmp_path / str(seed)).predict(crops[..., None], verbose=0)["first"] for seed in (0, 1)]
    both = load_encoder(tmp_path / "both").predict(crops[..., None], verbose=0)
    np.testing.assert_allclose(both["first"], (apart[0] + apart[1]) / 2, rtol=1e-4, atol=1e-5)
    assert both[EMBEDDING].shape == (12, 8)
    found = json.loads((tmp_path / "both" / "training.json").read_text())
    assert [one["recipe"]["seed"] for one in found["members"]] == [0, 1]
    assert [one["best_epoch"] for one in found["members"]] == [1, 1]
    assert found["data"] == "abc"
    with pytest.raises(TrainingError, match="expected no training, got one"):
        merge_trainings([tmp_path / "0", tmp_path / "1"], tmp_path / "both", crops)
    with pytest.raises(TrainingError, match="expected single trainings"):
        merge_trainings([tmp_path / "0", tmp_path / "both"], tmp_path / "more", crops)
