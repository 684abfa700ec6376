"""What a webcam and a moving head do to a face: seeded changes of 48x48 crops, with severities in real units.

Pixels are those of the 48x48 crop, grey levels are of 255. Borders are repeated wherever a change reaches beyond them.
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

# Side in pixels of a face half a metre from a webcam of 640x480, before it is cropped to 48x48.
_NEAR_FACE = 160
_CENTRE = (SIZE - 1) / 2


@dataclass(frozen=True, slots=True)
class Corruption:
    """One change at one severity.

    Attributes:
        kind: What changes.
        severity: How much, with its unit.
        change: From one face, `(48, 48)` float64 in [0, 255], to the changed one.
    """

    kind: str
    severity: str
    change: ChangeFace

    def apply(self, crops: ByteArray, seed: int) -> ByteArray:
        """Changes every crop, each with draws of its own that neither the other crops nor their number alter.

        Args:
            crops: `(n, 48, 48)` uint8 grey in [0, 255].
            seed: Of all draws.

        Returns:
            `(n, 48, 48)` uint8, rounded and limited to [0, 255].
        """
        changed = np.empty_like(crops)
        for row, crop in enumerate(crops):
            face = self.change(crop.astype(np.float64), np.random.default_rng((seed, row)))
            changed[row] = np.clip(np.rint(face), 0, 255)
        return changed


def gaussian_blur(face: DoubleArray, rng: np.random.Generator, *, sigma: float) -> DoubleArray:
    """Out of focus: a Gaussian of `sigma` pixels."""
    return ndimage.gaussian_filter(face, sigma, mode="nearest")


def motion_blur(face: DoubleArray, rng: np.random.Generator, *, length: float) -> DoubleArray:
    """The head moved `length` pixels while the shutter was open, in any direction."""
    angle = rng.uniform(0, np.pi)
    steps = np.linspace(-length / 2, length / 2, 8 * int(length) + 1)
    places = [(np.sin(angle) * step, np.cos(angle) * step) for step in steps]
    # The mean of shifted faces, as a kernel: a shift by part of a pixel is shared out to the pixels around it.
    reach = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for down, right in places:
        top, left = int(np.floor(down)), int(np.floor(right))
        part_down, part_right = down - top, right - left
        weights = np.outer((1 - part_down, part_down), (1 - part_right, part_right))
        kernel[reach + top : reach + top + 2, reach + left : reach + left + 2] += weights / len(places)
    return ndimage.convolve(face, kernel, mode="nearest")


def noise(face: DoubleArray, rng: np.random.Generator, *, deviation: float) -> DoubleArray:
    """A sensor in little light: independent Gaussian noise of `deviation` grey levels."""
    return face + rng.normal(0, deviation, face.shape)


def gamma(face: DoubleArray, rng: np.random.Generator, *, exponent: float) -> DoubleArray:
    """Exposure: the `exponent` of the grey level as a share of white; above 1 darkens, below 1 brightens."""
    return 255 * (face / 255) ** exponent


def low_contrast(face: DoubleArray, rng: np.random.Generator, *, share: float) -> DoubleArray:
    """Haze or light from behind: only a `share` of each grey level's distance from the mean is left."""
    return face.mean() + share * (face - face.mean())


def jpeg(face: DoubleArray, rng: np.random.Generator, *, side: int, quality: int) -> DoubleArray:
    """A camera that compresses: the face enlarged to `side` pixels, through JPEG of this `quality`, and back."""
    stream = io.BytesIO()
    _resized(face, side, Image.Resampling.BICUBIC).save(stream, "JPEG", quality=quality)
    with Image.open(stream) as compressed:
        return np.asarray(compressed.resize((SIZE, SIZE), Image.Resampling.BOX), np.float64)


def shadow(face: DoubleArray, rng: np.random.Generator, *, light: float) -> DoubleArray:
    """One half of the face, on any side, gets only a share `light` of its light; the edge is 6 pixels wide."""
    angle = rng.uniform(0, 2 * np.pi)
    down, right = np.mgrid[:SIZE, :SIZE] - _CENTRE
    lit = np.clip((np.sin(angle) * down + np.cos(angle) * right) / 6 + 0.5, 0, 1)
    return face * (light + (1 - light) * lit)


def low_resolution(face: DoubleArray, rng: np.random.Generator, *, side: int) -> DoubleArray:
    """A face far away, `side` pixels wide, enlarged to what the crop needs."""
    small = _resized(face, side, Image.Resampling.BOX)
    return np.asarray(small.resize((SIZE, SIZE), Image.Resampling.BILINEAR), np.float64)


def shift(face: DoubleArray, rng: np.random.Generator, *, distance: float) -> DoubleArray:
    """Landmarks off by `distance` pixels, in any direction."""
    angle = rng.uniform(0, 2 * np.pi)
    offset = distance * np.array([np.sin(angle), np.cos(angle)])
    return ndimage.shift(face, offset, order=3, mode="nearest")


def rescale(face: DoubleArray, rng: np.random.Generator, *, share: float) -> DoubleArray:
    """Landmarks too near to each other or too far apart: the face larger or smaller by `share`."""
    factor = (1 + share) ** rng.choice((-1.0, 1.0))
    return _about_centre(face, np.eye(2) * factor)


def turn(face: DoubleArray, rng: np.random.Generator, *, degrees: float) -> DoubleArray:
    """Landmarks tilted: the face turned by `degrees`, either way."""
    angle = np.deg2rad(degrees) * rng.choice((-1.0, 1.0))
    return _about_centre(face, np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]))


def occlusion(face: DoubleArray, rng: np.random.Generator, *, side: int) -> DoubleArray:
    """A hand, a cup, a microphone: a square of `side` pixels of one grey, anywhere within the crop."""
    top, left = rng.integers(0, SIZE - side + 1, 2)
    hidden = face.copy()
    hidden[top : top + side, left : left + side] = rng.uniform(0, 255)
    return hidden


def _resized(face: DoubleArray, side: int, how: Image.Resampling) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(face), 0, 255).astype(np.uint8)).resize((side, side), how)


def _about_centre(face: DoubleArray, to_source: DoubleArray) -> DoubleArray:
    """Samples by cubic splines, which blur next to nothing: what is measured is the place, not the sharpness."""
    offset = _CENTRE - to_source @ np.full(2, _CENTRE)
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
