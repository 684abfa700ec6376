"""Files are new, whole after Ctrl-C, readable after a kill, and a full disk costs the end of one file only."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.documents import live_document, mark_document
from moodspace.realtime.sinks import files
from moodspace.realtime.sinks.destination import SinkError, SinkOptions
from moodspace.realtime.sinks.hub import Sinks
from moodspace.realtime.sinks.outbox import Message, Sink
from tests.realtime.live_results import crowd, live_result
from tests.realtime.sinks.made_documents import check, frame, group_of, wait_for

# Writes documents until it is killed.
_ENDLESS = """
import sys
from moodspace.realtime.sinks.hub import Sinks
from moodspace.realtime.documents import mark_document
with Sinks(sys.argv[1:], classes=["happy"], on_event=print) as sinks:
    number = 0
    while True:
        sinks.submit(mark_document("a" * 3000, float(number), by="key"))
        number += 1
"""


def rows(path: Path) -> list[dict[str, Any]]:
    from pyarrow import parquet

    read: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return read


def test_json_lines_are_the_documents(recognizer: Recognizer, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    result = group_of(recognizer, 5)
    with Sinks([str(path)], classes=recognizer.classes) as sinks:
        for number in range(20):
            sinks.add(frame(number), result)
        sinks.mark("stimulus", 5.5, by="script")
    assert sinks.tallies[str(path)].sent == 21
    read = [check(json.loads(line)) for line in path.read_text().splitlines()]
    assert read[:20] == [live_document(frame(number), result, individuals=False) for number in range(20)]
    # A mark stands beside the newest frame.
    assert read[20] == mark_document("stimulus", 5.5, by="script", source="clip.mp4", frame=19, time=1.9)
    assert sinks.summary() == [f"{path}: 21 sent"] and sinks.lost == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_files_are_their_owners_alone(recognizer: Recognizer, tmp_path: Path, name: str) -> None:
    with Sinks([str(tmp_path / name)], SinkOptions(individuals=True), classes=recognizer.classes) as sinks:
        sinks.add(frame(), group_of(recognizer, 1))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("a.jsonl", "a.jsonl"),
        ("a.parquet", "a.parquet"),
        ("a.parquet", "a-faces.parquet"),
        ("a.parquet", "a.parquet.parts"),
    ],
)
def test_no_file_is_replaced(recognizer: Recognizer, tmp_path: Path, name: str, taken: str) -> None:
    (tmp_path / taken).mkdir() if taken.endswith(".parts") else (tmp_path / taken).write_text("mine")
    options = SinkOptions(individuals=True)
    with pytest.raises(SinkError, match=f"{taken}: expected a new file, got one that exists"):
        Sinks([str(tmp_path / name)], options, classes=recognizer.classes).__enter__()
    assert (tmp_path / taken).is_dir() or (tmp_path / taken).read_text() == "mine"


def test_where_one_cannot_begin_the_others_leave_nothing(recognizer: Recognizer, tmp_path: Path) -> None:
    (tmp_path / "taken.jsonl").write_text("mine")
    to = [str(tmp_path / name) for name in ("a.jsonl", "a.parquet", "taken.jsonl")]
    with pytest.raises(SinkError, match=r"taken\.jsonl: expected a new file"):
        Sinks(to, SinkOptions(individuals=True), classes=recognizer.classes).__enter__()
    assert [one.name for one in tmp_path.iterdir()] == ["taken.jsonl"]
    (tmp_path / "b-faces.parquet").write_text("mine")
    with pytest.raises(SinkError, match=r"b-faces\.parquet: expected a new file"):
        Sinks([str(tmp_path / "b.parquet")], SinkOptions(individuals=True), classes=recognizer.classes).__enter__()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["b-faces.parquet", "taken.jsonl"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_folder_that_is_missing_is_told_at_the_start(recognizer: Recognizer, tmp_path: Path, name: str) -> None:
    with pytest.raises(SinkError, match="expected to write there, could not"):
        Sinks([str(tmp_path / "none" / name)], classes=recognizer.classes).__enter__()


def test_parquet_has_a_row_for_each_frame_mark_and_face(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_PART_ROWS", 4)
    path = tmp_path / "a.parquet"
    five = group_of(recognizer, 5)
    with Sinks([str(path)], SinkOptions(individuals=True), classes=recognizer.classes) as sinks:
        for number in range(9):
            sinks.add(frame(number), five if number % 2 else group_of(recognizer, 1))
        sinks.mark("stimulus", 5.5, by="script")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a-faces.parquet", "a.parquet"]
    told, faces = rows(path), rows(tmp_path / "a-faces.parquet")
    assert [row["kind"] for row in told] == ["frame"] * 9 + ["mark"]
    assert [row["frame"] for row in told] == [*range(9), 8]
    assert [row["readable"] for row in told[:4]] == [None, 5, None, 5]
    assert told[0]["withheld"] == "fewer than 5 faces" and told[0][f"share_{recognizer.classes[2]}"] is None
    document = live_document(frame(1), five)
    for name, share in document["group"]["shares"].items():
        assert told[1][f"share_{name}"] == pytest.approx(share)
    assert (told[1]["captured"], told[1]["width"], told[1]["height"]) == (document["captured"], 80, 60)
    assert (told[9]["label"], told[9]["by"], told[9]["captured"]) == ("stimulus", "script", 5.5)
    assert len(faces) == 4 * 5 + 5 * 1
    second = [row for row in faces if row["frame"] == 1]
    for row, face in zip(second, document["faces"], strict=True):
        assert (row["face"], row["expression"], row["good"]) == (face["id"], face["expression"], True)
        assert [row[name] for name in ("left", "top", "width", "height")] == face["xywh"]
        for name, value in face["smoothed"].items():
            assert row[f"smoothed_{name}"] == pytest.approx(value)


def test_without_individuals_there_is_no_table_of_faces(recognizer: Recognizer, tmp_path: Path) -> None:
    with Sinks([str(tmp_path / "a.parquet")], classes=recognizer.classes) as sinks:
        sinks.add(frame(), group_of(recognizer, 5))
    assert [one.name for one in tmp_path.iterdir()] == ["a.parquet"]


def test_a_session_without_frames_leaves_an_empty_table(recognizer: Recognizer, tmp_path: Path) -> None:
    with Sinks([str(tmp_path / "a.parquet")], classes=recognizer.classes):
        pass
    assert rows(tmp_path / "a.parquet") == []


def test_a_class_that_is_taught_becomes_a_column(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_PART_ROWS", 2)
    faces = crowd(5, 320, 240)
    with Sinks([str(tmp_path / "a.parquet")], classes=recognizer.classes) as sinks:
        for number in range(3):
            sinks.add(frame(number), group_of(recognizer, 5))
        sinks.add(frame(3), live_result(recognizer, faces, ["confused"] * 5, taught=("confused",)))
    assert [row["share_confused"] for row in rows(tmp_path / "a.parquet")] == [None, None, None, pytest.approx(0.8)]


def test_what_ends_with_an_error_is_finished_too(recognizer: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Sinks([str(tmp_path / "a.parquet")], classes=recognizer.classes) as sinks:
        sinks.add(frame(), group_of(recognizer, 5))
        raise KeyboardInterrupt
    assert len(rows(tmp_path / "a.parquet")) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_kill_leaves_whole_lines_and_parts(tmp_path: Path) -> None:
    lines, table = tmp_path / "a.jsonl", tmp_path / "a.parquet"
    parts = tmp_path / "a.parquet.parts"
    with subprocess.Popen([sys.executable, "-c", _ENDLESS, str(lines), str(table)]) as process:
        wait_for(lambda: parts.is_dir() and len(list(parts.glob("0*"))) >= 2)
        process.send_signal(signal.SIGKILL)
    # The kill may come in the middle of a write: the last line may be cut, and no other.
    *whole, _ = lines.read_text().split("\n")
    assert len(whole) >= 1000
    for line in whole:
        check(json.loads(line))
    assert not table.exists()
    written = [row for part in sorted(parts.glob("0*.parquet")) for row in rows(part)]
    assert len(written) >= 2000 and [row["captured"] for row in written] == sorted(row["captured"] for row in written)


class _FullDisk(files.FileIO):
    """A file on a disk with room for a few bytes."""

    room = 1500

    def write(self, data: Any, /) -> int:
        left = max(0, self.room - self.tell())
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data[:left])


def test_a_full_disk_leaves_whole_lines_and_the_session_goes_on(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FileIO", _FullDisk)
    told: list[str] = []
    full, other = tmp_path / "full.jsonl", tmp_path / "other.parquet"
    with Sinks([str(full), str(other)], classes=recognizer.classes, on_event=told.append) as sinks:
        for number in range(50):
            sinks.add(frame(number), group_of(recognizer, 5))
    kept = full.read_text()
    assert kept.endswith("\n") and 0 < len(kept) <= _FullDisk.room
    assert [check(json.loads(line))["frame"] for line in kept.splitlines()] == list(range(len(kept.splitlines())))
    assert len(told) == 1 and "No space left on device" in told[0]
    assert sinks.lost == [str(full)] and len(rows(other)) == 50
    assert sinks.tallies[str(full)].sent + sinks.tallies[str(full)].dropped == 50


@pytest.mark.parametrize("fails_at", [0, 2, 5])
def test_a_full_disk_leaves_the_parts_of_a_table(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    whole: Callable[..., None] = files.write_table
    written: list[Path] = []

    def write(tables: Any, path: Path) -> None:
        written.append(path)
        if len(written) > fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(tables, path)

    monkeypatch.setattr(files, "write_table", write)
    monkeypatch.setattr(files, "_PART_ROWS", 10)
    told: list[str] = []
    with Sinks([str(tmp_path / "a.parquet")], classes=recognizer.classes, on_event=told.append) as sinks:
        for number in range(45):
            sinks.add(frame(number), group_of(recognizer, 5))
    parts = sorted((tmp_path / "a.parquet.parts").glob("*"))
    assert [row["frame"] for part in parts for row in rows(part)] == list(range(min(10 * fails_at, 45)))
    assert not (tmp_path / "a.parquet").exists()
    assert len(told) == 1 and sinks.lost == [str(tmp_path / "a.parquet")]


def test_a_line_is_on_its_way_before_the_next(recognizer: Recognizer, tmp_path: Path) -> None:
    sink: Sink = files.JSONLinesFile(files.Destination("a", "jsonl", path=str(tmp_path / "a.jsonl")))
    sink.prepare()
    sink.send(Message(mark_document("one", 1.0, by="key")))
    assert json.loads((tmp_path / "a.jsonl").read_text())["label"] == "one"
    sink.close()
