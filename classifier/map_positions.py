"""Place new faces on an existing map, near the faces that they are most similar to."""

import numpy as np

from moodspace.arrays import BoolArray, FloatArray, IntArray
from moodspace.index.search import Neighbors

# How fast a neighbor's weight falls with its similarity.
_TAU = 0.02
# The usual number of neighbors that place a face.
MAP_NEIGHBORS = 15


def map_positions(neighbors: Neighbors, rows: IntArray, coordinates: FloatArray) -> FloatArray:
    """Return the map positions of faces: the weighted mean of their neighbors' positions.

    The result is deterministic and fast and leaves the map unchanged; `umap.transform` is none of these.

    Args:
        neighbors: The neighbors of n faces.
        rows: `(n, k)` int64, the row of each neighbor on the map, -1 if it is not on the map.
        coordinates: `(m, 2)` float32, the positions on the map; m = 0 is legal.

    Returns:
        `(n, 2)` float32; NaN for a face without neighbors on the map.
    """
    known: BoolArray = neighbors.valid & (rows >= 0)
    best = np.where(known, neighbors.similarities, -1.0).max(axis=1, keepdims=True, initial=-1.0)
    weights = np.exp(np.where(known, neighbors.similarities - best, -np.inf) / _TAU)
    total = weights.sum(axis=1, keepdims=True)
    # One row more, for neighbors that are not on the map.
    there = np.concatenate([coordinates, np.zeros((1, 2), np.float32)])[np.where(known, rows, -1)]
    sums = np.einsum("nk,nkc->nc", weights, there)
    return np.divide(sums, total, out=np.full(sums.shape, np.nan), where=total > 0).astype(np.float32)
