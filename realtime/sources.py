"""Where frames come from: a camera, a stream, a video, a picture, or a folder of pictures and videos."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, cast
from urllib.parse import urlsplit

import cv2
import numpy as np

from embeddings.labelled import Skipped
from embeddings.pictures import PictureError, read_rgb
from realtime.faces import ByteArray
from realtime.quiet import quiet_opencv

logger = logging.getLogger(__name__)

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
VIDEOS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mjpeg", ".wmv", ".ogv", ".y4m", ".3gp")

# For files and streams that do not say how fast they are.
_USUAL_FPS = 25.0

_STREAM_TIMEOUT_MS = 10_000


class SourceError(ValueError):
    """A source that gives no frames: no camera, no such file, nothing readable in it."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture out of a source.

    Attributes:
        source: What it came from: the file's path, the stream's address without password, or "camera 0".
        index: Its number within that, from 0.
        time: Seconds since the first frame of that; 0 for a picture.
        bgr: `(h, w, 3)` uint8 in [0, 255], BGR, upright.
        fps: Frames a second of the video; None for a picture.
    """

    source: str
    index: int
    time: float
    bgr: ByteArray
    fps: float | None


class Source(ABC):
    """Frames to go through once, in a `with` block, whose end frees the camera or file.

    Attributes:
        live: Whether frames keep coming in their own time, so that old ones should be dropped.
        root: The folder that the frames' files lie in, where the source is a folder.
        skipped: What could not be read so far, and why.
    """

    def __init__(self, *, live: bool = False, root: Path | None = None) -> None:
        self.live = live
        self.root = root
        self.skipped: list[Skipped] = []

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yields the frames, in order.

        Raises:
            SourceError: there is none, or a camera stops.
        """

    def close(self) -> None:  # noqa: B027 (most have nothing to do)
        """Frees what the source holds; most hold nothing between two frames."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_source(spec: str, *, clock: Callable[[], float] = time.monotonic) -> Source:
    """Opens a source.

    Args:
        spec: A camera's number ("0"), an address ("rtsp://..."), or the path of a picture, a video or a folder. A file
            whose name is a number is "./0".
        clock: Seconds, for the times of a camera's frames.

    Raises:
        SourceError: there is no such camera or file, it cannot be read, or the folder has no picture and no video.
    """
    if spec.isascii() and spec.isdigit():
        return VideoSource(int(spec), f"camera {spec}", clock=clock)
    if "://" in spec:
        return VideoSource(spec, _without_password(spec))
    path = Path(spec)
    if path.is_dir():
        return FolderSource(path)
    if not path.is_file():
        raise SourceError(f"{spec}: expected a camera's number, an address, a file or a folder, found no such path")
    return _open_file(path)


class VideoSource(Source):
    """The frames of a camera, a stream or a video file.

    Args:
        spec: What OpenCV opens: a camera's number, an address or a path.
        name: What to call it in results and messages.
        clock: Seconds; frames of a camera are timed with it, those of files by the file.

    Raises:
        SourceError: it cannot be opened.
    """

    def __init__(self, spec: int | str, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(live=isinstance(spec, int) or "://" in spec)
        self._name, self._camera, self._clock = name, isinstance(spec, int), clock
        with quiet_opencv():
            self._capture = _open_capture(spec)
        if not self._capture.isOpened():
            raise SourceError(_cannot_open(spec, name))
        stated = self._capture.get(cv2.CAP_PROP_FPS)
        self._fps = stated if 1 <= stated <= 1000 else _USUAL_FPS

    def __iter__(self) -> Iterator[Frame]:
        start = self._clock()
        index = 0
        while True:
            read, picture = self._capture.read()
            if not read:
                break
            at = self._clock() - start if self._camera else self._stated_time(index)
            yield Frame(self._name, index, at, cast(ByteArray, picture), self._fps)
            index += 1
        if index == 0:
            raise SourceError(f"{self._name}: expected frames, received none; is it a video, and not in use elsewhere?")
        if self._camera:
            raise SourceError(
                f"{self._name}: expected more frames, received none after {index}; is it still plugged in?"
            )

    def _stated_time(self, index: int) -> float:
        stated = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        return stated if stated > 0 else index / self._fps

    def close(self) -> None:
        """Frees the camera or file."""
        self._capture.release()


class PictureSource(Source):
    """A picture as a source of one frame.

    Raises:
        SourceError: it cannot be read.
    """

    live = False

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            self._bgr = np.ascontiguousarray(read_rgb(path)[..., ::-1])
        except (PictureError, OSError) as error:
            raise SourceError(f"{path}: {error}") from error
        self._name = str(path)

    def __iter__(self) -> Iterator[Frame]:
        yield Frame(self._name, 0, 0.0, self._bgr, None)


class FolderSource(Source):
    """The pictures and videos in a folder and the folders within, in the order of their paths, without hidden ones.

    Raises:
        SourceError: there is none.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root=root)
        found = (path for path in root.rglob("*") if not any(part[0] == "." for part in path.relative_to(root).parts))
        self._files = sorted(path for path in found if path.suffix.lower() in PICTURES + VIDEOS and path.is_file())
        if not self._files:
            raise SourceError(f"{root}: expected a folder with pictures or videos, found none; name another")

    def __iter__(self) -> Iterator[Frame]:
        for path in self._files:
            try:
                with _open_file(path) as source:
                    yield from source
            except SourceError as error:
                logger.info("skipped: %s", error)
                self.skipped.append(Skipped(str(path), str(error).removeprefix(f"{path}: ")))
        if len(self.skipped) == len(self._files):
            first = self.skipped[0]
            raise SourceError(
                f"{self.root}: expected readable pictures or videos, could read none of {len(self._files)}; "
                f"{first.source}: {first.reason}"
            )


def _open_file(path: Path) -> VideoSource | PictureSource:
    if path.suffix.lower() in VIDEOS:
        return VideoSource(str(path), str(path))
    return PictureSource(path)


def _open_capture(spec: int | str) -> cv2.VideoCapture:
    if isinstance(spec, int):
        capture = cv2.VideoCapture(spec)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        return capture
    if "://" not in spec:
        return cv2.VideoCapture(spec, cv2.CAP_FFMPEG)
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _STREAM_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _STREAM_TIMEOUT_MS]
    return cv2.VideoCapture(spec, cv2.CAP_FFMPEG, limits)


def _cannot_open(spec: int | str, name: str) -> str:
    if isinstance(spec, int):
        return f"{name}: expected a camera, found none that can be opened; is it plugged in, allowed and not in use?"
    return f"{name}: expected a video that can be read, received none; try it in a player"


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
