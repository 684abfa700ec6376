"""Tables in CSV and Parquet have the same rows, and replace older ones in one step."""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from moodspace.realtime.videos import table
from moodspace.realtime.videos.reading import Summary, VideosError, column_names
from moodspace.realtime.videos.table import replacing_together, require_table, write_summary, write_table
from tests.realtime.videos.made_tables import rows_of

CLASSES = ("happy", "sad")


def columns(*numbers: int) -> dict[str, list[object]]:
    values = {"video": "Ä, b.mp4", "expression": "happy", "readable": True, "reason": None}
    return {name: [values.get(name, n) for n in numbers] for name in column_names(CLASSES)}


def parquet_rows(path: Path) -> list[dict[str, object]]:
    from pyarrow import parquet

    return parquet.read_table(path).to_pylist()


def test_both_kinds_have_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_GROUP", 3)
    for name in ("t.csv", "t.parquet"):
        write_table(tmp_path / name, iter([columns(1, 2), columns(3, 4), columns(5)]), CLASSES)
    in_csv, in_parquet = rows_of(tmp_path / "t.csv"), parquet_rows(tmp_path / "t.parquet")
    assert len(in_csv) == 5 and list(in_csv[0]) == list(in_parquet[0]) == column_names(CLASSES)
    for text, row in zip(in_csv, in_parquet, strict=True):
        for name, value in row.items():
            if value is None:
                assert text[name] == ""
            elif isinstance(value, str | bool):
                assert text[name] == str(value)
            else:
                assert float(text[name]) == value


def test_a_table_without_rows_has_its_columns_and_types(tmp_path: Path) -> None:
    from pyarrow import parquet

    for name in ("t.csv", "t.parquet"):
        write_table(tmp_path / name, iter(()), CLASSES)
    assert (tmp_path / "t.csv").read_text() == ",".join(column_names(CLASSES)) + "\n"
    schema = parquet.read_schema(tmp_path / "t.parquet")
    kinds = {name: str(schema.field(name).type) for name in ("video", "frame", "time", "left", "readable", "reason")}
    assert kinds == {
        "video": "string", "frame": "int64", "time": "double", "left": "float", "readable": "bool", "reason": "string",
    }  # fmt: skip


def test_the_summary_of_what_was_not_read_is_empty(tmp_path: Path) -> None:
    whole = Summary("a.mp4", 2.0, 10.0, 80, 60, 20, 19, 1, 1, 19, {"happy": 1.0, "sad": 0.0}, 0.0, 0.0, 0, "", "0" * 64)
    nobody = Summary("b.mp4", 2.0, 10.0, 80, 60, 20, sha256="1" * 64)
    for name in ("s.csv", "s.parquet"):
        write_summary(tmp_path / name, [whole, nobody, Summary("c.mp4", problem="broken")], CLASSES)
    first, second, third = parquet_rows(tmp_path / "s.parquet")
    assert (first["seconds"], first["share_happy"], first["problem"], first["changes"]) == (2.0, 1.0, None, 0)
    assert (second["frames"], second["rows"], second["share_happy"], second["share_unknown"]) == (20, 0, None, None)
    assert {name for name, value in third.items() if value is not None} == {"video", "problem"}
    assert rows_of(tmp_path / "s.csv")[2] == dict.fromkeys(third, "") | {"video": "c.mp4", "problem": "broken"}


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_an_interrupted_table_leaves_the_old_one(tmp_path: Path, name: str) -> None:
    write_table(tmp_path / name, iter([columns(1)]), CLASSES)
    before = (tmp_path / name).read_bytes()

    def chunks() -> object:
        yield columns(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_table(tmp_path / name, chunks(), CLASSES)
    assert (tmp_path / name).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_full_disk_names_the_table(tmp_path: Path, name: str) -> None:
    (tmp_path / f".{name}.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as full:
        write_table(tmp_path / name, iter([columns(*range(2000))]), CLASSES)
    assert full.value.filename == str(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_other_names_and_a_missing_package_are_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(VideosError, match=r"ends in \.csv or \.parquet, got '\.txt'"):
        require_table(tmp_path / "t.txt")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    require_table(tmp_path / "t.csv")
    with pytest.raises(VideosError, match=r"expected pyarrow for Parquet, got none; .*or write a \.csv"):
        require_table(tmp_path / "t.parquet")


@pytest.mark.parametrize("after", range(7))
def test_files_of_two_states_never_stand_side_by_side(
    tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program may be killed after each step by which table, summary and manifest are replaced."""
    outs = [tmp_path / name for name in ("t.csv", "t-videos.csv", "t-manifest.json")]
    for out in outs:
        out.write_text("old")
    steps = 0

    def counted(do: Callable[..., None]) -> Callable[..., None]:
        def step(*arguments: object, **options: object) -> None:
            nonlocal steps
            if steps == after:
                raise KeyboardInterrupt
            steps += 1
            do(*arguments, **options)

        return step

    with contextlib.suppress(KeyboardInterrupt), replacing_together(*outs) as asides:
        for aside in asides:
            aside.write_text("new")
        monkeypatch.setattr(os, "replace", counted(os.replace))
        monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
    monkeypatch.undo()
    found = [out.read_text() for out in outs if out.exists()]
    assert len(set(found)) == 1 and outs[0].exists()
    assert found == ["old"] * 3 or after > 0
    assert found == ["new"] * 3 or after < 5
