"""The teaching benchmark measures what it says, on drawn faces and an encoder without a network."""

import numpy as np
import pytest

from benchmarks.accuracy import teach
from benchmarks.accuracy.teach import Teacher, copies_won, new_class, of_class, old_classes, study, table
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.data.labels import FERPLUS_CLASSES
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle

pytestmark = pytest.mark.numeric


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(fake_bundle(drawn_faces(105, seed=0, votes=True)), "fer2013")


@pytest.fixture(autouse=True)
def few_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teach, "_TRIALS", 2)
    monkeypatch.setattr(teach, "_DRAWN", 12)


def test_a_class_is_what_most_voters_said() -> None:
    faces = drawn_faces(40, seed=1, classes=tuple(sorted(FERPLUS_CLASSES)), votes=True)
    rows = of_class(faces, "contempt")
    assert len(rows)
    assert {faces.classes[label] for label in faces.labels[rows]} == {"contempt"}


def test_examples_that_are_all_alike_are_recalled(recognizer: Recognizer) -> None:
    others = drawn_faces(35, seed=2)
    encode = recognizer.bundle.encoder.encode
    truth = np.array(others.classes)[others.labels]
    same = encode(np.repeat(drawn_faces(1, seed=9).crops, 6, axis=0))
    row = new_class(Teacher(recognizer), "confused", same, same, encode(others.crops), truth, 2)
    assert row["recall"] == row["recall_unseen"] == 1
    assert row["claimed_of_others"] < 0.2
    assert row["accuracy_change"] >= -row["claimed_of_others"]
    assert row["precision"] == pytest.approx(10 / (10 + 35 * row["claimed_of_others"]), abs=0.05)


def test_copies_are_counted_by_kind(recognizer: Recognizer) -> None:
    won = copies_won(Teacher(recognizer), drawn_faces(4, seed=3).crops)
    kinds = [share for kind, share in won.items() if kind != "all"]
    assert len(kinds) == 14 and won["all"] == pytest.approx(np.mean(kinds))
    assert won["brightness +20"] == 1


def test_own_labels_of_the_same_faces_help(recognizer: Recognizer) -> None:
    faces = drawn_faces(14, seed=4)
    encoded = recognizer.bundle.encoder.encode(np.concatenate([faces.crops, faces.crops]))
    truth = np.array(faces.classes)[np.concatenate([faces.labels, faces.labels])]
    assert old_classes(Teacher(recognizer), encoded, truth, 20) >= 0


def test_the_table_holds_every_figure(recognizer: Recognizer) -> None:
    classes = tuple(sorted(FERPLUS_CLASSES))
    faces, pool = (drawn_faces(48, seed=seed, classes=classes, votes=True) for seed in (5, 6))
    found = study(recognizer, faces, pool, 2)
    text = table(found)
    assert f"| contempt | 5 | {100 * found['contempt']['taught'][5]['recall']:.1f} |" in text
    assert "| drawn | 10 |" in text
    assert f"| all | {100 * found['near_copies']['all']:.1f} |" in text
