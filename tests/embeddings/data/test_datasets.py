"""Tests of embeddings/data/readers.py: folders, splits, and data sets that are something else."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moodspace.embeddings.data.labelled import DataError, LabelledFaces, label_sets
from moodspace.embeddings.data.labels import FER2013_CLASSES
from moodspace.embeddings.data.readers import read_labelled_faces
from tests.drawn_faces import drawn_faces, write_folder

TRAIN = drawn_faces(21, seed=1)
VALIDATION = drawn_faces(14, seed=2)
TEST = drawn_faces(7, seed=3)


def same(faces: LabelledFaces, expected: LabelledFaces) -> None:
    """Folders are read class by class, so what was written is put into that order first."""
    expected = expected.take(np.argsort(expected.labels, kind="stable"))
    assert faces.classes == expected.classes
    assert [source.rsplit("/")[-1] for source in faces.sources] == list(expected.sources)
    np.testing.assert_array_equal(faces.labels, expected.labels)
    np.testing.assert_array_equal(faces.crops, expected.crops)


def picture(file: Path, tone: int = 100) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (48, 48), tone).save(file)
    return file


# Folders


def test_folder_of_classes(tmp_path: Path) -> None:
    write_folder(TRAIN, tmp_path)
    faces = read_labelled_faces(tmp_path)
    same(faces, TRAIN)
    assert faces.classes == FER2013_CLASSES
    assert faces.votes is None
    assert faces.skipped == ()
    assert faces.sources[:2] == ("angry/00000.png", "angry/00007.png")
    assert list(label_sets(faces)) == ["fer2013"]


@pytest.mark.parametrize("wrapping", ["", "images", "archive/images"])
def test_folder_of_splits(tmp_path: Path, wrapping: str) -> None:
    write_folder(TRAIN, tmp_path / wrapping / "train")
    write_folder(VALIDATION, tmp_path / wrapping / "validation")
    same(read_labelled_faces(tmp_path, split="train"), TRAIN)
    faces = read_labelled_faces(tmp_path, split="validation")
    same(faces, VALIDATION)
    assert faces.sources[0] == Path(wrapping, "validation/angry/00000.png").as_posix()
    same(read_labelled_faces(tmp_path / wrapping / "train"), TRAIN)


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("train", "Training"),
        ("Training", "train"),
        ("val", "PublicTest"),
        ("PublicTest", "val"),
        ("test", "PrivateTest"),
    ],
)
def test_splits_have_aliases(tmp_path: Path, folder: str, split: str) -> None:
    write_folder(TEST, tmp_path / folder)
    same(read_labelled_faces(tmp_path, split=split), TEST)


def test_the_only_split_need_not_be_said(tmp_path: Path) -> None:
    write_folder(TRAIN, tmp_path / "train")
    same(read_labelled_faces(tmp_path), TRAIN)


def test_splits_have_the_classes_of_the_whole_data_set(tmp_path: Path) -> None:
    write_folder(TRAIN, tmp_path / "train")
    picture(tmp_path / "test" / "happy" / "a.png")
    faces = read_labelled_faces(tmp_path, split="test")
    assert faces.classes == FER2013_CLASSES
    assert faces.labels.tolist() == [FER2013_CLASSES.index("happy")]


def test_spellings_of_a_class_are_one_class(tmp_path: Path) -> None:
    for name in ("Happiness", "happy", "sadness", "Confused"):
        picture(tmp_path / name / "a.png")
    faces = read_labelled_faces(tmp_path)
    assert faces.classes == ("confused", "happy", "sad")
    assert [faces.classes[label] for label in faces.labels] == ["confused", "happy", "happy", "sad"]
    assert list(label_sets(faces)) == ["labels"]


def test_an_empty_class_is_a_class(tmp_path: Path) -> None:
    picture(tmp_path / "happy" / "a.png")
    (tmp_path / "sad").mkdir()
    assert read_labelled_faces(tmp_path).classes == ("happy", "sad")


def test_a_class_may_be_called_test(tmp_path: Path) -> None:
    picture(tmp_path / "test" / "a.png")
    picture(tmp_path / "happy" / "a.png")
    assert read_labelled_faces(tmp_path).classes == ("happy", "test")


def test_what_systems_leave_behind_is_ignored(tmp_path: Path) -> None:
    picture(tmp_path / "happy" / "a.png")
    for clutter in (".hidden.png", "happy/.a.png", "happy/Thumbs.db", "happy/desktop.ini", "happy/.DS_Store"):
        (tmp_path / clutter).write_bytes(b"")
    for folder in (".git", "__MACOSX"):
        picture(tmp_path / folder / "b.png")
    faces = read_labelled_faces(tmp_path)
    assert faces.classes == ("happy",)
    assert faces.sources == ("happy/a.png",)
    assert faces.skipped == ()


def test_broken_pictures_are_skipped_counted_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = picture(tmp_path / "happy" / "c.png").read_bytes()
    (tmp_path / "happy" / "a.png").write_bytes(b"")
    (tmp_path / "happy" / "b.png").write_bytes(whole[:50])
    (tmp_path / "happy" / "d.txt").write_text("no picture")
    (tmp_path / "happy" / "e").mkdir()
    (tmp_path / "happy" / "f.png").symlink_to(tmp_path / "nowhere.png")
    with caplog.at_level(logging.WARNING):
        faces = read_labelled_faces(tmp_path)
    assert faces.sources == ("happy/c.png",)
    assert [row.source for row in faces.skipped] == [
        f"happy/{name}" for name in ("a.png", "b.png", "d.txt", "e", "f.png")
    ]
    assert all(row.reason for row in faces.skipped)
    assert "skipped 5 of 6" in caplog.text


def test_pictures_of_any_size_and_format_become_crops(tmp_path: Path) -> None:
    for number, crop in enumerate(TEST.crops):
        large = Image.fromarray(crop).resize((200, 240)).convert("RGB")
        (tmp_path / "happy").mkdir(exist_ok=True)
        large.save(tmp_path / "happy" / f"{number}{('.jpg', '.webp', '.bmp')[number % 3]}")
    faces = read_labelled_faces(tmp_path)
    assert faces.crops.shape == (7, 48, 48)
    assert np.abs(faces.crops.astype(int) - TEST.crops).mean() < 8


def test_reading_is_in_the_same_order_every_time(tmp_path: Path) -> None:
    for name in ("10", "9", "B", "a"):
        picture(tmp_path / "sad" / f"{name}.png")
        picture(tmp_path / "happy" / f"{name}.png")
    faces = read_labelled_faces(tmp_path)
    names = ["10.png", "9.png", "B.png", "a.png"]
    assert faces.sources == tuple(f"{label}/{name}" for label in ("happy", "sad") for name in names)


def test_progress(tmp_path: Path) -> None:
    write_folder(TRAIN, tmp_path)
    calls: list[tuple[int, int]] = []
    read_labelled_faces(tmp_path, progress=lambda done, total: calls.append((done, total)))
    assert calls[0] == (0, 21)
    assert calls[-1] == (21, 21)


# Data sets that are something else


def test_splits_that_are_not_said_or_not_there(tmp_path: Path) -> None:
    write_folder(TEST, tmp_path / "both" / "train")
    write_folder(TEST, tmp_path / "both" / "test")
    write_folder(TEST, tmp_path / "flat")
    with pytest.raises(DataError, match="got none; choose one of test, train"):
        read_labelled_faces(tmp_path / "both")
    with pytest.raises(DataError, match="one of the splits test, train, got 'validation'"):
        read_labelled_faces(tmp_path / "both", split="validation")
    with pytest.raises(DataError, match="has none, got 'train'; leave it out"):
        read_labelled_faces(tmp_path / "flat", split="train")


def test_places_without_a_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing: expected a data set"):
        read_labelled_faces(tmp_path / "nothing")
    with pytest.raises(DataError, match="folders named for classes"):
        read_labelled_faces(tmp_path)
    single = picture(tmp_path / "loose.png")
    with pytest.raises(DataError, match="folders named for classes"):
        read_labelled_faces(tmp_path)
    with pytest.raises(DataError, match=r"got loose\.png; name one"):
        read_labelled_faces(single)
    (tmp_path / "happy").mkdir()
    with pytest.raises(DataError, match="at least one readable"):
        read_labelled_faces(tmp_path)


def test_a_folder_with_two_kinds_of_tables_is_ambiguous(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_text("")
    (tmp_path / "train.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"got fer2013\.csv, train\.parquet; name one"):
        read_labelled_faces(tmp_path)
