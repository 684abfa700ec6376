"""Draw the frames that are collected for a lesson: a ring that fills, what to do, and the thumbnails."""

import cv2

from moodspace.arrays import ByteArray
from moodspace.realtime.drawing.canvas import (
    AMBER,
    BRIGHT,
    DIM,
    GROUND,
    MEDIUM,
    TRACK,
    WHITE,
    Rectangle,
    fill,
    fitted,
    paste_gray,
    write,
)
from moodspace.realtime.window.holding import HeldView

# Thumbnails in a row, and the largest side of one as a multiple of the text's height.
_COLUMNS, _LARGEST = 12, 3.2


def draw_held(picture: ByteArray, area: Rectangle, view: HeldView, text_height: int) -> None:
    """Draw the collected frames on a plate at the bottom.

    Args:
        picture: `(h, w, 3)` uint8 in [0, 255], BGR; changed within `area`.
        area: The part of the frame that is free of the panel.
        view: What to draw.
        text_height: Height of text in pixels.
    """
    margin, gap = text_height // 2, max(2, text_height // 6)
    side = min((area.width - 4 * margin) // _COLUMNS - gap, round(_LARGEST * text_height))
    rows = -(-len(view.crops) // _COLUMNS) if side >= 12 else 0
    head = round(2.6 * text_height)
    height = min(head + rows * (side + gap) + 3 * margin, area.height)
    plate = Rectangle(area.left + margin, area.bottom - margin - height, area.right - margin, area.bottom - margin)
    plate = plate._replace(top=max(plate.top, area.top))
    fill(picture, plate, GROUND)
    left, top = plate.left + margin, plate.top + margin
    _draw_ring(picture, (left + head // 2, top + head // 2), round(0.42 * head), view.share)
    words, room = left + head + margin, plate.right - 2 * margin - left - head
    write(picture, fitted(view.title, room, text_height, MEDIUM), words, top, WHITE, text_height, MEDIUM)
    small = max(9, round(0.85 * text_height))
    below = top + round(1.5 * text_height)
    write(picture, fitted(view.hint, room, small), words, below, BRIGHT if view.marked is not None else DIM, small)
    for place, crop in enumerate(view.crops[: rows * _COLUMNS]):
        x = left + place % _COLUMNS * (side + gap)
        y = top + head + margin + place // _COLUMNS * (side + gap)
        _draw_thumbnail(picture, Rectangle(x, y, x + side, y + side), crop, marked=place == view.marked)


def _draw_ring(picture: ByteArray, middle: tuple[int, int], radius: int, share: float) -> None:
    thick = max(2, radius // 3)
    cv2.ellipse(picture, middle, (radius, radius), -90, 0, 360, TRACK, thick, cv2.LINE_AA)
    if share > 0:
        cv2.ellipse(picture, middle, (radius, radius), -90, 0, round(360 * share), AMBER, thick, cv2.LINE_AA)


def _draw_thumbnail(picture: ByteArray, area: Rectangle, crop: ByteArray, *, marked: bool) -> None:
    if area.within(picture) != area:
        return
    paste_gray(picture, area, crop)
    if marked:
        corner = area.right - 1, area.bottom - 1
        cv2.rectangle(picture, (area.left, area.top), corner, AMBER, max(2, area.width // 14))
