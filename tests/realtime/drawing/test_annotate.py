"""Annotated copies keep their originals' names and places, and replace nothing."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from moodspace.realtime.capture.source import Frame
from moodspace.realtime.drawing.annotate import Annotator, write_picture
from moodspace.realtime.drawing.faces import draw
from moodspace.realtime.drawing.video import OutputError
from moodspace.realtime.pipeline import Pipeline
from moodspace.realtime.predict import predict_source
from tests.realtime.fakes import ListSource, clip_frames, noise, read


def annotate(folder: Path, frames: list[Frame], pipeline: Pipeline, root: Path | None = None) -> list[str]:
    with Annotator(folder, root) as annotator:
        for frame in frames:
            annotator.add(frame, pipeline.process(frame.bgr, frame.time))
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def picture(source: str | Path, height: int = 300, width: int = 400) -> Frame:
    return Frame(str(source), 0, 0.0, noise(height, width), None)


def test_a_copy_is_the_drawn_picture(tmp_path: Path, pipeline: Pipeline) -> None:
    frame = picture("a.png")
    assert annotate(tmp_path / "out", [frame], pipeline) == ["a.png"]
    expected = draw(frame.bgr, pipeline.process(frame.bgr, 0.0))
    np.testing.assert_array_equal(read(tmp_path / "out/a.png"), expected)


def test_a_small_picture_is_enlarged_until_its_label_can_be_read(tmp_path: Path, pipeline: Pipeline) -> None:
    annotate(tmp_path / "out", [picture("a.png", 48, 60)], pipeline)
    assert read(tmp_path / "out/a.png").shape == (240, 300, 3)


def test_same_names_in_different_folders_stay_apart(tmp_path: Path, pipeline: Pipeline) -> None:
    root = tmp_path / "in"
    frames = [picture(root / "a.png"), picture(root / "x/a.png"), picture(root / "x/a.webp")]
    assert annotate(tmp_path / "out", frames, pipeline, root) == ["a.png", "x/a-2.png", "x/a.png"]


def test_no_file_is_replaced(tmp_path: Path, pipeline: Pipeline) -> None:
    original = tmp_path / "a.jpg"
    original.write_bytes(b"the original")
    (tmp_path / "a-2.jpg").write_bytes(b"another")
    assert annotate(tmp_path, [picture(original)], pipeline) == ["a-2.jpg", "a-3.jpg", "a.jpg"]
    assert original.read_bytes() == b"the original"


def test_videos_are_clips_and_pictures_between_them_pictures(tmp_path: Path, pipeline: Pipeline) -> None:
    frames = [*clip_frames(3, "a.avi"), *clip_frames(2, "b.mov"), picture("c.JPEG"), *clip_frames(4, "other/a.avi")]
    assert annotate(tmp_path, frames, pipeline) == ["a-2.mp4", "a.mp4", "b.mp4", "c.jpeg"]
    for name, count in (("a.mp4", 3), ("b.mp4", 2), ("a-2.mp4", 4)):
        capture = cv2.VideoCapture(str(tmp_path / name))
        assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == count, name


def test_a_stream_is_named_after_its_address(tmp_path: Path, pipeline: Pipeline) -> None:
    frames = [*clip_frames(1, "http://host/way/show.m3u8?key=1"), *clip_frames(1, "rtsp://host")]
    assert annotate(tmp_path, frames, pipeline) == ["show.mp4", "stream.mp4"]


def test_nothing_is_left_of_a_video_that_was_given_up(tmp_path: Path, pipeline: Pipeline) -> None:
    frame = clip_frames(1)[0]
    with pytest.raises(KeyboardInterrupt), Annotator(tmp_path) as annotator:
        annotator.add(frame, pipeline.process(frame.bgr, 0.0))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path, pipeline: Pipeline) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="out: expected a folder to write to"):
        annotate(tmp_path / "out", [picture("a.png")], pipeline)


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a\.png: expected to write a picture, got: "):
        write_picture(tmp_path / "no folder/a.png", noise())


@pytest.mark.parametrize("stem", ["n" * 251, "名" * 83, "é" * 124, "x." + "y" * 249])
def test_a_name_close_to_the_limit_is_shortened(tmp_path: Path, pipeline: Pipeline, stem: str) -> None:
    root = tmp_path / "in"
    frames = [picture(root / f"{stem}.j"), picture(root / f"{stem}.k"), *clip_frames(2, str(root / f"{stem}.l"))]
    other = picture(root / f"{stem[:-1]}z.j")
    names = annotate(tmp_path / "out", [*frames, other], pipeline, root)
    assert len(names) == 4 and max(len(name.encode()) for name in names) <= 255
    assert all(name.startswith(stem[:60]) for name in names)


def test_a_copy_that_cannot_be_written_keeps_no_other_back(tmp_path: Path, pipeline: Pipeline) -> None:
    """A JPEG has at most 65,500 pixels on a side."""
    source = ListSource([picture("a.jpg", 2, 70_000), picture("b.jpg"), *clip_frames(3, "c.avi")])
    documents = list(predict_source(source, pipeline, annotate=tmp_path))
    assert [document["source"] for document in documents] == ["a.jpg", "b.jpg", "c.avi"]
    assert [one.source for one in source.incomplete] == ["a.jpg"]
    assert source.incomplete[0].reason.startswith("no annotated copy: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.jpg", "c.mp4"]


def test_a_name_at_the_limit_can_be_written(tmp_path: Path) -> None:
    write_picture(tmp_path / f"{'n' * 251}.png", noise())
    assert [path.name for path in tmp_path.iterdir()] == [f"{'n' * 251}.png"]


def test_a_line_is_not_enlarged_without_bounds(tmp_path: Path, pipeline: Pipeline) -> None:
    assert annotate(tmp_path / "out", [picture("a.png", 1, 3000)], pipeline) == ["a.png"]
    assert read(tmp_path / "out/a.png").shape == (1, 3000, 3)
