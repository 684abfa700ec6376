"""Tests of embeddings.datasets.read_splits."""

from pathlib import Path

import numpy as np
import pytest

from moodspace.embeddings.data.labelled import DataError
from moodspace.embeddings.data.readers import read_splits
from tests.drawn_faces import drawn_faces, write_csv, write_folder, write_parquet

TRAIN, TEST = drawn_faces(14, 1), drawn_faces(7, 2)


def lay(layout: str, root: Path) -> Path:
    if layout == "csv":
        write_csv({"Training": TRAIN, "PrivateTest": TEST}, root / "fer2013.csv")
    elif layout == "parquet":
        write_parquet(TEST, root / "test.parquet")
        write_parquet(TRAIN, root / "train-00000-of-00001.parquet")
    else:
        write_folder(TEST, root / "test")
        write_folder(TRAIN, root / "train")
    return root


@pytest.mark.parametrize("layout", ["csv", "parquet", "folder"])
def test_all_splits_are_read_train_first(tmp_path, layout):
    splits = read_splits(lay(layout, tmp_path))
    assert list(splits) == ["train", "test"]
    for read, written in zip(splits.values(), (TRAIN, TEST), strict=True):
        assert {crop.tobytes() for crop in read.crops} == {crop.tobytes() for crop in written.crops}


def test_a_data_set_without_splits_is_one(tmp_path):
    write_folder(TRAIN, tmp_path)
    splits = read_splits(tmp_path)
    assert list(splits) == [""] and len(splits[""]) == 14


def test_a_single_table_keeps_its_name_and_reports_progress(tmp_path):
    write_parquet(TRAIN, tmp_path / "validation.parquet")
    seen = []
    splits = read_splits(tmp_path / "validation.parquet", progress=lambda *step: seen.append(step))
    assert list(splits) == ["validation"] and seen[-1] == (14, 14)
    assert np.array_equal(splits["validation"].crops, TRAIN.crops)


def test_a_table_without_usage_is_one(tmp_path):
    pixels = " ".join(map(str, TRAIN.crops[0].ravel()))
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels\n3,{pixels}\n", encoding="utf-8")
    assert {name: len(faces) for name, faces in read_splits(tmp_path / "fer2013.csv").items()} == {"": 1}


def test_nothing_to_read_is_told(tmp_path):
    for path, words in ((tmp_path, "expected folders named for classes"), (tmp_path / "none", "no such path")):
        with pytest.raises(DataError, match=words):
            read_splits(path)
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"fer2013\.csv"):
        read_splits(tmp_path)
