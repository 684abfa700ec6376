"""Says which of the faces just found are which of those that are followed, by place, size and looks."""

import cv2
import numpy as np

from moodspace.arrays import BoolArray, ByteArray, DoubleArray, FloatArray
from moodspace.realtime.tracking.assignment import assign

# Looks are told by the crop, blurred and shrunk to this. In a clip of four faces, two of them alike, the most similar
# looks one second later are the same face's in 98 % of cases; by embedding, which says what is shown and not by whom,
# in 73 %.
_LOOKS_SIDE, _LOOKS_SIGMA = 8, 5.0
# At least as alike as this; the same face one second later is at 0.86 or above in 99 % of cases.
_LEAST_LIKENESS = 0.2
# A face that may be partly hidden need not be alike within this share of the reach.
_NEAR = 0.5
# A face is looked for within this many of its own sizes, and so many farther for each second it has been out of sight,
# up to so many.
_REACH, _REACH_A_SECOND, _LONGEST_REACH = 1.0, 2.0, 4.0
# The smaller of two boxes is at least this large a share of the other.
_LEAST_SHARE = 0.5
# What no pair costs; every pair that may be costs less.
_NO_PAIR = 3.0


def looks(crops: ByteArray) -> FloatArray:
    """Returns what tells faces apart from one moment to the next, for light of any strength.

    Args:
        crops: `(n, 48, 48)` uint8 grey in [0, 255].

    Returns:
        `(n, 64)` float32 rows of length 1, or of zeros for a crop of one grey.
    """
    blurred = [cv2.GaussianBlur(crop, (0, 0), _LOOKS_SIGMA) for crop in crops]
    small = [cv2.resize(crop, (_LOOKS_SIDE, _LOOKS_SIDE), interpolation=cv2.INTER_AREA) for crop in blurred]
    rows = np.array(small, np.float32).reshape(len(crops), _LOOKS_SIDE**2)
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def associate(
    expected: FloatArray, known: FloatArray, unseen: DoubleArray, found: FloatArray, seen: FloatArray, whole: BoolArray
) -> list[tuple[int, int]]:
    """Pairs followed faces with found ones, so that the pairs together are nearest and most alike.

    Args:
        expected: `(t, 4)` float32, left, top, width and height where the followed faces should be by now.
        known: `(t, 64)` float32, their looks.
        unseen: `(t,)` float64, seconds since each was last found.
        found: `(n, 4)` float32, the boxes of the found faces.
        seen: `(n, 64)` float32, their looks.
        whole: `(n,)` bool, False where another face may hide a part, so that looks may deceive.

    Returns:
        Rows of pairs, of a followed and of a found face; each row at most once.
    """
    if not len(expected) or not len(found):
        return []
    sizes, found_sizes = expected[:, None, 2:].max(axis=2), found[None, :, 2:].max(axis=2)
    middles, found_middles = expected[:, :2] + expected[:, 2:] / 2, found[:, :2] + found[:, 2:] / 2
    distance = np.linalg.norm(middles[:, None] - found_middles[None], axis=2)
    reach = np.minimum(_REACH + _REACH_A_SECOND * unseen[:, None], _LONGEST_REACH) * sizes
    closeness = 1 - distance / np.maximum(reach, 1e-6)
    likeness = known @ seen.T
    share = np.minimum(sizes, found_sizes) / np.maximum(np.maximum(sizes, found_sizes), 1e-6)
    alike = (likeness >= _LEAST_LIKENESS) | (~whole & (closeness >= _NEAR))
    possible = (closeness > 0) & alike & (share >= _LEAST_SHARE)
    # Each followed face may also stay alone, for which it has a column of its own.
    alone = np.full((len(expected), len(expected)), _NO_PAIR)
    columns = assign(np.hstack([np.where(possible, 2 - closeness - likeness, _NO_PAIR), alone]))
    pairs = [(row, int(column)) for row, column in enumerate(columns) if column < len(found)]
    return [(row, column) for row, column in pairs if possible[row, column]]


def overlaps(first: FloatArray, second: FloatArray) -> FloatArray:
    """Returns the intersection over union `(a, b)` of boxes `(a, 4)` and `(b, 4)`, left, top, width and height."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum((first[:, :2] + first[:, 2:])[:, None], (second[:, :2] + second[:, 2:])[None])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = first[:, 2:].prod(axis=1)[:, None] + second[:, 2:].prod(axis=1)[None] - shared
    return np.asarray(shared / np.maximum(areas, 1e-6), np.float32)
