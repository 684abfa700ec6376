"""Decide whether a face can be read: by its size, sharpness and yaw, and whether it is cut off or covered.

The limits are where the accuracy of the network becomes low. They were measured on 500 seeded validation faces of
FER2013, 76 % of which are recognized, and on degraded copies of them (`benchmarks/robustness/webcam.py`).
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from moodspace.arrays import BoolArray, ByteArray, FloatArray
from moodspace.embeddings.detection.faces import Faces
from moodspace.embeddings.detection.occlusion import MOST_HIDDEN, mouth_hidden_probability

# Pixels. Accuracy is 69 % for faces 24 pixels wide, 63 % for 18, 57 % for 16 and 54 % for 14.
LEAST_SIZE = 16.0
# Over all degradations, accuracy is 51 % below this, 63 % from here to 0.030 and 69 % above. 99.8 % of the original
# faces pass, 74 % of those blurred by a Gaussian of 1.2 pixels and 18 % of those blurred by one of 2. Strong noise
# passes too, because it looks sharp. Video clips of people are at 0.038 to 0.057.
LEAST_SHARPNESS = 0.015
# Degrees. Accuracy is 80 % for faces turned by 43 to 54 degrees and 63 % beyond.
MOST_YAW = 54.0

# Share of the distance between eyes and mouth that every landmark must be inside the picture.
LEAST_MARGIN = 0.2

# Reasons why a face cannot be read, as shown to users. The first that applies counts.
TOO_SMALL, CUT_OFF, TURNED, BLURRED, HIDDEN = "too small", "cut off", "turned away", "blurred", "mouth hidden"

_NOTHING = np.zeros(0, np.float32)

# Pixels of the crop; removes most of the sensor noise before sharpness is measured.
_NOISE_SIGMA = 1.0
# Zero for gray levels that change linearly.
_NOISE_FILTER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
# How far the tip of the nose is in front of the eyes, in eye distances. Fitted so that the eye distance shrinks with
# the angle as it should, on the 1,473 faces that CenterFace finds among 1,800 of FER2013.
_NOSE = 0.35


@dataclass(frozen=True, slots=True, eq=False)
class FaceQuality:
    """The quality of n faces.

    Attributes:
        size: `(n,)` float32, pixels, the longer side of the face's box.
        sharpness: `(n,)` float32, as `sharpness` measures it.
        yaw: `(n,)` float32 in [-90, 90], degrees; positive if the face is turned to the viewer's right.
        good: `(n,)` bool, whether the face can be read.
        reasons: The n reasons why a face cannot be read, "" for good ones. Derived from the numbers if omitted.
        noise: `(n,)` float32, gray levels, as `noise_level` measures it; NaN where it was not measured.
        hidden: `(n,)` float32 in [0, 1], the probability that the mouth is hidden; NaN where it was not measured.
    """

    size: FloatArray
    sharpness: FloatArray
    yaw: FloatArray
    good: BoolArray
    reasons: tuple[str, ...] = ()
    noise: FloatArray = field(default_factory=lambda: _NOTHING)
    hidden: FloatArray = field(default_factory=lambda: _NOTHING)

    def __post_init__(self) -> None:
        for name in ("noise", "hidden"):
            if getattr(self, name) is _NOTHING:
                object.__setattr__(self, name, np.full(len(self.good), np.nan, np.float32))
        if not self.reasons:
            words = [_reason(*row) for row in zip(self.good, self.size, self.yaw, strict=True)]
            object.__setattr__(self, "reasons", tuple(words))
        if len(self.reasons) != len(self.good):
            raise ValueError(f"reasons: expected {len(self.good)}, one per face, got {len(self.reasons)}")

    def __len__(self) -> int:
        return len(self.good)


def assess(
    faces: Faces,
    sharpnesses: FloatArray,
    hiddenness: FloatArray | None = None,
    frame_shape: tuple[int, ...] | None = None,
    noise: FloatArray | None = None,
) -> FaceQuality:
    """Assess faces from the sharpness of their crops.

    Args:
        faces: The n faces.
        sharpnesses: `(n,)` float32, `sharpness` of their crops.
        hiddenness: `(n,)` float32 in [0, 1], the probability that the mouth is hidden (see `occlusion`); None if it
            was not measured.
        frame_shape: Height and width of the frame, pixels; None to ignore its border.
        noise: `(n,)` float32, `noise_level` of their crops; None if it was not measured.
    """
    size = faces.xywh[:, 2:].max(axis=1, initial=0.0)
    yaw = estimate_yaw(faces.landmarks)
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
    good = np.array([not word for word in reasons], bool)
    unknown = np.full(len(faces), np.nan, np.float32)
    return FaceQuality(
        size, sharpnesses, yaw, good, reasons,
        unknown if noise is None else noise, unknown if hiddenness is None else hiddenness,
    )  # fmt: skip


def assess_crops(faces: Faces, crops: ByteArray, frame_shape: tuple[int, ...] | None = None) -> FaceQuality:
    """Assess the faces of a picture from their crops.

    Args:
        faces: The n faces.
        crops: `(n, 48, 48)` uint8 gray, their crops.
        frame_shape: As for `assess`.
    """
    sharpnesses, noise = sharpness_and_noise(crops)
    return assess(faces, sharpnesses, mouth_hidden_probability(crops), frame_shape, noise)


def assess_crops_alone(crops: ByteArray) -> FaceQuality:
    """Assess crops whose picture is not at hand. Size and yaw are not known, NaN.

    Args:
        crops: `(n, 48, 48)` uint8 gray.
    """
    sharpnesses, noise = sharpness_and_noise(crops)
    hidden, unknown = mouth_hidden_probability(crops), np.full(len(crops), np.nan, np.float32)
    wrong = {BLURRED: sharpnesses < LEAST_SHARPNESS, HIDDEN: hidden > MOST_HIDDEN}
    reasons = tuple(next((word for word, rows in wrong.items() if rows[row]), "") for row in range(len(crops)))
    good = np.array([not word for word in reasons], bool)
    return FaceQuality(unknown, sharpnesses, unknown, good, reasons, noise, hidden)


def sharpness_and_noise(crops: ByteArray) -> tuple[FloatArray, FloatArray]:
    """Return `sharpness` and `noise_level` of `(n, 48, 48)` uint8 crops, each `(n,)` float32."""
    sharpnesses = np.array([sharpness(crop) for crop in crops], np.float32)
    return sharpnesses, np.array([noise_level(crop) for crop in crops], np.float32)


def cut_off(landmarks: FloatArray, frame_shape: tuple[int, ...]) -> BoolArray:
    """Return which faces are cut off by the border of the picture, so that eyes, nose or mouth are missing.

    Args:
        landmarks: `(n, 5, 2)` float32, pixels, in the order of `moodspace.embeddings.crops.LANDMARKS`.
        frame_shape: Height and width of the picture, pixels; more values are ignored.

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
    """Return the variance of the crop's Laplacian over that of its gray levels, which hardly depends on the light.

    Args:
        crop: `(48, 48)` uint8 gray in [0, 255].

    Source:
        Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
    """
    edges = cv2.Laplacian(cv2.GaussianBlur(crop, (0, 0), _NOISE_SIGMA), cv2.CV_32F)
    return _variance(edges) / max(_variance(crop), 1.0)


def _variance(values: np.ndarray) -> float:
    """Return the variance of a picture; NumPy takes four times as long."""
    return float(cv2.meanStdDev(values)[1][0, 0]) ** 2


def noise_level(crop: ByteArray) -> float:
    """Return the standard deviation of the sensor noise in gray levels; fine structure of the face counts as noise too.

    Args:
        crop: `(48, 48)` uint8 gray in [0, 255].

    Source:
        Immerkaer, "Fast noise variance estimation", CVIU 1996.
    """
    rough = cv2.filter2D(crop, cv2.CV_32F, _NOISE_FILTER)[1:-1, 1:-1]
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(rough).mean())


def estimate_yaw(landmarks: FloatArray) -> FloatArray:
    """Estimate the yaw of faces from the distance of the nose tip to the midpoint of the eyes.

    Args:
        landmarks: `(n, 5, 2)` float32, pixels, in the order of `moodspace.embeddings.crops.LANDMARKS`.

    Returns:
        `(n,)` float32 in [-90, 90], degrees; positive to the viewer's right.
    """
    eyes = landmarks[:, 1] - landmarks[:, 0]
    aside = ((landmarks[:, 2] - landmarks[:, :2].mean(axis=1)) * eyes).sum(axis=1)
    share = aside / np.maximum((eyes**2).sum(axis=1), 1e-6)
    return np.degrees(np.arctan2(share, _NOSE)).astype(np.float32)
