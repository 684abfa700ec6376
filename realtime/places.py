"""Where the faces in sight stand on the bundle's map, moving smoothly."""

import numpy as np
import numpy.typing as npt

from classifier.bundle import Bundle
from index.search import Neighbors
from realtime.faces import FloatArray
from realtime.live_pipeline import LiveResult

# How fast a neighbour's say falls with its similarity, as for new faces on the large map (`viz.projection.place`).
_TAU = 0.02
# Half of the way to a new place is gone in this time, seconds.
_HALF_LIFE = 0.2


class Places:
    """Follows faces on the map.

    Args:
        bundle: Has the map, or none.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._index, self._coordinates = bundle.index, bundle.map_coordinates
        self._places: dict[int, FloatArray] = {}
        self._time = 0.0

    def follow(self, result: LiveResult) -> dict[int, FloatArray]:
        """Returns where the faces of a frame stand: by track id `(2,)` float32, without those that stand nowhere."""
        if self._coordinates is None or not len(self._coordinates):
            return {}
        neighbors = result.prediction.neighbors
        found = places_of(neighbors, self._index.rows(neighbors.ids), self._coordinates)
        kept = 0.5 ** (max(result.time - self._time, 0.0) / _HALF_LIFE)
        self._time = result.time
        places = {}
        for track_id, place in zip(result.track_ids.tolist(), found, strict=True):
            before = self._places.get(track_id)
            if np.isfinite(place).all():
                places[track_id] = place if before is None else (kept * before + (1 - kept) * place).astype(np.float32)
            elif before is not None:
                places[track_id] = before
        self._places = places
        return places


def places_of(neighbors: Neighbors, rows: npt.NDArray[np.int64], coordinates: FloatArray) -> FloatArray:
    """Returns where faces stand on a map: the mean of their neighbours there, the nearest of which count most.

    Args:
        neighbors: Of n faces.
        rows: `(n, k)` int64, the map's row of each neighbour, -1 for those that it does not have.
        coordinates: `(m, 2)` float32, the map's places, at least one.

    Returns:
        `(n, 2)` float32; NaN for a face without neighbours on the map.
    """
    known = neighbors.valid & (rows >= 0)
    best = np.where(known, neighbors.similarities, -1.0).max(axis=1, keepdims=True, initial=-1.0)
    weights = np.exp(np.where(known, neighbors.similarities - best, -np.inf) / _TAU)
    total = weights.sum(axis=1, keepdims=True)
    sums = np.einsum("nk,nkc->nc", weights, coordinates[rows])
    return np.divide(sums, total, out=np.full(sums.shape, np.nan), where=total > 0).astype(np.float32)
