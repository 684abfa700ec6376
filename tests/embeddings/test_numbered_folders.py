"""Class folders that are called by numbers: RAF-DB's are known, others mean something else in each data set."""

from pathlib import Path

import pytest

from moodspace.embeddings.data.labelled import DataError
from moodspace.embeddings.data.readers import read_labelled_faces, read_splits
from moodspace.index.taught.sync_plan import scan
from tests.drawn_faces import drawn_faces, write_folder

FACES = drawn_faces(7, seed=6)
RAF_DB = {"surprise": 1, "fear": 2, "disgust": 3, "happy": 4, "sad": 5, "angry": 6, "neutral": 7}


def numbered(root: Path, numbers: dict[str, int]) -> Path:
    write_folder(FACES, root)
    for name, number in numbers.items():
        (root / name).rename(root / str(number))
    return root


@pytest.mark.parametrize("name", ["rafdb/DATASET", "RAF-DB/basic", "raf_db"])
def test_raf_db_is_known_by_its_name(tmp_path: Path, name: str) -> None:
    for split in ("train", "test"):
        numbered(tmp_path / name / split, RAF_DB)
    splits = read_splits(tmp_path / name)
    for part in splits.values():
        assert part.classes == FACES.classes
        assert sorted(part.crops.tobytes()) == sorted(FACES.crops.tobytes())
        own = {part.crops[row].tobytes(): part.classes[part.labels[row]] for row in range(7)}
        assert own == {FACES.crops[row].tobytes(): FACES.classes[FACES.labels[row]] for row in range(7)}


@pytest.mark.parametrize("numbers", [RAF_DB, {name: place for place, name in enumerate(FACES.classes)}])
def test_other_numbers_are_refused_by_all(tmp_path: Path, numbers: dict[str, int]) -> None:
    root = numbered(tmp_path / "faces", numbers)
    for read in (read_labelled_faces, read_splits, scan):
        with pytest.raises(DataError, match=r"folders named for expressions, got the numbers .*; rename them"):
            read(root)
