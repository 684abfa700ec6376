"""The panel of the live window: all that is known of the selected face, and where the faces are on the map."""

import numpy as np

from classifier.recognizer import Recognizer
from realtime.faces import ByteArray
from realtime.ink import DIM, TRACK, Rectangle, class_colours, veil, write, write_right
from realtime.live_pipeline import LiveResult
from realtime.minimap import Minimap
from realtime.panel_sections import KnownFace, Sizes, draw_head, draw_known_faces, draw_probabilities
from realtime.view import ViewState
from realtime.wording import GREY

# The nearest faces that are shown where there is room, and where the map would have too little otherwise.
_NEIGHBORS, _NEIGHBORS_ABOVE_MAP = 5, 3
# Shares of the panel's width: a map of less height than the first is too low, of less than the second says nothing.
_GOOD_MAP, _LEAST_MAP = 0.75, 0.22
_NO_FACE = "no face in sight"


class Panel:
    """Draws the panel of one recognizer's faces.

    Args:
        recognizer: Whose bundle has the map, and whose view names the classes of known faces.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        coordinates = recognizer.bundle.map_coordinates
        shades = class_colours(recognizer.classes)
        self._map = None if coordinates is None else Minimap(coordinates, recognizer.gallery_labels, shades)

    def draw(self, picture: ByteArray, area: Rectangle, result: LiveResult, view: ViewState, *, solid: bool) -> None:
        """Draws the panel; what has no room is left out, from its end.

        Args:
            picture: `(h, w, 3)` uint8 in [0, 255], BGR; changed within `area`.
            area: Where the panel goes.
            result: The faces.
            view: Which of them is selected, and what is to be seen.
            solid: Whether what is below is to be hidden altogether.
        """
        veil(picture, area, 1.0 if solid else 0.88)
        sizes = Sizes.of(area)
        foot = area._replace(top=area.bottom - sizes.small - sizes.margin)
        _draw_foot(picture, foot, view, sizes)
        room = area.inner(sizes.margin)._replace(bottom=foot.top - sizes.gap // 2)
        found = np.flatnonzero(result.track_ids == view.selected)
        if len(found):
            room = self._draw_face(picture, room, result, int(found[0]), view, sizes)
        else:
            write(picture, _NO_FACE, room.left, room.top, DIM, sizes.text)
            room = room._replace(top=room.top + sizes.text + sizes.gap)
        if view.map and room.height >= _LEAST_MAP * area.width:
            self._draw_map(picture, room, result, view)

    def _draw_face(
        self, picture: ByteArray, room: Rectangle, result: LiveResult, row: int, view: ViewState, sizes: Sizes
    ) -> Rectangle:
        """Draws what is known of one face and returns the room below."""
        room = draw_head(picture, room, result, row, sizes)
        room = draw_probabilities(picture, room, result.prediction.classes, result.smoothed[row], sizes)
        if not view.evidence:
            return room
        below = room.height - sizes.list_height(_NEIGHBORS)
        tight = view.map and self._map is not None and below < _GOOD_MAP * room.width
        return draw_known_faces(
            picture, room, self._known_faces(result, row)[: _NEIGHBORS_ABOVE_MAP if tight else _NEIGHBORS], sizes
        )

    def _known_faces(self, result: LiveResult, row: int) -> list[KnownFace]:
        classes, nearest = result.prediction.classes, result.nearest[row][:_NEIGHBORS]
        shades = dict(zip(classes, class_colours(classes), strict=True))
        return [
            KnownFace(one.label or "", shades.get(one.label or "", TRACK), one.similarity, one.taught)
            for one in nearest
        ]

    def _draw_map(self, picture: ByteArray, room: Rectangle, result: LiveResult, view: ViewState) -> None:
        if self._map is None:
            return
        # Steps of its height, as it is painted anew for each: a line more or less above changes nothing.
        area = room._replace(top=room.bottom - min(room.height // 20 * 20, room.width))
        shades = class_colours(result.prediction.classes)
        shown = zip(result.track_ids.tolist(), result.shown.tolist(), strict=True)
        colours = {one: shades[column] if column >= 0 else GREY for one, column in shown}
        places = {one: place for one, place in view.places.items() if one in colours}
        self._map.draw(picture, area, places, colours, view.selected)


def _draw_foot(picture: ByteArray, area: Rectangle, view: ViewState, sizes: Sizes) -> None:
    if view.fps:
        speed = f"{view.fps:.0f} fps · {view.latency_ms:.0f} ms"
        write(picture, speed, area.left + sizes.margin, area.top, DIM, sizes.small)
    write_right(picture, "h help", area.right - sizes.margin, area.top, DIM, sizes.small)
