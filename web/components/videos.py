"""Analyze a video: predictions frame by frame, and an annotated copy that browsers play."""

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
from moodspace.embeddings.crops import crop_faces
from moodspace.embeddings.files.kind import Kind, kind_of
from moodspace.embeddings.pictures import is_animated
from moodspace.errors import MoodspaceError
from moodspace.realtime.capture.files import AnimationSource, VideoSource
from moodspace.realtime.capture.source import Frame, SourceError
from moodspace.realtime.documents import frame_document
from moodspace.realtime.drawing.annotate import drawn
from moodspace.realtime.drawing.video import OutputError, VideoWriter
from moodspace.realtime.pipeline import FrameResult
from moodspace.realtime.tracking.association import appearances, associate, overlaps
from moodspace.web.components.results import as_csv, as_json
from moodspace.web.components.timeline import mean_shares
from moodspace.web.server.settings import Limits

Recognize = Callable[[ByteArray], FrameResult]
Progress = Callable[[float, float], None]

# No camera exceeds 240 fps; a higher rate is a damaged header.
_MAX_FPS = 240
# Seconds for which a face may be out of sight and keep its number.
_LONGEST_ABSENCE_S = 1.5


class VideoError(MoodspaceError):
    """A video that cannot be analyzed; says in one line what was expected, what it got, and what to do."""


@dataclass(slots=True, eq=False)
class FaceTrack:
    """One face through a video.

    Attributes:
        number: Its number in this video, from 1; it does not identify a person.
        times: The times of its frames in seconds, ascending.
        shown: The column of its expression in each of these frames, -1 for unsure.
    """

    number: int
    times: list[float]
    shown: list[int]


@dataclass(frozen=True, slots=True, eq=False)
class VideoAnalysis:
    """The result for a video.

    Attributes:
        name: The file's name on the visitor's device; a name to show, never a path.
        clip: The annotated copy, an H.264 MP4 file.
        json: The predictions as `moodspace predict --json` prints them.
        csv: The predictions as a table.
        frames: Number of analyzed frames.
        with_face: Number of analyzed frames with a face.
        classes: The C classes.
        shares: `(s, C)` float64, the mean probabilities over time, as `timeline.mean_shares` returns them.
        seconds: Length of the video.
        tracks: The faces that were followed through the video; show them only with the consent of everyone in it.
        incomplete: What is missing of a video that ends early, in one line; empty for a whole video.
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
    tracks: tuple[FaceTrack, ...] = ()
    incomplete: str = ""


def analyze_video(
    name: str, content: bytes, recognize: Recognize, recognizer: Recognizer, limits: Limits, progress: Progress
) -> VideoAnalysis:
    """Analyze the frames of a video, at most as many per second as the limits allow.

    Frames in between repeat the last result. The file lies in a private folder, which is removed when this function
    returns or is interrupted.

    Args:
        name: The file's name, to show.
        content: The file's bytes.
        recognize: Finds and recognizes the faces of a frame.
        recognizer: The recognizer that `recognize` uses.
        limits: The limits on length, size and frame rate.
        progress: Called after each frame with the seconds done and the total seconds, 0 if unknown; an exception that
            it raises stops the analysis.

    Raises:
        VideoError: The video cannot be read, or exceeds a limit.
    """
    if len(content) > limits.video_bytes:
        most, got = limits.video_bytes / 2**20, len(content) / 2**20
        raise VideoError(f"expected a video of at most {most:.0f} MB, got {got:.1f} MB; cut it or make it smaller")
    kind = _kind(content)
    with tempfile.TemporaryDirectory(prefix="moodspace-") as folder:
        original, copy = Path(folder) / "original", Path(folder) / "annotated.mp4"
        original.write_bytes(content)
        analyzer = _FrameAnalyzer(recognize, recognizer, limits.frames_per_second)
        try:
            with _opened(original, kind, limits) as source:
                fps, stated = _stated(source, limits)
                with VideoWriter(copy, fps) as writer:
                    for frame in source:
                        _check_length(frame.time, limits, frame.index)
                        writer.write(drawn(frame.bgr, analyzer.analyze(frame)))
                        progress(frame.time, stated)
        except (SourceError, OutputError, cv2.error) as error:
            raise _refusal(error, original) from error
        seconds = frame.time + 1 / fps
        incomplete = source.incomplete[0].reason if source.incomplete else ""
        return replace(_analysis(name, copy.read_bytes(), analyzer, seconds), incomplete=incomplete)


class _FrameAnalyzer:
    """Analyzes at most `most` frames per second of the video; other frames repeat the last result."""

    def __init__(self, recognize: Recognize, recognizer: Recognizer, most: float) -> None:
        self._recognize, self._recognizer = recognize, recognizer
        # 1 % less, so that frames at exactly this rate are all analyzed.
        self._interval = 0.99 / most
        self._last: tuple[float, FrameResult] | None = None
        self.faces = _FaceLinker()
        self.documents: list[dict[str, Any]] = []

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the last result."""
        return self._last[1].prediction.classes if self._last else ()

    def analyze(self, frame: Frame) -> FrameResult:
        if self._last is not None and frame.time - self._last[0] < self._interval:
            return self._last[1]
        result = self._recognize(frame.bgr)
        document = frame_document(frame, result, self._recognizer)
        self.documents.append({"time": document["time"], "faces": document["faces"]})
        self._last = (frame.time, result)
        self.faces.add(frame, result)
        return result


class _FaceLinker:
    """Links the faces of analyzed frames to tracks, as `live` does with detections."""

    def __init__(self) -> None:
        self.tracks: list[FaceTrack] = []
        self._boxes = np.zeros((0, 4), np.float32)
        self._looks = np.zeros((0, 64), np.float32)

    def add(self, frame: Frame, result: FrameResult) -> None:
        faces, unsure = result.faces, result.prediction.unknown
        found, looks = faces.xywh, appearances(crop_faces(frame.bgr, faces.landmarks))
        current = [at for at, track in enumerate(self.tracks) if frame.time - track.times[-1] <= _LONGEST_ABSENCE_S]
        away = np.array([frame.time - self.tracks[at].times[-1] for at in current], np.float64)
        whole = (overlaps(found, found) > 0).sum(axis=1) <= 1
        pairs = associate(self._boxes[current], self._looks[current], away, found, looks, whole)
        owner = {face: current[row] for row, face in pairs}
        for face in range(len(found)):
            at = owner.get(face, len(self.tracks))
            if at == len(self.tracks):
                self.tracks.append(FaceTrack(at + 1, [], []))
                self._boxes = np.vstack([self._boxes, found[face]])
                self._looks = np.vstack([self._looks, looks[face]])
            self._boxes[at], self._looks[at] = found[face], looks[face]
            column = int(result.prediction.proba[face].argmax())
            self.tracks[at].times.append(frame.time)
            self.tracks[at].shown.append(-1 if unsure[face] else column)


def _analysis(name: str, clip: bytes, analyzer: _FrameAnalyzer, seconds: float) -> VideoAnalysis:
    """Put the result together, without the documents, which take more memory than the rest."""
    documents = [{"source": name, "frames": analyzer.documents}]
    return VideoAnalysis(
        name,
        clip,
        as_json(documents),
        as_csv(documents),
        len(analyzer.documents),
        sum(bool(one["faces"]) for one in analyzer.documents),
        analyzer.classes,
        mean_shares(analyzer.documents, seconds, analyzer.classes),
        seconds,
        tuple(analyzer.faces.tracks),
    )


def _kind(content: bytes) -> Kind:
    """Return whether this is a video or an animated picture; raise VideoError for anything else, such as a playlist."""
    kind = kind_of(content)
    if kind is Kind.VIDEO or (kind is Kind.PICTURE and is_animated(content)):
        return kind
    raise VideoError(
        "expected an MP4, MOV, WebM, MKV or AVI file, another video or an animated picture, got another; save it as MP4"
    )


def _opened(path: Path, kind: Kind, limits: Limits) -> VideoSource | AnimationSource:
    return VideoSource(path, most_pixels=limits.picture_pixels) if kind is Kind.VIDEO else AnimationSource(path)


def _stated(source: VideoSource | AnimationSource, limits: Limits) -> tuple[float, float]:
    """Return the frame rate and the length in seconds that a video states, 0 for an unknown length.

    Raises:
        VideoError: A stated value exceeds a limit.
    """
    if isinstance(source, AnimationSource):
        width, height = source.size
        if width * height > limits.picture_pixels:
            most = f"expected frames of at most {limits.picture_pixels / 1e6:g} megapixels"
            raise VideoError(f"{most}, got {width} x {height}; make it smaller")
        return source.fps, 0.0
    fps, seconds = source.decoder.fps, source.decoder.seconds
    if fps > _MAX_FPS:
        raise VideoError(f"expected at most {_MAX_FPS} frames per second, got {fps:.0f}; save it with fewer")
    _check_length(seconds, limits)
    return fps, seconds


def _check_length(seconds: float, limits: Limits, frames: int = 0) -> None:
    if seconds > limits.video_seconds or frames > _MAX_FPS * limits.video_seconds:
        raise VideoError(f"expected at most {limits.video_seconds:.0f} seconds, got more; cut it shorter")


def _refusal(error: Exception, path: Path) -> VideoError:
    """Return the error for the visitor, without a path of the server."""
    reason = str(error).removeprefix(f"{path}: ")
    if isinstance(error, SourceError) and str(path.parent) not in reason:
        return VideoError(reason)
    return VideoError("expected a video that can be read, got a damaged one or none; try it in a player")
