"""Faces that are in a data set more than once: with the same pixels, or as near copies of one photograph.

Near copies are looked for in the pixels, because a trained network finds all happy faces alike. Faces are compared as
pictures of 8 x 8, upright and mirrored; what is close there is laid over one another, first at half size and then in
full, at every shift of up to `REACH` pixels. The similarity of two faces is the best correlation of their overlapping
pixels, which brightness and contrast leave as it is.

Measured on the 30,766 different pictures of FER2013's training and validation split, `NEAR` lies in the valley between
pictures that resemble each other by chance and copies. Of the 5,761 pairs of a face and a mirrored other that came
closest in small, nearly all of different photographs, 35 reach 0.93; copies shifted by up to 2 pixels or 20 levels
brighter or darker (`classifier.near_copies`) come out above 0.98; 24 pairs between 0.93 and 0.96, looked at, were all
of one photograph. The small pictures let through all copies shifted by a pixel, nine in ten shifted by two to a side
and half of those shifted by two both ways. Faces that are blurred and all cut alike resemble each other more: of 7
pairs found among 2,400 such news pictures, about half were of different people.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from moodspace.arrays import ByteArray, FloatArray, IntArray
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.data.labelled import Progress

Pictures = ByteArray | FloatArray

NEAR = 0.93
REACH = 3
# Looser the smaller the pictures are; a pixel at half size is two, so that two there reach beyond REACH.
_COARSE, _COARSE_NEAR = 8, 0.9
_HALF_NEAR, _HALF_REACH = 0.85, 2
_BLOCK, _ALIGNED_AT_ONCE = 256, 512
# Of a face that resembles many, so many are looked at: enough to chain a family together, and bounded in memory.
_MOST = 20


@dataclass(frozen=True, slots=True, eq=False)
class DuplicateFaces:
    """Which of n faces are copies of which.

    Attributes:
        pixels: `(n,)` int64, a number for each different picture: faces with the same number have the same pixels.
        pairs: `(m, 2)` int64, faces that are near copies, ascending in each row, of each picture its first face.
        similarity: `(m,)` float32 in [NEAR, 1], best first.
        mirrored: `(m,)` bool, whether they are near when one is mirrored.
    """

    pixels: IntArray
    pairs: IntArray
    similarity: FloatArray
    mirrored: npt.NDArray[np.bool_]

    @property
    def groups(self) -> list[IntArray]:
        """The faces of each picture that is there more than once, ascending."""
        order = np.argsort(self.pixels, kind="stable")
        starts = np.flatnonzero(np.diff(self.pixels[order])) + 1
        return [rows for rows in np.split(order, starts) if len(rows) > 1]

    @property
    def families(self) -> IntArray:
        """`(n,)` int64, a number for each photograph: copies and their near copies have the same."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        size = int(self.pixels.max(initial=-1)) + 1
        near = self.pixels[self.pairs]
        links = coo_array((np.ones(len(near), bool), (near[:, 0], near[:, 1])), shape=(size, size))
        family: IntArray = connected_components(links, directed=False)[1].astype(np.int64)
        return family[self.pixels]


def find_copies(crops: ByteArray, progress: Progress | None = None) -> DuplicateFaces:
    """Finds all faces with the same pixels, and near copies among the others.

    Args:
        crops: `(n, 48, 48)` uint8 in [0, 255], grey; n = 0 is legal.
        progress: Called with the faces compared so far and their number.
    """
    if not len(crops):
        return DuplicateFaces(
            np.zeros(0, np.int64), np.zeros((0, 2), np.int64), np.zeros(0, np.float32), np.zeros(0, bool)
        )
    as_one = np.ascontiguousarray(crops).reshape(len(crops), -1).view(f"V{SIZE * SIZE}").ravel()
    _, first, pixels = np.unique(as_one, return_index=True, return_inverse=True)
    first = np.sort(first)
    different = crops[first]
    halves = _shrunk(different, SIZE // 2)
    upright = _near(different, halves, False, progress)
    mirrored = _near(different, halves, True, progress)
    # A face that is symmetric is near both ways; it counts once, as it stands.
    seen = set(map(tuple, upright[0].tolist()))
    new = np.array([tuple(pair) not in seen for pair in mirrored[0].tolist()], bool)
    pairs = first[np.concatenate([upright[0], mirrored[0][new]])]
    similarity = np.concatenate([upright[1], mirrored[1][new]])
    order = np.argsort(-similarity, kind="stable")
    is_mirrored = np.repeat([False, True], [len(upright[0]), int(new.sum())])
    return DuplicateFaces(pixels.astype(np.int64), pairs[order], similarity[order], is_mirrored[order])


def _near(crops: ByteArray, halves: FloatArray, mirror: bool, progress: Progress | None) -> tuple[IntArray, FloatArray]:
    """Returns the near pairs among faces, ascending in each row, and how near they are; `halves` are half as large."""
    turned = (lambda faces: faces[:, :, ::-1]) if mirror else (lambda faces: faces)
    coarse = _standardised(_shrunk(halves, _COARSE))
    asking = _standardised(_shrunk(turned(halves), _COARSE)) if mirror else coarse
    found = [np.zeros((0, 2), np.int64)]
    for start in range(0, len(crops), _BLOCK):
        found.append(_candidates(asking[start : start + _BLOCK], coarse[start:]) + start)
        if progress is not None:
            progress((len(crops) * mirror + min(start + _BLOCK, len(crops))) // 2, len(crops))
    pairs = np.concatenate(found)
    kept, similarity = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    for start in range(0, len(pairs), _ALIGNED_AT_ONCE):
        one, other = pairs[start : start + _ALIGNED_AT_ONCE].T
        close = aligned_similarity(turned(halves[one]), halves[other], _HALF_REACH) >= _HALF_NEAR
        one, other = one[close], other[close]
        nearness = aligned_similarity(turned(crops[one]), crops[other])
        near = nearness >= NEAR
        kept.append(np.stack([one[near], other[near]], axis=1))
        similarity.append(nearness[near])
    return np.concatenate(kept), np.concatenate(similarity)


def _candidates(asking: FloatArray, others: FloatArray) -> IntArray:
    """Returns `(m, 2)`: rows of `asking`, and later rows of `others` that are close to them."""
    # In one dimension this is several times as fast as in two.
    one, other = np.divmod(np.flatnonzero((asking @ others.T > _COARSE_NEAR).ravel()), len(others))
    later = other > one
    one, other = one[later], other[later]
    place = np.arange(len(one)) - np.searchsorted(one, one)
    return np.stack([one, other], axis=1)[place < _MOST]


def aligned_similarity(one: Pictures, other: Pictures, reach: int = REACH) -> FloatArray:
    """Says how alike faces are when they are shifted for the best fit.

    Args:
        one: `(m, s, s)` uint8 or float32.
        other: `(m, s, s)`, the face that each is compared with.
        reach: By up to so many pixels in each direction, less than half of s.

    Returns:
        `(m,)` float32, correlation in [-1, 1]; 0 for a picture of one grey.
    """
    inner = one.shape[1] - 2 * reach
    middle = _standardised(one[:, reach : reach + inner, reach : reach + inner])
    best = np.full(len(one), -1, np.float32)
    for top, left in itertools.product(range(2 * reach + 1), repeat=2):
        window = _standardised(other[:, top : top + inner, left : left + inner])
        np.maximum(best, np.einsum("mp,mp->m", middle, window), out=best)
    return np.minimum(best, np.float32(1))


def _shrunk(pictures: Pictures, size: int) -> FloatArray:
    """Returns `(n, size, size)` float32, each pixel the mean of those that it stands for."""
    step = pictures.shape[1] // size
    total = np.zeros((len(pictures), size, size), np.float32)
    for top, left in itertools.product(range(step), repeat=2):
        total += pictures[:, top::step, left::step]
    total /= step * step
    return total


def _standardised(pictures: Pictures) -> FloatArray:
    """Returns `(m, pixels)` float32: each picture as a unit vector; the product of two is their correlation."""
    rows = pictures.reshape(len(pictures), pictures.shape[1] * pictures.shape[2]).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    # A picture of one grey is like no other.
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-3)
    return rows
