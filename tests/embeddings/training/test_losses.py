"""Tests of embeddings/training/losses.py: closed forms, and a slow loop as an oracle of the mining."""

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from moodspace.embeddings.training.losses import (
    TRIPLETS,
    TripletLoss,
    active_triplets,
    batch_hard_triplets,
    distillation,
    pairwise_distances,
    semi_hard_triplets,
    soft_cross_entropy,
)

MARGIN = 0.2


def unit_rows(n, dim, seed):
    rows = np.random.default_rng(seed).normal(size=(n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def slow_semi_hard(distances, labels):
    """For each anchor and positive: the nearest negative beyond the positive, else the farthest negative."""
    losses, valid = np.zeros_like(distances), np.zeros(distances.shape, bool)
    for a, p in np.ndindex(distances.shape):
        if a == p or labels[a] < 0 or labels[a] != labels[p]:
            continue
        negatives = [distances[a, n] for n in range(len(labels)) if labels[n] >= 0 and labels[n] != labels[a]]
        if not negatives:
            continue
        beyond = [distance for distance in negatives if distances[a, p] < distance]
        chosen = min(beyond) if beyond else max(negatives)
        losses[a, p], valid[a, p] = max(0.0, distances[a, p] - chosen + MARGIN), True
    return losses, valid


def slow_batch_hard(distances, labels):
    losses, valid = np.zeros(len(labels), np.float32), np.zeros(len(labels), bool)
    for a in range(len(labels)):
        triplets = [
            distances[a, p] - distances[a, n] + MARGIN
            for p in range(len(labels))
            for n in range(len(labels))
            if p != a and labels[p] == labels[a] >= 0 and labels[n] >= 0 and labels[n] != labels[a]
        ]
        if triplets:
            losses[a], valid[a] = max(0.0, *triplets), True
    return losses, valid


@pytest.mark.parametrize(
    ("mine", "slow"), [(semi_hard_triplets, slow_semi_hard), (batch_hard_triplets, slow_batch_hard)]
)
@settings(max_examples=60, deadline=None)
@given(labels=st.lists(st.integers(-1, 3), min_size=1, max_size=12), seed=st.integers(0, 2**16))
def test_mining_agrees_with_a_loop_over_all_triplets(mine, slow, labels, seed):
    embeddings = unit_rows(len(labels), 3, seed)
    distances = ops.convert_to_numpy(pairwise_distances(embeddings))
    losses, valid = mine(ops.convert_to_tensor(distances), ops.convert_to_tensor(labels, "int32"), MARGIN)
    wanted, wanted_valid = slow(distances, np.array(labels))
    np.testing.assert_array_equal(ops.convert_to_numpy(valid), wanted_valid)
    np.testing.assert_allclose(ops.convert_to_numpy(losses), wanted, atol=1e-6)


def loss_and_gradient(mining, labels, embeddings):
    variable = tf.Variable(embeddings)
    with tf.GradientTape() as tape:
        loss = TripletLoss(mining, MARGIN)(np.array(labels), variable)
    return float(loss), tape.gradient(loss, variable).numpy()


@pytest.mark.parametrize("mining", TRIPLETS)
def test_a_perfect_batch_costs_nothing(mining):
    embeddings = np.array([[1, 0], [1, 0], [-1, 0], [-1, 0]], np.float32)
    loss, gradient = loss_and_gradient(mining, [0, 0, 1, 1], embeddings)
    assert loss == 0
    assert not gradient.any()


@pytest.mark.parametrize("mining", TRIPLETS)
def test_a_batch_that_is_all_wrong_costs_the_diameter_and_the_margin(mining):
    """Positives are 2 apart, negatives 0 and 2: batch-hard takes the one at 0, semi-hard the farthest."""
    embeddings = np.array([[1, 0], [-1, 0], [1, 0], [-1, 0]], np.float32)
    wanted = MARGIN if mining == "semi_hard" else 2.0 + MARGIN
    assert loss_and_gradient(mining, [0, 0, 1, 1], embeddings)[0] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("mining", TRIPLETS)
@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3], [-1, -1, -1, -1], [0, 0, -1, -1], [1, -1, 0, -1]])
def test_without_a_triplet_loss_and_gradient_are_exactly_zero(mining, labels):
    loss, gradient = loss_and_gradient(mining, labels, unit_rows(4, 3, 0))
    assert loss == 0
    assert np.array_equal(gradient, np.zeros_like(gradient))


@pytest.mark.parametrize("mining", TRIPLETS)
def test_equal_embeddings_give_a_finite_gradient(mining):
    loss, gradient = loss_and_gradient(mining, [0, 0, 1, 1], np.repeat(unit_rows(1, 3, 0), 4, axis=0))
    assert loss == pytest.approx(MARGIN, abs=1e-2)
    assert np.isfinite(gradient).all()


def test_the_mean_is_over_active_triplets_alone():
    """The first anchor sees its negative 0.25 beyond its positive, which is more than the margin."""
    distances = [0.0, 0.5, 0.75]
    angles = [2 * np.arcsin(distance / 2) for distance in distances] + [np.pi]
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    labels = [0, 0, 1, 1]
    losses, _ = slow_batch_hard(np.linalg.norm(embeddings[:, None] - embeddings[None], axis=2), np.array(labels))
    assert (losses > 0).tolist() == [False, True, True, True]
    wanted = losses[losses > 0].mean()
    assert loss_and_gradient("batch_hard", labels, embeddings)[0] == pytest.approx(wanted, abs=1e-5)
    assert float(active_triplets(np.array(labels), embeddings, MARGIN)) == 0.75


@pytest.mark.parametrize(
    ("labels", "share"), [([0, 0, 1, 1], 1.0), ([0, 0, 0, 0], 0.0), ([-1, -1, 1, 1], 0.0), ([0, 0, 1, -1], 1.0)]
)
def test_active_triplets_counts_the_anchors_that_have_a_triplet(labels, share):
    embeddings = np.repeat(unit_rows(1, 3, 0), 4, axis=0)
    assert float(active_triplets(np.array(labels)[:, None], embeddings)) == share


def test_pairwise_distances_are_euclidean():
    embeddings = unit_rows(6, 4, 1)
    wanted = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=2)
    np.testing.assert_allclose(ops.convert_to_numpy(pairwise_distances(embeddings)), wanted, atol=1e-3)


def test_soft_cross_entropy_agrees_with_scipy():
    random = np.random.default_rng(2)
    logits = (20 * random.normal(size=(9, 7))).astype(np.float32)
    target = random.dirichlet(np.ones(7), 9).astype(np.float32)
    target[4] = 0
    found = ops.convert_to_numpy(soft_cross_entropy(target, logits))
    np.testing.assert_allclose(found, -(target * scipy.special.log_softmax(logits, axis=1)).sum(axis=1), rtol=1e-5)
    assert found[4] == 0


def gradient_of(loss, logits):
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(loss(variable))
    return tape.gradient(value, variable).numpy()


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_distillation_pulls_by_the_temperature_times_the_difference(temperature):
    """d/dz of T^2 CE(p, softmax(z / T)) is T (softmax(z / T) - p); for a large T that no longer depends on T."""
    random = np.random.default_rng(3)
    student = random.normal(size=(4, 5)).astype(np.float32)
    teacher = random.normal(size=(4, 5)).astype(np.float32)
    proba = scipy.special.softmax(teacher / temperature, axis=1)
    wanted = temperature * (scipy.special.softmax(student / temperature, axis=1) - proba)
    found = gradient_of(lambda logits: distillation(proba, logits, temperature), student)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert not np.allclose(found, 0, atol=1e-3)


def test_a_student_like_its_teacher_is_not_pulled():
    logits = np.random.default_rng(4).normal(size=(4, 5)).astype(np.float32)
    proba = scipy.special.softmax(logits / 2, axis=1)
    assert np.abs(gradient_of(lambda z: distillation(proba, z, 2.0), logits)).max() < 1e-6


def test_the_loss_survives_its_configuration():
    loss = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(TripletLoss("batch_hard", 0.4)))
    assert (loss.mining, loss.margin, loss.name) == ("batch_hard", 0.4, "triplet")


def test_an_unknown_mining_is_refused():
    with pytest.raises(ValueError, match=r"mining: expected one of semi_hard, batch_hard, got 'all'\.$"):
        TripletLoss("all")
