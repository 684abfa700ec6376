"""Detect covered mouths from the edges in a crop.

A mask, a scarf, a hand, a bar, the edge of the picture or pixelation changes the edges around the mouth. The features
are the strengths of edges in 8 directions in each of 6x6 cells, as shares of all edges of the crop; the model is
logistic regression. Brightness, contrast and skin tone do not matter.

`benchmarks/robustness/occlusion.py` fits the weights to covered training faces and draws the curve that the threshold
was read from.
"""

import cv2
import numpy as np

from moodspace.arrays import ByteArray, FloatArray
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.detection.occlusion_weights import BIAS, WEIGHTS

CELLS, DIRECTIONS = 6, 8
# 1.5 % of uncovered validation faces are above this; some of them have a hand over the mouth.
MOST_HIDDEN = 0.75

# Pixels of the crop; removes noise before edges are measured.
_SIGMA = 0.7
# Gray levels per pixel that do not count as an edge, so that noise in a uniform crop is not a pattern.
_LEAST_EDGE = 1.0


def mouth_hidden_probability(crops: ByteArray) -> FloatArray:
    """Return the probability that the mouth of each face is covered.

    Args:
        crops: `(n, 48, 48)` uint8 gray in [0, 255].

    Returns:
        `(n,)` float32 in [0, 1].
    """
    logits = edges(crops) @ np.array(WEIGHTS, np.float32) + np.float32(BIAS)
    return (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).astype(np.float32)


def edges(crops: ByteArray) -> FloatArray:
    """Return the square root of each cell's and direction's share of the edges of each crop.

    Args:
        crops: `(n, 48, 48)` uint8 gray in [0, 255].

    Returns:
        `(n, 288)` float32 in [0, 1], cells by row, then column, then direction.

    Source:
        Dalal and Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.
    """
    found = np.empty((len(crops), CELLS * CELLS * DIRECTIONS), np.float32)
    place = np.arange(SIZE) * CELLS // SIZE
    cell = (place[:, None] * CELLS + place) * DIRECTIONS
    for row, crop in enumerate(crops):
        smooth = cv2.GaussianBlur(crop.astype(np.float32), (0, 0), _SIGMA)
        right, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
        strength = np.hypot(right, down)
        # Opposite directions are one. Comparing is faster than the remainder of a division by pi.
        angle = np.arctan2(down, right)
        turn = np.where(angle < 0, angle + np.float32(np.pi), angle) * np.float32(DIRECTIONS / np.pi)
        first = np.floor(turn)
        share = turn - first
        sums = np.zeros(found.shape[1])
        for direction, part in ((first, 1 - share), (first + 1, share)):
            at = cell + direction.astype(np.int64) % DIRECTIONS
            sums += np.bincount(at.reshape(-1), (strength * part).reshape(-1), len(sums))
        found[row] = np.sqrt(sums / (sums.sum() + _LEAST_EDGE * SIZE * SIZE))
    return found
