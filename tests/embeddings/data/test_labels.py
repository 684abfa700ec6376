"""Tests of embeddings/data/labels.py: names, targets from labels and from votes, and matching two label sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from moodspace.embeddings.data.labels import (
    ALIASES,
    FER2013_CLASSES,
    FERPLUS_CLASSES,
    Targets,
    canonical,
    shared_columns,
    targets_from_labels,
    targets_from_votes,
)

# neutral, happy, surprise, sad, angry, disgust, fear, contempt, unknown, not-a-face
VOTES = st.integers(0, 40).flatmap(lambda n: hnp.arrays(np.int16, (n, 10), elements=st.integers(0, 10)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("happiness", "happy"),
        ("  Joy ", "happy"),
        ("ANGER", "angry"),
        ("sadness", "sad"),
        ("Fearful", "fear"),
        ("scared", "fear"),
        ("afraid", "fear"),
        ("surprised", "surprise"),
        ("disgusted", "disgust"),
        ("contemptuous", "contempt"),
        ("neutral", "neutral"),
        ("calm", "calm"),
        ("Confused", "confused"),
    ],
)
def test_canonical(name: str, expected: str) -> None:
    assert canonical(name) == expected


def test_aliases_lead_to_names_of_the_projects_sets() -> None:
    assert set(ALIASES.values()) <= set(FERPLUS_CLASSES)
    assert not set(ALIASES) & set(FERPLUS_CLASSES)
    assert set(FERPLUS_CLASSES) - set(FER2013_CLASSES) == {"contempt"}


@given(st.text())
def test_canonical_twice_changes_nothing(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name)


def test_targets_from_labels_are_one_hot_and_minus_one_is_none() -> None:
    targets = targets_from_labels(np.array([2, -1, 0]), ("a", "b", "c"))
    np.testing.assert_array_equal(targets.proba, [[0, 0, 1], [0, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(targets.labels, [2, -1, 0])
    assert targets.proba.dtype == np.float32
    assert targets.labels.dtype == np.int64
    assert len(targets) == 3


@pytest.mark.parametrize("labels", [np.array([3]), np.array([-2]), np.array([[0]])])
def test_targets_from_labels_refuse_other_columns(labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="labels: expected"):
        targets_from_labels(labels, ("a", "b", "c"))


def test_no_faces_are_legal() -> None:
    assert len(targets_from_labels(np.zeros(0, np.int64), ("a",)).labels) == 0
    assert targets_from_votes(np.zeros((0, 10), np.int16)).labels.shape == (0,)


def test_a_set_of_one_class_has_labels_too() -> None:
    np.testing.assert_array_equal(targets_from_labels(np.array([0, -1]), ("only",)).labels, [0, -1])


@pytest.mark.parametrize(
    ("classes", "proba"),
    [
        ((), np.zeros((1, 0), np.float32)),
        (("a", "a"), np.array([[1, 0]], np.float32)),
        (("a", "b"), np.array([[1, 0]], np.float64)),
        (("a", "b"), np.array([1, 0], np.float32)),
        (("a", "b"), np.array([[1, 0, 0]], np.float32)),
        (("a", "b"), np.array([[0.5, 0.4]], np.float32)),
        (("a", "b"), np.array([[1.5, -0.5]], np.float32)),
        (("a", "b"), np.array([[np.nan, 1]], np.float32)),
    ],
)
def test_targets_are_validated(classes: tuple[str, ...], proba: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        Targets(classes, proba)


@pytest.mark.parametrize(
    ("votes", "label", "shares"),
    [
        # All agree.
        ([10, 0, 0, 0, 0, 0, 0, 0, 0, 0], "neutral", {"neutral": 1.0}),
        # A vote alone in its column is an outlier; two are not.
        ([0, 9, 0, 0, 0, 0, 0, 1, 0, 0], "happy", {"happy": 1.0}),
        ([0, 8, 0, 0, 0, 0, 0, 2, 0, 0], "happy", {"happy": 0.8, "contempt": 0.2}),
        # The largest count is enough, half of the votes is not asked for; unknown takes no share.
        ([4, 0, 0, 3, 0, 0, 0, 0, 3, 0], "neutral", {"neutral": 4 / 7, "sad": 3 / 7}),
        # Two expressions tie: no label, yet the distribution is worth learning.
        ([0, 0, 5, 0, 0, 0, 5, 0, 0, 0], None, {"surprise": 0.5, "fear": 0.5}),
        # Unknown or not-a-face is largest, alone or tied.
        ([3, 2, 0, 0, 0, 0, 0, 0, 5, 0], None, {}),
        ([1, 0, 0, 0, 0, 0, 0, 0, 0, 9], None, {}),
        ([4, 0, 0, 2, 0, 0, 0, 0, 4, 0], None, {}),
        # Nobody looked.
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None, {}),
        # Only single votes: none of them is the outlier.
        ([0, 0, 0, 0, 1, 0, 0, 0, 0, 0], "angry", {"angry": 1.0}),
        ([0, 0, 0, 1, 1, 0, 0, 0, 0, 0], None, {"sad": 0.5, "angry": 0.5}),
    ],
)
def test_votes(votes: list[int], label: str | None, shares: dict[str, float]) -> None:
    targets = targets_from_votes(np.array([votes], np.int16))
    assert targets.classes == FERPLUS_CLASSES
    np.testing.assert_allclose(targets.proba[0], [shares.get(name, 0) for name in FERPLUS_CLASSES], atol=1e-6)
    assert targets.labels[0] == (-1 if label is None else FERPLUS_CLASSES.index(label))


@given(VOTES)
def test_votes_give_a_label_exactly_where_one_expression_has_strictly_most(votes: np.ndarray) -> None:
    expected = []
    for row in votes.tolist():
        best = max(row)
        unique = row.count(best) == 1 and best > 0
        expected.append(row.index(best) if unique and row.index(best) < 8 else -1)
    assert targets_from_votes(votes).labels.tolist() == expected


@given(VOTES)
def test_votes_make_distributions(votes: np.ndarray) -> None:
    proba = targets_from_votes(votes).proba
    sums = proba.sum(axis=1)
    none = votes[:, :8].max(axis=1, initial=0) <= votes[:, 8:].max(axis=1, initial=0)
    np.testing.assert_allclose(sums, np.where(none, 0, 1), atol=1e-5)
    assert not proba[votes[:, :8] == 0].any()


@pytest.mark.parametrize("votes", [np.zeros((2, 8), np.int16), np.zeros(10, np.int16), np.full((1, 10), -1)])
def test_votes_of_another_form_are_refused(votes: np.ndarray) -> None:
    with pytest.raises(ValueError, match="votes: expected"):
        targets_from_votes(votes)


def test_shared_columns_match_by_canonical_name() -> None:
    shared = shared_columns(("neutral", "Happiness", "contempt", "anger"), ("angry", "happy", "calm", "neutral"))
    assert shared.names == ("neutral", "happy", "angry")
    np.testing.assert_array_equal(shared.from_columns, [0, 1, 3])
    np.testing.assert_array_equal(shared.to_columns, [3, 1, 0])


def test_shared_columns_of_the_two_sets_of_the_project() -> None:
    shared = shared_columns(FERPLUS_CLASSES, FER2013_CLASSES)
    assert set(shared.names) == set(FER2013_CLASSES)
    assert [FERPLUS_CLASSES[column] for column in shared.from_columns] == list(shared.names)
    assert [FER2013_CLASSES[column] for column in shared.to_columns] == list(shared.names)


def test_sets_without_a_common_class_share_nothing() -> None:
    shared = shared_columns(("yes",), ("no",))
    assert shared.names == ()
    assert shared.from_columns.shape == shared.to_columns.shape == (0,)
    assert shared.from_columns.dtype == np.int64


@pytest.mark.parametrize("argument", ["from_classes", "to_classes"])
def test_two_names_of_one_expression_cannot_be_matched(argument: str) -> None:
    classes = {"from_classes": ("happy",), "to_classes": ("happy",)} | {argument: ("happy", "joy")}
    with pytest.raises(ValueError, match=argument):
        shared_columns(**classes)
