"""Recognize one video, or picture: its rows, one a face and frame, some at a time, and a summary at the end.

A video is read and followed as a session is, so that faces keep their ids, but every face is encoded in every frame.
Memory does not grow with its length.
"""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np

from moodspace.arrays import FloatArray
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.detection.detectors import open_detector, open_picture_detector
from moodspace.embeddings.detection.faces import Detector
from moodspace.embeddings.detection.quality import FaceQuality
from moodspace.errors import MoodspaceError
from moodspace.index.store.manifest import MANIFEST
from moodspace.index.taught.frozen import FrozenFaces, FrozenGallery
from moodspace.realtime.capture.files import AnimationSource, VideoSource, open_source
from moodspace.realtime.capture.sampling import ALL_FRAMES, Sampling
from moodspace.realtime.capture.source import Frame, Source
from moodspace.realtime.pipeline import FrameResult, LivePipeline, LiveResult, Pipeline, WholePicture

# Rows that are returned at a time, and seconds between two reports of progress.
_ROWS, _EVERY_S = 4096, 1.0

Columns: TypeAlias = dict[str, list[Any]]


class VideosError(MoodspaceError):
    """A table of videos that cannot be made: the settings changed, another program writes it, or a worker failed."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What one video showed.

    Attributes:
        video: The file, as it was named.
        seconds: Its duration, as far as it could be read; 0 for a picture.
        fps: Frames per second; None for a picture.
        width: Width of its frames in pixels.
        height: Height of its frames in pixels.
        frames: How many frames were looked at.
        frames_with_faces: How many of them showed a face.
        faces: How many faces were followed. A face that is out of sight for more than 1.5 s counts again.
        most_faces: The largest number of faces in one frame.
        rows: How many rows of the table it has.
        shares: For each expression, the share of the rows in which a face showed it, in [0, 1].
        unknown: The share of the rows in which a readable face showed no certain expression.
        unreadable: The share of the rows in which a face could not be read. The shares sum to 1, or are all 0 if there
            are no rows.
        changes: How often a face changed from one expression to another.
        problem: What is missing, if the file is damaged or could not be read; else empty.
        sha256: The SHA-256 of the file, 64 hexadecimal digits; empty if it could not be read.
    """

    video: str
    seconds: float = 0.0
    fps: float | None = None
    width: int = 0
    height: int = 0
    frames: int = 0
    frames_with_faces: int = 0
    faces: int = 0
    most_faces: int = 0
    rows: int = 0
    shares: Mapping[str, float] = field(default_factory=dict)
    unknown: float = 0.0
    unreadable: float = 0.0
    changes: int = 0
    problem: str = ""
    sha256: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return all fields as plain JSON values."""
        return asdict(self) | {"shares": dict(self.shares)}


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The next rows of a video.

    Attributes:
        columns: The values of each column, all of the same length.
    """

    columns: Columns


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the reading of a video is.

    Attributes:
        seconds: How many seconds of it were read.
        share: The share of the video that was read, in [0, 1].
    """

    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a video."""

    summary: Summary


@dataclass(frozen=True, slots=True)
class Failed:
    """A video that cannot be read.

    Attributes:
        reason: Why.
        missing: Whether there is no such file, as far as the process sees that tried to read it.
    """

    reason: str
    missing: bool = False


Event: TypeAlias = Rows | Progress | Done | Failed


@dataclass(frozen=True, slots=True)
class Job:
    """A file to read.

    Attributes:
        name: The file as the user named it.
        path: Its absolute path.
    """

    name: str
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class ReadSettings:
    """How videos are read; picklable, so that another process can open what it names.

    Attributes:
        bundle: The bundle's folder, absolute.
        bundle_sha256: The SHA-256 of its manifest, which lists the SHA-256 of each of its files.
        view: The view to predict.
        taught: The user's faces; None for none.
        detector: The detector that finds faces.
        detector_model: The detector's weights; None for those that ship with Moodspace.
        sampling: Which frames to look at.
        half_life: Smoothing half-life in seconds.
        crops: Whether each picture or frame is one cropped face.
    """

    bundle: Path
    bundle_sha256: str
    view: str
    taught: FrozenFaces | None = None
    detector: str = "centerface"
    detector_model: Path | None = None
    sampling: Sampling = field(default_factory=Sampling)
    half_life: float = 0.5
    crops: bool = False

    def open(self, threads: int = 1) -> "VideoReader":
        """Load the bundle and the detectors. The number of threads does not change any result.

        Raises:
            MoodspaceError: Something cannot be loaded, or the bundle was replaced since.
        """
        cv2.setNumThreads(threads)
        if (found := bundle_sha256(self.bundle)) != self.bundle_sha256:
            got = f"another one ({found[:8]})"
            raise VideosError(f"{self.bundle}: expected the bundle {self.bundle_sha256[:8]}, got {got}; start again")
        bundle = load_bundle(self.bundle, threads=threads)
        recognizer = Recognizer(bundle, self.view, FrozenGallery(self.taught))
        if self.crops:
            return VideoReader(recognizer, None, None, self.sampling, self.half_life)
        pictures = open_picture_detector(self.detector, self.detector_model)
        videos = open_detector(self.detector, self.detector_model)
        return VideoReader(recognizer, pictures, videos, self.sampling, self.half_life)


def read_settings(bundle: Path, view: str, **options: Any) -> ReadSettings:
    """Return how to read videos with a bundle as it is now.

    Args:
        bundle: The bundle's folder.
        view: The view to predict.
        options: Further fields of `ReadSettings`.
    """
    folder = bundle.resolve()
    return ReadSettings(folder, bundle_sha256(folder), view, **options)


def classes_of(recognizer: Recognizer, taught: FrozenFaces | None) -> tuple[str, ...]:
    """Return the classes of predictions with these taught faces, in order."""
    with_taught = Recognizer(recognizer.bundle, recognizer.label_set, FrozenGallery(taught))
    return with_taught.predict(np.zeros((0, SIZE, SIZE), np.uint8)).classes


def bundle_sha256(bundle: Path) -> str:
    """Return the SHA-256 of a bundle's manifest, which lists the SHA-256 of each of its files."""
    return hashlib.sha256((bundle / MANIFEST).read_bytes()).hexdigest()


class VideoReader:
    """Recognize videos and pictures, one after the other.

    Args:
        recognizer: The recognizer. Its taught faces must not change.
        pictures: The detector for pictures; None if each picture or frame is one cropped face.
        videos: The detector for videos; likewise.
        sampling: Which frames of a video to look at.
        half_life: Smoothing half-life in seconds.
        clock: Return the time in seconds; used for the reports of progress only.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        pictures: Detector | None,
        videos: Detector | None,
        sampling: Sampling = ALL_FRAMES,
        half_life: float = 0.5,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._recognizer, self._pictures, self._videos = recognizer, pictures, videos
        self._sampling, self._half_life, self._clock = sampling, half_life, clock
        self.classes = recognizer.predict(np.zeros((0, SIZE, SIZE), np.uint8)).classes

    def read(self, job: Job) -> Iterator[Event]:
        """Recognize the faces of a file.

        Args:
            job: The file.

        Yields:
            `Rows` and `Progress`, and at the end `Done`; or `Failed`, whatever is wrong with the file.
        """
        try:
            yield from self._read(job)
        except MemoryError:
            yield Failed("expected a video that fits into the free memory, got a larger one; use fewer --workers")
        except Exception as error:
            reason = " ".join(str(error).split()).removeprefix(f"{job.path}: ")
            known = isinstance(error, MoodspaceError | OSError)
            if isinstance(error, OSError):
                reason = f"expected a file that can be read, got: {error.strerror or error}"
            elif not known:
                reason = f"expected a video that can be read, got {type(error).__name__}: {reason}"
            yield Failed(reason, missing=not os.access(job.path, os.R_OK))

    def _read(self, job: Job) -> Iterator[Event]:
        before = job.path.stat()
        with open_source(str(job.path), files_only=True, sampling=self._sampling) as source:
            table = _Table(job.name, self.classes)
            process, told = self._process(source), self._clock()
            for frame in source:
                table.add(frame, process(frame))
                if len(table) >= _ROWS:
                    yield Rows(table.take())
                if self._clock() - told >= _EVERY_S:
                    told = self._clock()
                    yield Progress(frame.time, _share(source, frame.time))
            if len(table):
                yield Rows(table.take())
            sha256 = file_sha256(job.path)
            after = job.path.stat()
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                yield Failed("expected a file that stays the same, got one that changed while it was read; run again")
                return
            problem = source.incomplete[0].reason if source.incomplete else ""
            yield Done(table.summary(_lasted(source), problem, sha256))

    def _process(self, source: Source) -> Callable[[Frame], FrameResult | LiveResult]:
        """Return what recognizes the frames of a source."""
        recognizer = self._recognizer
        if self._pictures is None or self._videos is None:
            whole = WholePicture(recognizer)
            return lambda frame: whole.process(frame.bgr, frame.time)
        if isinstance(source, VideoSource | AnimationSource):
            live = LivePipeline(self._videos, recognizer, half_life=self._half_life, every_face=True)
            return lambda frame: live.process(frame.bgr, frame.time)
        picture = Pipeline(self._pictures, recognizer)
        return lambda frame: picture.process(frame.bgr, frame.time)


def _share(source: Source, time: float) -> float:
    stated = source.decoder.seconds if isinstance(source, VideoSource) else 0.0
    return min(time / stated, 1.0) if stated else 0.0


def _lasted(source: Source) -> float:
    if isinstance(source, VideoSource):
        return source.decoder.lasted
    return source.lasted if isinstance(source, AnimationSource) else 0.0


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Table:
    """The rows of one video that were not taken yet, and the counts of all.

    Args:
        video: The name of the file.
        classes: The names of the classes.
    """

    def __init__(self, video: str, classes: tuple[str, ...]) -> None:
        self._video, self._classes = video, classes
        self._columns: Columns = {name: [] for name in column_names(classes)}
        self._shown: Counter[str] = Counter()
        self._rows = self._frames = self._with_faces = self._most = self._changes = 0
        self._unknown = self._unreadable = 0
        self._size: tuple[int, int] = (0, 0)
        self._fps: float | None = None
        # The last expression of each face.
        self._last: dict[int, str] = {}
        self._faces: set[int] = set()

    def __len__(self) -> int:
        """Return the number of rows that can be taken."""
        return len(self._columns["video"])

    def take(self) -> Columns:
        """Return the rows added since the last call."""
        columns = self._columns
        self._columns = {name: [] for name in columns}
        return columns

    def add(self, frame: Frame, result: FrameResult | LiveResult) -> None:
        """Add the faces of a frame."""
        self._size, self._fps = (frame.bgr.shape[1], frame.bgr.shape[0]), frame.fps
        n, quality = len(result.faces), result.quality
        self._frames, self._with_faces, self._most = self._frames + 1, self._with_faces + (n > 0), max(self._most, n)
        if quality is None:
            raise ValueError("expected a result with the quality of its faces, got one without")
        for row in range(n):
            track, shown = self._face(result, row)
            self._count(track, shown, readable=bool(quality.good[row]))
            self._append(frame, result, quality, row, track, shown)

    def _face(self, result: FrameResult | LiveResult, row: int) -> tuple[int, str | None]:
        """Return a face's id and the expression that it shows, None for unknown."""
        if isinstance(result, LiveResult):
            track, column = int(result.track_ids[row]), int(result.shown[row])
        else:
            unknown = bool(result.prediction.unknown[row])
            track, column = row + 1, -1 if unknown else int(result.prediction.labels[row])
        return track, self._classes[column] if column >= 0 else None

    def _count(self, track: int, shown: str | None, *, readable: bool) -> None:
        self._rows += 1
        self._faces.add(track)
        if not readable:
            self._unreadable += 1
        elif shown is None:
            self._unknown += 1
        else:
            self._shown[shown] += 1
            self._changes += self._last.get(track, shown) != shown
            self._last[track] = shown

    def _append(
        self,
        frame: Frame,
        result: FrameResult | LiveResult,
        quality: FaceQuality,
        row: int,
        track: int,
        shown: str | None,
    ) -> None:
        values = [
            self._video, frame.index, round(frame.time, 3), track, *_rounded(result.faces.xywh[row], 1),
            *_rounded(result.faces.confidence[row : row + 1], 4), shown, bool(quality.good[row]),
            quality.reasons[row] or None,
            *_rounded(np.array([quality.size[row]]), 1), *_rounded(np.array([quality.sharpness[row]]), 4),
            *_rounded(np.array([quality.yaw[row]]), 1), *_rounded(result.prediction.proba[row], 4),
        ]  # fmt: skip
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)

    def summary(self, seconds: float, problem: str, sha256: str) -> Summary:
        """Return the summary of all rows."""
        rows = max(self._rows, 1)
        return Summary(
            self._video, round(seconds, 3), None if self._fps is None else round(self._fps, 3), *self._size,
            self._frames, self._with_faces, len(self._faces), self._most, self._rows,
            {name: round(self._shown[name] / rows, 4) for name in self._classes},
            round(self._unknown / rows, 4), round(self._unreadable / rows, 4), self._changes, problem, sha256,
        )  # fmt: skip


def column_names(classes: tuple[str, ...]) -> list[str]:
    """Return the names of the table's columns, for the classes of the predictions."""
    place = ["video", "frame", "time", "face", "left", "top", "width", "height", "detection"]
    read = ["expression", "readable", "reason", "size_px", "sharpness", "yaw_degrees"]
    return [*place, *read, *(f"probability_{name}" for name in classes)]


def _rounded(values: FloatArray, digits: int) -> list[float | None]:
    """Return rounded numbers; None for NaN and infinity."""
    return [round(value, digits) if np.isfinite(value) else None for value in values.astype(np.float64).tolist()]
