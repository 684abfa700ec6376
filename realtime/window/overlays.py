"""The overlays on the live picture: recording and pause marks, messages, help, and the input of a class's name."""

from collections.abc import Sequence

import cv2

from moodspace.arrays import ByteArray
from moodspace.realtime.drawing.canvas import (
    AMBER,
    BRIGHT,
    DIM,
    GROUND,
    MEDIUM,
    RED,
    REGULAR,
    SEMIBOLD,
    TRACK,
    WHITE,
    Rectangle,
    fill,
    fitted,
    text_width,
    write,
)
from moodspace.realtime.drawing.faces import default_text_height
from moodspace.realtime.window.held import draw_held
from moodspace.realtime.window.keys import HELP
from moodspace.realtime.window.state import RECORDING, SENDING, ClassNameInput, ViewState

_WHO, _HOW = "name this expression", "enter: teach · esc: cancel"
_WHAT, _HOW_MARK = "name this event", "enter: mark · esc: cancel"
_PAUSED = "paused"


class Overlays:
    """The overlays of one frame. Their plates are opaque and placed where they cover the fewest labels of faces.

    Args:
        area: The part of the frame that is free of the panel.
        view: What to show.
        speed: Whether to show the frame rate and the latency.

    Attributes:
        marks: The plates in the upper left corner.
    """

    def __init__(self, area: Rectangle, view: ViewState, *, speed: bool) -> None:
        self._area, self._view = area, view
        text_height = min(
            max(11, round(0.72 * default_text_height((area.height, area.width)))), max(area.width // 8, 1)
        )
        self._text_height = text_height
        self._words = _mark_words(view, speed=speed)
        self.marks: list[Rectangle] = []
        margin, left = text_height // 2, area.left + text_height // 2
        for word in self._words:
            room = area.right - margin - left
            width = min(text_width(word, text_height, MEDIUM) + self._mark_width(word) + 2 * margin, room)
            if self.marks and width == room:
                break
            self.marks.append(Rectangle(left, area.top + margin, left + width, area.top + 3 * margin + text_height))
            left += width + margin

    def draw(self, picture: ByteArray, labels: Sequence[Rectangle]) -> None:
        """Draw the overlays.

        Args:
            picture: `(h, w, 3)` uint8 in [0, 255], BGR; changed.
            labels: The areas of the faces' labels.
        """
        for word, plate in zip(self._words, self.marks, strict=False):
            self._draw_mark(picture, word, plate)
        area, text_height = self._area, self._text_height
        if self._view.naming is not None:
            _draw_naming(
                picture,
                self._free(_naming_size(area, text_height), text_height, labels),
                self._view.naming,
                text_height,
            )
        elif self._view.held is not None:
            draw_held(picture, area, self._view.held, text_height)
        elif self._view.message:
            margin = round(0.7 * text_height)
            text = fitted(self._view.message, area.width - 4 * margin, text_height, MEDIUM)
            size = text_width(text, text_height, MEDIUM) + 2 * margin, text_height + 2 * margin
            plate = self._free(size, margin, labels)
            fill(picture, plate, GROUND)
            write(picture, text, plate.left + margin, plate.top + margin, WHITE, text_height, MEDIUM)
        if self._view.help:
            _draw_help(picture, area, text_height)

    def _mark_width(self, word: str) -> int:
        has_mark = word == _PAUSED or word == self._view.recording
        return self._text_height + self._text_height // 2 if has_mark else 0

    def _draw_mark(self, picture: ByteArray, word: str, plate: Rectangle) -> None:
        """Draw a small plate with its words and, for recording and pause, a sign."""
        text_height, margin = self._text_height, self._text_height // 2
        fill(picture, plate, GROUND)
        if word == self._view.recording:
            middle = plate.left + margin + text_height // 2, plate.top + margin + text_height // 2
            color = RED if {RECORDING, SENDING}.issuperset(word.split(", ")) else AMBER
            cv2.circle(picture, middle, round(0.36 * text_height), color, cv2.FILLED, cv2.LINE_AA)
        elif word == _PAUSED:
            for x in (0.15, 0.6):
                at = plate.left + margin + round(x * text_height)
                fill(picture, Rectangle(at, plate.top + margin, at + text_height // 4, plate.bottom - margin), WHITE)
        start = plate.left + margin + self._mark_width(word)
        words = fitted(word, plate.right - margin - start, text_height, MEDIUM)
        write(picture, words, start, plate.top + margin, WHITE, text_height, MEDIUM)

    def _free(self, size: tuple[int, int], margin: int, labels: Sequence[Rectangle]) -> Rectangle:
        """Return the area that touches the fewest labels, preferably at the bottom in the middle.

        Counting labels instead of pixels keeps the plate in place while faces move a little.
        """
        area, (width, height) = self._area, size
        bottom, middle = area.bottom - height - margin, area.left + (area.width - width) // 2
        top = max((plate.bottom for plate in self.marks), default=area.top) + margin
        left, right = area.left + margin, area.right - width - margin
        spots = [(middle, bottom), (middle, top), (left, bottom), (right, bottom), (left, top), (right, top)]
        spots.append((middle, area.top + (area.height - height) // 2))
        inside = [(x, y) for x, y in spots if x >= area.left and y >= area.top and y + height <= area.bottom]
        plates = [Rectangle(x, y, x + width, y + height) for x, y in inside or [(middle, max(bottom, area.top))]]
        return min(plates, key=lambda plate: sum(plate.shared(label) > 0 for label in labels))


def moved(area: Rectangle, right: int, down: int) -> Rectangle:
    """Return the rectangle moved right and down by these numbers of pixels."""
    return Rectangle(area.left + right, area.top + down, area.right + right, area.bottom + down)


def _mark_words(view: ViewState, *, speed: bool) -> list[str]:
    words = [view.recording] * bool(view.recording) + [_PAUSED] * view.paused
    if speed and view.fps:
        words.append(f"{view.fps:.0f} fps · {view.latency_ms:.0f} ms")
    return words


def _draw_help(picture: ByteArray, area: Rectangle, text_height: int) -> None:
    text_height = max(9, min(text_height, round(area.height / (1.75 * len(HELP) + 3))))
    line, margin = round(1.75 * text_height), round(1.5 * text_height)
    keys = max(text_width(key, text_height, SEMIBOLD) for key, _ in HELP) + margin
    words = max(text_width(what, text_height) for _, what in HELP)
    width, height = keys + words + 2 * margin, line * len(HELP) + 2 * margin - (line - text_height)
    left, top = area.left + (area.width - width) // 2, area.top + (area.height - height) // 2
    plate = Rectangle(left, top, left + width, top + height)
    fill(picture, plate, GROUND)
    for number, (key, what) in enumerate(HELP):
        top = plate.top + margin + number * line
        write(picture, key, plate.left + margin, top, WHITE, text_height, SEMIBOLD)
        room = plate.right - margin - (plate.left + margin + keys)
        write(picture, fitted(what, room, text_height), plate.left + margin + keys, top, BRIGHT, text_height, REGULAR)


def _naming_size(area: Rectangle, text_height: int) -> tuple[int, int]:
    side = 2 * text_height + round(1.3 * text_height) + 2 * text_height
    words = max(text_width(_HOW, text_height), text_width("m" * 14, round(1.3 * text_height), SEMIBOLD))
    return min(side + 3 * text_height + words, area.width), side + 2 * text_height


def _draw_naming(picture: ByteArray, plate: Rectangle, naming: ClassNameInput, text_height: int) -> None:
    """Draw the input of a name, beside the face to teach."""
    margin, large = text_height, round(1.3 * text_height)
    side = plate.height - 2 * margin
    fill(picture, plate, GROUND)
    thumb = Rectangle(plate.left + margin, plate.top + margin, plate.left + margin + side, plate.bottom - margin)
    left, right = thumb.right + margin, plate.right - margin
    who, how = _WHO, _HOW
    if naming.face_bgr is None:
        left, who, how = thumb.left, _WHAT, _HOW_MARK
    else:
        _paste(picture, thumb, naming.face_bgr)
    write(picture, fitted(who, right - left, text_height), left, thumb.top, DIM, text_height)
    top = thumb.top + text_height + margin
    write(picture, naming.name, left, top, WHITE, large, SEMIBOLD)
    end = left + text_width(naming.name, large, SEMIBOLD) + 2
    fill(picture, Rectangle(end, top, end + max(2, text_height // 8), top + large), WHITE)
    fill(picture, Rectangle(left, top + large + 3, right, top + large + 5), TRACK)
    write(picture, fitted(how, right - left, text_height), left, thumb.bottom - text_height, DIM, text_height)


def _paste(picture: ByteArray, area: Rectangle, face_bgr: ByteArray) -> None:
    if area.within(picture) == area and area.width and area.height and face_bgr.size:
        area.of(picture)[:] = cv2.resize(face_bgr, (area.width, area.height), interpolation=cv2.INTER_AREA)
