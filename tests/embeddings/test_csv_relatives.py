"""Tests of embeddings/data/csv.py: tables that differ from Kaggle's in form, rows that are broken, FER+ beside."""

from pathlib import Path

import numpy as np
import pytest

from moodspace.embeddings.data.labelled import DataError
from moodspace.embeddings.data.readers import read_labelled_faces, read_splits, splits_in
from tests.drawn_faces import drawn_faces

NAMES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
FACES = drawn_faces(14, seed=4)
PIXELS = [" ".join(map(str, crop.ravel())) for crop in FACES.crops]
USAGES = ["Training"] * 7 + ["PublicTest"] * 4 + ["PrivateTest"] * 3
HEADER = "emotion,pixels,Usage\n"
PLAIN = HEADER + "".join(
    f"{row % 7},{pixels},{usage}\n" for row, (pixels, usage) in enumerate(zip(PIXELS, USAGES, strict=True))
)
VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n" + "".join(
    f"{usage},fer{row:07}.png,4,0,0,1,{row % 3},2,0,0,0,1\n" for row, usage in enumerate(USAGES)
)


def lay(folder: Path, text: str, name: str = "fer2013.csv", encoding: str = "utf-8") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(text.encode(encoding))
    return folder


def said(table: str) -> list[str]:
    rows = [line.split(",") for line in table.splitlines()[1:]]
    return [f"{NAMES[int(emotion)]},{pixels},{usage}" for emotion, pixels, usage in rows]


RELATIVES = {
    "utf-8 with a mark": (PLAIN, "utf-8-sig"),
    "utf-16": (PLAIN, "utf-16"),
    "utf-16 without a mark": (PLAIN, "utf-16-le"),
    "windows lines": (PLAIN.replace("\n", "\r\n"), "utf-8"),
    "semicolons": (PLAIN.replace(",", ";"), "utf-8"),
    "tabs": (PLAIN.replace(",", "\t"), "utf-8"),
    "quotes": ("\n".join(",".join(f'"{part}"' for part in line.split(",")) for line in PLAIN.splitlines()), "utf-8"),
    "an index": ("\n".join(f"{row},{line}" for row, line in enumerate(PLAIN.splitlines())), "utf-8"),
    "names": (HEADER + "\n".join(said(PLAIN)), "utf-8"),
    "aliases in capitals": ((HEADER + "\n".join(said(PLAIN))).replace("happy", "HAPPINESS"), "utf-8"),
    "numbers with a point": (HEADER + "".join(f"{float(line[0])}{line[1:]}\n" for line in PLAIN.splitlines()[1:]), ""),
    "commas between pixels": (
        HEADER + "".join(f'{p[0]},"[{p[1].replace(" ", ", ")}]",{p[2]}\n' for p in
                         (line.split(",") for line in PLAIN.splitlines()[1:])), "utf-8",
    ),
    "another name of the label": (PLAIN.replace("emotion", "Label"), "utf-8"),
    "blank lines": (PLAIN.replace("\n", "\n\n"), "utf-8"),
}  # fmt: skip


@pytest.mark.parametrize("kind", RELATIVES)
def test_relatives_are_read_as_the_plain_table_is(tmp_path: Path, kind: str) -> None:
    text, encoding = RELATIVES[kind]
    splits = read_splits(lay(tmp_path, text, encoding=encoding or "utf-8"))
    assert list(splits) == ["train", "validation", "test"]
    assert [len(part) for part in splits.values()] == [7, 4, 3]
    np.testing.assert_array_equal(np.concatenate([part.crops for part in splits.values()]), FACES.crops)
    labels = [part.classes[label] for part in splits.values() for label in part.labels]
    assert labels == [NAMES[row % 7] for row in range(14)]
    assert not any(part.skipped for part in splits.values())


def test_a_folder_of_tables_named_for_splits(tmp_path: Path) -> None:
    for name, row in (("train.csv", 3), ("val.csv", 4)):
        lay(tmp_path, f"emotion,pixels\n{row},{PIXELS[0]}\n", name)
    assert splits_in(tmp_path) == ["train", "validation"]
    assert {name: part.classes[part.labels[0]] for name, part in read_splits(tmp_path).items()} == {
        "train": "happy", "validation": "sad",
    }  # fmt: skip


def test_faces_without_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"test\.csv: expected the columns emotion.*its faces have no labels"):
        read_labelled_faces(lay(tmp_path, f"pixels\n{PIXELS[0]}\n", "test.csv"))


# Broken rows: skipped, named and counted, and nothing else is lost.


@pytest.mark.parametrize("cut", ["3", "3,1 2 3", f"3,{PIXELS[0]}", f"3,{PIXELS[0]},", f"3,{PIXELS[0]},Private", '3,"1'])
def test_a_row_that_was_cut_off_costs_one_row(tmp_path: Path, cut: str) -> None:
    lay(tmp_path, PLAIN + cut)
    splits = read_splits(tmp_path)
    assert {name: len(part) for name, part in splits.items()} == {"train": 7, "validation": 4, "test": 3}
    assert [row.source for part in splits.values() for row in part.skipped] == ["fer2013.csv#16"]
    for split in splits:
        assert [row.source for row in read_labelled_faces(tmp_path, split=split).skipped] == ["fer2013.csv#16"]
    assert splits_in(tmp_path) == ["train", "validation", "test"]


def test_a_row_that_is_no_csv_costs_one_row(tmp_path: Path) -> None:
    lines = PLAIN.splitlines()
    lay(tmp_path, "\n".join([*lines[:3], "0," + "1 " * 70_000, *lines[3:]]))
    splits = read_splits(tmp_path)
    assert [len(part) for part in splits.values()] == [7, 4, 3]
    assert [row.source for row in splits["train"].skipped] == ["fer2013.csv#4"]


def test_a_split_without_a_readable_row_does_not_cost_the_others(tmp_path: Path) -> None:
    lay(tmp_path, HEADER + f"3,{PIXELS[0]},Training\n3,1 2,PublicTest\n")
    splits = read_splits(tmp_path)
    assert list(splits) == ["train"]
    assert [row.source for row in splits["train"].skipped] == ["split validation"]


# FER+


@pytest.mark.parametrize("name", ["fer2013.csv", "icml_face_data.csv"])
@pytest.mark.parametrize("whole", [True, False])
def test_the_votes_of_ferplus_are_read_from_beside(tmp_path: Path, name: str, whole: bool) -> None:
    lay(lay(tmp_path, PLAIN, name), VOTES, "fer2013new.csv")
    faces = read_labelled_faces(tmp_path if whole else tmp_path / name, split="PublicTest")
    assert faces.votes is not None
    # Rows 7 to 10; columns neutral, happy, surprise, sad, angry, disgust, fear, contempt, unknown, not-a-face.
    assert faces.votes.tolist() == [[4, 0, 0, 1, row % 3, 2, 0, 0, 0, 1] for row in range(7, 11)]
    splits = read_splits(tmp_path)
    assert all(part.votes is not None for part in splits.values())


@pytest.mark.parametrize(
    ("votes", "words"),
    [
        (VOTES[: VOTES.rindex("PrivateTest")], "the 14 rows of fer2013.csv, got 13 rows"),
        (VOTES.replace("fer0000003", "fer0000004"), "row 4 to be of fer2013.csv's row 4"),
        (VOTES.replace("PublicTest", "PrivateTest"), "row 8 to be of"),
        ("a,b\n1,2\n", r"columns of FER\+ \(neutral to NF\), got a, b"),
    ],
)
def test_votes_on_other_faces_are_refused(tmp_path: Path, votes: str, words: str) -> None:
    lay(lay(tmp_path, PLAIN), votes, "fer2013new.csv")
    for read in (lambda: read_labelled_faces(tmp_path, split="train"), lambda: read_splits(tmp_path)):
        with pytest.raises(DataError, match=words):
            read()


def test_broken_votes_cost_their_row_s_votes(tmp_path: Path) -> None:
    broken = VOTES.replace("fer0000002.png,4", "fer0000002.png,x")
    faces = read_splits(lay(lay(tmp_path, PLAIN), broken, "fer2013new.csv"))["train"]
    assert faces.votes is not None and len(faces) == 7
    assert not faces.votes[2].any() and faces.votes[1].any()
    assert [row.source for row in faces.skipped] == ["fer2013new.csv#4"]


def test_votes_alone_are_no_data_set(tmp_path: Path) -> None:
    lay(tmp_path, VOTES, "fer2013new.csv")
    for path in (tmp_path, tmp_path / "fer2013new.csv"):
        with pytest.raises(DataError, match=r"votes of FER\+, which have no pictures; put fer2013\.csv into the same"):
            read_labelled_faces(path)
