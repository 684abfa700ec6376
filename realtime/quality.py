"""Whether a face can be read at all: how large, how sharp and how far turned away it is."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime.faces import ByteArray, Faces, FloatArray

BoolArray = npt.NDArray[np.bool_]

_LEAST_SIZE = 20.0
_LEAST_SHARPNESS = 30.0
_MOST_YAW = 45.0

# A nose stands out from the plane of eyes and mouth by so much of the distance between the eyes.
_NOSE = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class FaceQuality:
    """How well n faces can be read.

    Attributes:
        size: `(n,)` float32, pixels, the longer side of the face's box.
        sharpness: `(n,)` float32, variance of the Laplacian over the 48x48 crop, grey levels squared.
        yaw: `(n,)` float32 in [-90, 90], degrees that the face is turned, towards the viewer's right when positive.
        good: `(n,)` bool, whether a prediction from it is more than noise.
    """

    size: FloatArray
    sharpness: FloatArray
    yaw: FloatArray
    good: BoolArray

    def __len__(self) -> int:
        return len(self.good)


def assess(faces: Faces, crops: ByteArray) -> FaceQuality:
    """Measures the faces of a frame.

    Args:
        faces: The n faces.
        crops: `(n, 48, 48)` uint8 grey in [0, 255], cut out of the same frame.
    """
    size = faces.xywh[:, 2:].max(axis=1, initial=0.0)
    sharpness = np.array([cv2.Laplacian(crop, cv2.CV_32F).var() for crop in crops], np.float32)
    yaw = yaws(faces.landmarks)
    good = (size >= _LEAST_SIZE) & (sharpness >= _LEAST_SHARPNESS) & (np.abs(yaw) <= _MOST_YAW)
    return FaceQuality(size, sharpness, yaw, good)


def yaws(landmarks: FloatArray) -> FloatArray:
    """Estimates how far faces are turned, from where the nose is between the eyes.

    Args:
        landmarks: `(n, 5, 2)` float32, pixels.

    Returns:
        `(n,)` float32 in [-90, 90], degrees.
    """
    eyes = landmarks[:, 1] - landmarks[:, 0]
    width = np.linalg.norm(eyes, axis=1)
    aside = ((landmarks[:, 2] - landmarks[:, :2].mean(axis=1)) * eyes).sum(axis=1)
    share = aside / np.maximum(width**2, 1e-6)
    return np.degrees(np.arctan2(share, _NOSE)).astype(np.float32)
