"""`predict --out` as its users run it: killed and started again, stopped, misused, beside another."""

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from moodspace.embeddings.pictures import read_rgb
from moodspace.realtime.drawing.video import VideoWriter
from tests.conftest import ROOT
from tests.realtime.videos.made_tables import rows_of

posix = pytest.mark.skipif(os.name == "nt", reason="needs signals and /proc")


@pytest.fixture(scope="module")
def videos(astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four videos with one face, 40 frames each."""
    folder = tmp_path_factory.mktemp("videos")
    bgr = np.ascontiguousarray(read_rgb(astronaut)[..., ::-1])
    with VideoWriter(folder / "a.mp4", 20) as writer:
        for shift in range(40):
            writer.write(np.roll(bgr, shift, axis=1))
    for name in ("b.mp4", "c.mp4", "d.mp4"):
        shutil.copy(folder / "a.mp4", folder / name)
    return folder


def start(*arguments: object) -> "subprocess.Popen[str]":
    line = [sys.executable, str(ROOT / "cli.py"), "predict", *map(str, arguments)]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(work: Path) -> int:
    """Return how many videos a work file has finished, also while another program holds it."""
    copy = work.with_name("copy.sqlite")
    try:
        shutil.copy(work, copy)
        with contextlib.closing(sqlite3.connect(copy)) as opened:
            return opened.execute("SELECT count(*) FROM videos").fetchone()[0]
    except (OSError, sqlite3.Error):
        return 0


def wait_for(what: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@posix
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_killed_run_goes_on_and_makes_the_same_table(videos: Path, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole.csv", tmp_path / "stopped.csv"
    options = ["--every", "2", "--workers", "1"]
    done = start(videos, "--out", whole, *options)
    done.communicate()
    assert done.returncode == 0
    killed = start(videos, "--out", stopped, *options)
    wait_for(lambda: finished(stopped.with_name("stopped.csv.work")))
    children = children_of(killed.pid)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    before = finished(stopped.with_name("stopped.csv.work"))
    assert not stopped.exists() and 1 <= before < 4
    wait_for(lambda: not any(runs(pid) for pid in children))
    again = start(videos, "--out", stopped, *options)
    _, told = again.communicate()
    assert again.returncode == 0 and re.search(rf"^4 files, {before} of them finished before", told, re.M)
    assert stopped.read_bytes() == whole.read_bytes() and len(rows_of(whole)) == 80
    assert (tmp_path / "stopped-videos.csv").read_bytes() == (tmp_path / "whole-videos.csv").read_bytes()


@pytest.mark.slow
@posix
def test_ctrl_c_says_what_is_finished_in_one_line(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.csv"
    stopped = start(videos, "--out", out, "--workers", "1")
    wait_for(lambda: finished(tmp_path / "t.csv.work"))
    stopped.send_signal(signal.SIGINT)
    printed, told = stopped.communicate()
    assert stopped.returncode == 130 and printed == ""
    # A slow machine also prints its progress; the first video may just have been finished.
    assert re.search(r"^stopped: [0-3] of 4 videos are finished; run the same command again to go on\n\Z", told, re.M)
    assert not out.exists() and finished(tmp_path / "t.csv.work") >= 1


@pytest.mark.slow
@posix
def test_a_second_run_of_the_same_table_is_refused(videos: Path, tmp_path: Path, run: Callable[..., Result]) -> None:
    out = tmp_path / "t.csv"
    first = start(videos, "--out", out, "--workers", "1")
    wait_for(lambda: finished(tmp_path / "t.csv.work"))
    second = run("predict", videos, "--out", out)
    assert second.exit_code == 1 and second.stdout == ""
    assert second.stderr.count("\n") == 1 and "another program is making" in second.stderr
    first.communicate()
    assert first.returncode == 0 and len(rows_of(out)) == 160


def test_the_summary_is_told_and_broken_files_are_named(clip: Path, tmp_path: Path, run: Callable[..., Result]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(clip, folder / "a.mp4")
    (folder / "b.mp4").write_bytes(b"rubble")
    (folder / "notes.txt").write_text("no video")
    done = run("predict", folder, "--out", tmp_path / "t.parquet", "--workers", 1)
    assert done.exit_code == 1
    assert f"{folder / 'a.mp4'}: 0.5 s, 5 frames, 1 face; happy 100%" in done.stdout
    assert f"skipped {folder / 'b.mp4'}: expected a video" in done.stderr
    assert "left out 1 other file, neither a picture nor a video: notes.txt" in done.stderr
    documents = run("predict", folder, "--out", tmp_path / "t.parquet", "--workers", 1, "--json")
    first, second = map(json.loads, documents.stdout.splitlines())
    assert (first["rows"], first["shares"]["happy"], second["problem"] != "") == (5, 1.0, True)
    assert "2 files, 1 of them finished before" in documents.stderr


def test_only_broken_files_or_no_face_are_told_by_the_exit_code(tmp_path: Path, run: Callable[..., Result]) -> None:
    (tmp_path / "a.mp4").write_bytes(b"rubble")
    assert run("predict", tmp_path / "a.mp4", "--out", tmp_path / "t.csv").exit_code == 4
    with VideoWriter(tmp_path / "b.mp4", 10) as writer:
        writer.write(np.full((120, 160, 3), 90, np.uint8))
    nobody = run("predict", tmp_path / "b.mp4", "--out", tmp_path / "t.csv")
    assert nobody.exit_code == 4 and "no face found" in nobody.stderr
    assert rows_of(tmp_path / "t.csv") == [] and len(rows_of(tmp_path / "t-videos.csv")) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--workers", "2"], 2, "expected --out beside"),
        (["--restart"], 2, "expected --out beside"),
        (["--out", "t.csv", "--annotate", "x"], 2, "expected one of --out and --annotate"),
        (["--out", "t.csv", "--every", "0"], 2, "expected a number of frames"),
        (["--out", "t.csv", "--engine", "spark"], 2, "expected processes or ray"),
        (["--out", "t.txt"], 1, "expected a name that ends in .csv or .parquet"),
        (["--annotate", "x", "--every", "5"], 2, "expected --annotate without --every"),
    ],
)
def test_misuse_is_told(
    clip: Path, tmp_path: Path, run: Callable[..., Result], arguments: list[str], code: int, message: str
) -> None:
    given = [str(tmp_path / one) if one in ("t.csv", "t.txt", "x") else one for one in arguments]
    done = run("predict", clip, *given)
    assert done.exit_code == code
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_every_counts_without_a_table_too(clip: Path, run: Callable[..., Result]) -> None:
    done = run("predict", clip, "--every", "0.2s", "--json")
    assert [frame["time"] for frame in json.loads(done.stdout)["frames"]] == [0.0, 0.2, 0.4]
