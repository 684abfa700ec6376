"""Tests of the optimizers that embeddings/training/fit.py makes of a recipe."""

import keras
import numpy as np
import pytest
from keras import layers

from moodspace.embeddings.training.fit import _optimizer
from moodspace.embeddings.training.recipe import recipe_for


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_weights_decay_but_biases_and_normalisation_do_not(name):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.BatchNormalization()])
    recipe = recipe_for("vgg", optimizer=name, warmup=0.0, weight_decay=0.1, learning_rate=0.5)
    optimizer = _optimizer(recipe, steps=10)
    optimizer.build(model.trainable_variables)
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    optimizer.apply([np.zeros(variable.shape, np.float32) for variable in model.trainable_variables])
    after = {variable.name: np.unique(variable.numpy()) for variable in model.trainable_variables}
    assert after.keys() == {"kernel", "gamma", "beta", "bias"}
    for kind, values in after.items():
        np.testing.assert_allclose(values, [0.95 if kind == "kernel" else 1.0], rtol=1e-6)


def rates(**changes):
    """The learning rate at each step, as the optimizer itself tells it."""
    optimizer = _optimizer(recipe_for("vgg", epochs=10, learning_rate=0.4, **changes), steps=5)
    found = []
    for step in range(51):
        optimizer.iterations.assign(step)
        found.append(float(optimizer.learning_rate))
    return found


def test_the_rate_rises_to_its_peak_and_falls_to_zero():
    at = rates(warmup=2.0)
    assert [at[0], at[5], at[10], at[30], at[50]] == pytest.approx([0, 0.2, 0.4, 0.2, 0], abs=1e-6)
    assert max(at) == pytest.approx(0.4)


def test_without_warmup_the_peak_comes_first():
    assert rates(warmup=0.0)[0] == pytest.approx(0.4)


def test_adam_keeps_its_rate():
    assert rates(optimizer="adam") == pytest.approx([0.4] * 51)
