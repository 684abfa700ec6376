"""A detector with fixed results, a source that yields a list, and frames for them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from moodspace.arrays import ByteArray
from moodspace.embeddings.crops import DEFAULT_GEOMETRY, SIZE
from moodspace.embeddings.detection.faces import Faces
from moodspace.embeddings.pictures import read_rgb
from moodspace.realtime.capture.source import Frame, Source
from moodspace.realtime.evidence import NearFace, NearFaces


def faces_at(*xywh: tuple[float, float, float, float]) -> Faces:
    """Return faces with these boxes and the template's landmarks."""
    boxes = np.array(xywh, np.float32).reshape(-1, 4)
    landmarks = boxes[:, None, :2] + DEFAULT_GEOMETRY.template / SIZE * boxes[:, None, 2:]
    return Faces(boxes, landmarks.astype(np.float32), np.linspace(0.9, 0.6, len(boxes), dtype=np.float32))


class FakeDetector:
    """Return the same faces for every frame and count the calls."""

    def __init__(self, faces: Faces) -> None:
        self.faces = faces
        self.calls = 0

    def detect(self, frame_bgr: ByteArray) -> Faces:
        self.calls += 1
        return self.faces


class ListSource(Source):
    """Yield frames from a list, then raise `error` if given; remember whether it was closed."""

    def __init__(self, frames: Sequence[Frame], *, live: bool = False, error: Exception | None = None) -> None:
        super().__init__(live=live)
        self.frames = frames
        self.error = error
        self.closed = False

    def __iter__(self) -> Iterator[Frame]:
        yield from self.frames
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed = True


def noise(height: int = 90, width: int = 120, seed: int = 0) -> ByteArray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def clip_frames(count: int, source: str = "clip.mp4", fps: float | None = 10.0) -> list[Frame]:
    """Return frames whose gray value is 10 times their index."""
    return [Frame(source, i, i / 10, np.full((60, 80, 3), 10 * i, np.uint8), fps) for i in range(count)]


def read(path: Path) -> ByteArray:
    """Read a picture as BGR."""
    return np.ascontiguousarray(read_rgb(path)[..., ::-1])


def resized(picture: ByteArray, factor: float) -> ByteArray:
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor), np.uint8)


def together(faces: Sequence[NearFace]) -> NearFaces:
    """Return faces as arrays."""
    return NearFaces(
        np.array([one.id for one in faces], np.int64),
        np.array([one.label for one in faces], np.object_),
        np.array([one.similarity for one in faces], np.float64),
        np.array([one.source for one in faces], np.str_),
        np.array([one.taught for one in faces], np.bool_),
    )
