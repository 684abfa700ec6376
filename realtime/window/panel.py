"""The panel of the live window: all that is known of the selected face, and where the faces are on the map."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from moodspace.arrays import ByteArray, FloatArray
from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.drawing.canvas import (
    AMBER,
    BRIGHT,
    DIM,
    MEDIUM,
    REGULAR,
    SEMIBOLD,
    TRACK,
    Colour,
    Rectangle,
    bar,
    class_colors,
    fill,
    fitted,
    shade,
    text_width,
    write,
    write_right,
)
from moodspace.realtime.drawing.faces import UNSURE
from moodspace.realtime.pipeline import LiveResult
from moodspace.realtime.window.label_text import GREY, quality_word
from moodspace.realtime.window.minimap import Minimap
from moodspace.realtime.window.state import PANEL_WIDTH, ViewState

# As many classes have a key that teaches them.
_KEYS = 9
# Where in a line the bars begin.
_NAMES = 0.42


@dataclass(frozen=True, slots=True)
class Sizes:
    """Pixels, in proportion to the panel's width, with letters that can always be read.

    Attributes:
        margin: Around the panel.
        row: From one line of a list to the next.
        gap: Between two parts.
        title, text, small: Heights of letters.
    """

    margin: int
    row: int
    gap: int
    title: int
    text: int
    small: int

    @classmethod
    def of(cls, panel: Rectangle) -> Self:
        """Returns the sizes for a panel."""
        unit = panel.width / PANEL_WIDTH
        margin, row, gap, title, text, small = (round(unit * size) for size in (18, 23, 15, 27, 15, 12))
        return cls(margin, max(row, 17), gap, max(title, 18), max(text, 12), max(small, 11))

    def list_height(self, rows: int) -> int:
        """Returns the height of a list of known faces with its heading and the gap after it."""
        return self.small + self.gap // 2 + rows * self.row + self.gap


@dataclass(frozen=True, slots=True)
class KnownFace:
    """A known face near the selected one.

    Attributes:
        name: Its class; empty for none.
        colour: Of its class.
        similarity: In [-1, 1].
        taught: Whether the user taught it.
    """

    name: str
    colour: Colour
    similarity: float
    taught: bool


def draw_head(picture: ByteArray, room: Rectangle, result: LiveResult, row: int, sizes: Sizes) -> Rectangle:
    """Writes what a face shows, how sure that is, and what is wrong with its picture; returns the room below."""
    column, classes = int(result.shown[row]), result.prediction.classes
    name, colour, percent = UNSURE, GREY, ""
    if column >= 0:
        name, colour = classes[column], class_colors(classes)[column]
        percent = f"{100 * result.smoothed[row, column]:.0f}%"
    stripe = sizes.title // 4
    left = room.left + stripe + sizes.gap // 2
    fill(picture, Rectangle(room.left, room.top, room.left + stripe, room.top + sizes.title), colour)
    across = room.right - left - text_width(percent, sizes.title, SEMIBOLD) - sizes.gap // 2
    write(picture, fitted(name, across, sizes.title, SEMIBOLD), left, room.top, BRIGHT, sizes.title, SEMIBOLD)
    write_right(picture, percent, room.right, room.top, BRIGHT, sizes.title, SEMIBOLD)
    top = room.top + sizes.title + sizes.gap // 2
    in_sight = len(result.track_ids)
    which = f"face {result.track_ids[row]}" + (f", {in_sight} in sight" if in_sight > 1 else "")
    write(picture, which, left, top, DIM, sizes.small)
    write_right(picture, quality_word(result.quality, row), room.right, top, AMBER, sizes.small, MEDIUM)
    return room._replace(top=top + sizes.small + sizes.gap)


def draw_probabilities(
    picture: ByteArray, room: Rectangle, classes: tuple[str, ...], proba: FloatArray, sizes: Sizes
) -> Rectangle:
    """Draws a bar for each class, with the key that teaches it; the likeliest ones where not all have room.

    Args:
        picture: `(h, w, 3)` uint8 in [0, 255], BGR; changed.
        room: Where there is room.
        classes: The C names, in column order.
        proba: `(C,)` float32, sums to 1.
        sizes: Of letters and gaps.

    Returns:
        The room below.
    """
    most = room.height // sizes.row
    shown = sorted(np.argsort(-proba, kind="stable")[: max(most, 0)].tolist())
    best, top = int(proba.argmax()), room.top
    for column in shown:
        line = room._replace(top=top, bottom=top + sizes.text)
        key = str(column + 1) if column < _KEYS else ""
        _draw_class(
            picture,
            line,
            key,
            classes[column],
            float(proba[column]),
            class_colors(classes)[column],
            sizes,
            column == best,
        )
        top += sizes.row
    return room._replace(top=top + sizes.gap)


def _draw_class(
    picture: ByteArray,
    line: Rectangle,
    key: str,
    name: str,
    share: float,
    colour: Colour,
    sizes: Sizes,
    best: bool,
) -> None:
    ink, weight = (BRIGHT, SEMIBOLD) if best else (DIM, REGULAR)
    cap = Rectangle(line.left, line.top - 2, line.left + sizes.text + 2, line.bottom + 2)
    if key:
        fill(picture, cap, TRACK)
        inset = (cap.width - text_width(key, sizes.small, MEDIUM)) // 2
        write(picture, key, cap.left + inset, line.top + (sizes.text - sizes.small) // 2, ink, sizes.small, MEDIUM)
    left, middle = cap.right + sizes.gap // 2, line.left + round(_NAMES * line.width)
    write(
        picture,
        fitted(name, middle - left - sizes.gap // 2, sizes.text, weight),
        left,
        line.top,
        ink,
        sizes.text,
        weight,
    )
    right = line.right - text_width("100%", sizes.text, SEMIBOLD) - sizes.gap // 3
    thick = max(3, sizes.text // 2)
    top = line.top + (sizes.text - thick) // 2
    bar(picture, Rectangle(middle, top, right, top + thick), share, colour, TRACK)
    write_right(picture, f"{100 * share:.0f}%", line.right, line.top, ink, sizes.text, weight)


def draw_known_faces(picture: ByteArray, room: Rectangle, faces: list[KnownFace], sizes: Sizes) -> Rectangle:
    """Lists known faces, what each is labelled as and how similar it is, those that have room; returns what is left."""
    faces = [face for place, face in enumerate(faces, 1) if sizes.list_height(place) - sizes.gap <= room.height]
    if not faces:
        return room
    write(picture, "nearest known faces", room.left, room.top, DIM, sizes.small, MEDIUM)
    top, side = room.top + sizes.small + sizes.gap // 2, sizes.text // 2
    left = room.left + sizes.text + 2 + sizes.gap // 2
    for face in faces:
        at = room.left + (sizes.text + 2 - side) // 2, top + (sizes.text - side) // 2
        fill(picture, Rectangle(*at, at[0] + side, at[1] + side), face.colour)
        right = room.right - text_width("0.00", sizes.text) - sizes.gap
        name = fitted(face.name or "no label", right - left, sizes.text)
        write(picture, name, left, top, BRIGHT, sizes.text)
        if face.taught:
            after = left + text_width(name, sizes.text) + sizes.gap // 2
            low = top + sizes.text - sizes.small
            write(picture, fitted("taught", right - after, sizes.small, MEDIUM), after, low, AMBER, sizes.small, MEDIUM)
        write_right(picture, f"{face.similarity:.2f}", room.right, top, DIM, sizes.text)
        top += sizes.row
    return room._replace(top=top + sizes.gap)


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
        shades = class_colors(recognizer.classes)
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
        shade(picture, area, 1.0 if solid else 0.88)
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
        shades = dict(zip(classes, class_colors(classes), strict=True))
        return [
            KnownFace(one.label or "", shades.get(one.label or "", TRACK), one.similarity, one.taught)
            for one in nearest
        ]

    def _draw_map(self, picture: ByteArray, room: Rectangle, result: LiveResult, view: ViewState) -> None:
        if self._map is None:
            return
        # Steps of its height, as it is painted anew for each: a line more or less above changes nothing.
        area = room._replace(top=room.bottom - min(room.height // 20 * 20, room.width))
        shades = class_colors(result.prediction.classes)
        shown = zip(result.track_ids.tolist(), result.shown.tolist(), strict=True)
        colours = {one: shades[column] if column >= 0 else GREY for one, column in shown}
        places = {one: place for one, place in view.places.items() if one in colours}
        self._map.draw(picture, area, places, colours, view.selected)


def _draw_foot(picture: ByteArray, area: Rectangle, view: ViewState, sizes: Sizes) -> None:
    if view.fps:
        speed = f"{view.fps:.0f} fps · {view.latency_ms:.0f} ms"
        write(picture, speed, area.left + sizes.margin, area.top, DIM, sizes.small)
    write_right(picture, "h help", area.right - sizes.margin, area.top, DIM, sizes.small)
