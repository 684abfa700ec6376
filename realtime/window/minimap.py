"""A small picture of the latent space: known faces as a soft ground in their colours, the faces in sight as dots."""

from collections.abc import Mapping
from functools import lru_cache

import cv2
import numpy as np

from moodspace.arrays import ByteArray, FloatArray, IntArray
from moodspace.realtime.drawing.canvas import BLACK, GROUND, WHITE, Colour, Rectangle

# What lies at the edges beyond these percentiles would waste the room of the rest.
_EDGES = (0.3, 99.7)
_MARGIN = 0.05
_UNLABELLED: Colour = (104, 99, 95)


class Minimap:
    """A map of known faces that others can be shown on.

    Args:
        coordinates: `(n, 2)` float32, where each known face stands; y points up.
        labels: `(n,)` int64, its class, a column of `colours`; -1 for none.
        colours: One for each class.
    """

    def __init__(self, coordinates: FloatArray, labels: IntArray, colours: tuple[Colour, ...]) -> None:
        self._coordinates, self._labels = coordinates, labels
        self._colours = np.array([*colours, _UNLABELLED], np.float32)
        low, high = np.percentile(coordinates, _EDGES, axis=0) if len(coordinates) else (np.zeros(2), np.ones(2))
        span = np.maximum(high - low, 1e-6)
        self._low, self._span = low - _MARGIN * span, (1 + 2 * _MARGIN) * span
        # A window has a few sizes while it is being resized, then one.
        self._ground = lru_cache(maxsize=4)(self._draw_ground)

    def draw(
        self,
        picture: ByteArray,
        area: Rectangle,
        places: Mapping[int, FloatArray],
        colours: Mapping[int, Colour],
        selected: int | None,
    ) -> None:
        """Draws the map with a dot for each face.

        Args:
            picture: `(h, w, 3)` uint8 in [0, 255], BGR; changed within `area`.
            area: Where the map goes, within the picture.
            places: By track id `(2,)` float32, where faces stand; NaN for nowhere.
            colours: By track id, those of the dots.
            selected: The track id of the face whose dot stands out.
        """
        part = area.of(picture)
        part[:] = self._ground(area.width, area.height)
        radius = max(3, round(min(area.width, area.height) / 38))
        for track_id in sorted(places, key=lambda one: one == selected):
            if np.isfinite(places[track_id]).all():
                x, y = self._pixel(places[track_id], area.width, area.height)
                _dot(part, (x, y), colours[track_id], radius, strong=track_id == selected)

    def _pixel(self, place: FloatArray, width: int, height: int) -> tuple[int, int]:
        x, y = np.clip((place - self._low) / self._span, 0, 1)
        return round(x * (width - 1)), round((1 - y) * (height - 1))

    def _draw_ground(self, width: int, height: int) -> ByteArray:
        """Paints each pixel in the mean colour of the faces there, the stronger the more there are."""
        spread = max(0.6, min(width, height) / 220)
        edges = [np.linspace(low, low + span, side + 1) for low, span, side in self._sides(width, height)]
        weight, colour = np.zeros((height, width), np.float32), np.zeros((height, width, 3), np.float32)
        for label in range(-1, len(self._colours) - 1):
            x, y = self._coordinates[self._labels == label].T
            faces = np.histogram2d(y, x, bins=(edges[1], edges[0]))[0][::-1].astype(np.float32)
            faces = cv2.GaussianBlur(faces, (0, 0), spread)
            weight += faces
            colour += faces[:, :, None] * self._colours[label]
        colour /= np.maximum(weight, 1e-9)[:, :, None]
        usual = np.percentile(weight[weight > 1e-3], 80) if (weight > 1e-3).any() else 1.0
        opacity = 0.75 * np.clip(weight / usual, 0, 1)[:, :, None] ** 0.6
        return (opacity * colour + (1 - opacity) * (0.8 * np.array(GROUND))).astype(np.uint8)

    def _sides(self, width: int, height: int) -> tuple[tuple[float, float, int], tuple[float, float, int]]:
        return (self._low[0], self._span[0], width), (self._low[1], self._span[1], height)


def _dot(picture: ByteArray, at: tuple[int, int], colour: Colour, radius: int, *, strong: bool) -> None:
    grown = radius + radius // 2 if strong else radius
    cv2.circle(picture, at, grown + 2, BLACK, cv2.FILLED, cv2.LINE_AA)
    cv2.circle(picture, at, grown + 1, WHITE, cv2.FILLED, cv2.LINE_AA)
    cv2.circle(picture, at, grown - (1 if strong else 0), colour, cv2.FILLED, cv2.LINE_AA)
