"""Augment faces in training with the changes that webcams and moving heads cause."""

import dataclasses

import keras
import numpy as np
from keras import layers, ops

from moodspace.embeddings.crops import SIZE


@dataclasses.dataclass(frozen=True, slots=True)
class AugmentationStrength:
    """The strength of each random change.

    Attributes:
        rotation: Largest angle, degrees.
        zoom: Largest relative change of size.
        stretch: Largest relative change of one side against the other.
        shift: Largest shift, as a share of the side.
        contrast: Largest relative change.
        brightness: Largest change, gray levels of 255.
        gamma: Largest change of the logarithm of the exponent.
        noise: Largest standard deviation, gray levels of 255.
        blur: Probability of a blur.
        shadow: Probability that one side of the face is darker.
        cutout: Probability that a rectangle is covered.
        flip: Mirror half of the faces.
    """

    rotation: float = 20.0
    zoom: float = 0.2
    stretch: float = 0.1
    shift: float = 0.12
    contrast: float = 0.4
    brightness: float = 40.0
    gamma: float = 0.4
    noise: float = 8.0
    blur: float = 0.25
    shadow: float = 0.25
    cutout: float = 0.5
    flip: bool = True


NO_AUGMENTATION = AugmentationStrength(
    rotation=0, zoom=0, stretch=0, shift=0, contrast=0, brightness=0, gamma=0, noise=0, blur=0, shadow=0, cutout=0,
    flip=False,
)  # fmt: skip


class Augment(layers.Layer):
    """Change each face of a batch at random: geometry, light, blur, noise and cutout.

    All geometry is one resampling. A stack of Keras's own layers would resample, and so blur, a 48-pixel face each
    time.

    Args:
        strength: The strength of each change.
        seed: Seed of all random numbers.

    Call arguments:
        faces: `(n, 48, 48, 1)` float32, gray, 0 to 255.

    Output shape:
        `(n, 48, 48, 1)` float32, 0 to 255.
    """

    def __init__(self, strength: AugmentationStrength | None = None, seed: int = 0, **kwargs: object) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.strength = strength or AugmentationStrength()
        self.random = keras.random.SeedGenerator(seed)

    def call(self, faces: keras.KerasTensor) -> keras.KerasTensor:
        """Return the changed faces."""
        n = ops.shape(faces)[0]
        faces = ops.image.affine_transform(
            faces, self._transform(n), interpolation="bilinear", fill_mode="nearest", data_format="channels_last"
        )
        faces = self._light(faces, n)
        faces = self._blur(faces, n)
        noise = keras.random.normal(ops.shape(faces), seed=self.random)
        faces = faces + noise * self._uniform(n, 0, self.strength.noise)
        return self._hide(ops.clip(faces, 0, 255), n)

    def _uniform(self, n: int, low: float, high: float) -> keras.KerasTensor:
        """Return `(n, 1, 1, 1)` uniform random numbers."""
        return keras.random.uniform((n, 1, 1, 1), low, high, seed=self.random)

    def _happens(self, n: int, probability: float) -> keras.KerasTensor:
        return self._uniform(n, 0, 1) < probability

    def _transform(self, n: int) -> keras.KerasTensor:
        """Return `(n, 8)` projective transforms from output to input pixels, about the center."""
        s, center = self.strength, (SIZE - 1) / 2

        def draw(limit: float) -> keras.KerasTensor:
            return keras.random.uniform((n,), -limit, limit, seed=self.random)

        angle = draw(s.rotation * np.pi / 180)
        size, stretch = ops.exp(draw(np.log1p(s.zoom))), ops.exp(draw(np.log1p(s.stretch) / 2))
        side = ops.sign(draw(1.0)) if s.flip else ops.ones((n,))
        cos, sin = ops.cos(angle), ops.sin(angle)
        a, b = cos * size * stretch * side, -sin * size
        c, d = sin * size * stretch * side, cos * size / stretch
        dx = center + draw(s.shift * SIZE) - (a + b) * center
        dy = center + draw(s.shift * SIZE) - (c + d) * center
        zero = ops.zeros((n,))
        return ops.stack([a, b, dx, c, d, dy, zero, zero], axis=1)

    def _light(self, faces: keras.KerasTensor, n: int) -> keras.KerasTensor:
        s = self.strength
        gamma = ops.exp(self._uniform(n, -s.gamma, s.gamma))
        faces = 255 * (ops.clip(faces, 0, 255) / 255 + 1e-6) ** gamma
        mean = ops.mean(faces, axis=(1, 2, 3), keepdims=True)
        faces = mean + (faces - mean) * self._uniform(n, 1 - s.contrast, 1 + s.contrast)
        faces = faces + self._uniform(n, -s.brightness, s.brightness)
        ramp = ops.reshape(ops.linspace(-1.0, 1.0, SIZE), (1, 1, SIZE, 1))
        across, down = self._uniform(n, -1, 1), self._uniform(n, -1, 1)
        shade = 1 + 0.5 * (ramp * across + ops.transpose(ramp, (0, 2, 1, 3)) * down)
        return ops.where(self._happens(n, s.shadow), faces * shade, faces)

    def _blur(self, faces: keras.KerasTensor, n: int) -> keras.KerasTensor:
        binomial = np.array([1, 4, 6, 4, 1], "float32") / 16
        kernel = ops.reshape(ops.convert_to_tensor(np.outer(binomial, binomial)), (5, 5, 1, 1))
        # Mirrored borders: zeros would darken the edge of every blurred face.
        padded = ops.pad(faces, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
        blurred = ops.conv(padded, kernel, padding="valid", data_format="channels_last")
        amount = ops.where(self._happens(n, self.strength.blur), self._uniform(n, 0, 1), 0.0)
        return faces + amount * (blurred - faces)

    def _hide(self, faces: keras.KerasTensor, n: int) -> keras.KerasTensor:
        """Cover a rectangle of a tenth to two fifths of each side with one gray (DeVries and Taylor 2017)."""
        rows = ops.reshape(ops.arange(SIZE, dtype="float32"), (1, SIZE, 1, 1))
        columns = ops.transpose(rows, (0, 2, 1, 3))
        inside = self._happens(n, self.strength.cutout)
        for axis in (rows, columns):
            half, middle = self._uniform(n, 0.05, 0.2) * SIZE, self._uniform(n, 0, SIZE)
            inside = ops.logical_and(inside, ops.abs(axis - middle) < half)
        return ops.where(inside, self._uniform(n, 0, 255), faces)
