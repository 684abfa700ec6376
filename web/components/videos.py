"""A video in, what its faces show out: frame by frame, and drawn into a copy that browsers play."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from moodspace.arrays import ByteArray
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.files.kind import Kind, kind_of
from moodspace.embeddings.pictures import is_animated
from moodspace.errors import MoodspaceError
from moodspace.realtime.capture.files import AnimationSource, VideoSource
from moodspace.realtime.capture.source import Frame, SourceError
from moodspace.realtime.documents import frame_document
from moodspace.realtime.drawing.annotate import drawn
from moodspace.realtime.drawing.video import OutputError, VideoWriter
from moodspace.realtime.pipeline import FrameResult
from moodspace.web.components.results import as_csv, as_json
from moodspace.web.components.timeline import mean_shares
from moodspace.web.server.settings import Limits

Recognize = Callable[[ByteArray], FrameResult]
Progress = Callable[[float, float], None]

# A second of a video that says it has more frames is none of a camera.
_MOST_FPS = 240


class VideoError(MoodspaceError):
    """A video that is not looked at; says in one line what was expected, what came, and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class VideoAnalysis:
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
        incomplete: What is missing of it, in one line; empty where it is whole.
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
    incomplete: str = ""


def analyze_video(
    name: str, content: bytes, recognize: Recognize, recognizer: Recognizer, limits: Limits, progress: Progress
) -> VideoAnalysis:
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
    kind = _kind(content)
    with tempfile.TemporaryDirectory(prefix="moodspace-") as folder:
        original, copy = Path(folder) / "original", Path(folder) / "annotated.mp4"
        original.write_bytes(content)
        eye = _Eye(recognize, recognizer, limits.frames_per_second)
        try:
            with _opened(original, kind, limits) as source:
                fps, stated = _stated(source, limits)
                with VideoWriter(copy, fps) as writer:
                    for frame in source:
                        _check_length(frame.time, limits, frame.index)
                        writer.write(drawn(frame.bgr, eye.see(frame)))
                        progress(frame.time, stated)
        except (SourceError, OutputError, cv2.error) as error:
            raise _refusal(error, original) from error
        seconds = frame.time + 1 / fps
        incomplete = source.incomplete[0].reason if source.incomplete else ""
        return replace(_watched(name, copy.read_bytes(), eye, seconds), incomplete=incomplete)


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


def _watched(name: str, clip: bytes, eye: _Eye, seconds: float) -> VideoAnalysis:
    """Puts together what a visitor gets; the documents, which take more memory than all of it, are let go."""
    documents = [{"source": name, "frames": eye.documents}]
    return VideoAnalysis(
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


def _kind(content: bytes) -> Kind:
    """Says whether this is a video or an animated picture; what else there is, playlists for one, is not opened."""
    kind = kind_of(content)
    if kind is Kind.VIDEO or (kind is Kind.PICTURE and is_animated(content)):
        return kind
    raise VideoError(
        "expected an MP4, MOV, WebM, MKV or AVI file, another video or an animated picture, received another; "
        "save it as MP4"
    )


def _opened(path: Path, kind: Kind, limits: Limits) -> VideoSource | AnimationSource:
    return VideoSource(path, most_pixels=limits.picture_pixels) if kind is Kind.VIDEO else AnimationSource(path)


def _stated(source: VideoSource | AnimationSource, limits: Limits) -> tuple[float, float]:
    """Returns the frames a second and the seconds that a video states; refuses what is too much.

    The seconds are 0 where it does not say.
    """
    if isinstance(source, AnimationSource):
        width, height = source.size
        if width * height > limits.picture_pixels:
            most = f"expected frames of at most {limits.picture_pixels / 1e6:g} million pixels"
            raise VideoError(f"{most}, received {width} x {height}; make it smaller")
        return source.fps, 0.0
    fps, seconds = source.decoder.fps, source.decoder.seconds
    if fps > _MOST_FPS:
        raise VideoError(f"expected at most {_MOST_FPS} frames a second, received {fps:.0f}; save it with fewer")
    _check_length(seconds, limits)
    return fps, seconds


def _check_length(seconds: float, limits: Limits, frames: int = 0) -> None:
    if seconds > limits.video_seconds or frames > _MOST_FPS * limits.video_seconds:
        raise VideoError(f"expected at most {limits.video_seconds:.0f} seconds, received more; cut it shorter")


def _refusal(error: Exception, path: Path) -> VideoError:
    """Returns what to tell a visitor, who never sees a path."""
    reason = str(error).removeprefix(f"{path}: ")
    if isinstance(error, SourceError) and str(path.parent) not in reason:
        return VideoError(reason)
    return VideoError("expected a video that can be read, received a broken one or none; try it in a player")
