"""Open a source: a camera, a stream, a video, a picture, or a folder of pictures and videos."""

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
from moodspace.embeddings.files.paths import FILE, FOLDER, describe_path
from moodspace.embeddings.pictures import PictureError, is_animated, read_bgr, read_frames
from moodspace.realtime.capture.cameras import READ_ONCE, CameraOptions, LiveSource
from moodspace.realtime.capture.decoder import MAX_PIXELS, Decoder
from moodspace.realtime.capture.sampling import ALL_FRAMES, Sampling
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
    sampling: Sampling = ALL_FRAMES,
) -> Source:
    """Open a source.

    Args:
        spec: A camera's number ("0"), an address ("rtsp://..."), or the path of a picture, a video or a folder. Write
            "./0" for a file whose name is a number.
        options: How to open a camera or stream. By default it is not mirrored, and not reopened when it is lost. Of the
            options, files follow `mirror` only.
        on_event: Called with a one-line message when a camera is lost, when it is back, and when it does not follow the
            options.
        clock: Return the time in seconds; used for the times of a camera's or stream's frames.
        files_only: Whether to refuse cameras and streams.
        sampling: Which frames of videos to yield; cameras and streams yield all.

    Raises:
        SourceError: There is no such camera or file, it cannot be read, or the folder has no pictures or videos.
    """
    chosen = options or READ_ONCE
    if files_only:
        return _open_path(spec, "a picture, a video or a folder", sampling)
    if spec.isascii() and spec.isdigit():
        return LiveSource(int(spec), f"camera {spec}", chosen, on_event=on_event, clock=clock)
    if "://" in spec:
        return LiveSource(spec, without_password(spec), chosen, on_event=on_event, clock=clock)
    source = _open_path(spec, "a camera's number, an address, a file or a folder", sampling)
    return Mirrored(source) if chosen.mirror else source


def _open_path(spec: str, expected: str, sampling: Sampling) -> Source:
    found = describe_path(spec)
    if found == FOLDER:
        return FolderSource(Path(spec), sampling=sampling)
    if found == FILE:
        return _open_file(Path(spec), sampling)
    if spec.isascii() and spec.isdigit():
        raise SourceError(f"{spec}: expected {expected}, got camera {spec}; watch it with `live --source {spec}`")
    if "://" in spec:
        address = without_password(spec)
        raise SourceError(f"{address}: expected {expected}, got an address; watch it with `live --source {address}`")
    camera = _CAMERA_DEVICE.fullmatch(spec)
    advice = f"; name a camera by its number, {camera[1]}" if camera else ""
    raise SourceError(f"{spec or repr(spec)}: expected {expected}, got {found}{advice}")


class VideoSource(Source):
    """The frames of a video file. A truncated or damaged file is listed in `incomplete` after its last frame.

    Args:
        path: The file.
        most_pixels: The maximum size of a frame in pixels.
        sampling: Which frames to yield.

    Attributes:
        decoder: The decoder, with the video's size, duration and frame rate.

    Raises:
        SourceError: The file cannot be read.
    """

    def __init__(self, path: Path, *, most_pixels: int = MAX_PIXELS, sampling: Sampling = ALL_FRAMES) -> None:
        super().__init__()
        self._name = str(path)
        due = None if sampling.all_frames else sampling.due()
        try:
            self.decoder = Decoder(path, most_pixels=most_pixels, due=due)
        except (SourceError, OSError) as error:
            raise SourceError(f"{path}: {error}") from error

    def __iter__(self) -> Iterator[Frame]:
        found = False  # the first frame is always asked for
        try:
            for bgr, time in self.decoder:
                found = True
                yield Frame(self._name, self.decoder.read - 1, time, bgr, self.decoder.fps)
        except SourceError as error:
            raise SourceError(f"{self._name}: {error}") from error
        problem = self.decoder.problem
        if not found:
            raise SourceError(f"{self._name}: {problem or 'expected frames, got none; is it a video?'}")
        if problem:
            self.incomplete.append(Skipped(self._name, problem))

    def close(self) -> None:
        """Close the file."""
        self.decoder.close()


class AnimationSource(Source):
    """The frames of an animated GIF, WebP, APNG or AVIF, as those of a video.

    Args:
        path: The file.
        sampling: Which frames to yield.

    Attributes:
        size: Width and height in pixels.
        fps: Frames per second, by the duration of the first frame.
        lasted: Seconds from the first frame to the end of the last one read.

    Raises:
        SourceError: The file cannot be read.
    """

    def __init__(self, path: Path, *, sampling: Sampling = ALL_FRAMES) -> None:
        super().__init__()
        self._path, self._sampling = path, sampling
        self.lasted = 0.0
        try:
            # Size and rate are needed before the frames are iterated; the first frame has both.
            rgb, seconds = next(read_frames(path))
        except (PictureError, OSError) as error:
            raise SourceError(f"{path}: {error}") from error
        self.size, self.fps = (rgb.shape[1], rgb.shape[0]), usable_fps(1 / seconds)

    def __iter__(self) -> Iterator[Frame]:
        index, due = 0, self._sampling.due()
        try:
            for rgb, seconds in read_frames(self._path):
                time, self.lasted = self.lasted, self.lasted + seconds
                if due(index, time):
                    yield Frame(str(self._path), index, time, np.ascontiguousarray(rgb[..., ::-1]), self.fps)
                index += 1
        except (PictureError, OSError) as error:
            what = f"{index} frames, {self.lasted:.1f} s, were read"
            self.incomplete.append(Skipped(str(self._path), f"expected a whole animation, {what} ({error})"))


class Mirrored(Source):
    """The frames of another source, flipped horizontally."""

    def __init__(self, source: Source) -> None:
        super().__init__(live=source.live, root=source.root)
        self._source = source
        self.skipped, self.incomplete, self.left_out = source.skipped, source.incomplete, source.left_out

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            yield replace(frame, bgr=cast(ByteArray, cv2.flip(frame.bgr, 1)))

    def close(self) -> None:
        """Close the other source."""
        self._source.close()


class PictureSource(Source):
    """A picture, as a source of one frame.

    Args:
        path: The file.

    Raises:
        SourceError: The file cannot be read.
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
    """The pictures and videos in a folder and its subfolders, sorted by path, without hidden files.

    The content decides whether a file is a picture or a video. A file that is neither, by its content and its name, is
    listed in `left_out`.

    Args:
        root: The folder.
        sampling: Which frames of videos to yield.

    Attributes:
        files: The pictures and videos.

    Raises:
        SourceError: There are no pictures or videos.
    """

    def __init__(self, root: Path, *, sampling: Sampling = ALL_FRAMES) -> None:
        super().__init__(root=root)
        self._sampling = sampling
        self.files: list[Path] = []
        for path in self._listed(root):
            if file_kind(path) is Kind.OTHER:
                self.left_out.append(str(path))
            else:
                self.files.append(path)
        if not self.files and not self.skipped:
            raise SourceError(f"{root}: expected a folder with pictures or videos, got one without; name another")

    def __iter__(self) -> Iterator[Frame]:
        read = 0
        for path in self.files:
            try:
                with _open_file(path, self._sampling) as source:
                    yield from source
                    self.incomplete += source.incomplete
                read += 1
            except SourceError as error:
                logger.info("skipped: %s", error)
                self.skipped.append(Skipped(str(path), str(error).removeprefix(f"{path}: ")))
        if not read:
            first = self.skipped[0]
            raise SourceError(
                f"{self.root}: expected a picture or video that can be read, got none among {len(self.skipped)}; "
                f"{first.source}: {first.reason}"
            )

    def _listed(self, root: Path) -> list[Path]:
        """Return the files in a folder and its subfolders; skip folders that cannot be read."""
        found: list[Path] = []

        def skip(error: OSError) -> None:
            reason = f"expected a folder that can be read, got: {error.strerror or error}"
            self.skipped.append(Skipped(str(error.filename), reason))

        for folder, folders, names in os.walk(root, onerror=skip):
            folders[:] = [name for name in folders if is_visible(name)]
            found += [Path(folder) / name for name in names if is_visible(name)]
        return sorted(found)


def _open_file(path: Path, sampling: Sampling = ALL_FRAMES) -> Source:
    """Open a file as a video, an animation or a picture, by its content.

    Raises:
        SourceError: The file cannot be read.
    """
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        raise SourceError(f"{path}: expected a file that can be read, got: {error.strerror or error}") from error
    if not regular:
        raise SourceError(f"{path}: expected a file, got a pipe or a device")
    if file_kind(path) is Kind.VIDEO:
        return VideoSource(path, sampling=sampling)
    return AnimationSource(path, sampling=sampling) if is_animated(path) else PictureSource(path)


def without_password(address: str) -> str:
    """Return a source's name without the password of an address, to be shown and stored."""
    if "://" not in address:
        return address
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
