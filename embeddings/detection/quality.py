"""Whether a face can be read at all: how large, how sharp, how far turned away it is, and whether it is whole.

The limits are where the network's answers are worth little, on 500 seeded validation faces of FER2013, 76 % right as
they are, and their copies by `benchmarks.webcam`.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from moodspace.arrays import BoolArray, ByteArray, FloatArray
from moodspace.embeddings.detection.faces import Faces
from moodspace.embeddings.detection.occlusion import MOST_HIDDEN, hidden

# Pixels. Of faces 24 pixels wide 69 % are right, of 18 pixels 63 %, of 16 pixels 57 %, of 14 pixels 54 %.
LEAST_SIZE = 16.0
# Over all kinds of damage, faces less sharp than this are right in 51 %, those between it and 0.030 in 63 %, sharper
# ones in 69 %. It passes 99.8 % of the faces as they are, 74 % of those blurred by a Gaussian of 1.2 pixels and 18 % of
# those by one of 2; and strong noise, which it takes for sharpness. The clips of people are at 0.038 to 0.057.
LEAST_SHARPNESS = 0.015
# Degrees. Of faces turned by 43 to 54 degrees 80 % are right, of those turned farther 63 %.
MOST_YAW = 54.0

# Of the distance between eyes and mouth: a landmark that is not this far within the picture is cut off.
LEAST_MARGIN = 0.2

# Why a face cannot be read, in words to show; the first that applies counts.
TOO_SMALL, CUT_OFF, TURNED, BLURRED, HIDDEN = "too small", "cut off", "turned away", "blurred", "mouth hidden"

# Takes most of the sensor's noise out before sharpness is measured; pixels of the crop.
_NOISE_SIGMA = 1.0
# How far the nose's tip stands before the eyes, in distances between them: the value at which turned faces' eyes are as
# much closer together as the angle says, over the 1,473 faces that CenterFace finds among 1,800 of FER2013.
_NOSE = 0.35


@dataclass(frozen=True, slots=True, eq=False)
class FaceQuality:
    """How well n faces can be read.

    Attributes:
        size: `(n,)` float32, pixels, the longer side of the face's box.
        sharpness: `(n,)` float32, as `sharpness` measures it.
        yaw: `(n,)` float32 in [-90, 90], degrees that the face is turned, to the viewer's right when positive.
        good: `(n,)` bool, whether a prediction says more than noise.
        reasons: N words to show for what is wrong; empty where nothing is. Found out from the numbers where none are
            given.
    """

    size: FloatArray
    sharpness: FloatArray
    yaw: FloatArray
    good: BoolArray
    reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.reasons:
            words = [_reason(*row) for row in zip(self.good, self.size, self.yaw, strict=True)]
            object.__setattr__(self, "reasons", tuple(words))
        if len(self.reasons) != len(self.good):
            raise ValueError(f"reasons: expected {len(self.good)}, one a face, got {len(self.reasons)}")

    def __len__(self) -> int:
        return len(self.good)


def assess(
    faces: Faces,
    sharpnesses: FloatArray,
    hiddenness: FloatArray | None = None,
    frame_shape: tuple[int, ...] | None = None,
) -> FaceQuality:
    """Say how well faces can be read.

    Args:
        faces: The n faces.
        sharpnesses: `(n,)` float32, how sharp their crops are.
        hiddenness: `(n,)` float32 in [0, 1], the probability that the mouth is hidden (`occlusion.hidden`); None if it
            was not measured.
        frame_shape: Height and width of the frame, pixels; None where faces may reach beyond it.
    """
    size = faces.xywh[:, 2:].max(axis=1, initial=0.0)
    yaw = yaws(faces.landmarks)
    covered = np.zeros(len(faces), bool) if hiddenness is None else hiddenness > MOST_HIDDEN
    cut = np.zeros(len(faces), bool) if frame_shape is None else cut_off(faces.landmarks, frame_shape)
    wrong = {
        TOO_SMALL: size < LEAST_SIZE,
        CUT_OFF: cut,
        TURNED: np.abs(yaw) > MOST_YAW,
        BLURRED: sharpnesses < LEAST_SHARPNESS,
        HIDDEN: covered,
    }
    reasons = tuple(next((word for word, rows in wrong.items() if rows[row]), "") for row in range(len(faces)))
    return FaceQuality(size, sharpnesses, yaw, np.array([not word for word in reasons], bool), reasons)


def look_at(faces: Faces, crops: ByteArray, frame_shape: tuple[int, ...] | None = None) -> FaceQuality:
    """Say how well the faces of a picture can be read.

    Args:
        faces: The n faces.
        crops: `(n, 48, 48)` uint8 gray, their crops.
        frame_shape: As for `assess`.
    """
    return assess(faces, np.array([sharpness(crop) for crop in crops], np.float32), hidden(crops), frame_shape)


def cut_off(landmarks: FloatArray, frame_shape: tuple[int, ...]) -> BoolArray:
    """Say which faces the picture's edge cuts so that eyes, nose or mouth are missing.

    Args:
        landmarks: `(n, 5, 2)` float32, pixels, in the order of `embeddings.crops.LANDMARKS`.
        frame_shape: Height and width of the picture, pixels, and whatever follows.

    Returns:
        `(n,)` bool.
    """
    across = landmarks[:, 3:].mean(axis=1) - landmarks[:, :2].mean(axis=1)
    margin = LEAST_MARGIN * np.hypot(across[:, 0], across[:, 1])
    last = np.array([frame_shape[1], frame_shape[0]]) - 1
    inside = np.minimum(landmarks, last - landmarks).min(axis=(1, 2), initial=np.inf)
    return np.asarray(inside < margin, bool)


def _reason(good: bool, size: float, yaw: float) -> str:
    if good:
        return ""
    if size < LEAST_SIZE:
        return TOO_SMALL
    return TURNED if abs(yaw) > MOST_YAW else BLURRED


def sharpness(crop: ByteArray) -> float:
    """Return the variance of the crop's Laplacian over that of its gray levels: about the same in any light.

    Args:
        crop: `(48, 48)` uint8 gray in [0, 255].

    Source:
        Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
    """
    edges = cv2.Laplacian(cv2.GaussianBlur(crop, (0, 0), _NOISE_SIGMA), cv2.CV_32F)
    return float(edges.var() / max(float(crop.var()), 1.0))


def yaws(landmarks: FloatArray) -> FloatArray:
    """Estimate how far faces are turned, from how far the nose's tip is from the middle between the eyes.

    Args:
        landmarks: `(n, 5, 2)` float32, pixels, in the order of `embeddings.crops.LANDMARKS`.

    Returns:
        `(n,)` float32 in [-90, 90], degrees.
    """
    eyes = landmarks[:, 1] - landmarks[:, 0]
    aside = ((landmarks[:, 2] - landmarks[:, :2].mean(axis=1)) * eyes).sum(axis=1)
    share = aside / np.maximum((eyes**2).sum(axis=1), 1e-6)
    return np.degrees(np.arctan2(share, _NOSE)).astype(np.float32)
