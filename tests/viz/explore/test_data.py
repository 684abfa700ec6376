"""Tests of viz/explore/data.py."""

import numpy as np
import pytest

from moodspace.embeddings.data.labelled import DataError
from moodspace.viz.explore.data import DataParts, read_parts
from tests.drawn_faces import drawn_faces, write_folder, write_parquet

ONE, OTHER = drawn_faces(10, 1), drawn_faces(6, 2, ("happy", "sad"))


def test_parts_are_joined_over_all_classes(tmp_path):
    write_parquet(ONE, tmp_path / "train.parquet")
    write_parquet(OTHER, tmp_path / "validation.parquet")
    stages = []
    data = read_parts([tmp_path / "train.parquet", tmp_path / "validation.parquet"], lambda stage: stages.append(stage))
    assert data.names == ("train", "validation") and data.faces.classes == ONE.classes
    assert data.part.tolist() == [0] * 10 + [1] * 6
    assert data.counts[:, 1].tolist() == [0, 0, 0, 3, 0, 3, 0] and data.counts.sum() == len(data) == 16
    assert stages == ["read train.parquet", "read validation.parquet"]


def test_splits_of_one_folder_are_its_parts_and_what_is_broken_is_told(tmp_path):
    write_folder(ONE, tmp_path / "train")
    write_folder(OTHER, tmp_path / "test")
    (tmp_path / "test" / "sad" / "torn.png").write_bytes(b"no picture")
    data = read_parts([tmp_path])
    assert data.names == ("train", "test")
    assert [(one.part, one.source) for one in data.unreadable] == [("test", "test/sad/torn.png")]


def test_parts_of_one_name_are_told_apart_by_their_paths(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_parquet(ONE, tmp_path / name / "train.parquet")
    write_folder(OTHER, tmp_path / "plain")
    paths = [tmp_path / "a" / "train.parquet", tmp_path / "b", tmp_path / "plain"]
    assert read_parts(paths).names == (f"{paths[0]} train", f"{paths[1]} train", str(paths[2]))


def test_nothing_and_the_same_twice_are_refused(tmp_path):
    write_folder(ONE, tmp_path)
    for paths in ([], [tmp_path, tmp_path / "." / ""]):
        with pytest.raises(DataError, match="data: expected one or more different data sets"):
            read_parts(paths)


def test_a_part_for_each_face_is_needed():
    with pytest.raises(ValueError, match="part: expected"):
        DataParts(ONE, np.full(10, 1), ("train",))
