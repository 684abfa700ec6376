"""Measure how well a map preserves the neighborhoods of the embedding space."""

from dataclasses import dataclass

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.viz.map.projection import majority, nearest_others, unit_rows

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class MapQuality:
    """How well a map preserves the embedding space; None where there are too few faces or labels.

    Attributes:
        trustworthiness: In [0, 1]; 1 if all neighbors on the map are neighbors in the space (Venna & Kaski 2001).
        knn_accuracy_map: Leave-one-out k-nearest-neighbor accuracy on the map, in [0, 1].
        knn_accuracy_space: The same in the embedding space, an upper bound for good maps.
        k: Number of neighbors in all three.
        dim: Dimensions of the embedding space.
    """

    trustworthiness: float | None
    knn_accuracy_map: float | None
    knn_accuracy_space: float | None
    k: int
    dim: int


def measure_quality(
    embeddings: FloatArray, coordinates: FloatArray, labels: IntArray, *, seed: int, k: int = 15, sample: int = 4000
) -> MapQuality:
    """Measure how well a map preserves the embedding space.

    Args:
        embeddings: `(n, d)` float32, rows of unit length.
        coordinates: `(n, 2)` float32, the map coordinates of the same rows.
        labels: `(n,)` int64, the class of each row, -1 for none.
        seed: Seed of the sample.
        k: Number of neighbors; lowered if there are too few faces.
        sample: Number of faces over which trustworthiness is averaged; their neighbors are searched among all faces.

    Returns:
        The three measurements; the accuracies are over all labeled faces.

    Raises:
        ValueError: Rows are not finite vectors of unit length, or the arrays differ in length.
    """
    rows = unit_rows(embeddings)
    if coordinates.shape != (len(rows), 2) or labels.shape != (len(rows),):
        raise ValueError(
            f"coordinates and labels: expected ({len(rows)}, 2) and ({len(rows)},), got {coordinates.shape} and "
            f"{labels.shape}; pass the rows that the map was made from"
        )
    k = min(k, max(1, (len(rows) - 1) // 2))
    known = np.flatnonzero(labels >= 0)
    on_map = in_space = None
    if len(known) > k:
        on_map = _accuracy(_near_on_map(coordinates[known], k), labels[known])
        in_space = _accuracy(nearest_others(rows[known], k)[1], labels[known])
    return MapQuality(_trustworthiness(rows, coordinates, k, seed, sample), on_map, in_space, k, rows.shape[1])


def _trustworthiness(rows: FloatArray, coordinates: FloatArray, k: int, seed: int, sample: int) -> float | None:
    """Return 1 minus the normalized sum of how far each map neighbor's rank in the space exceeds k."""
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
    """Return `(n, k)`: row numbers of the nearest other points on the map, for n > k points."""
    from scipy.spatial import cKDTree

    found = np.asarray(cKDTree(coordinates).query(coordinates, k + 1)[1], np.int64)
    # Of many identical points, one may not find itself; then drop the last instead.
    itself = np.argsort(found == np.arange(len(found))[:, None], axis=1, kind="stable")[:, :k]
    return np.take_along_axis(found, itself, axis=1)


def _accuracy(near: IntArray, labels: IntArray) -> float:
    return float((majority(labels[near], int(labels.max()) + 1) == labels).mean())
