"""How a video is watched, without a browser: what comes out, what is refused, and that nothing is left behind."""

import contextlib
import io
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from moodspace.realtime.capture.files import VideoSource
from moodspace.realtime.drawing.video import VideoWriter
from moodspace.realtime.predict import predict_source
from moodspace.web.components.videos import VideoError, analyze_video
from moodspace.web.server.settings import Limits
from tests.made_videos import INTERLACED, cut, greys, write_video
from tests.web.looked_at import PIPELINE, RECOGNIZER, recognize

LIMITS = replace(Limits(), frames_per_second=30.0, video_seconds=20.0)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go in these tests."""
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def video(path: Path, frames: int = 12, fps: float = 10.0, size: tuple[int, int] = (128, 96)) -> bytes:
    with VideoWriter(path, fps) as writer:
        for number in range(frames):
            writer.write(np.full((size[1], size[0], 3), 20 * number % 256, np.uint8))
    return path.read_bytes()


def seen(content: bytes, limits: Limits = LIMITS, progress=lambda done, seconds: None):
    return analyze_video("clip.mp4", content, recognize, RECOGNIZER, limits, progress)


def test_the_document_is_that_of_predict(tmp_path) -> None:
    content = video(tmp_path / "a.mp4")
    (expected,) = predict_source(VideoSource(tmp_path / "a.mp4"), PIPELINE)
    watched = seen(content)
    assert json.loads(watched.json) == expected | {"source": "clip.mp4"}
    assert watched.seconds == pytest.approx(1.2, abs=0.01) and watched.classes == RECOGNIZER.classes
    assert watched.frames == watched.with_face == len(watched.shares) == 12
    assert watched.csv.count(b"\n") == 1 + 2 * 12


def test_the_copy_has_every_frame_and_is_h264(tmp_path, folder) -> None:
    watched = seen(video(tmp_path / "a.mp4"))
    (tmp_path / "b.mp4").write_bytes(watched.clip)
    copy = cv2.VideoCapture(str(tmp_path / "b.mp4"))
    assert int(copy.get(cv2.CAP_PROP_FRAME_COUNT)) == 12 and copy.get(cv2.CAP_PROP_FPS) == 10
    assert int(copy.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little") in (b"avc1", b"h264")
    assert list(folder.iterdir()) == []


def test_frames_in_quick_succession_are_not_all_looked_at(tmp_path) -> None:
    content = video(tmp_path / "a.mp4", frames=60, fps=60)
    limits = replace(LIMITS, frames_per_second=15.0)
    assert seen(content, limits).frames == 15


def test_progress_tells_how_far_it_is(tmp_path) -> None:
    told: list[tuple[float, float]] = []
    seen(video(tmp_path / "a.mp4"), progress=lambda *at: told.append(at))
    assert len(told) == 12 and told[-1] == pytest.approx((1.1, 1.2))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_who_cancels_leaves_nothing_behind(tmp_path, folder) -> None:
    class Cancelled(BaseException):
        """As Streamlit ends a run."""

    def cancel(done: float, seconds: float) -> None:
        assert list(folder.iterdir()) != []
        raise Cancelled

    with pytest.raises(Cancelled):
        seen(video(tmp_path / "a.mp4"), progress=cancel)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"video_seconds": 1.0}, "expected at most 1 seconds, got more; cut it shorter"),
        ({"video_bytes": 1000}, "expected a video of at most 0 MB, got 0.0 MB"),
        ({"picture_pixels": 10_000}, "128 x 96; make it smaller"),
    ],
)
def test_too_much_is_refused_before_it_is_looked_at(tmp_path, folder, changes, words) -> None:
    def never(bgr):
        pytest.fail("expected no frame to be looked at")

    content = video(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match=words):
        analyze_video("clip.mp4", content, never, RECOGNIZER, replace(LIMITS, **changes), lambda *_: None)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"no video", b"#EXTM3U\nfile:///etc/passwd", b"ffconcat version 1.0\nfile /etc/passwd", b"\x89PNG" * 9],
)
def test_only_containers_of_one_video_are_opened(content, folder) -> None:
    with pytest.raises(VideoError, match="expected an MP4, MOV, WebM, MKV or AVI file"):
        seen(content)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("cut", [0.1, 0.5])
def test_a_broken_video_is_refused_without_a_path(tmp_path, folder, cut) -> None:
    content = video(tmp_path / "a.mp4")
    broken = content[:40] + bytes(len(content) - 40) if cut == 0.1 else content[: int(cut * len(content))][:200]
    with pytest.raises(VideoError, match=r"expected a (video that can be read|whole video)") as refused:
        seen(broken)
    assert str(folder) not in str(refused.value) and list(folder.iterdir()) == []


GREY = {"pixels": "yuvj420p"}


@pytest.mark.parametrize(
    ("kind", "codec", "how"),
    [("mpegts", "libx264", {}), ("mpeg", "mpeg2video", {"options": INTERLACED}), ("flv", "flv", {}),
     ("asf", "wmv2", {}), ("matroska", "libsvtav1", {}), ("mjpeg", "mjpeg", GREY)],
)  # fmt: skip
def test_every_kind_of_video_is_looked_at(tmp_path, kind, codec, how) -> None:
    content = write_video(tmp_path / "a", greys(range(40, 160, 10)), codec, kind=kind, **how).read_bytes()
    watched = seen(content)
    assert (watched.frames, watched.incomplete) == (12, "")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animated_picture_is_a_video(kind) -> None:
    frames = [Image.fromarray(bgr) for bgr in greys((0, 80, 160), (200, 150))]
    stream = io.BytesIO()
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:], duration=200)
    watched = seen(stream.getvalue())
    assert (watched.frames, watched.seconds) == (3, pytest.approx(0.6))


def test_a_still_picture_is_no_video() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48)).save(stream, "PNG")
    with pytest.raises(VideoError, match="or an animated picture, got another"):
        seen(stream.getvalue())


def test_a_video_that_ends_early_says_so(tmp_path) -> None:
    whole = write_video(tmp_path / "a.avi", greys(range(40, 240, 5)), "mpeg4", options={"g": "5"})
    watched = seen(cut(whole, 0.6, "b.avi").read_bytes())
    assert watched.incomplete.startswith(f"expected a whole video, got one that ends early; {watched.frames} fr")
    assert str(tmp_path) not in watched.incomplete


def test_frames_without_end_are_refused(tmp_path) -> None:
    """All at the same time, so that the length never tells."""
    content = write_video(tmp_path / "a.mkv", greys([9] * 300), times=[0.0] * 300 + [1]).read_bytes()
    with pytest.raises(VideoError, match="expected at most 1 seconds, got more"):
        seen(content, replace(LIMITS, video_seconds=1.0))


def test_no_frame_of_another_visitors_video_is_seen(tmp_path) -> None:
    """Decoded in one process, the first one's noise is in the memory that the second one's frames come into."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (96, 128, 3), np.uint8) for _ in range(12)]
    first = write_video(tmp_path / "a.mp4", noise).read_bytes()
    second = write_video(tmp_path / "b", greys([128] * 12, (128, 96)), "mpeg2video", kind="mpeg", options=INTERLACED)
    broken = second.read_bytes()[: second.stat().st_size // 2]
    for content in (second.read_bytes(), broken):
        seen(first)
        frames = []

        def look(bgr, frames=frames):
            frames.append(bgr.copy())
            return PIPELINE.process(bgr, 0.0)

        with contextlib.suppress(VideoError) if content is broken else contextlib.nullcontext():
            analyze_video("b.mpg", content, look, RECOGNIZER, LIMITS, lambda *_: None)
        assert content is broken or len(frames) == 12
        assert max((np.ptp(bgr) for bgr in frames), default=0) <= 4


def test_faces_keep_their_numbers_through_a_video(tmp_path) -> None:
    picture = cv2.resize(np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8), (128, 96))
    watched = seen(write_video(tmp_path / "a.mp4", [picture] * 12).read_bytes())
    # The fake detector finds the same two faces in each frame.
    assert [track.number for track in watched.tracks] == [1, 2]
    times = [frame["time"] for frame in json.loads(watched.json)["frames"]]
    assert all(track.times == pytest.approx(times, abs=0.001) for track in watched.tracks)
    assert all(len(track.shown) == 12 and set(track.shown) <= {-1, *range(7)} for track in watched.tracks)


def test_single_faces_are_shown_only_when_asked_for(tmp_path) -> None:
    from moodspace.web.components.scrub import scrub_data

    watched = seen(video(tmp_path / "a.mp4"))
    alone = scrub_data(watched, player="p", single_faces=False)
    assert "face 1" not in alone["html"] and "Whole session" not in alone["html"]
    assert len(alone["kept"]) == len(alone["shares"]) == 12 and alone["width"] == pytest.approx(0.1)
    assert "face 2" in scrub_data(watched, player="p", single_faces=True)["html"]
