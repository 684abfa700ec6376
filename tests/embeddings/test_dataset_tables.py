"""Tests of embeddings/data/readers.py: Kaggle's table, and parquet files as splits."""

from pathlib import Path

import numpy as np
import pytest

from moodspace.embeddings.data.labelled import DataError, content_hash
from moodspace.embeddings.data.labels import FER2013_CLASSES
from moodspace.embeddings.data.readers import read_labelled_faces
from tests.drawn_faces import drawn_faces, write_csv, write_folder, write_parquet

TRAIN = drawn_faces(21, seed=1)
VALIDATION = drawn_faces(14, seed=2)
TEST = drawn_faces(7, seed=3)


@pytest.mark.parametrize("spaced", [False, True])
def test_csv(tmp_path: Path, spaced: bool) -> None:
    file = tmp_path / "fer2013.csv"
    write_csv({"Training": TRAIN, "PublicTest": VALIDATION, "PrivateTest": TEST}, file)
    if spaced:  # icml_face_data.csv
        header, rows = file.read_text().split("\n", 1)
        file.unlink()
        file = tmp_path / "icml_face_data.csv"
        file.write_text(header.replace(",", ", ") + "\n" + rows)
    for path in (file, tmp_path):
        for split, expected in (("train", TRAIN), ("PublicTest", VALIDATION), ("test", TEST)):
            faces = read_labelled_faces(path, split=split)
            np.testing.assert_array_equal(faces.crops, expected.crops)
            np.testing.assert_array_equal(faces.labels, expected.labels)
            assert faces.classes == FER2013_CLASSES
    assert read_labelled_faces(file, split="train").sources[0] == f"{file.name}#2"
    with pytest.raises(DataError, match="choose one of test, train, validation"):
        read_labelled_faces(file)


def test_csv_numbers_are_kaggles(tmp_path: Path) -> None:
    """Written out here, so that the table in the code is not its own proof."""
    rows = "".join(f"{number},{' '.join(['7'] * 2304)}\n" for number in range(7))
    (tmp_path / "mine.csv").write_text("emotion,pixels\n" + rows)
    faces = read_labelled_faces(tmp_path / "mine.csv")
    names = [faces.classes[label] for label in faces.labels]
    assert names == ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    assert (faces.crops == 7).all()
    with pytest.raises(DataError, match="has none, got 'train'; leave it out"):
        read_labelled_faces(tmp_path / "mine.csv", split="train")


def test_csv_rows_that_cannot_be_used_are_skipped(tmp_path: Path) -> None:
    good = " ".join(["1"] * 2304)
    bad = ["7," + good, "x," + good, "0,1 2 3", "0," + good + " 5", "0," + good[:-1] + "256", "0," + good[:-1] + "-1"]
    bad += ["0," + good[:-1] + "x", "0,", "0"]
    (tmp_path / "fer2013.csv").write_text("\ufeffemotion,pixels\n" + "\n".join([*bad, "3," + good]), encoding="utf-8")
    faces = read_labelled_faces(tmp_path)
    assert faces.sources == ("fer2013.csv#11",)
    assert [row.source for row in faces.skipped] == [f"fer2013.csv#{line}" for line in range(2, 11)]
    assert "'7'" in faces.skipped[0].reason


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns emotion, pixels and Usage, got none"),
        ("a,b\n1,2\n", "columns emotion, pixels and Usage, got a, b"),
        ("emotion,pixels\n", "at least one readable"),
        ("emotion,pixels,Usage\n", "at least one readable"),
        ("emotion,pixels\n0," + "1 " * 70_000, "comma-separated"),
    ],
)
def test_other_csv_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "fer2013.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_labelled_faces(tmp_path)


def test_parquet_files_are_splits(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    data = tmp_path / "data"
    data.mkdir()
    write_parquet(TRAIN.take(slice(0, 9)), data / "train-00000-of-00002.parquet")
    write_parquet(TRAIN.take(slice(9, None)), data / "train-00001-of-00002.parquet")
    write_parquet(VALIDATION, data / "validation.parquet")
    for path in (tmp_path, data):
        assert content_hash(read_labelled_faces(path, split="train")) == content_hash(TRAIN)
        assert content_hash(read_labelled_faces(path, split="val")) == content_hash(VALIDATION)
    file = data / "validation.parquet"
    assert content_hash(read_labelled_faces(file)) == content_hash(VALIDATION)
    assert content_hash(read_labelled_faces(file, split="validation")) == content_hash(VALIDATION)
    with pytest.raises(DataError, match="splits validation, got 'train'"):
        read_labelled_faces(file, split="train")
    with pytest.raises(DataError, match="choose one of train, validation"):
        read_labelled_faces(data)


def test_the_same_pixels_have_the_same_hash_in_every_layout(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    write_folder(TRAIN, tmp_path / "folder")
    ordered = read_labelled_faces(tmp_path / "folder")
    write_parquet(ordered, tmp_path / "train.parquet")
    write_csv({"Training": ordered}, tmp_path / "train.csv")
    for name in ("train.parquet", "train.csv"):
        assert content_hash(read_labelled_faces(tmp_path / name)) == content_hash(ordered)
