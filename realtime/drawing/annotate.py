"""Write annotated copies of pictures and videos to a folder."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, cast
from urllib.parse import urlsplit

import cv2

from moodspace.arrays import ByteArray
from moodspace.embeddings.detection.faces import Faces
from moodspace.embeddings.detection.opencv_logging import quiet_opencv
from moodspace.embeddings.files.names import shortened_name, write_whole
from moodspace.realtime.capture.source import Frame
from moodspace.realtime.drawing.faces import draw
from moodspace.realtime.drawing.video import OutputError, VideoWriter
from moodspace.realtime.pipeline import FrameResult

_KEPT_FORMATS = (".jpg", ".jpeg", ".png")
_JPEG_QUALITY = 92

# Smaller pictures are enlarged: one of 48x48 has no room for a label. In pixels of the shorter side.
_SHORTEST_SIDE = 240
# The limit of that: a picture one pixel high must not become gigabytes large.
_LONGEST_SIDE = 4096


class Annotator:
    """Write annotated copies frame by frame; use it in a `with` block, whose end finishes the last video.

    JPEG and PNG files keep their format, other pictures become PNG, videos become H.264 without sound. A copy has its
    original's name, and its path below `root`. No file is replaced: if the name is taken, by an earlier copy or by the
    original itself, a number is added.

    Args:
        folder: The folder for the copies; made if missing.
        root: The folder of the originals, if they come from one.
    """

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        self.folder = folder
        self._root = root
        self._source = ""
        self._writer: VideoWriter | None = None
        self._open = ExitStack()

    def add(self, frame: Frame, result: FrameResult) -> None:
        """Write a picture, or add a frame to its video.

        Raises:
            OutputError: It cannot be written.
        """
        picture = drawn(frame.bgr, result)
        if frame.fps is None:
            self._end_video()
            suffix = Path(frame.source).suffix.lower()
            write_picture(self._free_path(frame, suffix if suffix in _KEPT_FORMATS else ".png"), picture)
            return
        if self._writer is None or frame.source != self._source:
            self._end_video()
            self._source = frame.source
            self._writer = self._open.enter_context(VideoWriter(self._free_path(frame, ".mp4"), frame.fps))
        self._writer.write(picture)

    def _free_path(self, frame: Frame, suffix: str) -> Path:
        if self._root is not None:
            below = Path(frame.source).relative_to(self._root)
        elif "://" in frame.source:
            below = Path(Path(urlsplit(frame.source).path).name or "stream")
        else:
            below = Path(Path(frame.source).name)
        folder = self.folder.joinpath(*(shortened_name(self.folder, part) for part in below.parent.parts))
        wanted = folder / shortened_name(self.folder, below.stem, suffix)
        try:
            wanted.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{wanted.parent}: expected a folder to write to, got: {error}") from error
        path, number = wanted, 1
        while path.exists():
            number += 1
            path = wanted.with_name(f"{wanted.stem}-{number}{suffix}")
        return path

    def end(self) -> None:
        """Finish the last video, if any.

        Raises:
            OutputError: It cannot be written.
        """
        self._end_video()

    def _end_video(self) -> None:
        self._writer = None
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)


def write_picture(path: Path, bgr: ByteArray) -> None:
    """Write a picture atomically: under a temporary name first.

    Args:
        path: The file, `.jpg` or `.png`. An existing one is replaced.
        bgr: `(h, w, 3)` uint8 in [0, 255], BGR.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        content = picture_bytes(bgr, path.suffix)
        write_whole(path, lambda file: file.write_bytes(content))
    except OutputError as error:
        raise OutputError(f"{path}: {error}") from error
    except OSError as error:
        raise OutputError(f"{path}: expected to write a picture, got: {error}; is the disk full?") from error


def picture_bytes(bgr: ByteArray, suffix: str) -> bytes:
    """Return the encoded file of a picture.

    Args:
        bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
        suffix: `.jpg`, `.jpeg` or `.png`.

    Raises:
        OutputError: The format cannot hold it: the side of a JPEG is at most 65,500 pixels.
    """
    quality = [] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    with quiet_opencv():
        done, content = cv2.imencode(suffix, bgr, quality)
    if not done:
        size = f"{bgr.shape[1]} x {bgr.shape[0]}"
        raise OutputError(f"expected a picture that {suffix} can hold, got one of {size}")
    return bytes(content)


def drawn(bgr: ByteArray, result: FrameResult, *, numbered: bool = False) -> ByteArray:
    """Draw a result on a copy of its frame; enlarge a small frame until its labels are readable.

    Args:
        bgr: `(h, w, 3)` uint8 in [0, 255], BGR; not changed.
        result: The frame's result.
        numbered: Whether to number the faces if there are several.
    """
    factor = min(-(-_SHORTEST_SIDE // min(bgr.shape[:2])), _LONGEST_SIDE // max(bgr.shape[:2]))
    if factor <= 1:
        return draw(bgr, result, numbered=numbered)
    large = cv2.resize(bgr, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    faces = Faces(result.faces.xywh * factor, result.faces.landmarks * factor, result.faces.confidence)
    return draw(cast(ByteArray, large), replace(result, faces=faces), numbered=numbered)
