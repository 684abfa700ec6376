"""Parquet files as the Hub names and fills them: splits by file or folder, other columns, pictures as paths."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from moodspace.embeddings.data.labelled import DataError
from moodspace.embeddings.data.layout import parquet_split
from moodspace.embeddings.data.parquet import read_parquet
from moodspace.embeddings.data.readers import read_labelled_faces, read_splits
from tests.drawn_faces import drawn_faces, write_parquet

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

FACES = drawn_faces(4, seed=8, classes=("happy", "sad"))
LABELS = ["happy", "sad", "happy", "sad"]
CLASS_LABEL = '{"info": {"features": {"%s": {"names": ["happy", "sad"], "_type": "ClassLabel"}}}}'


def png(crop: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(crop).save(stream, "PNG")
    return stream.getvalue()


PICTURES = [png(crop) for crop in FACES.crops]
STRUCTS = [{"bytes": picture, "path": f"{row}.png"} for row, picture in enumerate(PICTURES)]


@pytest.mark.parametrize(
    ("file", "split"),
    [
        ("train.parquet", "train"),
        ("train-00000-of-00002.parquet", "train"),
        ("test-00000-of-00001-0123456789abcdef.parquet", "test"),
        ("valid-00000-of-00001-d1b5d8d6f2ac.parquet", "validation"),
        ("mine-train-00000-of-00001.parquet", "train"),
        ("default/train/0000.parquet", "train"),
        ("default/partial-train/0001.parquet", "train"),
        ("data/validation-00000-of-00001.parquet", "validation"),
        ("0000.parquet", ""),
        ("mine.parquet", "mine"),
    ],
)
def test_the_split_that_a_file_holds(file: str, split: str) -> None:
    assert parquet_split(Path("faces") / file) == split


@pytest.mark.parametrize(
    "files",
    [
        ["train-00000-of-00001-0123456789abcdef.parquet", "test-00000-of-00001-fedcba9876543210.parquet"],
        ["data/train-00000-of-00001-0123456789abcdef.parquet", "data/test-00000-of-00001.parquet"],
        ["default/train/0000.parquet", "default/test/0000.parquet"],
        ["train/0000.parquet", "test/0000.parquet"],
        ["default/partial-train/0000.parquet", "default/test/0000.parquet"],
    ],
)
def test_splits_as_the_hub_lays_them_out(tmp_path: Path, files: list[str]) -> None:
    for file, rows in zip(files, (slice(0, 3), slice(3, 4)), strict=True):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        write_parquet(FACES.take(rows), tmp_path / file)
    for notes in (tmp_path / "README.md", (tmp_path / files[0]).with_name("dataset_infos.json")):
        notes.write_text("of a data set")
    assert {name: len(part) for name, part in read_splits(tmp_path).items()} == {"train": 3, "test": 1}
    assert len(read_labelled_faces(tmp_path, split="train")) == 3
    assert len(read_labelled_faces(tmp_path / files[0], split="train")) == 3


def test_a_table_among_pictures_is_no_data_set(tmp_path: Path) -> None:
    for name in ("happy", "sad"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(PICTURES[0])
    write_parquet(FACES, tmp_path / "happy" / "train.parquet")
    faces = read_labelled_faces(tmp_path)
    assert faces.sources == ("happy/1.png", "sad/1.png")
    assert [row.source for row in faces.skipped] == ["happy/train.parquet"]


def test_tables_that_are_left_out_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "data").mkdir()
    for file in ("train.parquet", "data/train-00000-of-00001.parquet"):
        write_parquet(FACES, tmp_path / file)
    assert len(read_labelled_faces(tmp_path)) == 4
    assert "read train.parquet, and left out 1 tables in subfolders" in caplog.text


def test_shards_with_hashes_are_one_split(tmp_path: Path) -> None:
    for shard in range(2):
        name = f"train-0000{shard}-of-00002-{'ab'[shard] * 16}.parquet"
        write_parquet(FACES.take(slice(2 * shard, 2 * shard + 2)), tmp_path / name)
    np.testing.assert_array_equal(read_labelled_faces(tmp_path).crops, FACES.crops)


def test_two_configurations_are_not_mixed(tmp_path: Path) -> None:
    for name in ("plain", "large"):
        (tmp_path / name / "train").mkdir(parents=True)
        write_parquet(FACES, tmp_path / name / "train" / "0000.parquet")
    with pytest.raises(DataError, match="expected one data set, got 2 with a split 'train'; name one"):
        read_labelled_faces(tmp_path)


def test_a_split_of_no_rows_does_not_cost_the_others(tmp_path: Path) -> None:
    write_parquet(FACES, tmp_path / "train.parquet")
    pq.write_table(pq.read_table(tmp_path / "train.parquet").slice(0, 0), tmp_path / "test.parquet")
    splits = read_splits(tmp_path)
    assert list(splits) == ["train"]
    assert [row.source for row in splits["train"].skipped] == ["split test"]


COLUMNS: dict[str, tuple[dict[str, Any], str]] = {
    "strings": ({"image": STRUCTS, "label": LABELS}, ""),
    "class label": ({"image": STRUCTS, "label": [0, 1, 0, 1]}, "label"),
    "labels": ({"image": STRUCTS, "labels": [0, 1, 0, 1]}, "labels"),
    "emotion and img": ({"img": STRUCTS, "emotion": LABELS}, ""),
    "float labels": ({"image": STRUCTS, "label": [0.0, 1.0, 0.0, 1.0]}, "label"),
    "bytes": ({"image": PICTURES, "label": LABELS}, ""),
    "paths": ({"image": [f"{row}.png" for row in range(4)], "label": LABELS}, ""),
    "structs of paths": ({"image": [{"bytes": None, "path": f"{row}.png"} for row in range(4)], "label": LABELS}, ""),
}


@pytest.mark.parametrize("further_in", [False, True])
@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_of_other_names_and_kinds(tmp_path: Path, kind: str, further_in: bool) -> None:
    columns, label = COLUMNS[kind]
    for row, picture in enumerate(PICTURES):
        (tmp_path / f"{row}.png").write_bytes(picture)
    table = pa.table(columns)
    if label:
        table = table.replace_schema_metadata({"huggingface": CLASS_LABEL % label})
    file = tmp_path / ("data" if further_in else "") / "train.parquet"
    file.parent.mkdir(exist_ok=True)
    pq.write_table(table, file)
    faces = read_parquet([file])
    np.testing.assert_array_equal(faces.crops, FACES.crops)
    assert [faces.classes[row] for row in faces.labels] == LABELS
    assert faces.skipped == ()


def test_labels_that_are_no_class_cost_their_row(tmp_path: Path) -> None:
    table = pa.table({"image": STRUCTS, "label": [0.0, -1.0, 0.5, float("nan")]})
    pq.write_table(table.replace_schema_metadata({"huggingface": CLASS_LABEL % "label"}), tmp_path / "train.parquet")
    faces = read_parquet([tmp_path / "train.parquet"])
    assert len(faces) == 1
    assert [row.source for row in faces.skipped] == ["1.png", "2.png", "3.png"]


def test_a_file_that_is_not_there_costs_its_row(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(PICTURES[0])
    pq.write_table(pa.table({"image": ["0.png", "1.png"], "label": LABELS[:2]}), tmp_path / "train.parquet")
    faces = read_parquet([tmp_path / "train.parquet"])
    assert len(faces) == 1
    assert "1.png" in faces.skipped[0].source and "its file" in faces.skipped[0].reason
