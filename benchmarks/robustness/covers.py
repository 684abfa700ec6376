"""Draw covers over faces: masks, scarves, hands, bars, pictures' edges, blur and pixels, all seeded.

Positions are pixels of the 48x48 crop, in which the mouth's corners stand at about (17, 35) and (31, 35), the eyes at
(15, 19) and (32, 18), and the nose's tip at (24, 28). Two sets of textures keep fitting and measuring apart.
"""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from moodspace.arrays import ByteArray, FloatArray
from moodspace.embeddings.crops import SIZE

Texture = Callable[[np.random.Generator], FloatArray]
Cover = Callable[[FloatArray, np.random.Generator, "list[Texture]"], FloatArray]

_DOWN, _RIGHT = np.mgrid[:SIZE, :SIZE].astype(np.float32)


def plain(rng: np.random.Generator) -> FloatArray:
    """One grey, lighter on one side."""
    slope = rng.uniform(-1.5, 1.5, 2)
    return (rng.uniform(5, 250) + slope[0] * (_RIGHT - 24) + slope[1] * (_DOWN - 24)).astype(np.float32)


def pleated(rng: np.random.Generator) -> FloatArray:
    """A surgical mask: folds across."""
    period, depth, tilt = rng.uniform(3, 8), rng.uniform(2, 22), rng.uniform(-0.15, 0.15)
    bend = rng.uniform(-0.012, 0.012) * (_RIGHT - 24) ** 2
    fold = depth * np.sin(2 * np.pi * (_DOWN + tilt * _RIGHT + bend) / period + rng.uniform(0, 6))
    return (plain(rng) + fold).astype(np.float32)


def ridged(rng: np.random.Generator) -> FloatArray:
    """A cup-shaped mask: light in the middle, darker outward, a ridge down."""
    x = _RIGHT - 24 - rng.uniform(-2, 2)
    shade = plain(rng) - rng.uniform(0, 0.12) * x**2 * rng.uniform(0.3, 1)
    return (shade + rng.uniform(-20, 20) * np.exp(-(x**2) / rng.uniform(1, 8))).astype(np.float32)


def knitted(rng: np.random.Generator) -> FloatArray:
    """A scarf: small waves in two directions."""
    one, other = rng.uniform(2.5, 6, 2)
    turn = rng.uniform(0, np.pi)
    along, across = np.cos(turn) * _RIGHT + np.sin(turn) * _DOWN, np.cos(turn) * _DOWN - np.sin(turn) * _RIGHT
    waves = np.sin(2 * np.pi * along / one) * np.cos(2 * np.pi * across / other)
    return (plain(rng) + rng.uniform(4, 40) * waves).astype(np.float32)


def cloudy(rng: np.random.Generator) -> FloatArray:
    """Cloth with soft folds, or skin: clouds of some size."""
    side = int(rng.integers(3, 14))
    clouds = cv2.resize(rng.normal(0, 1, (side, side)).astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    return (plain(rng) + rng.uniform(3, 30) * clouds).astype(np.float32)


def striped(rng: np.random.Generator) -> FloatArray:
    """Broad stripes of two greys in any direction."""
    turn, period = rng.uniform(0, np.pi), rng.uniform(4, 14)
    wave = np.cos(turn) * _RIGHT + np.sin(turn) * _DOWN
    return (plain(rng) + rng.uniform(5, 60) * np.sign(np.sin(2 * np.pi * wave / period))).astype(np.float32)


def fingers(rng: np.random.Generator) -> FloatArray:
    """A hand: round fingers side by side, dark between them."""
    turn, width = rng.uniform(-0.7, 0.7) + rng.choice([0, np.pi / 2]), rng.uniform(5, 9)
    across = np.cos(turn) * _RIGHT + np.sin(turn) * _DOWN + rng.uniform(0, width)
    round_ = np.abs(np.sin(np.pi * across / width)) ** rng.uniform(0.2, 0.6)
    return (plain(rng) + rng.uniform(10, 60) * (round_ - 0.7)).astype(np.float32)


def speckled(rng: np.random.Generator) -> FloatArray:
    """Coarse cloth: grain."""
    grain = cv2.GaussianBlur(rng.normal(0, 1, (SIZE, SIZE)).astype(np.float32), (0, 0), rng.uniform(0.5, 1.2))
    return (plain(rng) + rng.uniform(5, 40) * grain / grain.std()).astype(np.float32)


FITTED_TEXTURES: list[Texture] = [plain, pleated, knitted, cloudy, striped]
MEASURED_TEXTURES: list[Texture] = [ridged, fingers, speckled]


def _laid(face: FloatArray, cover: FloatArray, inside: FloatArray) -> FloatArray:
    return (face * (1 - inside) + np.clip(cover, 0, 255) * inside).astype(np.float32)


def _polygon(points: npt.ArrayLike, rng: np.random.Generator) -> FloatArray:
    mask = np.zeros((4 * SIZE, 4 * SIZE), np.uint8)
    corners = np.asarray(points, np.float64) + rng.normal(0, 0.8, np.shape(points))
    cv2.fillPoly(mask, [np.round(4 * corners).astype(np.int32)], 255)
    return (cv2.resize(mask, (SIZE, SIZE), interpolation=cv2.INTER_AREA) / 255).astype(np.float32)


def mouth_mask(face: FloatArray, rng: np.random.Generator, textures: list[Texture]) -> FloatArray:
    """A mask over nose, mouth and chin; at times under the nose."""
    top = rng.uniform(23, 31)
    side = rng.uniform(3, 11)
    points = [
        (side, top + 2), (24, top - rng.uniform(0, 4)), (47 - side, top + 2), (46 - side, 41), (33, 49), (15, 49),
        (1 + side, 41),
    ]  # fmt: skip
    return _laid(face, textures[int(rng.integers(len(textures)))](rng), _polygon(points, rng))


def lower_half(face: FloatArray, rng: np.random.Generator, textures: list[Texture]) -> FloatArray:
    """A scarf or anything else from one side of the picture to the other."""
    top, tilt = rng.uniform(22, 31), rng.uniform(-4, 4)
    points = [(-2, top - tilt), (50, top + tilt), (50, 50), (-2, 50)]
    return _laid(face, textures[int(rng.integers(len(textures)))](rng), _polygon(points, rng))


def mouth_bar(face: FloatArray, rng: np.random.Generator, textures: list[Texture]) -> FloatArray:
    """A bar over the mouth alone."""
    top, bottom, side = rng.uniform(28, 32), rng.uniform(39, 44), rng.uniform(6, 13)
    points = [(side, top), (48 - side, top), (48 - side, bottom), (side, bottom)]
    return _laid(face, textures[int(rng.integers(len(textures)))](rng), _polygon(points, rng))


def hand(face: FloatArray, rng: np.random.Generator, textures: list[Texture]) -> FloatArray:
    """A hand or a cup before the mouth: an ellipse."""
    middle, axes = rng.normal((24, 36), (2, 1.5)), rng.uniform((10, 7), (19, 13))
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.ellipse(mask, (tuple(middle), tuple(2 * axes), float(rng.uniform(-30, 30))), 255, -1, cv2.LINE_AA)
    return _laid(face, textures[int(rng.integers(len(textures)))](rng), (mask / 255).astype(np.float32))


def eyes_bar(face: FloatArray, rng: np.random.Generator, textures: list[Texture]) -> FloatArray:
    """A bar over both eyes."""
    top, bottom, side = rng.uniform(11, 15), rng.uniform(22, 26), rng.uniform(0, 7)
    points = [(side, top), (48 - side, top), (48 - side, bottom), (side, bottom)]
    return _laid(face, textures[int(rng.integers(len(textures)))](rng), _polygon(points, rng))


def mask_and_eyes(face: FloatArray, rng: np.random.Generator, textures: list[Texture]) -> FloatArray:
    """A mask and dark glasses."""
    return eyes_bar(mouth_mask(face, rng, textures), rng, textures)


def edge(face: FloatArray, rng: np.random.Generator, textures: list[Texture]) -> FloatArray:
    """The picture ends between the nose and the mouth: its last row is repeated, as `embeddings.crops` does."""
    last = int(rng.integers(23, 33))
    cut = face.copy()
    cut[last:] = face[last]
    return cut


def side_half(face: FloatArray, rng: np.random.Generator, textures: list[Texture]) -> FloatArray:
    """The left or the right half."""
    middle = rng.uniform(20, 28)
    points = [(-2, -2), (middle, -2), (middle, 50), (-2, 50)]
    covered = _laid(face, textures[int(rng.integers(len(textures)))](rng), _polygon(points, rng))
    return covered if rng.random() < 0.5 else covered[:, ::-1].copy()


def pixelated(face: FloatArray, rng: np.random.Generator, textures: list[Texture]) -> FloatArray:
    """Blocks of 5 to 12 pixels."""
    block = rng.uniform(5, 12)
    shift = rng.uniform(0, block, 2)
    rows, columns = ((grid + move) // block for grid, move in zip((_DOWN, _RIGHT), shift, strict=True))
    blocks = (rows * 100 + columns).astype(int)
    _, inverse = np.unique(blocks, return_inverse=True)
    inverse = inverse.reshape(-1)
    means = np.bincount(inverse, face.reshape(-1)) / np.bincount(inverse)
    return means[inverse].reshape(SIZE, SIZE).astype(np.float32)


def blurred_away(face: FloatArray, rng: np.random.Generator, textures: list[Texture]) -> FloatArray:
    """A blur of 3 to 7 pixels."""
    return cv2.GaussianBlur(face, (0, 0), rng.uniform(3, 7)).astype(np.float32)


MOUTH: dict[str, Cover] = {
    "mask": mouth_mask,
    "lower half": lower_half,
    "bar over the mouth": mouth_bar,
    "hand": hand,
    "mask and glasses": mask_and_eyes,
    "picture's edge": edge,
}
WHOLE: dict[str, Cover] = {"pixels": pixelated, "blur": blurred_away}
OTHERS: dict[str, Cover] = {"bar over the eyes": eyes_bar, "left or right half": side_half}


def covered(crops: ByteArray, cover: Cover, textures: list[Texture], seed: int) -> ByteArray:
    """Cover every face, each with draws of its own.

    Args:
        crops: `(n, 48, 48)` uint8 grey in [0, 255].
        cover: What covers them.
        textures: What the cover may be made of.
        seed: Of all draws.

    Returns:
        `(n, 48, 48)` uint8.
    """
    changed = np.empty_like(crops)
    for row, crop in enumerate(crops):
        face = cover(crop.astype(np.float32), np.random.default_rng((seed, row)), textures)
        changed[row] = np.clip(np.rint(face), 0, 255)
    return changed
