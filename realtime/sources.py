"""Where frames come from: a camera, a stream, a video, a picture, or a folder of pictures and videos."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import cv2

from embeddings.labelled import Skipped
from embeddings.pictures import PictureError, read_bgr
from realtime.camera_options import AS_IT_IS, CameraOptions
from realtime.cameras import LiveSource
from realtime.faces import ByteArray
from realtime.frames import Frame, Source, SourceError, usable_fps
from realtime.quiet import quiet_opencv

__all__ = ["CameraOptions", "Frame", "Source", "SourceError", "open_source", "without_password"]

logger = logging.getLogger(__name__)

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
VIDEOS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mjpeg", ".wmv", ".ogv", ".y4m", ".3gp")


def open_source(
    spec: str,
    *,
    options: CameraOptions | None = None,
    on_event: Callable[[str], None] = logger.warning,
    clock: Callable[[], float] = time.monotonic,
) -> Source:
    """Opens a source.

    Args:
        spec: A camera's number ("0"), an address ("rtsp://..."), or the path of a picture, a video or a folder. A file
            whose name is a number is "./0".
        options: What is wished of a camera or stream, and how long it is tried again once it is lost. By default it is
            taken as it is, and the end when it is lost. Files can only be mirrored.
        on_event: Told, in one line, when a camera is lost, when it is back, and when it is not as was wished.
        clock: Seconds, for the times of a camera's or stream's frames.

    Raises:
        SourceError: there is no such camera or file, it cannot be read, or the folder has no picture and no video.
    """
    wished = options or AS_IT_IS
    if spec.isascii() and spec.isdigit():
        return LiveSource(int(spec), f"camera {spec}", wished, on_event=on_event, clock=clock)
    if "://" in spec:
        return LiveSource(spec, without_password(spec), wished, on_event=on_event, clock=clock)
    source = _open_path(spec)
    return Mirrored(source) if wished.mirror else source


def _open_path(spec: str) -> Source:
    path = Path(spec)
    if path.is_dir():
        return FolderSource(path)
    if not path.is_file():
        raise SourceError(f"{spec}: expected a camera's number, an address, a file or a folder, found no such path")
    return _open_file(path)


class VideoSource(Source):
    """The frames of a video file.

    Args:
        path: The file.

    Raises:
        SourceError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._name = str(path)
        with quiet_opencv():
            self._capture = cv2.VideoCapture(self._name, cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise SourceError(f"{path}: expected a video that can be read, received none; try it in a player")
        self._fps = usable_fps(self._capture.get(cv2.CAP_PROP_FPS))

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while True:
            read, picture = self._capture.read()
            if not read:
                break
            stated = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            at = stated if stated > 0 else index / self._fps
            yield Frame(self._name, index, at, cast(ByteArray, picture), self._fps)
            index += 1
        if index == 0:
            raise SourceError(f"{self._name}: expected frames, received none; is it a video?")

    def close(self) -> None:
        """Frees the file."""
        self._capture.release()


class Mirrored(Source):
    """The frames of another source, left and right exchanged."""

    def __init__(self, source: Source) -> None:
        super().__init__(live=source.live, root=source.root)
        self._source, self.skipped = source, source.skipped

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            yield replace(frame, bgr=cast(ByteArray, cv2.flip(frame.bgr, 1)))

    def close(self) -> None:
        """Frees what the other source holds."""
        self._source.close()


class PictureSource(Source):
    """A picture as a source of one frame.

    Raises:
        SourceError: it cannot be read.
    """

    live = False

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            self._bgr = read_bgr(path)
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
        return VideoSource(path)
    return PictureSource(path)


def without_password(address: str) -> str:
    """Returns an address, or whatever else names a source, as it may be shown and kept."""
    if "://" not in address:
        return address
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
