"""Tests of embeddings/data/parquet.py: Hugging Face's layout, its variants, and tables that are something else."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from moodspace.embeddings.data.labelled import DataError
from moodspace.embeddings.data.parquet import read_parquet
from tests.drawn_faces import drawn_faces, write_parquet

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

FACES = drawn_faces(14, seed=7, votes=True)


def png(tone: int = 9) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (48, 48), tone).save(stream, "PNG")
    return stream.getvalue()


def write(file: Path, columns: dict[str, Any], metadata: dict[str, str] | None = None) -> list[Path]:
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), file)
    return [file]


def images(*parts: bytes | None) -> list[dict[str, Any]]:
    return [{"bytes": part, "path": f"{number}.png"} for number, part in enumerate(parts)]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_parquet(FACES, tmp_path / "train.parquet")
    faces = read_parquet([tmp_path / "train.parquet"])
    np.testing.assert_array_equal(faces.crops, FACES.crops)
    np.testing.assert_array_equal(faces.labels, FACES.labels)
    np.testing.assert_array_equal(faces.votes, FACES.votes)
    assert faces.classes == FACES.classes
    assert faces.sources == FACES.sources
    assert not faces.twin.any()


def test_shards_follow_one_another(tmp_path: Path) -> None:
    files = [tmp_path / "train-00000-of-00002.parquet", tmp_path / "train-00001-of-00002.parquet"]
    write_parquet(FACES.take(slice(0, 5)), files[0])
    write_parquet(FACES.take(slice(5, None)), files[1])
    calls: list[tuple[int, int]] = []
    faces = read_parquet(files, progress=lambda done, total: calls.append((done, total)))
    assert faces.sources == FACES.sources
    assert calls[-1] == (14, 14)


@pytest.mark.parametrize("dictionary", [False, True])
def test_labels_as_strings_without_votes_and_twins(tmp_path: Path, dictionary: bool) -> None:
    labels = pa.array(["Sadness", "happy"])
    columns = {"image": images(png(1), png(2)), "label": labels.dictionary_encode() if dictionary else labels}
    faces = read_parquet(write(tmp_path / "a.parquet", columns))
    assert faces.classes == ("happy", "sad")
    assert faces.labels.tolist() == [1, 0]
    assert faces.votes is None
    assert faces.twin.tolist() == [False, False]


def test_names_in_another_order_and_spelling_are_sorted(tmp_path: Path) -> None:
    names = '{"info": {"features": {"label": {"names": ["Surprise", "anger", "joy"]}}}}'
    columns = {"image": images(png(), png(), png()), "label": [0, 1, 1], "twin": [True, None, False]}
    faces = read_parquet(write(tmp_path / "a.parquet", columns, {"huggingface": names}))
    assert faces.classes == ("angry", "happy", "surprise")
    assert faces.labels.tolist() == [2, 0, 0]
    assert faces.twin.tolist() == [True, False, False]


def test_unusable_rows_are_skipped_and_say_why(tmp_path: Path) -> None:
    names = '{"info": {"features": {"label": {"names": ["happy", "sad"]}}}}'
    pictures = [*images(png(), png(), None, b"broken", png(), png()), {"bytes": png(), "path": None}, None]
    columns = {"image": pictures, "label": [0, 9, 0, 0, None, -1, 1, 0]}
    faces = read_parquet(write(tmp_path / "a.parquet", columns, {"huggingface": names}))
    assert faces.sources == ("0.png", "a.parquet#6")
    reasons = {row.source: row.reason for row in faces.skipped}
    assert list(reasons) == ["1.png", "2.png", "3.png", "4.png", "5.png", "a.parquet#7"]
    assert "label" in reasons["1.png"]
    assert "9" in reasons["1.png"]
    assert "bytes" in reasons["2.png"]
    assert "picture" in reasons["3.png"]
    assert "None" in reasons["4.png"]
    assert "-1" in reasons["5.png"]


def test_missing_votes_are_no_votes(tmp_path: Path) -> None:
    columns = {"image": images(png(), png()), "label": ["sad", "sad"], "votes": [None, [9, 1] + [0] * 8]}
    faces = read_parquet(write(tmp_path / "a.parquet", columns))
    assert faces.votes is not None
    np.testing.assert_array_equal(faces.votes, [[0] * 10, [9, 1] + [0] * 8])


@pytest.mark.parametrize("votes", [[1, 2], [-1] + [0] * 9, [None] * 10, [40_000] + [0] * 9])
def test_votes_of_another_form_are_an_error(tmp_path: Path, votes: list[int | None]) -> None:
    columns = {"image": images(png()), "label": ["sad"], "votes": [votes]}
    with pytest.raises(DataError, match="votes"):
        read_parquet(write(tmp_path / "a.parquet", columns))


@pytest.mark.parametrize(
    ("columns", "metadata", "message"),
    [
        ({"pixels": ["1 2"], "label": ["sad"]}, None, "columns image and label, got pixels, label"),
        ({"image": [1.5], "label": ["sad"]}, None, "image to be a struct"),
        ({"image": images(b""), "label": [True]}, None, "integers or strings, got bool"),
        ({"image": images(b""), "label": [1]}, None, "names of the integer labels"),
        ({"image": images(b""), "label": [1]}, {"huggingface": "no json"}, "names of the integer labels"),
        ({"image": images(b""), "label": [1]}, {"huggingface": '{"info": null}'}, "names of the integer labels"),
        ({"image": images(b""), "label": ["sad"]}, None, "at least one readable"),
    ],
)
def test_other_tables_are_refused(
    tmp_path: Path, columns: dict[str, Any], metadata: dict[str, str] | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_parquet(write(tmp_path / "a.parquet", columns, metadata))


@pytest.mark.parametrize("keep", [0, 3, 200])
def test_broken_files_are_refused(tmp_path: Path, keep: int) -> None:
    write_parquet(FACES, tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[:keep])
    with pytest.raises(DataError, match=r"a\.parquet: expected a parquet file"):
        read_parquet([tmp_path / "a.parquet"])


def test_without_pyarrow_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(FACES, tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet")
    with pytest.raises(DataError, match=r"requirements/all\.txt"):
        read_parquet([tmp_path / "a.parquet"])
