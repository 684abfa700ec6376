"""The panel of the live window: the selected face's expression, probabilities and nearest faces, and the map."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from moodspace.arrays import ByteArray, FloatArray
from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.drawing.canvas import (
    AMBER,
    BRIGHT,
    DIM,
    GRAY,
    MEDIUM,
    REGULAR,
    SEMIBOLD,
    TRACK,
    Color,
    Rectangle,
    bar,
    class_colors,
    fill,
    fitted,
    paste_gray,
    shade,
    text_width,
    write,
    write_right,
)
from moodspace.realtime.drawing.faces import UNSURE
from moodspace.realtime.pipeline import LiveResult
from moodspace.realtime.window.minimap import Minimap
from moodspace.realtime.window.state import PANEL_WIDTH, ViewState

# This many classes have a key that teaches them.
_KEYS = 9
# The names' share of a line; the bars follow.
_NAMES = 0.42
# The number of nearest faces, and the number if the map would otherwise be too low.
_NEIGHBORS, _NEIGHBORS_ABOVE_MAP = 5, 3
# Heights of the map as shares of the panel's width: the lowest good one, and the lowest one worth drawing.
_GOOD_MAP, _LEAST_MAP = 0.75, 0.22
_NO_FACE = "no face in view"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes in pixels, in proportion to the panel's width; text is always large enough to read.

    Attributes:
        margin: Margin of the panel.
        row: Height of a line in a list.
        gap: Gap between two parts.
        title, text, small: Heights of text.
    """

    margin: int
    row: int
    gap: int
    title: int
    text: int
    small: int

    @classmethod
    def of(cls, panel: Rectangle) -> Self:
        """Return the sizes for a panel."""
        unit = panel.width / PANEL_WIDTH
        margin, row, gap, title, text, small = (round(unit * size) for size in (18, 23, 15, 27, 15, 12))
        return cls(margin, max(row, 17), gap, max(title, 18), max(text, 12), max(small, 11))

    def list_height(self, rows: int, *, pictured: bool = False) -> int:
        """Return the height of a list of known faces, with its heading and the gap after it."""
        return self.small + self.gap // 2 + rows * self.list_row(pictured=pictured) + self.gap

    def list_row(self, *, pictured: bool) -> int:
        """Return the height of a line of a list of known faces, with or without pictures."""
        return round(1.8 * self.row) if pictured else self.row


@dataclass(frozen=True, slots=True)
class KnownFace:
    """One of the known faces nearest to the selected face.

    Attributes:
        name: Its class; empty for none.
        color: Color of its class.
        similarity: Cosine similarity in [-1, 1].
        taught: Whether the user taught it.
        crop: `(48, 48)` uint8 gray in [0, 255]; None without a picture.
    """

    name: str
    color: Color
    similarity: float
    taught: bool
    crop: ByteArray | None = None


class Panel:
    """Draw the panel.

    Args:
        recognizer: Its bundle has the map; its label set names the known faces' classes.

    Attributes:
        recognizer: The recognizer.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self.recognizer = recognizer
        coordinates = recognizer.bundle.map_coordinates
        shades = class_colors(recognizer.classes)
        self._map = None if coordinates is None else Minimap(coordinates, recognizer.gallery_labels, shades)

    def draw(self, picture: ByteArray, area: Rectangle, result: LiveResult, view: ViewState, *, solid: bool) -> None:
        """Draw the panel; parts without room are left out, the last ones first.

        Args:
            picture: `(h, w, 3)` uint8 in [0, 255], BGR; changed within `area`.
            area: The panel's area.
            result: The faces.
            view: Which face is selected, and what to show.
            solid: Whether the panel is opaque.
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
        """Draw everything about one face; return the room below."""
        room = _draw_head(picture, room, result, row, sizes)
        room = _draw_probabilities(picture, room, result.prediction.classes, result.smoothed[row], sizes)
        if not view.evidence:
            return room
        known = self._known_faces(result, row)
        pictured = any(face.crop is not None for face in known)
        below = room.height - sizes.list_height(_NEIGHBORS, pictured=pictured)
        tight = view.map and self._map is not None and below < _GOOD_MAP * room.width
        return _draw_known_faces(picture, room, known[: _NEIGHBORS_ABOVE_MAP if tight else _NEIGHBORS], sizes)

    def _known_faces(self, result: LiveResult, row: int) -> list[KnownFace]:
        classes, nearest = result.prediction.classes, result.nearest[row][:_NEIGHBORS]
        shades = dict(zip(classes, class_colors(classes), strict=True))
        crops = self.recognizer.pictures.of([one.id for one in nearest])
        return [
            KnownFace(
                one.label or "", shades.get(one.label or "", TRACK), one.similarity, one.taught, crops.get(one.id)
            )
            for one in nearest
        ]

    def _draw_map(self, picture: ByteArray, room: Rectangle, result: LiveResult, view: ViewState) -> None:
        if self._map is None:
            return
        # Quantize the height, because the map is painted anew for each height: one line above changes nothing.
        area = room._replace(top=room.bottom - min(room.height // 20 * 20, room.width))
        shades = class_colors(result.prediction.classes)
        shown = zip(result.track_ids.tolist(), result.shown.tolist(), strict=True)
        colors = {one: shades[column] if column >= 0 else GRAY for one, column in shown}
        positions = {one: position for one, position in view.positions.items() if one in colors}
        self._map.draw(picture, area, positions, colors, view.selected)


def _draw_foot(picture: ByteArray, area: Rectangle, view: ViewState, sizes: Sizes) -> None:
    if view.fps:
        speed = f"{view.fps:.0f} fps · {view.latency_ms:.0f} ms"
        write(picture, speed, area.left + sizes.margin, area.top, DIM, sizes.small)
    write_right(picture, "h: help", area.right - sizes.margin, area.top, DIM, sizes.small)


def _draw_head(picture: ByteArray, room: Rectangle, result: LiveResult, row: int, sizes: Sizes) -> Rectangle:
    """Draw a face's expression and confidence, and what is wrong with its picture; return the room below."""
    column, classes = int(result.shown[row]), result.prediction.classes
    name, color, percent = UNSURE, GRAY, ""
    if column >= 0:
        name, color = classes[column], class_colors(classes)[column]
        percent = f"{100 * result.smoothed[row, column]:.0f}%"
    stripe = sizes.title // 4
    left = room.left + stripe + sizes.gap // 2
    fill(picture, Rectangle(room.left, room.top, room.left + stripe, room.top + sizes.title), color)
    across = room.right - left - text_width(percent, sizes.title, SEMIBOLD) - sizes.gap // 2
    write(picture, fitted(name, across, sizes.title, SEMIBOLD), left, room.top, BRIGHT, sizes.title, SEMIBOLD)
    write_right(picture, percent, room.right, room.top, BRIGHT, sizes.title, SEMIBOLD)
    top = room.top + sizes.title + sizes.gap // 2
    in_view = len(result.track_ids)
    which = f"face {result.track_ids[row]}" + (f", {in_view} in view" if in_view > 1 else "")
    write(picture, which, left, top, DIM, sizes.small)
    write_right(picture, result.quality.reasons[row], room.right, top, AMBER, sizes.small, MEDIUM)
    return room._replace(top=top + sizes.small + sizes.gap)


def _draw_probabilities(
    picture: ByteArray, room: Rectangle, classes: tuple[str, ...], proba: FloatArray, sizes: Sizes
) -> Rectangle:
    """Draw a bar for each class, with the key that teaches it; the likeliest classes if there is no room for all.

    Args:
        picture: `(h, w, 3)` uint8 in [0, 255], BGR; changed.
        room: The free area of the panel.
        classes: The C names, in column order.
        proba: `(C,)` float32, sums to 1.
        sizes: The panel's sizes.

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
    color: Color,
    sizes: Sizes,
    best: bool,
) -> None:
    text_color, weight = (BRIGHT, SEMIBOLD) if best else (DIM, REGULAR)
    cap = Rectangle(line.left, line.top - 2, line.left + sizes.text + 2, line.bottom + 2)
    if key:
        fill(picture, cap, TRACK)
        inset = (cap.width - text_width(key, sizes.small, MEDIUM)) // 2
        write(
            picture, key, cap.left + inset, line.top + (sizes.text - sizes.small) // 2, text_color, sizes.small, MEDIUM
        )
    left, middle = cap.right + sizes.gap // 2, line.left + round(_NAMES * line.width)
    write(
        picture,
        fitted(name, middle - left - sizes.gap // 2, sizes.text, weight),
        left,
        line.top,
        text_color,
        sizes.text,
        weight,
    )
    right = line.right - text_width("100%", sizes.text, SEMIBOLD) - sizes.gap // 3
    thick = max(3, sizes.text // 2)
    top = line.top + (sizes.text - thick) // 2
    bar(picture, Rectangle(middle, top, right, top + thick), share, color, TRACK)
    write_right(picture, f"{100 * share:.0f}%", line.right, line.top, text_color, sizes.text, weight)


def _draw_known_faces(picture: ByteArray, room: Rectangle, faces: list[KnownFace], sizes: Sizes) -> Rectangle:
    """List as many known faces as fit, each with its label and similarity; return the room below."""
    pictured = any(face.crop is not None for face in faces)
    faces = [
        face
        for place, face in enumerate(faces, 1)
        if sizes.list_height(place, pictured=pictured) - sizes.gap <= room.height
    ]
    if not faces:
        return room
    write(picture, "nearest known faces", room.left, room.top, DIM, sizes.small, MEDIUM)
    row, side = sizes.list_row(pictured=pictured), sizes.text // 2
    # Text is in the middle of a line that has a picture.
    top, down = room.top + sizes.small + sizes.gap // 2, (row - sizes.row) // 2
    thumb = row - 4 if pictured else 0
    left = room.left + thumb + sizes.text + 2 + sizes.gap // 2
    for face in faces:
        if face.crop is not None:
            paste_gray(picture, Rectangle(room.left, top, room.left + thumb, top + thumb), face.crop)
        top += down
        at = room.left + thumb + (sizes.text + 2 - side) // 2, top + (sizes.text - side) // 2
        fill(picture, Rectangle(*at, at[0] + side, at[1] + side), face.color)
        right = room.right - text_width("0.00", sizes.text) - sizes.gap
        name = fitted(face.name or "no label", right - left, sizes.text)
        write(picture, name, left, top, BRIGHT, sizes.text)
        if face.taught:
            after = left + text_width(name, sizes.text) + sizes.gap // 2
            low = top + sizes.text - sizes.small
            write(picture, fitted("taught", right - after, sizes.small, MEDIUM), after, low, AMBER, sizes.small, MEDIUM)
        write_right(picture, f"{face.similarity:.2f}", room.right, top, DIM, sizes.text)
        top += row - down
    return room._replace(top=top + sizes.gap)
