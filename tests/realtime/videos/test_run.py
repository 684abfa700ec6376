"""Many videos become one table; an interruption loses only what was being read, and bad files stop nothing."""

import json
import os
from pathlib import Path

import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.capture.source import SourceError
from moodspace.realtime.progress import VideosProgress
from moodspace.realtime.videos.reading import Done, Event, Job, Rows, VideosError, file_sha256
from moodspace.realtime.videos.run import VideosReport, list_jobs
from tests.realtime.videos.made_tables import Table, rows_of, write_noise


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    (tmp_path / "in").mkdir()
    return [write_noise(tmp_path / "in" / f"{name}.mp4", 8, seed) for seed, name in enumerate("abc")]


@pytest.fixture
def table(tmp_path: Path, recognizer: Recognizer) -> Table:
    return Table(tmp_path / "t.csv", recognizer)


class Killed(BaseException):
    """The program ends at once."""


def killed_in(name: str) -> "object":
    def stop(job: Job, event: Event) -> None:
        if job.path.name == name and isinstance(event, Done):
            raise Killed

    return stop


def test_the_table_has_the_videos_in_the_order_given(table: Table, videos: list[Path]) -> None:
    report = table.make([videos[2], videos[0]])
    assert [one.video for one in report.summaries] == [str(videos[2]), str(videos[0])]
    rows = rows_of(table.out)
    assert [row["video"] for row in rows] == [str(videos[2])] * 16 + [str(videos[0])] * 16
    assert list(dict.fromkeys(row["face"] for row in rows)) == ["1", "2"]
    (first, second) = rows_of(table.out.with_name("t-videos.csv"))
    assert (first["video"], first["rows"], first["seconds"], first["problem"]) == (str(videos[2]), "16", "0.8", "")
    assert second["sha256"] == file_sha256(videos[0])
    assert not (report.skipped or report.failed) and report.read == 2


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_what_is_finished_is_not_read_again(
    ending: str, tmp_path: Path, recognizer: Recognizer, videos: list[Path]
) -> None:
    whole, stopped = Table(tmp_path / f"whole{ending}", recognizer), Table(tmp_path / f"stopped{ending}", recognizer)
    whole.make(videos)
    with pytest.raises(Killed):
        stopped.make(videos, stop=killed_in("b.mp4"))
    assert stopped.read == ["a.mp4", "b.mp4"] and not stopped.out.exists()
    report = stopped.make(videos)
    assert stopped.read == ["b.mp4", "c.mp4"] and report.read == 2
    for name in ("", "-videos"):
        made = [one.out.with_name(one.out.stem + name + ending).read_bytes() for one in (whole, stopped)]
        assert made[0] == made[1]
    stopped.make(videos)
    assert stopped.read == []


def test_new_and_changed_videos_are_added(table: Table, videos: list[Path]) -> None:
    table.make(videos[:2])
    write_noise(videos[0], 4, seed=9)
    os.utime(videos[1], (1, 1))  # a copy of the same content
    table.make([videos[0].parent])
    assert table.read == ["a.mp4", "c.mp4"]
    assert [row["rows"] for row in rows_of(table.out.with_name("t-videos.csv"))] == ["8", "16", "16"]
    assert len(rows_of(table.out)) == 40


def test_the_table_has_only_the_videos_that_were_named(table: Table, videos: list[Path]) -> None:
    table.make(videos)
    table.make(videos[1:])
    assert table.read == [] and {row["video"] for row in rows_of(table.out)} == {str(path) for path in videos[1:]}


def test_a_changed_setting_does_not_mix_with_finished_videos(table: Table, videos: list[Path]) -> None:
    table.make(videos)
    before = table.out.read_bytes()
    with pytest.raises(VideosError, match=r"expected every 1, as its 3 finished videos had, got 0\.5s; .*--restart"):
        table.make(videos, every="0.5s")
    assert table.read == [] and table.out.read_bytes() == before
    table.make(videos, every="0.5s", restart=True)
    assert len(table.read) == 3
    table.make(videos, every="0.5s")
    assert table.read == [] and len(rows_of(table.out)) == 12


def test_a_broken_video_stops_nothing(table: Table, videos: list[Path]) -> None:
    videos[1].write_bytes(b"rubble")
    missing = videos[0].with_name("gone.mp4")
    report = table.make([*videos, missing])
    assert [one.source for one in report.skipped] == [str(missing), str(videos[1])]
    assert report.failed == 2
    assert {row["video"] for row in rows_of(table.out)} == {str(videos[0]), str(videos[2])}
    broken = rows_of(table.out.with_name("t-videos.csv"))[1]
    assert broken["problem"].startswith("expected a video") and broken["rows"] == broken["share_happy"] == ""
    write_noise(videos[1], 2)
    table.make(videos)
    assert table.read == ["b.mp4"]


def test_the_manifest_says_what_made_the_table(table: Table, videos: list[Path]) -> None:
    table.make(videos, every="0.5s")
    manifest = json.loads(table.out.with_name("t-manifest.json").read_text())
    assert manifest["settings"]["every"] == "0.5s" and manifest["settings"]["bundle"] == "0" * 64
    assert manifest["versions"]["moodspace"] == "1" and manifest["versions"]["opencv-python"]
    assert manifest["table"] == {"file": "t.csv", "sha256": file_sha256(table.out)}
    assert [one["sha256"] for one in manifest["videos"]] == [file_sha256(path) for path in videos]


def test_a_folder_is_searched_and_each_file_read_once(tmp_path: Path, videos: list[Path]) -> None:
    (tmp_path / "in" / "notes.txt").write_text("no video")
    (tmp_path / "again.mp4").symlink_to(videos[0])
    report = VideosReport()
    jobs = list_jobs([tmp_path / "in", videos[1], tmp_path / "again.mp4"], report)
    assert [job.name for job in jobs] == [str(path) for path in videos]
    assert report.left_out == [str(tmp_path / "in" / "notes.txt")]


def test_a_single_source_that_is_none_is_an_error(tmp_path: Path, table: Table) -> None:
    for source in (tmp_path / "gone", "rtsp://host/a"):
        with pytest.raises(SourceError, match="expected a picture, a video or a folder"):
            table.make([source])


def test_progress_counts_videos_and_bytes(table: Table, videos: list[Path]) -> None:
    told: list[VideosProgress] = []
    now = iter(range(1000))
    table.make(videos, progress=told.append, clock=lambda: float(next(now)))
    assert (told[0].done, told[0].share, told[0].left_s) == (0, 0.0, None)
    assert (told[-1].done, told[-1].videos, told[-1].share) == (3, 3, pytest.approx(1.0))
    assert told[-1].read_s == pytest.approx(2.4) and told[-1].left_s == pytest.approx(0.0, abs=1e-6)
    shares = [one.share for one in told]
    assert shares == sorted(shares)
    half = VideosProgress(1, 2, 0.25, 60.0, 30.0)
    assert half.left_s == 90.0


def test_a_disk_that_is_full_keeps_what_is_finished(table: Table, videos: list[Path], tmp_path: Path) -> None:
    def fill(job: Job, event: Event) -> None:
        if job.path.name == "b.mp4" and isinstance(event, Rows):
            raise OSError(28, "No space left on device", "t.csv.work")

    with pytest.raises(OSError, match="No space left"):
        table.make(videos, stop=fill)
    table.make(videos)
    assert table.read == ["b.mp4", "c.mp4"]


def test_names_that_are_no_text_are_written_as_text(table: Table, videos: list[Path]) -> None:
    strange = os.fsdecode(os.fsencode(videos[0].parent) + b"/\xff.mp4")
    try:
        os.rename(videos[0], strange)
    except OSError:
        pytest.skip("needs a file system that allows any name")
    table.make([videos[0].parent])
    assert len(rows_of(table.out)) == 48
    assert rows_of(table.out)[-1]["video"].endswith("\\xff.mp4")
