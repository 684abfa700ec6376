"""Where faces stand on a map: among the faces there that they are most similar to."""

import numpy as np

from moodspace.arrays import BoolArray, FloatArray, IntArray
from moodspace.index.search import Neighbors

# How fast a neighbor's say falls with its similarity.
_TAU = 0.02
# So many neighbors are asked by those who have no reason to ask for more.
PLACED_BY = 15


def map_positions(neighbors: Neighbors, rows: IntArray, coordinates: FloatArray) -> FloatArray:
    """Return where faces stand on a map: the mean of their neighbors there, the nearest of which count most.

    Nothing on the map moves, the same face always gets the same place, and it takes no time; `umap.transform` gives
    none of these.

    Args:
        neighbors: Of n faces.
        rows: `(n, k)` int64, the map's row of each neighbor, -1 for those that it does not have.
        coordinates: `(m, 2)` float32, the map's places; m = 0 is legal.

    Returns:
        `(n, 2)` float32; NaN for a face without neighbors on the map.
    """
    known: BoolArray = neighbors.valid & (rows >= 0)
    best = np.where(known, neighbors.similarities, -1.0).max(axis=1, keepdims=True, initial=-1.0)
    weights = np.exp(np.where(known, neighbors.similarities - best, -np.inf) / _TAU)
    total = weights.sum(axis=1, keepdims=True)
    # One more place, for neighbors that the map does not have.
    there = np.concatenate([coordinates, np.zeros((1, 2), np.float32)])[np.where(known, rows, -1)]
    sums = np.einsum("nk,nkc->nc", weights, there)
    return np.divide(sums, total, out=np.full(sums.shape, np.nan), where=total > 0).astype(np.float32)
