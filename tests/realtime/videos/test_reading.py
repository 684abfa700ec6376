"""A video becomes rows, some at a time, and a summary that counts them."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.faces import Faces
from moodspace.realtime.capture.files import open_source
from moodspace.realtime.capture.sampling import Sampling
from moodspace.realtime.documents import live_document
from moodspace.realtime.pipeline import LivePipeline
from moodspace.realtime.videos import reading
from moodspace.realtime.videos.reading import (
    Done,
    Failed,
    Job,
    Progress,
    Rows,
    Summary,
    VideoReader,
    VideosError,
    bundle_sha256,
    column_names,
    read_settings,
)
from tests.made_videos import write_video
from tests.realtime.fakes import FakeDetector, faces_at, noise
from tests.realtime.videos.made_tables import BOXES, job_of, reader_of, write_noise


def summary_of(reader: VideoReader, path: Path) -> Summary:
    (done,) = (event for event in reader.read(job_of(path)) if isinstance(event, Done))
    return done.summary


def failure_of(reader: VideoReader, path: Path) -> Failed:
    (failed,) = reader.read(job_of(path))
    assert isinstance(failed, Failed)
    return failed


def test_rows_are_those_of_a_session(recognizer: Recognizer, tmp_path: Path) -> None:
    path = write_noise(tmp_path / "a.mp4", 6)
    rows, done = reader_of(recognizer).read(job_of(path))
    assert isinstance(rows, Rows) and isinstance(done, Done)
    assert list(rows.columns) == column_names(recognizer.classes)
    detector = FakeDetector(faces_at(*BOXES))
    pipeline = LivePipeline(detector, recognizer, every_face=True)
    told = iter(zip(*rows.columns.values(), strict=True))
    with open_source(str(path)) as source:
        for frame in source:
            document = live_document(frame, pipeline.process(frame.bgr, frame.time))
            for face in document["faces"]:
                row = dict(zip(rows.columns, next(told), strict=True))
                assert (row["video"], row["frame"], row["time"], row["face"]) == (
                    "a.mp4", frame.index, document["time"], face["id"],
                )  # fmt: skip
                assert [row[name] for name in ("left", "top", "width", "height")] == face["xywh"]
                assert (row["expression"], row["readable"]) == (face["expression"], face["quality"]["good"])
                assert row["reason"] == face["quality"]["reason"]
                for name, value in face["probabilities"].items():
                    assert row[f"probability_{name}"] == pytest.approx(value, abs=6e-5)
    assert next(told, None) is None


def test_the_summary_counts_the_rows(recognizer: Recognizer, tmp_path: Path) -> None:
    path = write_noise(tmp_path / "a.mp4", 30)
    rows, done = reader_of(recognizer).read(job_of(path))
    assert isinstance(rows, Rows) and isinstance(done, Done)
    columns, summary = rows.columns, done.summary
    n = len(columns["video"])
    assert (summary.rows, summary.frames, summary.frames_with_faces) == (n, 30, 30)
    assert (summary.faces, summary.most_faces) == (len(set(columns["face"])), 2)
    assert (summary.seconds, summary.fps, summary.width, summary.height) == (3.0, 10.0, 120, 90)
    assert summary.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    readable = np.array(columns["readable"])
    shown = np.array(columns["expression"], object)
    for name, share in summary.shares.items():
        assert share == pytest.approx((readable & (shown == name)).mean(), abs=6e-5)
    assert summary.unknown == pytest.approx((readable & (shown == None)).mean(), abs=6e-5)  # noqa: E711
    assert summary.unreadable == pytest.approx((~readable).mean(), abs=6e-5)
    assert sum(summary.shares.values()) + summary.unknown + summary.unreadable == pytest.approx(1, abs=1e-3)


def test_a_change_is_from_one_expression_to_another() -> None:
    table = reading._Table("a.mp4", ("happy", "sad"))
    for track, shown, readable in [
        (1, "happy", True), (2, "sad", True), (1, None, True), (1, "happy", True), (2, "happy", False),
        (2, "sad", True), (1, None, True), (1, "sad", True), (1, "happy", True), (2, "sad", True),
    ]:  # fmt: skip
        table._count(track, shown, readable=readable)
    summary = table.summary(1.0, "", "")
    assert (summary.changes, summary.faces, summary.rows) == (2, 2, 10)
    assert (summary.shares, summary.unknown, summary.unreadable) == ({"happy": 0.3, "sad": 0.4}, 0.2, 0.1)


def test_a_long_video_comes_in_parts(recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_ROWS", 10)
    path = write_noise(tmp_path / "a.mp4", 20)
    lengths = [
        len(event.columns["video"]) for event in reader_of(recognizer).read(job_of(path)) if isinstance(event, Rows)
    ]
    assert lengths == [10, 10, 10, 10]


def test_progress_is_told_about_once_a_second(recognizer: Recognizer, tmp_path: Path) -> None:
    times = iter(np.arange(0.0, 100.0, 0.25))
    detector = FakeDetector(faces_at(*BOXES))
    reader = VideoReader(recognizer, detector, detector, clock=lambda: float(next(times)))
    told = [event for event in reader.read(job_of(write_noise(tmp_path / "a.mp4", 20))) if isinstance(event, Progress)]
    assert 2 <= len(told) <= 6
    assert [one.share for one in told] == pytest.approx([one.seconds / 2.0 for one in told])


@pytest.mark.parametrize(("every", "frames"), [("5", [0, 5, 10, 15]), ("0.4s", [0, 4, 8, 12, 16])])
def test_every_chooses_frames(recognizer: Recognizer, tmp_path: Path, every: str, frames: list[int]) -> None:
    path = write_noise(tmp_path / "a.mp4", 20)
    rows, done = reader_of(recognizer, Sampling.parse(every)).read(job_of(path))
    assert isinstance(rows, Rows) and isinstance(done, Done)
    assert sorted(set(rows.columns["frame"])) == frames
    assert (done.summary.frames, done.summary.seconds) == (len(frames), 2.0)


def test_ids_start_anew_in_each_video(recognizer: Recognizer, tmp_path: Path) -> None:
    reader = reader_of(recognizer)
    for name in ("a.mp4", "b.mp4"):
        rows = next(reader.read(job_of(write_noise(tmp_path / name, 3))))
        assert isinstance(rows, Rows) and set(rows.columns["face"]) == {1, 2}


def test_a_picture_has_one_frame(recognizer: Recognizer, make_picture: Callable[..., Path]) -> None:
    summary = summary_of(reader_of(recognizer), make_picture())
    assert (summary.frames, summary.rows, summary.faces, summary.seconds, summary.fps) == (1, 2, 2, 0.0, None)


def test_crops_are_one_face_each(recognizer: Recognizer, make_picture: Callable[..., Path]) -> None:
    summary = summary_of(VideoReader(recognizer, None, None), make_picture())
    assert (summary.rows, summary.faces) == (1, 1)


def test_a_video_without_faces_has_no_rows(recognizer: Recognizer, tmp_path: Path) -> None:
    nobody = FakeDetector(Faces.empty())
    summary = summary_of(VideoReader(recognizer, nobody, nobody), write_noise(tmp_path / "a.mp4", 5))
    assert (summary.rows, summary.frames, summary.frames_with_faces, summary.unknown) == (0, 5, 0, 0.0)


def test_what_cannot_be_read_fails_with_a_reason(recognizer: Recognizer, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"rubble")
    reader = reader_of(recognizer)
    assert "expected a video" in failure_of(reader, tmp_path / "broken.mp4").reason
    missing = failure_of(reader, tmp_path / "gone.mp4")
    assert missing.missing and "No such file" in missing.reason
    write_noise(tmp_path / "good.mp4", 3)
    assert summary_of(reader, tmp_path / "good.mp4").rows == 6  # the reader goes on


@pytest.mark.parametrize("error", [MemoryError(), ZeroDivisionError("by zero")])
def test_no_error_in_one_video_stops_the_others(recognizer: Recognizer, tmp_path: Path, error: Exception) -> None:
    class Faulty(FakeDetector):
        def detect(self, frame_bgr: np.ndarray) -> Faces:
            raise error

    faulty = Faulty(Faces.empty())
    failed = failure_of(VideoReader(recognizer, faulty, faulty), write_noise(tmp_path / "a.mp4", 2))
    assert failed.reason.startswith("expected a video that ") and not failed.missing


def test_a_file_that_changes_meanwhile_is_no_result(recognizer: Recognizer, tmp_path: Path) -> None:
    path = write_noise(tmp_path / "a.mp4", 3)
    events = reader_of(recognizer).read(Job("a.mp4", path))
    assert isinstance(next(events), Rows)
    path.write_bytes(path.read_bytes() + b"more")
    (end,) = events
    assert isinstance(end, Failed) and "changed while it was read" in end.reason


def test_a_damaged_video_says_what_is_missing(recognizer: Recognizer, tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.avi", [noise(seed=seed) for seed in range(20)], "mpeg4")
    path = tmp_path / "cut.avi"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    summary = summary_of(reader_of(recognizer), path)
    assert summary.rows and summary.problem.startswith("expected a whole video")


def test_a_bundle_that_was_replaced_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    settings = read_settings(tmp_path, "blend")
    assert settings.bundle_sha256 == bundle_sha256(tmp_path)
    (tmp_path / "manifest.json").write_text("{ }")
    with pytest.raises(VideosError, match="expected the bundle 44136fa3, got another one"):
        settings.open()
