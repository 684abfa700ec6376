"""Corruptions by a webcam and a moving head: seeded changes of 48x48 crops, with severities in physical units.

Pixels are those of the 48x48 crop; gray levels are in [0, 255]. Pixels beyond the border repeat it.
"""

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from moodspace.arrays import ByteArray, DoubleArray
from moodspace.embeddings.crops import SIZE

ChangeFace = Callable[[DoubleArray, np.random.Generator], DoubleArray]

# Side in pixels of a face half a meter from a webcam of 640x480, before it is resized to 48x48.
_NEAR_FACE = 160
_CENTER = (SIZE - 1) / 2


@dataclass(frozen=True, slots=True)
class Corruption:
    """One change at one severity.

    Attributes:
        kind: The kind of corruption.
        severity: How strong it is, with its unit.
        change: Returns the changed face for a face, both `(48, 48)` float64 in [0, 255].
    """

    kind: str
    severity: str
    change: ChangeFace

    def apply(self, crops: ByteArray, seed: int) -> ByteArray:
        """Change every crop, each with its own random draws, independent of the other crops and their number.

        Args:
            crops: `(n, 48, 48)` uint8 gray in [0, 255].
            seed: Seed of all draws.

        Returns:
            `(n, 48, 48)` uint8, rounded and clipped to [0, 255].
        """
        changed = np.empty_like(crops)
        for row, crop in enumerate(crops):
            face = self.change(crop.astype(np.float64), np.random.default_rng((seed, row)))
            changed[row] = np.clip(np.rint(face), 0, 255)
        return changed


def gaussian_blur(face: DoubleArray, rng: np.random.Generator, *, sigma: float) -> DoubleArray:
    """Blur as out of focus, with a Gaussian of `sigma` pixels."""
    return ndimage.gaussian_filter(face, sigma, mode="nearest")


def motion_blur(face: DoubleArray, rng: np.random.Generator, *, length: float) -> DoubleArray:
    """Blur as if the head moved `length` pixels in a random direction during the exposure."""
    angle = rng.uniform(0, np.pi)
    steps = np.linspace(-length / 2, length / 2, 8 * int(length) + 1)
    places = [(np.sin(angle) * step, np.cos(angle) * step) for step in steps]
    # The mean of shifted faces, as a kernel: a shift by a fraction of a pixel is distributed over the pixels around it.
    reach = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for down, right in places:
        top, left = int(np.floor(down)), int(np.floor(right))
        part_down, part_right = down - top, right - left
        weights = np.outer((1 - part_down, part_down), (1 - part_right, part_right))
        kernel[reach + top : reach + top + 2, reach + left : reach + left + 2] += weights / len(places)
    return ndimage.convolve(face, kernel, mode="nearest")


def noise(face: DoubleArray, rng: np.random.Generator, *, deviation: float) -> DoubleArray:
    """Add the noise of a sensor in little light: independent Gaussian noise of `deviation` gray levels."""
    return face + rng.normal(0, deviation, face.shape)


def gamma(face: DoubleArray, rng: np.random.Generator, *, exponent: float) -> DoubleArray:
    """Change the exposure: raise gray levels, as shares of white, to `exponent`; above 1 darkens, below 1 brightens."""
    return 255 * (face / 255) ** exponent


def low_contrast(face: DoubleArray, rng: np.random.Generator, *, share: float) -> DoubleArray:
    """Reduce the contrast as haze or backlight does: keep a `share` of each gray level's distance from the mean."""
    return face.mean() + share * (face - face.mean())


def jpeg(face: DoubleArray, rng: np.random.Generator, *, side: int, quality: int) -> DoubleArray:
    """Compress as a camera does: enlarge to `side` pixels, encode as JPEG of this `quality`, resize back."""
    stream = io.BytesIO()
    _resized(face, side, Image.Resampling.BICUBIC).save(stream, "JPEG", quality=quality)
    with Image.open(stream) as compressed:
        return np.asarray(compressed.resize((SIZE, SIZE), Image.Resampling.BOX), np.float64)


def shadow(face: DoubleArray, rng: np.random.Generator, *, light: float) -> DoubleArray:
    """Shade one half of the face, on a random side, to a share `light` of its light; the edge is 6 pixels wide."""
    angle = rng.uniform(0, 2 * np.pi)
    down, right = np.mgrid[:SIZE, :SIZE] - _CENTER
    lit = np.clip((np.sin(angle) * down + np.cos(angle) * right) / 6 + 0.5, 0, 1)
    return face * (light + (1 - light) * lit)


def low_resolution(face: DoubleArray, rng: np.random.Generator, *, side: int) -> DoubleArray:
    """Reduce a face to `side` pixels, as if far away, and enlarge it to the size of the crop."""
    small = _resized(face, side, Image.Resampling.BOX)
    return np.asarray(small.resize((SIZE, SIZE), Image.Resampling.BILINEAR), np.float64)


def shift(face: DoubleArray, rng: np.random.Generator, *, distance: float) -> DoubleArray:
    """Shift the crop by `distance` pixels in a random direction, as inaccurate landmarks do."""
    angle = rng.uniform(0, 2 * np.pi)
    offset = distance * np.array([np.sin(angle), np.cos(angle)])
    return ndimage.shift(face, offset, order=3, mode="nearest")


def rescale(face: DoubleArray, rng: np.random.Generator, *, share: float) -> DoubleArray:
    """Enlarge or shrink the face by `share`, as landmarks too close together or too far apart do."""
    factor = (1 + share) ** rng.choice((-1.0, 1.0))
    return _about_center(face, np.eye(2) * factor)


def turn(face: DoubleArray, rng: np.random.Generator, *, degrees: float) -> DoubleArray:
    """Rotate the face by `degrees` in either direction, as tilted landmarks do."""
    angle = np.deg2rad(degrees) * rng.choice((-1.0, 1.0))
    return _about_center(face, np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]))


def occlusion(face: DoubleArray, rng: np.random.Generator, *, side: int) -> DoubleArray:
    """Cover a random square of `side` pixels with one gray level, as a hand, a cup or a microphone does."""
    top, left = rng.integers(0, SIZE - side + 1, 2)
    hidden = face.copy()
    hidden[top : top + side, left : left + side] = rng.uniform(0, 255)
    return hidden


def _resized(face: DoubleArray, side: int, how: Image.Resampling) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(face), 0, 255).astype(np.uint8)).resize((side, side), how)


def _about_center(face: DoubleArray, to_source: DoubleArray) -> DoubleArray:
    """Transform about the center with cubic splines, which hardly blur: the position is measured, not the sharpness."""
    offset = _CENTER - to_source @ np.full(2, _CENTER)
    return ndimage.affine_transform(face, to_source, offset, order=3, mode="nearest")


def _corruption(kind: str, severity: str, change: Callable[..., DoubleArray], **how: float) -> Corruption:
    return Corruption(kind, severity, functools.partial(change, **how))


CORRUPTIONS = (
    *(_corruption("Gaussian blur", f"sigma {s} px", gaussian_blur, sigma=s) for s in (0.8, 1.2, 2.0)),
    *(_corruption("motion blur", f"{n} px", motion_blur, length=n) for n in (3, 5, 9)),
    *(_corruption("sensor noise", f"deviation {s} levels", noise, deviation=s) for s in (8, 16, 32)),
    *(_corruption("dark", f"gamma {g}", gamma, exponent=g) for g in (1.7, 2.5)),
    *(_corruption("bright", f"gamma {g}", gamma, exponent=g) for g in (0.6, 0.4)),
    *(_corruption("low contrast", f"{s:.0%} left", low_contrast, share=s) for s in (0.5, 0.25)),
    *(_corruption("JPEG, near face", f"{_NEAR_FACE} px, quality {q}", jpeg, side=_NEAR_FACE, quality=q)
      for q in (50, 20, 10)),
    *(_corruption("JPEG, far face", f"{SIZE} px, quality {q}", jpeg, side=SIZE, quality=q) for q in (50, 20, 10)),
    *(_corruption("half in shadow", f"{s:.0%} of the light", shadow, light=s) for s in (0.6, 0.3)),
    *(_corruption("low resolution", f"{n} px", low_resolution, side=n) for n in (24, 16)),
    *(_corruption("crop shifted", f"{d} px", shift, distance=d) for d in (2, 4)),
    *(_corruption("crop scaled", f"{s:.0%}", rescale, share=s) for s in (0.1, 0.2)),
    *(_corruption("crop turned", f"{d} degrees", turn, degrees=d) for d in (10, 20)),
    *(_corruption("occlusion", f"{n} px square", occlusion, side=n) for n in (12, 20)),
)  # fmt: skip
