"""A video in, what its faces show out: frame by frame, and drawn into a copy that browsers play."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from classifier.recognizer import Recognizer
from realtime.annotate import drawn
from realtime.documents import frame_document
from realtime.faces import ByteArray
from realtime.frames import Frame, SourceError, usable_fps
from realtime.pipeline import FrameResult
from realtime.quiet import quiet_opencv
from realtime.sources import VideoSource
from realtime.video import OutputError, VideoWriter
from web.results import as_csv, as_json
from web.settings import Limits
from web.timeline import mean_shares

Recognize = Callable[[ByteArray], FrameResult]
Progress = Callable[[float, float], None]

# How files of these kinds begin: bytes and where they stand. Others, such as playlists, could name further files.
_KINDS = {".mp4": (b"ftyp", 4), ".mkv": (b"\x1a\x45\xdf\xa3", 0), ".avi": (b"AVI ", 8)}

# A second of a video that says it has more frames is none of a camera.
_MOST_FPS = 240


class VideoError(ValueError):
    """A video that is not looked at; says in one line what was expected, what came, and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """A video that was looked at.

    Attributes:
        name: The file's, as the visitor's device told it; a name to show, never a path.
        clip: The annotated copy, an H.264 MP4 file.
        json: The same as `cli.py predict --json` prints it.
        csv: The same as a table.
        frames: How many were looked at.
        with_face: How many of them show a face.
        classes: What a face can show.
        shares: `(s, C)` float64, the mean probabilities over its time, as `web.timeline.mean_shares` has them.
        seconds: How long it is.
    """

    name: str
    clip: bytes
    json: bytes
    csv: bytes
    frames: int
    with_face: int
    classes: tuple[str, ...]
    shares: npt.NDArray[np.float64]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Stated:
    """What a video says of itself before it is decoded; `seconds` is 0 where it does not say."""

    fps: float
    seconds: float


def watch(
    name: str, content: bytes, recognize: Recognize, recognizer: Recognizer, limits: Limits, progress: Progress
) -> Watched:
    """Looks at each frame of a video, as often as the limits allow a second; frames between repeat what was seen.

    The file lies in a private folder meanwhile, which is gone when this returns or is interrupted.

    Args:
        name: What to call it.
        content: The file's bytes.
        recognize: Says what a frame shows.
        recognizer: Whose result that is.
        limits: Of length, size and frames a second.
        progress: Told after each frame how many seconds are done, and of how many, 0 where that is not known. What it
            raises ends this.

    Raises:
        VideoError: it cannot be read, or is larger or longer than the limits allow.
    """
    if len(content) > limits.video_bytes:
        most, got = limits.video_bytes / 2**20, len(content) / 2**20
        raise VideoError(f"expected a video of at most {most:.0f} MB, received {got:.1f} MB; cut it or make it smaller")
    suffix = _suffix(content)
    with tempfile.TemporaryDirectory(prefix="moodspace-") as folder:
        original, copy = Path(folder) / f"original{suffix}", Path(folder) / "annotated.mp4"
        original.write_bytes(content)
        stated = _stated(original, limits)
        try:
            with VideoSource(original) as source, VideoWriter(copy, stated.fps) as writer:
                eye = _Eye(recognize, recognizer, limits.frames_per_second)
                for frame in source:
                    _check_length(frame.time, limits)
                    writer.write(drawn(frame.bgr, eye.see(frame)))
                    progress(frame.time, stated.seconds)
        except (SourceError, OutputError, cv2.error) as error:
            raise _unreadable() from error
        seconds = frame.time + 1 / stated.fps
        return _watched(name, copy.read_bytes(), eye, seconds)


class _Eye:
    """Looks at frames, but not more often than so many times a second of the video."""

    def __init__(self, recognize: Recognize, recognizer: Recognizer, most: float) -> None:
        self._recognize, self._recognizer = recognize, recognizer
        # A hundredth less, so that frames which are exactly so far apart are all looked at.
        self._apart = 0.99 / most
        self._seen: tuple[float, FrameResult] | None = None
        self.documents: list[dict[str, Any]] = []

    @property
    def classes(self) -> tuple[str, ...]:
        """What the last face looked at could show."""
        return self._seen[1].prediction.classes if self._seen else ()

    def see(self, frame: Frame) -> FrameResult:
        if self._seen is not None and frame.time - self._seen[0] < self._apart:
            return self._seen[1]
        result = self._recognize(frame.bgr)
        document = frame_document(frame, result, self._recognizer)
        self.documents.append({"time": document["time"], "faces": document["faces"]})
        self._seen = (frame.time, result)
        return result


def _watched(name: str, clip: bytes, eye: _Eye, seconds: float) -> Watched:
    """Puts together what a visitor gets; the documents, which take more memory than all of it, are let go."""
    documents = [{"source": name, "frames": eye.documents}]
    return Watched(
        name,
        clip,
        as_json(documents),
        as_csv(documents),
        len(eye.documents),
        sum(bool(one["faces"]) for one in eye.documents),
        eye.classes,
        mean_shares(eye.documents, seconds, eye.classes),
        seconds,
    )


def _suffix(content: bytes) -> str:
    for suffix, (mark, at) in _KINDS.items():
        if content[at : at + len(mark)] == mark:
            return suffix
    raise VideoError("expected an MP4, MOV, WebM, MKV or AVI file, received another; save it as MP4")


def _stated(path: Path, limits: Limits) -> _Stated:
    """Reads what a video says of itself and refuses what is too much, before its frames take memory."""
    with quiet_opencv():
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise _unreadable()
        width, height = (int(capture.get(one)) for one in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        fps = usable_fps(capture.get(cv2.CAP_PROP_FPS))
        frames = max(capture.get(cv2.CAP_PROP_FRAME_COUNT), 0.0)
    finally:
        capture.release()
    if width * height > limits.picture_pixels:
        most = f"expected frames of at most {limits.picture_pixels / 1e6:.0f} million pixels"
        raise VideoError(f"{most}, received {width} x {height}; make it smaller")
    if fps > _MOST_FPS:
        raise VideoError(f"expected at most {_MOST_FPS} frames a second, received {fps:.0f}; save it with fewer")
    _check_length(frames / fps, limits)
    return _Stated(fps, frames / fps)


def _check_length(seconds: float, limits: Limits) -> None:
    if seconds > limits.video_seconds:
        raise VideoError(f"expected at most {limits.video_seconds:.0f} seconds, received more; cut it shorter")


def _unreadable() -> VideoError:
    return VideoError("expected a video that can be read, received a broken one or none; try it in a player")
