"""A clip plays back with the right frames, size and speed, or is not there at all."""

import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from moodspace.realtime.drawing.video import OutputError, VideoWriter


def write(path: Path, frames: int = 7, size: tuple[int, int] = (64, 48), fps: float = 12.0) -> None:
    with VideoWriter(path, fps) as clip:
        for number in range(frames):
            clip.write(np.full((size[1], size[0], 3), (20 * number, 30, 200), np.uint8))


def play(path: Path) -> tuple[list[np.ndarray], float]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames, capture.get(cv2.CAP_PROP_FPS)


def test_a_clip_plays_back(tmp_path: Path) -> None:
    write(tmp_path / "clip with spaces ü.mp4")
    frames, fps = play(tmp_path / "clip with spaces ü.mp4")
    assert (len(frames), fps) == (7, 12.0)
    for number, frame in enumerate(frames):
        assert frame.shape == (48, 64, 3)
        np.testing.assert_allclose(frame.mean(axis=(0, 1)), [20 * number, 30, 200], atol=6)
    assert [path.name for path in tmp_path.iterdir()] == ["clip with spaces ü.mp4"]


def test_browsers_can_play_it(tmp_path: Path) -> None:
    write(tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        (stream,) = clip.streams
        assert (stream.type, stream.codec_context.name, stream.codec_context.pix_fmt) == ("video", "h264", "yuv420p")
    content = (tmp_path / "clip.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # playable before it is there whole


@pytest.mark.parametrize(("size", "even"), [((63, 47), (64, 48)), ((1, 1), (2, 2))])
def test_odd_sides_are_made_even(tmp_path: Path, size: tuple[int, int], even: tuple[int, int]) -> None:
    write(tmp_path / "clip.mp4", frames=2, size=size)
    assert [frame.shape[1::-1] for frame in play(tmp_path / "clip.mp4")[0]] == [even, even]


@pytest.mark.parametrize("fps", [23.976023976023978, 29.97, 0.5])
def test_broken_rates_are_kept(tmp_path: Path, fps: float) -> None:
    write(tmp_path / "clip.mp4", frames=3, fps=fps)
    assert play(tmp_path / "clip.mp4")[1] == pytest.approx(fps, rel=1e-4)


def test_an_earlier_clip_is_replaced_by_a_whole_one_alone(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write(path, frames=3)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, 12) as clip:
        clip.write(np.zeros((48, 64, 3), np.uint8))
        raise KeyboardInterrupt
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    write(path, frames=5)
    assert len(play(path)[0]) == 5


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_disk_that_becomes_full_is_an_error(tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).integers(0, 256, (60, 240, 320, 3), np.uint8)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(OutputError, match=r"clip\.mp4: expected to write a clip, got: File too large"):  # noqa: SIM117
            with VideoWriter(tmp_path / "clip.mp4", 12) as clip:
                for frame in noise:
                    clip.write(frame)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("limit", [0, 200])
def test_a_disk_that_is_full_at_the_end_is_an_error(tmp_path: Path, limit: int) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OutputError, match="File too large"), VideoWriter(tmp_path / "clip.mp4", 12) as clip:
            clip.write(np.zeros((48, 64, 3), np.uint8))
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"clip\.mp4: expected to write a clip, got: No such file or directory"):
        write(tmp_path / "no folder" / "clip.mp4")


def test_a_failed_writer_takes_no_more_frames(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "no folder" / "clip.mp4", 12)
    for _ in range(2):
        with pytest.raises(OutputError):
            writer.write(np.zeros((48, 64, 3), np.uint8))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".clip.mp4.partial").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="No space left on device"):
        write(tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_clip_without_frames_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="expected at least one frame"), VideoWriter(tmp_path / "clip.mp4", 12):
        pass
    assert list(tmp_path.iterdir()) == []


def test_frames_of_two_sizes_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match=r"expected shape \(48, 64, 3\), as the first frame, got \(64, 48, 3\)"),
        VideoWriter(tmp_path / "clip.mp4", 12) as clip,
    ):
        clip.write(np.zeros((48, 64, 3), np.uint8))
        clip.write(np.zeros((64, 48, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []
