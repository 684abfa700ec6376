"""The faces of a frame, and the protocol of face detectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from moodspace.arrays import ByteArray, FloatArray
from moodspace.errors import MoodspaceError


class DetectorError(MoodspaceError):
    """A face detector cannot be opened: its name is unknown, or its weights are missing or unreadable."""


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """The n faces of one frame; n = 0 is legal.

    Attributes:
        xywh: `(n, 4)` float32, left, top, width and height in pixels; boxes may extend beyond the frame.
        landmarks: `(n, 5, 2)` float32, x and y in pixels, in the order of `moodspace.embeddings.crops.LANDMARKS`.
        confidence: `(n,)` float32 in [0, 1], confidence of the detector.

    Raises:
        ValueError: An array has another type or shape, or a value is not finite.
    """

    xywh: FloatArray
    landmarks: FloatArray
    confidence: FloatArray

    def __post_init__(self) -> None:
        shapes = {"xywh": (len(self), 4), "landmarks": (len(self), 5, 2), "confidence": (len(self),)}
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.dtype != np.float32 or array.shape != shape:
                raise ValueError(f"{name}: expected float32 of shape {shape}, got {array.dtype} of {array.shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name}: expected finite values, got NaN or infinite values")

    def __len__(self) -> int:
        return len(self.confidence)

    @classmethod
    def empty(cls) -> "Faces":
        """Return no faces."""
        return cls(np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))

    def take(self, rows: npt.NDArray[Any] | Sequence[int] | slice) -> "Faces":
        """Return the faces at these rows: indices, a mask or a slice."""
        return Faces(self.xywh[rows], self.landmarks[rows], self.confidence[rows])


class Detector(Protocol):
    """Find faces in a frame."""

    def detect(self, frame_bgr: ByteArray) -> Faces:
        """Find the faces of a frame.

        Args:
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR.

        Returns:
            The faces, most confident first.
        """
        ...
