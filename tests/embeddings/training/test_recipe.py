"""Tests of embeddings/training/recipe.py: defaults of each architecture, changes, and refusals."""

import json

import pytest

from moodspace.embeddings.training.network import BACKBONES
from moodspace.embeddings.training.recipe import Recipe, recipe_for


@pytest.mark.parametrize("arch", sorted(BACKBONES))
def test_every_backbone_has_a_recipe_that_json_keeps(arch):
    recipe = recipe_for(arch)
    assert recipe.arch == arch
    assert Recipe(**json.loads(json.dumps(recipe.to_json()))) == recipe


def test_changes_win_and_none_leaves_the_default():
    recipe = recipe_for("cnn", epochs=3, learning_rate=None, triplet_weight=0.5)
    assert (recipe.epochs, recipe.learning_rate, recipe.triplet_weight) == (3, 1e-4, 0.5)
    assert recipe_for("cnn", epochs=3, side_weight=None) == recipe_for("cnn", epochs=3)


def test_the_teachers_teach_by_labels_alone():
    assert recipe_for("vgg").triplet_weight == 0
    assert recipe_for("resnet_se").optimizer == "sgd"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arch": "resnet50"}, "arch: expected one of mobilenet_v2, cnn, vgg, resnet_se, got 'resnet50'."),
        ({"optimizer": "adamW"}, "optimizer: expected one of adamw, adam, sgd, got 'adamW'."),
        ({"epochs": 0}, "epochs: expected at least 1, got 0."),
        ({"batch": -1}, "batch: expected at least 1, got -1."),
        ({"dim": 0}, "dim: expected at least 1, got 0."),
        ({"learning_rate": 0.0}, "learning_rate: expected more than 0, got 0.0."),
        ({"learning_rate": float("nan")}, "learning_rate: expected more than 0, got nan."),
        ({"ema": 1.5}, "ema: expected 0 to 1, got 1.5."),
        ({"label_smoothing": -0.1}, "label_smoothing: expected 0 to 1, got -0.1."),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError) as refusal:
        recipe_for(**{"arch": "mobilenet_v2", **changes})
    assert str(refusal.value) == message
