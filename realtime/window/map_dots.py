"""Where the faces in sight stand on the bundle's map, moving smoothly."""

import numpy as np

from moodspace.arrays import FloatArray
from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.map_positions import map_positions
from moodspace.realtime.pipeline import LiveResult

# Half of the way to a new place is gone in this time, seconds.
_HALF_LIFE = 0.2


class MapDots:
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
        found = map_positions(neighbors, self._index.rows(neighbors.ids), self._coordinates)
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
