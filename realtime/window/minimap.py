"""The minimap of the latent space: known faces as a soft background in their colors, faces in view as moving dots."""

from collections.abc import Mapping
from functools import lru_cache

import cv2
import numpy as np

from moodspace.arrays import ByteArray, FloatArray, IntArray
from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.map_positions import map_positions
from moodspace.realtime.drawing.canvas import BLACK, GROUND, WHITE, Color, Rectangle
from moodspace.realtime.pipeline import LiveResult

# Outliers beyond these percentiles are left off, so that the rest fills the map.
_EDGES = (0.3, 99.7)
_MARGIN = 0.05
_UNLABELED: Color = (104, 99, 95)

# Seconds in which a dot covers half of the way to its new position.
_HALF_LIFE = 0.2


class Minimap:
    """A map of known faces on which the faces in view are drawn.

    Args:
        coordinates: `(n, 2)` float32, positions of the known faces; y points up.
        labels: `(n,)` int64, class of each known face, an index into `colors`; -1 for none.
        colors: One color for each class.
    """

    def __init__(self, coordinates: FloatArray, labels: IntArray, colors: tuple[Color, ...]) -> None:
        self._coordinates, self._labels = coordinates, labels
        self._colors = np.array([*colors, _UNLABELED], np.float32)
        low, high = np.percentile(coordinates, _EDGES, axis=0) if len(coordinates) else (np.zeros(2), np.ones(2))
        span = np.maximum(high - low, 1e-6)
        self._low, self._span = low - _MARGIN * span, (1 + 2 * _MARGIN) * span
        # A window has a few sizes while it is resized, and then one.
        self._background = lru_cache(maxsize=4)(self._draw_background)

    def draw(
        self,
        picture: ByteArray,
        area: Rectangle,
        positions: Mapping[int, FloatArray],
        colors: Mapping[int, Color],
        selected: int | None,
    ) -> None:
        """Draw the map with a dot for each face.

        Args:
            picture: `(h, w, 3)` uint8 in [0, 255], BGR; changed within `area`.
            area: Where to draw, within the picture.
            positions: Position of each face by track id, `(2,)` float32; NaN for none.
            colors: Color of each dot by track id.
            selected: Track id of the face with the larger dot.
        """
        part = area.of(picture)
        part[:] = self._background(area.width, area.height)
        radius = max(3, round(min(area.width, area.height) / 38))
        for track_id in sorted(positions, key=lambda one: one == selected):
            if np.isfinite(positions[track_id]).all():
                x, y = self._pixel(positions[track_id], area.width, area.height)
                _dot(part, (x, y), colors[track_id], radius, strong=track_id == selected)

    def _pixel(self, position: FloatArray, width: int, height: int) -> tuple[int, int]:
        x, y = np.clip((position - self._low) / self._span, 0, 1)
        return round(x * (width - 1)), round((1 - y) * (height - 1))

    def _draw_background(self, width: int, height: int) -> ByteArray:
        """Paint each pixel in the mean color of the faces there, more opaque where there are more."""
        spread = max(0.6, min(width, height) / 220)
        edges = [np.linspace(low, low + span, side + 1) for low, span, side in self._sides(width, height)]
        weight, color = np.zeros((height, width), np.float32), np.zeros((height, width, 3), np.float32)
        for label in range(-1, len(self._colors) - 1):
            x, y = self._coordinates[self._labels == label].T
            faces = np.histogram2d(y, x, bins=(edges[1], edges[0]))[0][::-1].astype(np.float32)
            faces = cv2.GaussianBlur(faces, (0, 0), spread)
            weight += faces
            color += faces[:, :, None] * self._colors[label]
        color /= np.maximum(weight, 1e-9)[:, :, None]
        usual = np.percentile(weight[weight > 1e-3], 80) if (weight > 1e-3).any() else 1.0
        opacity = 0.75 * np.clip(weight / usual, 0, 1)[:, :, None] ** 0.6
        return (opacity * color + (1 - opacity) * (0.8 * np.array(GROUND))).astype(np.uint8)

    def _sides(self, width: int, height: int) -> tuple[tuple[float, float, int], tuple[float, float, int]]:
        return (self._low[0], self._span[0], width), (self._low[1], self._span[1], height)


def _dot(picture: ByteArray, at: tuple[int, int], color: Color, radius: int, *, strong: bool) -> None:
    grown = radius + radius // 2 if strong else radius
    cv2.circle(picture, at, grown + 2, BLACK, cv2.FILLED, cv2.LINE_AA)
    cv2.circle(picture, at, grown + 1, WHITE, cv2.FILLED, cv2.LINE_AA)
    cv2.circle(picture, at, grown - (1 if strong else 0), color, cv2.FILLED, cv2.LINE_AA)


class MapDots:
    """Track the positions of faces on the bundle's map and smooth their movement.

    Args:
        bundle: Its map, if any, is used.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._index, self._coordinates = bundle.index, bundle.map_coordinates
        self._positions: dict[int, FloatArray] = {}
        self._time = 0.0

    def follow(self, result: LiveResult) -> dict[int, FloatArray]:
        """Return the position of each face by track id, `(2,)` float32; faces without a position are left out."""
        if self._coordinates is None or not len(self._coordinates):
            return {}
        neighbors = result.prediction.neighbors
        found = map_positions(neighbors, self._index.rows(neighbors.ids), self._coordinates)
        kept = 0.5 ** (max(result.time - self._time, 0.0) / _HALF_LIFE)
        self._time = result.time
        positions = {}
        for track_id, new in zip(result.track_ids.tolist(), found, strict=True):
            old = self._positions.get(track_id)
            if np.isfinite(new).all():
                positions[track_id] = new if old is None else (kept * old + (1 - kept) * new).astype(np.float32)
            elif old is not None:
                positions[track_id] = old
        self._positions = positions
        return positions
