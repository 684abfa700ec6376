"""Every kind of source gives upright BGR frames, says what it skipped, and lets go of what it held."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from moodspace.realtime.capture.decoder import Decoder
from moodspace.realtime.capture.files import open_source, without_password
from moodspace.realtime.capture.source import Frame, SourceError
from tests.made_videos import INTERLACED, cut, greys, write_video


def read(spec: str | Path) -> list[Frame]:
    with open_source(str(spec)) as source:
        return list(source)


def test_a_picture_is_one_frame(make_picture: Callable[..., Path]) -> None:
    path = make_picture()
    (frame,) = read(path)
    assert (frame.source, frame.index, frame.time, frame.fps) == (str(path), 0, 0.0, None)
    assert frame.bgr.shape == (60, 80, 3)
    assert frame.bgr[0, 0].tolist() == [255, 0, 0]
    assert frame.bgr.flags.c_contiguous


def test_a_picture_is_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (80, 60))
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # held with its right side down
    image.save(tmp_path / "turned.png", exif=exif)
    (frame,) = read(tmp_path / "turned.png")
    assert frame.bgr.shape == (80, 60, 3)
    assert frame.bgr[0, 59].tolist() == [255, 255, 255]


def test_a_video_is_its_frames(make_clip: Callable[..., Path]) -> None:
    path = make_clip(frames=6, fps=12.5)
    frames = read(path)
    assert [frame.index for frame in frames] == list(range(6))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(6) / 12.5, atol=1e-3)
    assert {frame.fps for frame in frames} == {12.5}
    assert {frame.source for frame in frames} == {str(path)}
    np.testing.assert_allclose([frame.bgr.mean() for frame in frames], 10 * np.arange(6), atol=2)


def test_a_folder_is_its_files_in_order(make_picture: Callable[..., Path], make_clip: Callable[..., Path]) -> None:
    first, last = make_picture("in/a/B.JPG"), make_picture("in/c.png")
    clip = make_clip("in/b.avi", frames=2)
    make_picture("in/.hidden/d.png")
    make_picture("in/.e.png")
    (first.parent / "notes.txt").write_text("no picture")
    with open_source(str(last.parent)) as source:
        names = [(frame.source, frame.index) for frame in source]
        assert names == [(str(first), 0), (str(clip), 0), (str(clip), 1), (str(last), 0)]
        assert source.skipped == []
        assert source.root == last.parent
        assert not source.live


def test_a_broken_file_in_a_folder_is_skipped_and_said(make_picture: Callable[..., Path]) -> None:
    good = make_picture("in/b.png")
    (good.parent / "a.png").write_bytes(b"no picture")
    (good.parent / "c.mp4").write_bytes(b"no video")
    with open_source(str(good.parent)) as source:
        assert [frame.source for frame in source] == [str(good)]
        assert [skipped.source for skipped in source.skipped] == [
            str(good.with_name("a.png")),
            str(good.with_name("c.mp4")),
        ]
        assert all(skipped.reason.startswith("expected") for skipped in source.skipped)


def test_a_folder_with_nothing_readable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match=r"got none among 1; .*a\.png: expected"):
        read(tmp_path)


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(SourceError, match="expected a folder with pictures or videos, got one without"):
        open_source(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "message"),
    [("none.png", "got no such path"), ("broken.png", "expected a"), ("broken.mp4", "expected a video")],
)
def test_what_cannot_be_read_is_an_error(tmp_path: Path, name: str, message: str) -> None:
    for broken in ("broken.png", "broken.mp4"):
        (tmp_path / broken).write_bytes(b"rubble")
    with pytest.raises(SourceError, match=f"{name}: .*{message}"):
        open_source(str(tmp_path / name))


def test_a_video_without_a_frame_is_an_error(make_clip: Callable[..., Path]) -> None:
    path = make_clip(frames=3)
    with open_source(str(path)) as source:
        assert len(list(source)) == 3
        with pytest.raises(SourceError, match="expected frames, got none"):
            list(source)


class FakeCapture:
    """A camera with some frames in it."""

    opened: ClassVar[list["FakeCapture"]] = []
    frames = 3

    def __init__(self, spec: int | str, *options: object) -> None:
        self.spec = spec
        self.left = self.frames
        self.released = False
        self.opened.append(self)

    def isOpened(self) -> bool:
        return self.frames > 0

    def get(self, what: int) -> float:
        return 0.0

    def set(self, what: int, value: float) -> bool:
        return False

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        return (True, np.zeros((6, 8, 3), np.uint8)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.released = True


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> list[FakeCapture]:
    FakeCapture.opened.clear()
    monkeypatch.setattr(FakeCapture, "frames", 3)
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr("moodspace.realtime.capture.cameras.StreamCapture", FakeCapture)
    return FakeCapture.opened


def test_a_number_is_a_camera_timed_by_the_clock(captures: list[FakeCapture]) -> None:
    ticks = iter([100.0, 100.5, 101.0, 101.75])
    with open_source("2", clock=lambda: next(ticks)) as source:
        assert source.live
        frames = iter(source)
        assert [(frame.source, frame.time) for frame in (next(frames), next(frames), next(frames))] == [
            ("camera 2", 0.5),
            ("camera 2", 1.0),
            ("camera 2", 1.75),
        ]
        with pytest.raises(SourceError, match="camera 2: expected frames, got none after 3"):
            next(frames)
    assert captures[0].spec == 2
    assert captures[0].released


def test_an_address_is_a_stream_whose_password_is_not_told(captures: list[FakeCapture]) -> None:
    with open_source("rtsp://me:secret@camera.local:554/live") as source:
        assert source.live
        assert {frame.source for frame in source} == {"rtsp://camera.local:554/live"}
    assert captures[0].spec == "rtsp://me:secret@camera.local:554/live"


def test_no_camera_is_an_error(captures: list[FakeCapture], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "frames", 0)
    with pytest.raises(SourceError, match="camera 7: expected a camera, got none that can be opened"):
        open_source("7")
    with pytest.raises(SourceError, match=r"^http://host/x\.mp4: expected a video"):
        open_source("http://me:secret@host/x.mp4")


def test_a_video_is_released_when_the_reader_stops_early(
    make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Decoder] = []
    monkeypatch.setattr(Decoder, "close", lambda decoder: closed.append(decoder))
    with open_source(str(make_clip("in/a.mp4", frames=3).parent)) as source:
        frames = iter(source)
        next(frames)
        frames.close()  # type: ignore[attr-defined]
    assert len(closed) == 1


def test_opening_leaves_opencvs_log_level(tmp_path: Path) -> None:
    before = cv2.utils.logging.getLogLevel()
    (tmp_path / "a.mp4").write_bytes(b"rubble")
    with pytest.raises(SourceError):
        open_source(str(tmp_path / "a.mp4"))
    assert cv2.utils.logging.getLogLevel() == before


@pytest.mark.parametrize("spec", ["0", "a@b.mp4", "folder/", "http://host:81/x?y=1"])
def test_only_a_password_is_left_out_of_a_name(spec: str) -> None:
    assert without_password(spec) == spec
    assert without_password("rtsp://me:secret@host:554/x") == "rtsp://host:554/x"


@pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a", "a.png", "a.mp4", "a.txt", "a.JPG", "a.jpg.bak"])
def test_a_picture_is_told_by_its_content(make_picture: Callable[..., Path], name: str) -> None:
    path = make_picture("in/b.jpg").rename(make_picture("in/c.jpg").with_name(name))
    (frame, other) = read(path.parent)
    assert frame.source == str(path) and frame.bgr.shape == (60, 80, 3) and frame.fps is None
    assert other.source.endswith("c.jpg")


@pytest.mark.parametrize(("kind", "suffix"), [("JPEG2000", "jp2"), ("AVIF", "avif"), ("HEIF", "HEIC"), ("TGA", "tga")])
def test_rarer_pictures_are_read(tmp_path: Path, kind: str, suffix: str) -> None:
    image = Image.new("RGB", (80, 60), (200, 100, 50))
    path = tmp_path / f"a.{suffix}"
    if kind == "HEIF":
        pillow_heif.from_pillow(image).save(path)
    else:
        image.save(path, kind)
    (frame,) = read(path)
    np.testing.assert_allclose(frame.bgr[30, 40], (50, 100, 200), atol=6)


def test_what_is_neither_is_left_out_and_what_claims_to_be_is_named(make_picture: Callable[..., Path]) -> None:
    folder = make_picture("in/b.png").parent
    for name, content in {
        "notes.txt": b"words", "data.csv": b"a,b", "empty": b"", "Thumbs.db": b"x", "BM.txt": b"BM of a text",
        "a.wav": b"RIFF",
        "s.m4a": b"\0\0\0\x1cftypM4A ", "z.ts": b"rubble", "y.heic": b"", "x.nef": b"II*\0rubble", "w.svg": b"<svg/>",
    }.items():  # fmt: skip
        (folder / name).write_bytes(content)
    (folder / "gone.jpg").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.jpg")
    with open_source(str(folder)) as source:
        assert [Path(frame.source).name for frame in source] == ["b.png"]
    assert [Path(path).name for path in source.left_out] == [
        "BM.txt", "a.wav", "data.csv", "empty", "notes.txt", "s.m4a",
    ]  # fmt: skip
    assert [Path(one.source).name for one in source.skipped] == [
        "gone.jpg", "pipe.jpg", "w.svg", "x.nef", "y.heic", "z.ts",
    ]  # fmt: skip
    assert all(one.reason.startswith("expected") for one in source.skipped)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animated_picture_is_all_of_its_frames(tmp_path: Path, kind: str) -> None:
    images = [Image.new("RGB", (64, 48), (grey, grey, grey)) for grey in (0, 120, 240)]
    path = tmp_path / "a"
    images[0].save(path, kind, save_all=True, append_images=images[1:], duration=[200, 400, 100])
    frames = read(path)
    np.testing.assert_allclose([frame.time for frame in frames], [0, 0.2, 0.6])
    np.testing.assert_allclose([frame.bgr.mean() for frame in frames], [0, 120, 240], atol=3)
    assert {frame.fps for frame in frames} == {5.0}


def test_an_animation_that_ends_early_is_incomplete(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)) for _ in range(6)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=100)
    short = cut(tmp_path / "a.gif", 0.6, "b.gif")
    with open_source(str(short)) as source:
        assert 1 < len(list(source)) < 6
        assert [one.source for one in source.incomplete] == [str(short)]


def test_no_frame_of_another_file_is_seen(tmp_path: Path) -> None:
    """A folder and its files one after the other: noise, then grey ones, interlaced, broken and cut."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(10)]
    for number in range(3):
        write_video(tmp_path / f"{number}-noise.mp4", noise)
        write_video(tmp_path / f"{number}-t-grey.mpg", greys([128] * 10), "mpeg2video", options=INTERLACED)
        whole = write_video(tmp_path / f"{number}-x.mkv", greys([128] * 10), "mpeg2video", options=INTERLACED)
        cut(whole, 0.8, f"{number}-y-cut.mkv")
        content = bytearray(whole.read_bytes())
        content[len(content) // 2 :: 7] = bytes(len(content[len(content) // 2 :: 7]))
        (tmp_path / f"{number}-z-broken.mkv").write_bytes(content)
    frames = read(tmp_path)
    assert len({frame.source for frame in frames}) >= 12
    strange = [frame for frame in frames if "noise" not in frame.source and np.ptp(frame.bgr) > 100]
    # What damage makes of grey is not the noise of another file.
    assert [frame.source for frame in strange if "broken" not in frame.source] == []
    for frame in strange:
        assert max(abs(np.corrcoef(frame.bgr.ravel(), one.ravel())[0, 1]) for one in noise) < 0.2


@pytest.mark.parametrize("spec", ["n" * 300, "a\0b", "/dev/null"])
def test_what_is_no_file_is_an_error_that_says_so(spec: str) -> None:
    with pytest.raises(SourceError, match=r"expected a (file|camera's number)"):
        open_source(spec)
