"""Tests of embeddings/data/labelled.py: the type, its label sets and its hash."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moodspace.embeddings.data.labelled import DataError, Face, Skipped, content_hash, gather, label_sets, reporting
from moodspace.embeddings.data.labels import FER2013_CLASSES, FERPLUS_CLASSES
from tests.drawn_faces import EXPRESSIONS, drawn_faces, plausible_votes

FACES = drawn_faces(14, seed=5, votes=True)
VOTES = plausible_votes(FACES.labels, FACES.classes, seed=5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crops": FACES.crops.astype(np.float32)}, "crops: expected uint8"),
        ({"crops": FACES.crops[:, :40]}, "crops: expected uint8"),
        ({"labels": FACES.labels[1:]}, "labels: expected int64"),
        ({"labels": FACES.labels.astype(np.int32)}, "labels: expected int64"),
        ({"labels": FACES.labels + 1}, "labels: expected columns"),
        ({"labels": FACES.labels - 1}, "labels: expected columns"),
        ({"votes": VOTES[:, :8]}, "votes: expected int16"),
        ({"votes": VOTES - np.int16(1)}, "votes: expected counts"),
        ({"twin": FACES.twin[1:]}, "twin: expected bool"),
        ({"sources": FACES.sources[1:]}, "sources: expected 14"),
    ],
)
def test_fields_are_validated(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(FACES, **change)


@pytest.mark.parametrize("rows", [np.array([3, 0]), slice(2, 5), np.arange(14) % 2 == 0, np.zeros(0, np.int64)])
def test_take(rows: Any) -> None:
    taken = FACES.take(rows)
    numbers = np.arange(14)[rows]
    assert len(taken) == len(numbers)
    assert taken.sources == tuple(FACES.sources[number] for number in numbers)
    np.testing.assert_array_equal(taken.crops, FACES.crops[numbers])
    np.testing.assert_array_equal(taken.labels, FACES.labels[numbers])
    np.testing.assert_array_equal(taken.votes, VOTES[numbers])


def test_label_sets_of_fer2013_with_votes() -> None:
    sets = label_sets(FACES)
    assert {name: targets.classes for name, targets in sets.items()} == {
        "fer2013": FER2013_CLASSES,
        "ferplus": FERPLUS_CLASSES,
    }
    np.testing.assert_array_equal(sets["fer2013"].labels, FACES.labels)


@pytest.mark.parametrize("classes", [("happy", "sad"), tuple(sorted(EXPRESSIONS))])
def test_other_classes_are_the_users_own_set(classes: tuple[str, ...]) -> None:
    sets = label_sets(drawn_faces(8, seed=1, classes=classes))
    assert list(sets) == ["labels"]
    assert sets["labels"].classes == classes


def test_hash_is_over_pixels_labels_classes_and_votes_alone() -> None:
    crops = FACES.crops.copy()
    crops[7, 20, 20] ^= 1
    others = [
        replace(FACES, crops=crops),
        replace(FACES, labels=FACES.labels[::-1].copy()),
        replace(FACES, classes=("a", *FACES.classes[1:])),
        replace(FACES, votes=None),
        replace(FACES, votes=VOTES[::-1].copy()),
        FACES.take(slice(None, None, -1)),
        FACES.take(slice(1, None)),
    ]
    assert len({content_hash(faces) for faces in [FACES, *others]}) == 1 + len(others)
    renamed = replace(FACES, sources=tuple("x" * 14), skipped=(Skipped("a", "b"),))
    assert content_hash(renamed) == content_hash(FACES)


def test_hash_stays_the_same_between_releases() -> None:
    """Manifests of bundles hold it."""
    two = replace(
        FACES.take(slice(0, 2)), crops=np.stack([np.full((48, 48), tone, np.uint8) for tone in (3, 200)]), votes=None
    )
    assert content_hash(two) == "ea9cc04bf1f559a2e9ce71a0bdbb2b9a24c3ed5a3349b1513bb7f2d6870dd2b9"


def test_gather_merges_spellings_and_keeps_declared_classes() -> None:
    rows: list[Face | Skipped] = [
        Face("1", "Joy", FACES.crops[0]),
        Skipped("2", "broken"),
        Face("3", "happy", FACES.crops[1]),
    ]
    faces = gather(rows, ["sadness", "happiness"], "here")
    assert faces.classes == ("happy", "sad")
    assert faces.labels.tolist() == [0, 0]
    assert faces.sources == ("1", "3")
    assert faces.skipped == (Skipped("2", "broken"),)


def test_gather_without_a_face_says_what_was_wrong_with_the_first() -> None:
    with pytest.raises(DataError, match=r"here: .* first of 2 skipped, a.png: empty"):
        gather([Skipped("a.png", "empty"), Skipped("b.png", "too large")], ["happy"], "here")
    with pytest.raises(DataError, match=r"got none$"):
        gather([], ["happy"], "here")


def test_progress_rises_to_the_total() -> None:
    calls: list[tuple[int, int]] = []
    assert list(reporting(range(600), 600, lambda done, total: calls.append((done, total)))) == list(range(600))
    assert calls[-1] == (600, 600)
    assert calls == sorted(calls)
    assert 3 <= len(calls) < 20


def test_drawn_faces_are_drawn_alike_from_the_same_seed_alone() -> None:
    assert content_hash(drawn_faces(14, seed=5, votes=True)) == content_hash(FACES)
    assert content_hash(drawn_faces(14, seed=6, votes=True)) != content_hash(FACES)
