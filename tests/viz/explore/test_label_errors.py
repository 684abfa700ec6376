"""Tests of viz/explore/label_errors.py."""

import numpy as np
import pytest

from moodspace.viz.explore.label_errors import MIN_FACES, confident_errors, find_label_errors


def clusters(n=90, classes=3, seed=0):
    """Unit vectors around one direction for each class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    rows = np.eye(classes, 8)[labels] + rng.normal(0, 0.15, (n, 8))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), labels


def judge(embeddings, labels, classes=3, families=None, learned=None):
    families = np.arange(len(labels)) if families is None else families
    learned = np.zeros(len(labels), bool) if learned is None else learned
    return find_label_errors(embeddings, labels, families, learned, classes)


def test_turned_labels_are_found_and_turned_back():
    embeddings, true = clusters()
    labels = true.copy()
    turned = np.array([4, 17, 50])
    embeddings[turned] = np.eye(3, 8)[true[turned]]  # as clear as any of their class
    labels[turned] = (true[turned] + 1) % 3
    found = judge(embeddings, labels)
    assert sorted(found.rows.tolist()) == turned.tolist()
    assert np.array_equal(found.suggested, true[found.rows])
    assert found.judged.all() and found.proba.sum(axis=1) == pytest.approx(np.ones(90), abs=1e-5)
    assert found.agreement(labels, False) == pytest.approx(87 / 90)
    assert found.agreement(labels, True) is None


def test_right_labels_are_left_alone():
    embeddings, labels = clusters()
    assert len(judge(embeddings, labels).rows) == 0


def test_a_copy_with_the_same_wrong_label_does_not_vouch_for_it():
    embeddings, true = clusters()
    wrong, copies = true.copy(), 60
    wrong[0] = (true[0] + 1) % 3
    embeddings = np.concatenate([embeddings, embeddings[[0] * copies]])
    labels = np.concatenate([wrong, wrong[[0] * copies]])
    families = np.concatenate([np.arange(90), np.zeros(copies, np.int64)])
    # Seen apart, sixty copies would be a majority at this place; as a family, none of them is learned from.
    proba = judge(embeddings, labels, families=families).proba[0]
    assert proba[true[0]] > proba[wrong[0]]
    apart = judge(embeddings, labels).proba[0]
    assert apart[true[0]] < apart[wrong[0]]


def test_faces_the_network_learned_from_are_judged_among_themselves():
    embeddings, labels = clusters(180)
    learned = np.arange(180) < 90
    # The others stand turned by one class; judged together, both halves would contradict each other.
    turned = np.where(learned, labels, (labels + 1) % 3)
    found = judge(embeddings, turned, learned=learned)
    assert found.judged.all() and len(found.rows) == 0
    assert found.agreement(turned, True) == found.agreement(turned, False) == 1


def test_classes_that_are_too_small_are_not_judged():
    embeddings, labels = clusters(3 * MIN_FACES)
    few = np.flatnonzero(labels == 2)[1:]
    kept = np.setdiff1d(np.arange(len(labels)), few)
    found = judge(embeddings[kept], labels[kept])
    assert np.array_equal(found.judged, labels[kept] != 2)
    assert not found.proba[~found.judged].any() and not found.proba[:, 2].any()


@pytest.mark.parametrize(("n", "classes"), [(0, 2), (3, 3), (60, 1)])
def test_too_little_to_judge_is_said(n, classes):
    embeddings, labels = clusters(n, max(classes, 1))
    found = judge(embeddings, labels, classes)
    assert not found.judged.any() and len(found.rows) == 0 and found.agreement(labels, False) is None


def test_confident_learning_by_hand():
    # Thresholds: mean of 0.9 and 0.2 is 0.55; mean of 0.8, 0.6 and 0.4 is 0.6.
    proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.2, 0.8], [0.4, 0.6], [0.6, 0.4]])
    rows, better = confident_errors(proba, np.array([0, 0, 1, 1, 1]))
    assert rows.tolist() == [1, 4] and better.tolist() == [1, 0]
    # Nobody is sure of a class whose own faces get more for it.
    rows, _ = confident_errors(np.array([[0.9, 0.1], [0.7, 0.3], [0.1, 0.9], [0.45, 0.55]]), np.array([0, 0, 1, 0]))
    assert rows.tolist() == []
