"""Find duplicate faces in a data set: identical pixels, and near copies of one photograph.

Near copies are searched in pixels, because the embeddings of a trained network put all happy faces close together. Each
face and its mirror image is compared at 8 x 8 pixels. Pairs that are close there are aligned, first at half size and
then at full size, at every shift of up to `REACH` pixels. The similarity of two faces is the highest correlation of
their overlapping pixels, which does not depend on brightness and contrast.

`NEAR` was measured on the 30,766 distinct images of FER2013's training and validation splits; it separates chance
resemblance from copies. Of the 5,761 pairs of a face and a mirrored other face that were closest at 8 x 8, nearly all
of different photographs, 35 reach 0.93. Copies shifted by up to 2 pixels or 20 gray levels brighter or darker
(`classifier.taught_scores.perturbations`) exceed 0.98. All 24 inspected pairs between 0.93 and 0.96 showed one
photograph. The comparison at 8 x 8 keeps all copies shifted by one pixel, 90% of those shifted by two pixels along one
axis and 50% of those shifted by two along both. Blurred faces with one crop geometry resemble each other more: of 7
pairs found among 2,400 such news images, about half showed different people.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from moodspace.arrays import ByteArray, FloatArray, IntArray
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.data.labelled import Progress

Images = ByteArray | FloatArray

NEAR = 0.93
REACH = 3
# Thresholds are looser at smaller sizes. A shift of two pixels at half size is four pixels, which covers REACH.
_COARSE, _COARSE_NEAR = 8, 0.9
_HALF_NEAR, _HALF_REACH = 0.85, 2
_BLOCK, _ALIGNED_AT_ONCE = 256, 512
# Maximum number of candidates per face: enough to connect a family, and it bounds memory.
_MAX_CANDIDATES = 20


@dataclass(frozen=True, slots=True, eq=False)
class DuplicateFaces:
    """Which of n faces are copies of each other.

    Attributes:
        pixels: `(n,)` int64, one number for each distinct image: faces with the same number have identical pixels.
        pairs: `(m, 2)` int64, rows of near copies, ascending in each pair; only the first face of each distinct image.
        similarity: `(m,)` float32 in [NEAR, 1], descending.
        mirrored: `(m,)` bool, whether one face of the pair is mirrored.
    """

    pixels: IntArray
    pairs: IntArray
    similarity: FloatArray
    mirrored: npt.NDArray[np.bool_]

    @property
    def groups(self) -> list[IntArray]:
        """Return the rows of each image that occurs more than once, ascending."""
        order = np.argsort(self.pixels, kind="stable")
        starts = np.flatnonzero(np.diff(self.pixels[order])) + 1
        return [rows for rows in np.split(order, starts) if len(rows) > 1]

    @property
    def families(self) -> IntArray:
        """Return `(n,)` int64, one number for each photograph: copies and near copies share it."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        size = int(self.pixels.max(initial=-1)) + 1
        near = self.pixels[self.pairs]
        links = coo_array((np.ones(len(near), bool), (near[:, 0], near[:, 1])), shape=(size, size))
        family: IntArray = connected_components(links, directed=False)[1].astype(np.int64)
        return family[self.pixels]


def find_copies(crops: ByteArray, progress: Progress | None = None) -> DuplicateFaces:
    """Find all faces with identical pixels, and near copies among the distinct ones.

    Args:
        crops: `(n, 48, 48)` uint8 in [0, 255], gray; n = 0 is legal.
        progress: Called with the number of faces compared so far and the total.
    """
    if not len(crops):
        return DuplicateFaces(
            np.zeros(0, np.int64), np.zeros((0, 2), np.int64), np.zeros(0, np.float32), np.zeros(0, bool)
        )
    as_one = np.ascontiguousarray(crops).reshape(len(crops), -1).view(f"V{SIZE * SIZE}").ravel()
    _, first, pixels = np.unique(as_one, return_index=True, return_inverse=True)
    first = np.sort(first)
    different = crops[first]
    halves = _downscaled(different, SIZE // 2)
    upright = _near_pairs(different, halves, False, progress)
    mirrored = _near_pairs(different, halves, True, progress)
    # A symmetric face matches upright and mirrored; count it once, as upright.
    seen = set(map(tuple, upright[0].tolist()))
    new = np.array([tuple(pair) not in seen for pair in mirrored[0].tolist()], bool)
    pairs = first[np.concatenate([upright[0], mirrored[0][new]])]
    similarity = np.concatenate([upright[1], mirrored[1][new]])
    order = np.argsort(-similarity, kind="stable")
    is_mirrored = np.repeat([False, True], [len(upright[0]), int(new.sum())])
    return DuplicateFaces(pixels.astype(np.int64), pairs[order], similarity[order], is_mirrored[order])


def _near_pairs(
    crops: ByteArray, halves: FloatArray, mirror: bool, progress: Progress | None
) -> tuple[IntArray, FloatArray]:
    """Return the near pairs, ascending in each row, and their similarities; `halves` are the crops at half size."""
    oriented = (lambda faces: faces[:, :, ::-1]) if mirror else (lambda faces: faces)
    coarse = _standardized(_downscaled(halves, _COARSE))
    queries = _standardized(_downscaled(oriented(halves), _COARSE)) if mirror else coarse
    found = [np.zeros((0, 2), np.int64)]
    for start in range(0, len(crops), _BLOCK):
        found.append(_candidates(queries[start : start + _BLOCK], coarse[start:]) + start)
        if progress is not None:
            progress((len(crops) * mirror + min(start + _BLOCK, len(crops))) // 2, len(crops))
    pairs = np.concatenate(found)
    kept, similarity = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    for start in range(0, len(pairs), _ALIGNED_AT_ONCE):
        one, other = pairs[start : start + _ALIGNED_AT_ONCE].T
        close = aligned_similarity(oriented(halves[one]), halves[other], _HALF_REACH) >= _HALF_NEAR
        one, other = one[close], other[close]
        correlation = aligned_similarity(oriented(crops[one]), crops[other])
        near = correlation >= NEAR
        kept.append(np.stack([one[near], other[near]], axis=1))
        similarity.append(correlation[near])
    return np.concatenate(kept), np.concatenate(similarity)


def _candidates(queries: FloatArray, others: FloatArray) -> IntArray:
    """Return `(m, 2)`: rows of `queries`, each with a later row of `others` that is close to it."""
    # On the flattened array this is several times faster.
    one, other = np.divmod(np.flatnonzero((queries @ others.T > _COARSE_NEAR).ravel()), len(others))
    later = other > one
    one, other = one[later], other[later]
    place = np.arange(len(one)) - np.searchsorted(one, one)
    return np.stack([one, other], axis=1)[place < _MAX_CANDIDATES]


def aligned_similarity(one: Images, other: Images, reach: int = REACH) -> FloatArray:
    """Return the similarity of each pair of faces at the best shift.

    Args:
        one: `(m, s, s)` uint8 or float32.
        other: `(m, s, s)`, the face to compare with each.
        reach: Maximum shift in pixels in each direction, less than s / 2.

    Returns:
        `(m,)` float32, correlation in [-1, 1]; 0 for an image of uniform gray.
    """
    inner = one.shape[1] - 2 * reach
    middle = _standardized(one[:, reach : reach + inner, reach : reach + inner])
    best = np.full(len(one), -1, np.float32)
    for top, left in itertools.product(range(2 * reach + 1), repeat=2):
        window = _standardized(other[:, top : top + inner, left : left + inner])
        np.maximum(best, np.einsum("mp,mp->m", middle, window), out=best)
    return np.minimum(best, np.float32(1))


def _downscaled(images: Images, size: int) -> FloatArray:
    """Return `(n, size, size)` float32, each pixel the mean of the block it replaces."""
    step = images.shape[1] // size
    total = np.zeros((len(images), size, size), np.float32)
    for top, left in itertools.product(range(step), repeat=2):
        total += images[:, top::step, left::step]
    total /= step * step
    return total


def _standardized(images: Images) -> FloatArray:
    """Return `(m, pixels)` float32: each image as a zero-mean unit vector, so that products are correlations."""
    rows = images.reshape(len(images), images.shape[1] * images.shape[2]).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    # An image of uniform gray has no direction: avoid a division by zero.
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-3)
    return rows
