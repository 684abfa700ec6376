"""Tests of classifier/bundle/splits.py: which faces are trained and which validated on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moodspace.classifier.bundle.splits import hold_out, read_training_faces
from moodspace.embeddings.data.labelled import DataError, LabelledFaces, label_sets, merge
from moodspace.embeddings.data.readers import label_set_name
from tests.drawn_faces import drawn_faces, write_csv, write_folder

TWO = ("happy", "sad")
TRAIN = drawn_faces(40, seed=1, classes=TWO)
OTHER = drawn_faces(6, seed=2, classes=TWO)


def kaggle(root: Path, **splits: LabelledFaces) -> Path:
    for name, faces in splits.items():
        write_folder(faces, root / name)
    return root


def crops(faces: LabelledFaces) -> set[bytes]:
    return {crop.tobytes() for crop in faces.crops}


def test_kaggle_s_train_and_test_hold_out_part_of_train_and_say_so(tmp_path: Path) -> None:
    read = read_training_faces(kaggle(tmp_path, train=TRAIN, test=OTHER))
    assert (len(read.train), len(read.validation)) == (36, 4)
    assert np.bincount(read.validation.labels).tolist() == [2, 2]
    assert crops(read.train) | crops(read.validation) == crops(TRAIN)
    assert not crops(read.train) & crops(read.validation)
    assert read.notes == ("held out 4 faces of split train for validation (10%, seed 0)",)


def test_the_same_seed_holds_out_the_same_faces(tmp_path: Path) -> None:
    kaggle(tmp_path, train=TRAIN, test=OTHER)
    first, again, other = (crops(read_training_faces(tmp_path, seed=seed).validation) for seed in (3, 3, 4))
    assert first == again != other


def test_a_validation_split_is_taken_as_it_is(tmp_path: Path) -> None:
    read = read_training_faces(kaggle(tmp_path, train=TRAIN, valid=OTHER, test=OTHER))
    assert (len(read.train), len(read.validation), read.notes) == (40, 6, ())


@pytest.mark.parametrize(
    ("split", "validation_split", "sizes"),
    [
        (None, "test", (40, 6)),
        ("test", "train", (6, 40)),
        ("Training", "PrivateTest", (40, 6)),
        (None, 0.25, (30, 10)),
        ("test", None, (4, 2)),
        ("test", 0.5, (2, 4)),
    ],
)
def test_splits_can_be_chosen(
    tmp_path: Path, split: str | None, validation_split: str | float | None, sizes: tuple[int, int]
) -> None:
    kaggle(tmp_path, train=TRAIN, test=OTHER)
    read = read_training_faces(tmp_path, split=split, validation_split=validation_split)
    assert (len(read.train), len(read.validation)) == sizes


def test_a_share_holds_out_of_train_where_there_is_a_validation_split_too(tmp_path: Path) -> None:
    read = read_training_faces(kaggle(tmp_path, train=TRAIN, validation=OTHER), validation_split=0.5)
    assert (len(read.train), len(read.validation)) == (20, 20)


def test_another_data_set_validates_by_its_validation_split(tmp_path: Path) -> None:
    write_folder(TRAIN, tmp_path / "mine")
    kaggle(tmp_path / "other", train=TRAIN, validation=OTHER)
    assert len(read_training_faces(tmp_path / "mine", tmp_path / "other").validation) == 6
    assert len(read_training_faces(tmp_path / "mine", tmp_path / "other", validation_split="train").validation) == 40


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"split": "nosuch"}, "one of the splits test, train, got 'nosuch'"),
        ({"validation_split": "nosuch"}, "one of the splits test, train, got 'nosuch'"),
        ({"validation_split": "train"}, "two splits to train and to validate on, got 'train' for both"),
        ({"validation_split": 1.5}, r"a share in \(0, 1\), got 1.5"),
        ({"validation_split": 0.0}, r"a share in \(0, 1\), got 0"),
    ],
)
def test_choices_that_cannot_be(tmp_path: Path, choice: dict[str, str | float], words: str) -> None:
    kaggle(tmp_path, train=TRAIN, test=OTHER)
    with pytest.raises(DataError, match=words):
        read_training_faces(tmp_path, **choice)  # type: ignore[arg-type]


def test_several_splits_without_train_have_to_be_chosen(tmp_path: Path) -> None:
    kaggle(tmp_path, validation=OTHER, test=OTHER)
    with pytest.raises(DataError, match="a split called train, got validation, test; choose one with --split"):
        read_training_faces(tmp_path)


# What is held out


def test_identical_pictures_stay_together() -> None:
    faces = merge([drawn_faces(10, seed=seed, classes=TWO) for seed in (1, 1, 1, 2, 3)])
    for seed in range(8):
        chosen = hold_out(faces, 0.3, seed)
        assert 0 < chosen.sum() < len(faces)
        assert not crops(faces.take(chosen)) & crops(faces.take(~chosen))


def test_identical_pictures_with_different_labels_stay_in_training() -> None:
    faces = drawn_faces(20, seed=1, classes=TWO)
    swapped = replace(faces.take(slice(0, 4)), labels=1 - faces.labels[:4])
    chosen = hold_out(merge([faces, swapped]), 0.5, seed=0)
    assert chosen.any() and not chosen[:4].any() and not chosen[20:].any()


def test_a_class_with_a_single_picture_stays_in_training(tmp_path: Path) -> None:
    write_folder(merge([TRAIN, drawn_faces(1, seed=3, classes=("fear",))]), tmp_path)
    read = read_training_faces(tmp_path)
    assert read.train.classes == read.validation.classes == ("fear", "happy", "sad")
    assert np.bincount(read.train.labels).tolist() == [1, 18, 18]
    assert np.bincount(read.validation.labels).tolist() == [0, 2, 2]


def test_every_class_of_two_different_pictures_or_more_is_validated() -> None:
    for share in (0.01, 0.5, 0.99):
        faces = drawn_faces(4, seed=5, classes=TWO)
        chosen = hold_out(faces, share, seed=0)
        assert np.bincount(faces.labels[chosen], minlength=2).tolist() == [1, 1]


# Too few faces or classes


def test_one_class_is_refused_with_the_numbers(tmp_path: Path) -> None:
    write_folder(drawn_faces(12, seed=1, classes=("happy",)), tmp_path)
    with pytest.raises(DataError, match="faces of two or more classes to train on, got 12 of happy"):
        read_training_faces(tmp_path)


def test_one_picture_of_each_class_is_refused_with_the_numbers(tmp_path: Path) -> None:
    write_folder(drawn_faces(2, seed=1, classes=TWO), tmp_path)
    with pytest.raises(DataError, match="to hold one out for validation, got 1 of happy, 1 of sad"):
        read_training_faces(tmp_path)


def test_an_empty_class_is_left_out_and_said(tmp_path: Path) -> None:
    write_folder(TRAIN, tmp_path)
    (tmp_path / "fear").mkdir()
    read = read_training_faces(tmp_path)
    assert read.train.classes == read.validation.classes == TWO
    assert "left out the classes fear, which have no training faces" in read.notes


def test_validation_faces_of_other_classes_are_left_out_and_counted(tmp_path: Path) -> None:
    write_folder(TRAIN, tmp_path / "mine")
    write_folder(drawn_faces(9, seed=1, classes=("fear", "happy", "sad")), tmp_path / "other")
    read = read_training_faces(tmp_path / "mine", tmp_path / "other")
    assert read.validation.classes == TWO and len(read.validation) == 6
    assert any("left out 3 validation faces" in note for note in read.notes)
    write_folder(drawn_faces(3, seed=1, classes=("fear",)), tmp_path / "fears")
    with pytest.raises(DataError, match="validation: expected faces of happy, sad, got 3 of fear"):
        read_training_faces(tmp_path / "mine", tmp_path / "fears")


def test_what_cannot_be_read_is_told_once(tmp_path: Path) -> None:
    write_csv({"Training": drawn_faces(14, seed=1), "PublicTest": drawn_faces(7, seed=2)}, tmp_path / "fer2013.csv")
    with (tmp_path / "fer2013.csv").open("a") as file:
        file.write("3")
    read = read_training_faces(tmp_path)
    assert [one.source for one in read.skipped] == ["fer2013.csv#23"]
    assert read.train.name == read.validation.name == "fer2013"


# Names


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Office moods", "office_moods"),
        ("moods/train", "moods"),
        ("moods/archive/images", "moods"),
        ("blend", "blend_labels"),
        ("2024", "2024_labels"),
        ("data/archive/images", "labels"),
        ("data/fer2013", "fer2013"),
        ("FER-2013/archive/train", "fer2013"),
        ("data/Gesichter/ärger", "rger"),
    ],
)
def test_a_label_set_is_called_as_its_data(path: str, name: str) -> None:
    assert label_set_name(Path("/", path), drawn_faces(7, seed=1)) == name


def test_other_classes_are_not_fer2013(tmp_path: Path) -> None:
    assert label_set_name(tmp_path / "fer2013", TRAIN) == "fer2013_labels"
    write_folder(TRAIN, tmp_path / "office")
    read = read_training_faces(tmp_path / "office")
    assert list(label_sets(read.train)) == list(label_sets(read.validation)) == ["office"]
