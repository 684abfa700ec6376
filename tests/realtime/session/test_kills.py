"""Recordings that are killed at any line: no session, or one that can be read with all that was written."""

import os
import signal
import sqlite3
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from moodspace.realtime.session import recorder as module
from moodspace.realtime.session.export import export_epochs, export_session
from moodspace.realtime.session.file import DATABASE
from moodspace.realtime.session.reading import open_session
from moodspace.realtime.session.recorder import SessionRecorder
from moodspace.viz.report.page import write_report
from tests.index.disk_faults import forked
from tests.realtime.session.recordings import CLASSES, STARTED, group

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs fork and signals")


def record(folder: Path) -> None:
    with SessionRecorder(folder, classes=CLASSES, source="x", now=lambda: STARTED) as recorder:
        for second in range(3):
            recorder.add(group(5, time=float(second)), STARTED + second)


def record_until(folder: Path, lines: int) -> None:
    """Record until so many lines of the recorder's file were executed, then die."""
    left = lines

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename != module.__file__:
            return None
        left -= event == "line"
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    record(folder)


def test_a_kill_at_any_line_leaves_no_session_or_one_that_can_be_read(tmp_path: Path) -> None:
    seconds = []
    for line in range(0, 10_000, 3):
        folder = tmp_path / str(line)
        _, status = os.waitpid(forked(lambda folder=folder, line=line: record_until(folder, line)), 0)
        seconds.append(len(open_session(folder).group.second) if (folder / DATABASE).exists() else -1)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            break
    assert seconds == sorted(seconds)
    assert set(seconds) == {-1, 0, 1, 2, 3}


def test_a_kill_in_the_middle_of_a_change_of_the_file_is_undone_by_who_reads(tmp_path: Path) -> None:
    """At its end a recording leaves SQLite's WAL mode; what was half written then has to be taken back first."""
    record(tmp_path)

    def half() -> None:
        database = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT INTO gaps VALUES (0, 1, ?)", [("x" * 500,)] * 500)
        os.kill(os.getpid(), signal.SIGKILL)

    os.waitpid(forked(half), 0)
    assert (tmp_path / f"{DATABASE}-journal").stat().st_size
    session = open_session(tmp_path)
    assert (session.gaps, len(session.group.second)) == ((), 3)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.html", "epochs.csv"])
def test_what_is_made_of_a_session_replaces_the_old_file_as_a_whole(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SessionRecorder(tmp_path / "marked", classes=CLASSES, source="x", now=lambda: STARTED) as recorder:
        recorder.add(group(5, time=0.0), STARTED)
        recorder.mark("go", "window", STARTED)
    session, out = open_session(tmp_path / "marked"), tmp_path / name
    out.write_text("old")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        if name == "a.html":
            write_report(session, out)
        elif name == "epochs.csv":
            export_epochs(session, 0, 1, out)
        else:
            export_session(session, out)
    assert out.read_text() == "old"
