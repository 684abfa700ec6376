"""Videos of every kind give the frames that were written into them, at their times, and say what is missing."""

import gc
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from moodspace.realtime.capture.decoder import Decoder, FrameClock, _turned
from moodspace.realtime.capture.files import open_source
from moodspace.realtime.capture.source import SourceError
from tests.made_videos import INTERLACED, cut, greys, write_sound, write_video

VALUES = [40, 80, 120, 160, 200, 230]


def noise(count: int, size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (size[1], size[0], 3), np.uint8) for _ in range(count)]


def read(path: Path) -> tuple[list[float], list[float], str]:
    """Return the mean grey and time of each frame, and the problem."""
    with Decoder(path) as decoder:
        frames = list(decoder)
        return [frame.bgr.mean() for frame in frames], [frame.time for frame in frames], decoder.problem


@pytest.mark.parametrize(
    ("name", "codec", "how"),
    [
        ("a.mp4", "libx264", {}),
        ("a.mpg", "mpeg2video", {"options": INTERLACED}),
        ("a.mkv", "libx264", {"options": INTERLACED}),
        ("a.mov", "prores_ks", {"pixels": "yuv422p10le", "options": INTERLACED}),
        ("a.ts", "mpeg2video", {"options": INTERLACED}),
        ("a.ts", "libx264", {}),
        ("a.mts", "libx264", {"kind": "mpegts"}),
        ("a.flv", "flv", {}),
        ("a.webm", "libvpx-vp9", {}),
        ("av1.mkv", "libsvtav1", {}),
        ("ten.mkv", "libx265", {"pixels": "yuv420p10le", "options": {"x265-params": "log-level=none"}}),
        ("grey.avi", "rawvideo", {"pixels": "gray"}),
        ("alpha.mkv", "ffv1", {"pixels": "bgra"}),
        ("a.avi", "mjpeg", {"pixels": "yuvj420p"}),
        ("a.mjpg", "mjpeg", {"pixels": "yuvj420p", "kind": "mjpeg"}),
        ("a.wmv", "wmv2", {}),
        ("no suffix", "libx264", {"kind": "mp4"}),
        ("wrong.jpg", "libx264", {"kind": "matroska"}),
        ("a:b.mp4", "libx264", {}),
    ],
)
def test_every_kind_gives_the_frames_written(tmp_path: Path, name: str, codec: str, how: dict) -> None:
    path = write_video(tmp_path / "x", greys(VALUES), codec, **({"kind": _kind(name)} | how)).rename(tmp_path / name)
    means, times, problem = read(path)
    np.testing.assert_allclose(means, VALUES, atol=6)
    np.testing.assert_allclose(times, np.arange(6) / 25, atol=0.002)
    assert problem == ""
    with open_source(str(path)) as source:
        assert len(list(source)) == 6 and not source.incomplete


def _kind(name: str) -> str:
    kinds = {"mkv": "matroska", "ts": "mpegts", "mpg": "mpeg", "wmv": "asf"}
    ending = name.rpartition(".")[2]
    return kinds.get(ending, ending)


def test_an_interlaced_video_after_another_shows_nothing_of_it(tmp_path: Path) -> None:
    """OpenCV 5.0.0 gives memory of the first one for the frames of the second one."""
    other = write_video(tmp_path / "other.mp4", noise(20))
    grey = write_video(tmp_path / "grey.mpg", greys([128] * 10), "mpeg2video", options=INTERLACED)
    with Decoder(other) as first, Decoder(grey) as second:
        for frame in second:
            next(iter(first))
            assert np.ptp(frame.bgr) <= 4
        assert second.read == 10


def test_combed_lines_are_gone(tmp_path: Path) -> None:
    """A bright bar moves between the two fields of a frame."""
    frames = []
    for number in range(8):
        frame = np.zeros((48, 64, 3), np.uint8)
        frame[0::2, 4 * number : 4 * number + 16] = 255
        frame[1::2, 4 * number + 2 : 4 * number + 18] = 255
        frames.append(frame)
    path = write_video(tmp_path / "a.mkv", frames, "mpeg2video", options=INTERLACED | {"b": "8000000"})
    with Decoder(path) as decoder:
        for shown in list(decoder)[1:-1]:
            lines = shown.bgr[8:40, :, 0].astype(int)
            assert np.abs(np.diff(lines, axis=0)).mean() < 4


def test_a_turned_video_is_upright(tmp_path: Path) -> None:
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:24, :32] = 255
    for degrees in (90, 180, 270):
        path = write_video(tmp_path / f"{degrees}.mp4", [frame] * 3, turned=degrees)
        expected = av.open(str(path)).streams.video[0]  # what the file itself says, whichever way it counts
        rotation = next(expected.container.decode(expected)).rotation % 360
        with Decoder(path) as decoder:
            bgr = next(iter(decoder)).bgr
            assert rotation and bgr.shape == ((48, 64, 3) if degrees == 180 else (64, 48, 3))
            np.testing.assert_allclose(bgr, np.rot90(frame, rotation // 90), atol=12)


def test_points_go_where_the_matrix_says() -> None:
    bgr = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    np.testing.assert_array_equal(_turned(bgr, (1, 0, 0, 1)), bgr)
    np.testing.assert_array_equal(_turned(bgr, (-1, 0, 0, 1)), bgr[:, ::-1])
    np.testing.assert_array_equal(_turned(bgr, (1, 0, 0, -1)), bgr[::-1])
    np.testing.assert_array_equal(_turned(bgr, (0, 1, 1, 0)), bgr.transpose(1, 0, 2))
    np.testing.assert_array_equal(_turned(bgr, (0, 1, -1, 0)), np.rot90(bgr, -1))
    np.testing.assert_array_equal(_turned(bgr, (0, -1, 1, 0)), np.rot90(bgr, 1))


def test_pixels_become_square(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", greys(VALUES), aspect=Fraction(2, 1))
    with Decoder(path) as decoder:
        assert (decoder.width, decoder.height) == (128, 48)
        assert {frame.bgr.shape for frame in decoder} == {(48, 128, 3)}


def test_times_are_those_of_the_frames(tmp_path: Path) -> None:
    times = [0, 0.04, 0.08, 1.0, 1.5, 4.0]
    _, told, problem = read(write_video(tmp_path / "a.mkv", greys(VALUES), times=times))
    np.testing.assert_allclose(told, times, atol=0.002)
    assert problem == ""


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ([5.0, 5.1, 5.2], [0, 0.1, 0.2]),
        ([None, None, None], [0, 0.1, 0.2]),
        ([5.0, None, 5.2], [0, 0.1, 0.2]),
        ([None, 7.0, 7.1], [0, 0.1, 0.2]),
        ([5.0, 5.1, 5.0, 5.2], [0, 0.1, 0.1, 0.2]),
        ([90.0, 90.1, 2.0, 2.1], [0, 0.1, 0.2, 0.3]),
        ([0.0, 100.0, 100.1], [0, 100.0, 100.1]),
    ],
)
def test_time_never_goes_back(stated: list[float | None], expected: list[float]) -> None:
    clock = FrameClock(10)
    np.testing.assert_allclose([clock.time(time) for time in stated], expected, atol=1e-9)


def test_a_broadcasts_clock_may_be_set_on() -> None:
    clock = FrameClock(10, jumps=True)
    np.testing.assert_allclose([clock.time(time) for time in (0.0, 100.0, 100.1)], [0, 0.1, 0.2])


FAST_START = {"movflags": "faststart"}


@pytest.mark.parametrize(
    ("name", "codec", "how"),
    [
        ("a.mp4", "libx264", {"container_options": FAST_START}),
        ("a.mp4", "libx264", {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
        ("a.mkv", "libx264", {}),
        ("a.avi", "mpeg4", {}),
        ("a.flv", "flv", {}),
        ("a.wmv", "wmv2", {"kind": "asf"}),
        ("a.ts", "libx264", {}),
        ("a.ivf", "libvpx-vp9", {}),
        ("a.mjpg", "mjpeg", {"pixels": "yuvj420p", "kind": "mjpeg"}),
    ],
)
def test_a_file_that_ends_early_says_what_was_read(tmp_path: Path, name: str, codec: str, how: dict) -> None:
    whole = write_video(tmp_path / name, noise(40), codec, **({"options": {"g": "5"}} | how))
    assert read(whole)[2] == ""
    for share in (0.5, 0.73, 0.97):
        short = cut(whole, share, f"cut-{name}")
        means, times, problem = read(short)
        assert 0 < len(means) <= 40 and times == sorted(times)
        assert problem.startswith("expected a whole video, got one that ends early; ")
        assert f"{len(means)} frames" in problem
        with open_source(str(short)) as source:
            assert len(list(source)) == len(means)
            assert [one.source for one in source.incomplete] == [str(short)]


@pytest.mark.parametrize("share", [0.5, 0.97])
def test_a_file_that_ends_early_is_read_alike_each_time(tmp_path: Path, share: float) -> None:
    whole = write_video(tmp_path / "a.ts", noise(40), "libx264", options={"g": "10", "bf": "2"})
    short = cut(whole, share, "cut.ts")
    assert len({(len(means), problem) for means, _, problem in (read(short) for _ in range(40))}) == 1


def test_a_damaged_part_is_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", noise(30), options={"g": "3"})
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 3000] = bytes(3000)
    path.write_bytes(content)
    means, _, problem = read(path)
    assert 0 < len(means) < 30 and "damaged part" in problem


@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
def test_an_index_that_is_missing_is_told(tmp_path: Path, share: float) -> None:
    whole = write_video(tmp_path / "a.mp4", noise(20))
    with pytest.raises(SourceError, match="got one that ends before its index; copy it again"):
        Decoder(cut(whole, share, "b.mp4"))


def test_healthy_files_that_state_less_or_more_are_whole(tmp_path: Path) -> None:
    """Written as it came, without a length; and with a clock that begins late."""
    live = write_video(tmp_path / "a.mkv", noise(20), container_options={"live": "1"})
    late = write_video(tmp_path / "b.mkv", noise(20), times=[100 + number / 25 for number in range(20)])
    for path in (live, late):
        means, times, problem = read(path)
        assert (len(means), times[0], problem) == (20, 0.0, "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a video, got an empty file"),
        (b"rubble" * 99, "expected a video that can be read"),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "expected a video that can be read"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "expected a video that can be read"),
        (b"G" + bytes(187), "expected a video that can be read"),
    ],
)
def test_what_is_no_video_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.ts").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        Decoder(tmp_path / "a.ts")


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected a video, got sound alone"):
        Decoder(write_sound(tmp_path / "a.mp4"))


def test_a_frame_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", greys(VALUES))
    with pytest.raises(SourceError, match=r"expected frames of at most 0\.001 million pixels, got 64 x 48"):
        Decoder(path, most_pixels=1000)


def test_frames_keep_the_size_of_the_first(tmp_path: Path) -> None:
    small, large = (write_video(tmp_path / f"{n}.ts", greys([99] * 5, (n, n))) for n in (64, 96))
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    with Decoder(both) as decoder:
        shapes = [frame.bgr.shape for frame in decoder]
    assert set(shapes) == {(64, 64, 3)} and len(shapes) > 5


def test_pictures_still_show_what_they_did(tmp_path: Path) -> None:
    """The colours of a frame come out as OpenCV has them, from the same file."""
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:, :21], frame[:, 21:42], frame[:, 42:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    path = write_video(tmp_path / "a.mp4", [frame] * 3)
    capture = cv2.VideoCapture(str(path))
    read_, expected = capture.read()
    capture.release()
    with Decoder(path) as decoder:
        assert read_ and np.abs(next(iter(decoder)).bgr.astype(int) - expected).mean() < 4


def test_frames_are_let_go(tmp_path: Path) -> None:
    """PyAV 18.1 keeps each frame that is asked for its side data."""
    path = write_video(tmp_path / "a.mkv", greys([90] * 5), options=INTERLACED)
    gc.collect()
    gc.disable()
    try:
        with Decoder(path) as decoder:
            assert len(list(decoder)) == 5
        kept = [one for one in gc.get_objects() if isinstance(one, av.VideoFrame) and one.width > 16]
        kept += [one for one in gc.get_objects() if type(one).__name__ == "SideDataContainer"]
        assert len(kept) <= 1
    finally:
        gc.enable()
