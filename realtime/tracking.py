"""Follows faces from frame to frame, so that each keeps its number."""

import numpy as np
import numpy.typing as npt

from realtime.faces import ByteArray, Detector, Faces, FloatArray

IntArray = npt.NDArray[np.int64]

_LEAST_OVERLAP = 0.2


class Tracker:
    """Gives each face a number and keeps it.

    Args:
        detector: Finds the faces.
    """

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self._next = 1
        self._ids: IntArray = np.zeros(0, np.int64)
        self._faces = Faces.empty()

    def follow(self, frame_bgr: ByteArray, now: float) -> tuple[IntArray, Faces]:
        """Returns the faces of a frame in the order of their ids."""
        # Only here: SciPy's optimisers take a tenth of a second to import.
        from scipy.optimize import linear_sum_assignment

        faces = self.detector.detect(frame_bgr)
        overlap = overlaps(self._faces.xywh, faces.xywh)
        rows, columns = linear_sum_assignment(-overlap)
        matched = overlap[rows, columns] >= _LEAST_OVERLAP
        ids = np.zeros(len(faces), np.int64)
        ids[columns[matched]] = self._ids[rows[matched]]
        new = np.flatnonzero(ids == 0)
        ids[new] = np.arange(self._next, self._next + len(new))
        self._next += len(new)
        order = np.argsort(ids)
        self._ids, self._faces = ids[order], faces.take(order)
        return self._ids, self._faces


def overlaps(first: FloatArray, second: FloatArray) -> FloatArray:
    """Returns the intersection over union `(a, b)` of boxes `(a, 4)` and `(b, 4)`, left, top, width and height."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum((first[:, :2] + first[:, 2:])[:, None], (second[:, :2] + second[:, 2:])[None])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = first[:, 2:].prod(axis=1)[:, None] + second[:, 2:].prod(axis=1)[None] - shared
    return np.asarray(shared / np.maximum(areas, 1e-6), np.float32)
