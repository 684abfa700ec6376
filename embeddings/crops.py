"""Cut faces out of a frame as 48x48 gray crops, the input of the network.

The network is trained on FER2013, which is 48x48 gray, so a live face has to look like its pictures. `crop_faces`
aligns five landmarks with their typical positions in FER2013 and resamples the frame.

Positions are in pixels, with the center of the first pixel at (0, 0), x to the right and y down, as in OpenCV's
`warpAffine`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.arrays import ByteArray, DoubleArray, FloatArray, IntArray

SIZE = 48

LANDMARKS = ("viewer-left eye", "viewer-right eye", "nose tip", "viewer-left mouth corner", "viewer-right mouth corner")

# The crop is sampled at twice its size and averaged, which avoids aliasing and is about as sharp as FER2013.
_OVERSAMPLING = 2

# Coinciding or misplaced landmarks give no usable scale. It is limited to that of faces from one to 48,000 pixels.
_SCALES = (1 / 1000, float(SIZE))


@dataclass(frozen=True, slots=True, eq=False)
class CropGeometry:
    """The positions of a face's landmarks in its crop.

    Attributes:
        template: `(5, 2)` float32, x and y in pixels of the 48x48 crop, in the order of `LANDMARKS`. Left and
            right are the viewer's, not the person's.

    Raises:
        ValueError: The shape or type differs, a position is not finite, or all five coincide.
    """

    template: FloatArray

    def __post_init__(self) -> None:
        if self.template.dtype != np.float32 or self.template.shape != (len(LANDMARKS), 2):
            raise ValueError(
                f"template: expected float32 of shape ({len(LANDMARKS)}, 2), "
                f"got {self.template.dtype} of {self.template.shape}"
            )
        if not np.isfinite(self.template).all() or np.ptp(self.template, axis=0).max() == 0:
            raise ValueError(f"template: expected finite, different positions, got {self.template.tolist()}")

    def to_json(self) -> dict[str, list[list[float]]]:
        """Return the template by name, ready for `json.dumps`."""
        return {"template": [[round(float(value), 3) for value in point] for point in self.template]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "CropGeometry":
        """Read what `to_json` wrote.

        Raises:
            ValueError: The template is missing or is not five finite positions.
        """
        if not isinstance(values, Mapping) or list(values) != ["template"]:
            raise ValueError(f"crop geometry: expected exactly the value 'template', got {values!r}")
        try:
            template = np.array(values["template"], np.float32)
        except (TypeError, ValueError) as error:
            raise ValueError(f"template: expected five pairs of numbers, got {values['template']!r}") from error
        return cls(template)


# The median over the 1,963 faces that CenterFace finds among 2,000 FER2013 training pictures drawn with seed 0:
#     python -m benchmarks crop_geometry fer2013/train.parquet
DEFAULT_GEOMETRY = CropGeometry(
    np.array([[15.0, 18.9], [32.4, 18.3], [24.0, 28.1], [17.3, 35.3], [31.2, 34.9]], np.float32)
)


def crop_faces(frame_bgr: ByteArray, landmarks: FloatArray, geometry: CropGeometry = DEFAULT_GEOMETRY) -> ByteArray:
    """Cut faces out of a frame, each shifted, scaled and rotated so that its landmarks match the template.

    Beyond the frame, its border pixels are repeated.

    Args:
        frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
        landmarks: `(n, 5, 2)` float32, finite, pixels of the frame, in the order of `LANDMARKS`; `n = 0` is legal.
        geometry: The positions of the landmarks in a crop. Use the bundle's, if there is a bundle.

    Returns:
        `(n, 48, 48)` uint8 in [0, 255], gray (ITU-R 601 luma), not normalized.

    Raises:
        ValueError: A type or shape differs, or a landmark is not finite.
    """
    if frame_bgr.dtype != np.uint8 or frame_bgr.ndim != 3 or frame_bgr.shape[2] != 3 or not frame_bgr.size:
        got = f"{frame_bgr.dtype} of {frame_bgr.shape}"
        raise ValueError(f"frame_bgr: expected uint8 of shape (h, w, 3), got {got}")
    if landmarks.ndim != 3 or landmarks.shape[1:] != (len(LANDMARKS), 2) or not np.isfinite(landmarks).all():
        got = f"{landmarks.dtype} of {landmarks.shape}"
        raise ValueError(f"landmarks: expected finite values of shape (n, {len(LANDMARKS)}, 2), got {got}")
    crops = np.empty((len(landmarks), SIZE, SIZE), np.uint8)
    for crop, to_crop in zip(crops, similarities(landmarks, geometry.template), strict=True):
        _sample(frame_bgr, to_crop, crop)
    return crops


def similarities(points: npt.NDArray[np.floating[Any]], template: FloatArray) -> DoubleArray:
    """Find the similarity transform that brings each set of points closest to the template, by least squares.

    In the plane and without reflection there is a closed form: with both sets centered and taken as complex numbers,
    scale and rotation are their inner product over the squared norm of the points.

    Args:
        points: `(n, k, 2)` positions.
        template: `(k, 2)` target positions.

    Returns:
        `(n, 2, 3)` float64 matrices for column vectors `(x, y, 1)`. Coinciding points are moved to the mean
        of the template.

    Source:
        Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991.
    """
    z = points[..., 0].astype(np.float64) + 1j * points[..., 1]
    target = template[:, 0].astype(np.float64) + 1j * template[:, 1]
    middle = z.mean(axis=1, keepdims=True)
    inner = ((z - middle).conj() * (target - target.mean())).sum(axis=1)
    norm = (np.abs(z - middle) ** 2).sum(axis=1)
    factor = np.divide(inner, norm, out=np.zeros_like(inner), where=norm > 0)
    scale = np.abs(factor)
    turn = np.divide(factor, scale, out=np.ones_like(factor), where=scale > 0)
    factor = turn * np.clip(scale, *_SCALES)
    shift = target.mean() - factor * middle[:, 0]
    rows = [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    return np.moveaxis(np.array(rows), 2, 0)


def _sample(frame_bgr: ByteArray, to_crop: DoubleArray, crop: ByteArray) -> None:
    """Fill one crop. Only the region of the face is converted to gray and, if it is large, shrunk before the warp."""
    # Imported here, because training needs SIZE and runs on machines without OpenCV.
    import cv2

    shrink = max(1, int(1 / (np.hypot(*to_crop[:, 0]) * _OVERSAMPLING)))
    (left, top), (right, bottom) = _region(frame_bgr.shape, to_crop, shrink)
    gray = cv2.cvtColor(frame_bgr[top:bottom, left:right], cv2.COLOR_BGR2GRAY)
    step = np.ones(2)
    if shrink > 1:
        region_size = np.array([right - left, bottom - top])
        shrunk_size = np.maximum(1, region_size // shrink)
        gray = cv2.resize(gray, shrunk_size.tolist(), interpolation=cv2.INTER_AREA)
        step = region_size / shrunk_size
    matrix = to_crop.copy()
    # The center of pixel p of the shrunk region is at (p + 0.5) * step - 0.5 of the region.
    matrix[:, 2] += to_crop[:, :2] @ (np.array([left, top]) + 0.5 * step - 0.5)
    matrix[:, :2] *= step
    # Pixel u of the crop is the mean of the pixels 2u and 2u + 1 of the oversampled crop.
    matrix *= _OVERSAMPLING
    matrix[:, 2] += (_OVERSAMPLING - 1) / 2
    size = (SIZE * _OVERSAMPLING, SIZE * _OVERSAMPLING)
    large = cv2.warpAffine(gray, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cv2.resize(large, (SIZE, SIZE), dst=crop, interpolation=cv2.INTER_AREA)


def _region(shape: tuple[int, ...], to_crop: DoubleArray, shrink: int) -> IntArray:
    """Return the region of the frame that the crop needs: its first corner and the one past its last, x and y.

    It has at least one pixel. Its sides are multiples of `shrink`, because OpenCV averages whole pixels several times
    faster. At the border of the frame up to `shrink - 1` pixels may be left out, less than half a pixel of the crop.
    """
    edge = SIZE - 0.5
    corners = np.array([[-0.5, -0.5], [edge, -0.5], [edge, edge], [-0.5, edge]])
    # The inverse of a scaled rotation is its transpose over the square of the scale.
    covered = (corners - to_crop[:, 2]) @ to_crop[:, :2] / (to_crop[0, :2] ** 2).sum()
    limit = np.array([shape[1], shape[0]])
    first = np.clip(np.floor(covered.min(axis=0)) - shrink, 0, limit - 1)
    needed = np.maximum(np.ceil((covered.max(axis=0) + shrink - first) / shrink), 1)
    available = (limit - first) // shrink
    last = np.where(available > 0, first + np.minimum(needed, available) * shrink, limit)
    return np.stack([first, last]).astype(np.int64)
