"""Where frames come from: a camera, a stream, a video, a picture, or a folder of pictures and videos."""

import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import cv2
import numpy as np

from moodspace.arrays import ByteArray
from moodspace.embeddings.data.labelled import Skipped
from moodspace.embeddings.data.layout import is_visible
from moodspace.embeddings.files.kind import Kind, file_kind
from moodspace.embeddings.files.paths import FILE, FOLDER, what_is
from moodspace.embeddings.pictures import PictureError, is_animated, read_bgr, read_frames
from moodspace.realtime.capture.cameras import AS_IT_IS, CameraOptions, LiveSource
from moodspace.realtime.capture.decoder import MAX_PIXELS, Decoder
from moodspace.realtime.capture.source import Frame, Source, SourceError, usable_fps

__all__ = ["CameraOptions", "Frame", "Source", "SourceError", "open_source", "without_password"]

logger = logging.getLogger(__name__)

_CAMERA_DEVICE = re.compile(r"/dev/video(\d+)")


def open_source(
    spec: str,
    *,
    options: CameraOptions | None = None,
    on_event: Callable[[str], None] = logger.warning,
    clock: Callable[[], float] = time.monotonic,
    files_only: bool = False,
) -> Source:
    """Opens a source.

    Args:
        spec: A camera's number ("0"), an address ("rtsp://..."), or the path of a picture, a video or a folder. A file
            whose name is a number is "./0".
        options: What is wished of a camera or stream, and how long it is tried again once it is lost. By default it is
            taken as it is, and the end when it is lost. Files can only be mirrored.
        on_event: Told, in one line, when a camera is lost, when it is back, and when it is not as was wished.
        clock: Seconds, for the times of a camera's or stream's frames.
        files_only: Whether to take pictures, videos and folders alone.

    Raises:
        SourceError: there is no such camera or file, it cannot be read, or the folder has no picture and no video.
    """
    wished = options or AS_IT_IS
    if files_only:
        return _open_path(spec, "a picture, a video or a folder")
    if spec.isascii() and spec.isdigit():
        return LiveSource(int(spec), f"camera {spec}", wished, on_event=on_event, clock=clock)
    if "://" in spec:
        return LiveSource(spec, without_password(spec), wished, on_event=on_event, clock=clock)
    source = _open_path(spec, "a camera's number, an address, a file or a folder")
    return Mirrored(source) if wished.mirror else source


def _open_path(spec: str, expected: str) -> Source:
    found = what_is(spec)
    if found == FOLDER:
        return FolderSource(Path(spec))
    if found == FILE:
        return _open_file(Path(spec))
    if spec.isascii() and spec.isdigit():
        raise SourceError(f"{spec}: expected {expected}, got camera {spec}; watch it with `live --source {spec}`")
    if "://" in spec:
        address = without_password(spec)
        raise SourceError(f"{address}: expected {expected}, got an address; watch it with `live --source {address}`")
    camera = _CAMERA_DEVICE.fullmatch(spec)
    advice = f"; name a camera by its number, {camera[1]}" if camera else ""
    raise SourceError(f"{spec or repr(spec)}: expected {expected}, found {found}{advice}")


class VideoSource(Source):
    """The frames of a video file; a file that ends early or is damaged is `incomplete` after its last frame.

    Args:
        path: The file.
        most_pixels: How large a frame may be.

    Attributes:
        decoder: Tells how large, long and fast the video is.

    Raises:
        SourceError: it cannot be read.
    """

    def __init__(self, path: Path, *, most_pixels: int = MAX_PIXELS) -> None:
        super().__init__()
        self._name = str(path)
        try:
            self.decoder = Decoder(path, most_pixels=most_pixels)
        except (SourceError, OSError) as error:
            raise SourceError(f"{path}: {error}") from error

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        try:
            for index, (bgr, time) in enumerate(self.decoder, 1):
                yield Frame(self._name, index - 1, time, bgr, self.decoder.fps)
        except SourceError as error:
            raise SourceError(f"{self._name}: {error}") from error
        problem = self.decoder.problem
        if index == 0:
            raise SourceError(f"{self._name}: {problem or 'expected frames, received none; is it a video?'}")
        if problem:
            self.incomplete.append(Skipped(self._name, problem))

    def close(self) -> None:
        """Frees the file."""
        self.decoder.close()


class AnimationSource(Source):
    """The frames of an animated picture, GIF, WebP, APNG or AVIF, as those of a video.

    Args:
        path: The file.

    Attributes:
        size: Width and height, pixels.
        fps: Frames a second, as the first frame lasts.

    Raises:
        SourceError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        try:
            # Both are asked for before the frames are gone through; the first frame has them.
            rgb, seconds = next(read_frames(path))
        except (PictureError, OSError) as error:
            raise SourceError(f"{path}: {error}") from error
        self.size, self.fps = (rgb.shape[1], rgb.shape[0]), usable_fps(1 / seconds)

    def __iter__(self) -> Iterator[Frame]:
        index, time = 0, 0.0
        try:
            for rgb, seconds in read_frames(self._path):
                yield Frame(str(self._path), index, time, np.ascontiguousarray(rgb[..., ::-1]), self.fps)
                index, time = index + 1, time + seconds
        except (PictureError, OSError) as error:
            what = f"{index} frames, {time:.1f} s, were read"
            self.incomplete.append(Skipped(str(self._path), f"expected a whole animation, {what} ({error})"))


class Mirrored(Source):
    """The frames of another source, left and right exchanged."""

    def __init__(self, source: Source) -> None:
        super().__init__(live=source.live, root=source.root)
        self._source = source
        self.skipped, self.incomplete, self.left_out = source.skipped, source.incomplete, source.left_out

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

    What is a picture or a video is decided by content. A file that is neither, and whose name claims neither, is
    `left_out`.

    Raises:
        SourceError: there is none.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root=root)
        self._files: list[Path] = []
        for path in self._listed(root):
            if file_kind(path) is Kind.OTHER:
                self.left_out.append(str(path))
            else:
                self._files.append(path)
        if not self._files and not self.skipped:
            raise SourceError(f"{root}: expected a folder with pictures or videos, found none; name another")

    def __iter__(self) -> Iterator[Frame]:
        read = 0
        for path in self._files:
            try:
                with _open_file(path) as source:
                    yield from source
                    self.incomplete += source.incomplete
                read += 1
            except SourceError as error:
                logger.info("skipped: %s", error)
                self.skipped.append(Skipped(str(path), str(error).removeprefix(f"{path}: ")))
        if not read:
            first = self.skipped[0]
            raise SourceError(
                f"{self.root}: expected readable pictures or videos, could read none of {len(self.skipped)}; "
                f"{first.source}: {first.reason}"
            )

    def _listed(self, root: Path) -> list[Path]:
        """Returns the files in a folder and below; a folder that cannot be looked into is skipped."""
        found: list[Path] = []

        def skip(error: OSError) -> None:
            reason = f"expected a folder that can be read, received: {error.strerror or error}"
            self.skipped.append(Skipped(str(error.filename), reason))

        for folder, folders, names in os.walk(root, onerror=skip):
            folders[:] = [name for name in folders if is_visible(name)]
            found += [Path(folder) / name for name in names if is_visible(name)]
        return sorted(found)


def _open_file(path: Path) -> Source:
    """Opens a file as what it holds.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        raise SourceError(f"{path}: expected a file that can be read, received: {error.strerror or error}") from error
    if not regular:
        raise SourceError(f"{path}: expected a file, received a pipe or a device")
    if file_kind(path) is Kind.VIDEO:
        return VideoSource(path)
    return AnimationSource(path) if is_animated(path) else PictureSource(path)


def without_password(address: str) -> str:
    """Returns an address, or whatever else names a source, as it may be shown and kept."""
    if "://" not in address:
        return address
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
