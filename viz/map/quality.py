"""How far a map can be trusted: what it keeps of the space it was made from."""

from dataclasses import dataclass

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.viz.map.projection import majority, nearest_others, unit_rows

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class MapQuality:
    """What a map keeps of the space it was made from; `None` where too few faces or labels leave nothing to measure.

    Attributes:
        trustworthiness: In [0, 1]; 1 when every neighbour on the map is a neighbour in the space (Venna & Kaski 2001).
        knn_accuracy_map: Leave-one-out k-nearest-neighbour accuracy on the map, in [0, 1].
        knn_accuracy_space: The same in the full space: what the map could keep at best.
        k: Number of neighbours in all three.
        dim: How many dimensions the full space has.
    """

    trustworthiness: float | None
    knn_accuracy_map: float | None
    knn_accuracy_space: float | None
    k: int
    dim: int


def map_quality(
    embeddings: FloatArray, coordinates: FloatArray, labels: IntArray, *, seed: int, k: int = 15, sample: int = 4000
) -> MapQuality:
    """Measure what a map keeps of its space.

    Args:
        embeddings: `(n, d)` float32, unit rows.
        coordinates: `(n, 2)` float32, the map coordinates of the same rows.
        labels: `(n,)` int64 class of each row, -1 for none.
        seed: Seed of the sample.
        k: Number of neighbours; lowered where there are too few faces.
        sample: Trustworthiness is the mean over so many faces (over all when there are fewer), each of which has its
            neighbours among all faces.

    Returns:
        The three measurements; the accuracies are over all labelled faces.

    Raises:
        ValueError: Rows are not finite unit vectors, or the three arrays do not have the same length.
    """
    rows = unit_rows(embeddings)
    if coordinates.shape != (len(rows), 2) or labels.shape != (len(rows),):
        raise ValueError(
            f"coordinates and labels: expected ({len(rows)}, 2) and ({len(rows)},), received {coordinates.shape} and "
            f"{labels.shape}; measure a map with the rows that it was made from."
        )
    k = min(k, max(1, (len(rows) - 1) // 2))
    known = np.flatnonzero(labels >= 0)
    on_map = in_space = None
    if len(known) > k:
        on_map = _accuracy(_near_on_map(coordinates[known], k), labels[known])
        in_space = _accuracy(nearest_others(rows[known], k)[1], labels[known])
    return MapQuality(_trustworthiness(rows, coordinates, k, seed, sample), on_map, in_space, k, rows.shape[1])


def _trustworthiness(rows: FloatArray, coordinates: FloatArray, k: int, seed: int, sample: int) -> float | None:
    """One less what the intruders cost: by how much each map neighbour's rank in the space is beyond k."""
    n = len(rows)
    if k >= n / 2:
        return None
    near = _near_on_map(coordinates, k)
    chosen = np.random.default_rng(seed).permutation(n)[:sample]
    beyond = 0
    for start in range(0, len(chosen), _CHUNK):
        asking = chosen[start : start + _CHUNK]
        similarities = rows[asking] @ rows.T
        similarities[np.arange(len(asking)), asking] = -np.inf
        for place in range(k):
            own = np.take_along_axis(similarities, near[asking, place, None], axis=1)
            rank = 1 + np.count_nonzero(similarities > own, axis=1)
            beyond += int(np.maximum(rank - k, 0).sum())
    return 1 - beyond * 2 / (len(chosen) * k * (2 * n - 3 * k - 1))


def _near_on_map(coordinates: FloatArray, k: int) -> IntArray:
    """`(n, k)`: row numbers of the nearest others of n points, more than k, on the plane."""
    from scipy.spatial import cKDTree

    found = np.asarray(cKDTree(coordinates).query(coordinates, k + 1)[1], np.int64)
    # Among many points on one spot, a point need not be the nearest of its own: then the last is one too many.
    itself = np.argsort(found == np.arange(len(found))[:, None], axis=1, kind="stable")[:, :k]
    return np.take_along_axis(found, itself, axis=1)


def _accuracy(near: IntArray, labels: IntArray) -> float:
    return float((majority(labels[near], int(labels.max()) + 1) == labels).mean())
