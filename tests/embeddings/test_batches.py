"""Tests of embeddings/batches.py: full batches, each face at most once, the same for the same epoch."""

import numpy as np
import pytest

from embeddings.batches import Batches, smooth
from embeddings.labels import Targets, targets_from_labels
from embeddings.network import EMBEDDING
from embeddings.recipe import recipe_for

CLASSES = ("a", "b", "c")


def batches(n=23, **changes):
    """Faces whose number stands in each pixel; every fifth has no label."""
    crops = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None], (n, 48, 48))
    labels = np.where(np.arange(n) % 5 == 4, -1, np.arange(n) % 3)
    targets = {"first": targets_from_labels(labels, CLASSES), "second": targets_from_labels((labels + 1) % 3, CLASSES)}
    return Batches(
        crops, targets, recipe_for("mobilenet_v2", **{"batch": 5, "label_smoothing": 0.0, **changes})
    ), labels


def numbers(data, epoch):
    data.start(epoch)
    return [data[index][0]["crops"][:, 0, 0].tolist() for index in range(len(data))]


def test_batches_are_full_and_hold_every_face_at_most_once():
    data, _ = batches()
    rows = numbers(data, 0)
    assert [len(row) for row in rows] == [5] * 4
    assert len({face for row in rows for face in row}) == 20


def test_fewer_faces_than_a_batch_make_one_batch():
    data, _ = batches(n=3, batch=64)
    assert sorted(numbers(data, 0)[0]) == [0, 1, 2]
    assert len(data) == 1


def test_epochs_differ_and_over_some_every_face_comes():
    data, _ = batches()
    assert numbers(data, 0) != numbers(data, 1)
    assert {face for epoch in range(6) for row in numbers(data, epoch) for face in row} == set(range(23))


def test_a_resumed_epoch_is_the_uninterrupted_one():
    went_on, resumed = batches()[0], batches()[0]
    for epoch in range(3):
        numbers(went_on, epoch)
    went_on.start(3)
    resumed.start(3)
    for index in reversed(range(len(resumed))):
        for one, other in zip(went_on[index], resumed[index], strict=True):
            assert one.keys() == other.keys()
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])


def test_another_seed_gives_another_order():
    assert numbers(batches(seed=1)[0], 0) != numbers(batches(seed=2)[0], 0)


def test_without_mixing_faces_keep_targets_and_labels():
    data, labels = batches(mixup=0.0)
    inputs, targets = data[1]
    rows = inputs["crops"][:, 0, 0]
    np.testing.assert_array_equal(inputs["weight"], 1)
    np.testing.assert_array_equal(inputs["partner"], np.arange(5))
    np.testing.assert_array_equal(targets[EMBEDDING], labels[rows])
    np.testing.assert_array_equal(targets["first"], targets_from_labels(labels, CLASSES).proba[rows])


def test_mixed_faces_have_blended_targets_and_no_part_in_the_triplets():
    data, labels = batches(mixup=0.4, mixup_share=1.0)
    proba = targets_from_labels(labels, CLASSES).proba
    mixed = 0
    for index in range(len(data)):
        inputs, targets = data[index]
        rows, partner, weight = inputs["crops"][:, 0, 0], inputs["partner"], inputs["weight"]
        assert sorted(partner) == list(range(5))
        assert ((weight >= 0.5) & (weight <= 1)).all()
        for place, row in enumerate(rows):
            other = rows[partner[place]]
            blended = weight[place] * proba[row] + (1 - weight[place]) * proba[other]
            np.testing.assert_allclose(targets["first"][place], blended, atol=1e-6)
            assert targets[EMBEDDING][place] == (labels[row] if weight[place] > 0.999 else -1)
        mixed += int((weight <= 0.999).sum())
    assert mixed > 5


def test_about_the_asked_share_of_batches_is_mixed():
    data, _ = batches(n=2000, mixup_share=0.5)
    share = np.mean([(data[index][0]["weight"] < 1).any() for index in range(len(data))])
    assert share == pytest.approx(0.5, abs=0.15)  # 400 coins, six standard deviations


def test_smoothing_spreads_a_share_and_leaves_rows_without_label_alone():
    proba = np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 0, 0]], np.float32)
    wanted = [[0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3], [0.45 + 0.1 / 3, 0.45 + 0.1 / 3, 0.1 / 3], [0, 0, 0]]
    np.testing.assert_allclose(smooth(proba, 0.1), wanted, atol=1e-7)
    assert Targets(CLASSES, smooth(proba, 0.3)).proba.dtype == np.float32
