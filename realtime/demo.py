"""Show what Moodspace does without a camera: recognize the face in a picture and draw the result, also as a clip."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from moodspace.arrays import ByteArray
from moodspace.embeddings.pictures import read_bgr
from moodspace.realtime.capture.source import SourceError
from moodspace.realtime.drawing.annotate import write_picture
from moodspace.realtime.drawing.faces import draw
from moodspace.realtime.drawing.video import VideoWriter
from moodspace.realtime.pipeline import FrameResult, Process

PICTURE_NAME, CLIP_NAME = "astronaut.png", "astronaut.mp4"

_SECONDS, _FPS = 3.2, 12
_CLIP_SIDE = 480


@dataclass(frozen=True, slots=True, eq=False)
class Demo:
    """The result of `run_demo`.

    Attributes:
        source: The file of the original picture.
        result: The faces of that picture.
        picture: The file of the annotated copy.
        clip: The file of the annotated clip.
        frames: The number of frames of the clip.
    """

    source: Path
    result: FrameResult
    picture: Path
    clip: Path
    frames: int


def run_demo(
    pipeline: Process, folder: Path, *, on_result: Callable[[FrameResult], None] = lambda result: None
) -> Demo:
    """Recognize the face of astronaut Eileen Collins and write an annotated picture and clip.

    The picture (NASA, public domain) ships with Moodspace; nothing is downloaded. The clip zooms from the whole picture
    to the face; each of its frames goes through the pipeline.

    Args:
        pipeline: Finds and recognizes the faces.
        folder: The folder for the two files. It is made if missing; the files of an earlier demo are replaced.
        on_result: Called with the faces of the picture before anything is drawn, because the clip takes a second.

    Raises:
        SourceError: No face is found.
        OutputError: A file cannot be written.
    """
    source = picture_path()
    bgr = read_bgr(source)
    result = pipeline.process(bgr, 0.0)
    if not len(result.faces):
        raise SourceError(f"{source}: expected a face, got none; try another detector")
    on_result(result)
    folder.mkdir(parents=True, exist_ok=True)
    write_picture(folder / PICTURE_NAME, draw(bgr, result))
    frames = 0
    with VideoWriter(folder / CLIP_NAME, _FPS) as clip:
        for frame in panning_frames(bgr, result.faces.xywh[0]):
            clip.write(draw(frame, pipeline.process(frame, frames / _FPS)))
            frames += 1
    return Demo(source, result, folder / PICTURE_NAME, folder / CLIP_NAME, frames)


def picture_path() -> Path:
    """Return the file of the demo's picture: astronaut Eileen Collins (NASA, public domain)."""
    return Path(__file__).with_name("astronaut.webp")


def panning_frames(bgr: ByteArray, xywh: np.ndarray) -> Iterator[ByteArray]:
    """Yield frames that zoom from the whole picture to a face, slowly at both ends.

    Args:
        bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
        xywh: `(4,)` float32, the face's box in pixels: left, top, width and height.

    Yields:
        `(480, 480, 3)` uint8 frames in [0, 255], BGR.
    """
    size = np.array([bgr.shape[1], bgr.shape[0]], np.float64)
    whole, close = float(size.min()), min(2.6 * float(xywh[2:].max()), float(size.min()))
    for step in np.linspace(0, 1, round(_SECONDS * _FPS)):
        eased = step * step * (3 - 2 * step)
        side = whole + eased * (close - whole)
        middle = size / 2 + eased * (xywh[:2] + xywh[2:] / 2 - size / 2)
        left, top = np.clip(middle - side / 2, 0, size - side)
        scale = _CLIP_SIDE / side
        view = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
        yield cast(ByteArray, cv2.warpAffine(bgr, view, (_CLIP_SIDE, _CLIP_SIDE), borderMode=cv2.BORDER_REPLICATE))
