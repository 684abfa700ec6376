"""The work file keeps finished videos, refuses others' settings and a second writer, and survives damage and kills."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from moodspace.realtime.videos.reading import Job, Summary, VideosError, file_sha256
from moodspace.realtime.videos.work import WorkFile

SETTINGS = {"bundle": "a" * 64, "every": "1", "classes": ["happy"]}
COLUMNS = {"video": ["a"], "time": [0.1], "expression": [None], "readable": [True], "reason": ["ß"]}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "a.mp4").write_bytes(b"video")
    return Job("a.mp4", tmp_path / "a.mp4")


def add(work: WorkFile, job: Job, chunks: int = 1) -> None:
    work.begin(job)
    for _ in range(chunks):
        work.add(job, COLUMNS)
    work.finish(job, Summary(job.name, shares={"happy": 0.5}, sha256=file_sha256(job.path)))


def test_finished_videos_come_back_as_they_were(tmp_path: Path, job: Job) -> None:
    with WorkFile(tmp_path / "t.csv", SETTINGS) as work:
        assert work.finished(job) is None
        add(work, job, 3)
    with WorkFile(tmp_path / "t.csv", SETTINGS) as work:
        assert work.finished(job) == Summary("a.mp4", shares={"happy": 0.5}, sha256=file_sha256(job.path))
        assert list(work.rows("a.mp4")) == [COLUMNS] * 3


def test_an_unfinished_video_leaves_nothing(tmp_path: Path, job: Job) -> None:
    with WorkFile(tmp_path / "t.csv", SETTINGS) as work:
        work.begin(job)
        work.add(job, COLUMNS)
    with WorkFile(tmp_path / "t.csv", SETTINGS) as work:
        assert work.finished(job) is None and list(work.rows("a.mp4")) == []
        add(work, job, 1)
        assert len(list(work.rows("a.mp4"))) == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bundle": "b" * 64}, "expected bundle aaaaaaaaaaaa, as its 1 finished video had, got bbbbbbbbbbbb"),
        ({"every": "0.5s"}, "expected every 1, .* got 0.5s"),
        ({"taught_faces": "c" * 64}, "expected taught faces none, .* got cccccccccccc"),
        ({"classes": ["happy", "sad"]}, r'expected classes \["happy"\], .* got \["happy", "sad"\]'),
    ],
)
def test_other_settings_are_named(tmp_path: Path, job: Job, changed: dict[str, object], message: str) -> None:
    out = tmp_path / "t.csv"
    with WorkFile(out, SETTINGS) as work:
        add(work, job)
    with pytest.raises(VideosError, match=message), WorkFile(out, SETTINGS | changed):
        pass
    with WorkFile(out, SETTINGS) as work:  # the refusal changed nothing
        assert work.finished(job)
    with WorkFile(out, SETTINGS | changed, restart=True) as work:
        assert work.finished(job) is None and list(work.rows("a.mp4")) == []


def test_settings_may_change_while_nothing_is_finished(tmp_path: Path, job: Job) -> None:
    with WorkFile(tmp_path / "t.csv", SETTINGS) as work:
        work.begin(job)
    with WorkFile(tmp_path / "t.csv", SETTINGS | {"every": "5"}) as work:
        add(work, job)
    with pytest.raises(VideosError, match="expected every 5"), WorkFile(tmp_path / "t.csv", SETTINGS):
        pass


def test_a_file_that_changed_is_not_finished_and_a_copy_is(tmp_path: Path, job: Job) -> None:
    with WorkFile(tmp_path / "t.csv", SETTINGS) as work:
        add(work, job)
        os.utime(job.path, (5, 5))
        assert work.finished(job)
        job.path.write_bytes(b"other")
        os.utime(job.path, (6, 6))
        assert work.finished(job) is None
        job.path.unlink()
        assert work.finished(job) is None


def test_a_second_writer_is_refused(tmp_path: Path, job: Job) -> None:
    out = tmp_path / "t.csv"
    with WorkFile(out, SETTINGS) as work:
        second = "from pathlib import Path\nfrom moodspace.realtime.videos.work import WorkFile\n"
        second += f"with WorkFile(Path({str(out)!r}), {{}}): pass"
        done = subprocess.run([sys.executable, "-c", second], capture_output=True, text=True)
        assert "t.csv: expected a table that no other program is making, got one" in done.stderr
        with pytest.raises(VideosError, match="another program is making"), WorkFile(out, SETTINGS):
            pass
        add(work, job)
    with WorkFile(out, SETTINGS) as work:
        assert work.finished(job)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + bytes(84)])
def test_another_file_in_its_place_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv.work").write_bytes(content)
    with pytest.raises(VideosError, match=r"t\.csv\.work: expected"), WorkFile(tmp_path / "t.csv", SETTINGS):
        pass
    assert (tmp_path / "t.csv.work").read_bytes() == content


def test_another_database_in_its_place_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "t.csv.work") as other:
        other.execute("CREATE TABLE mine (value TEXT)")
    other.close()
    with pytest.raises(VideosError, match="got another file"), WorkFile(tmp_path / "t.csv", SETTINGS, restart=True):
        pass


def test_a_full_disk_is_an_error_of_the_disk_and_keeps_what_is_finished(tmp_path: Path, job: Job) -> None:
    (tmp_path / "b.mp4").write_bytes(b"video")
    other = Job("b.mp4", tmp_path / "b.mp4")
    large = COLUMNS | {"video": [os.urandom(200_000).hex()]}
    with WorkFile(tmp_path / "t.csv", SETTINGS) as work:
        add(work, job)
        pages = work._db.execute("PRAGMA page_count").fetchone()[0]
        work._db.execute(f"PRAGMA max_page_count = {pages + 5}")  # SQLite reports it as a full disk
        work.begin(other)
        with pytest.raises(OSError, match="No space left on device") as full:
            work.add(other, large)
        assert full.value.filename == str(tmp_path / "t.csv.work")
    with WorkFile(tmp_path / "t.csv", SETTINGS) as work:
        assert work.finished(job) and work.finished(other) is None


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE videos SET summary = '{}'",
        "UPDATE videos SET summary = '[]'",
        'UPDATE videos SET summary = replace(summary, \'"rows": 0\', \'"rows": "none"\')',
        "UPDATE videos SET summary = x'00'",
        "ALTER TABLE videos DROP COLUMN summary",
        "UPDATE chunks SET columns = x'789c030000000001'",
        "UPDATE settings SET value = '3'",
    ],
)
def test_a_damaged_work_file_is_one_error(tmp_path: Path, job: Job, damage: str) -> None:
    with WorkFile(tmp_path / "t.csv", SETTINGS) as work:
        add(work, job)
    database = sqlite3.connect(tmp_path / "t.csv.work", isolation_level=None)
    database.execute(damage)
    database.close()
    with (
        pytest.raises(VideosError, match=r"t\.csv\.work: expected") as refused,
        WorkFile(tmp_path / "t.csv", SETTINGS) as work,
    ):
        work.finished(job)
        list(work.rows(job.name))
    assert "\n" not in str(refused.value)
