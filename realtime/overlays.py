"""What lies over the live picture: the marks of recording and pause, messages, help, and the naming of a class."""

import cv2

from realtime.controls import HELP
from realtime.draw import usual_letters
from realtime.faces import ByteArray
from realtime.ink import (
    BRIGHT,
    DIM,
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
    veil,
    write,
)
from realtime.view import Naming, ViewState

# Plates are dark enough for white letters on a white picture.
_STRENGTH = 0.82
_WHO = "name what this face shows"
_HOW = "enter teaches it · esc cancels"


def draw_overlays(picture: ByteArray, area: Rectangle, view: ViewState, *, speed: bool) -> None:
    """Draws what lies over the picture.

    Args:
        picture: `(h, w, 3)` uint8 in [0, 255], BGR; changed.
        area: The part of the frame that nothing else lies over.
        view: What is to be seen.
        speed: Whether to tell the frame rate and the latency.
    """
    letters = min(max(11, round(0.72 * usual_letters((area.height, area.width)))), max(area.width // 8, 1))
    _draw_marks(picture, area, view, letters, speed=speed)
    if view.naming is not None:
        _draw_naming(picture, area, view.naming, letters)
    elif view.message:
        _draw_message(picture, area, view.message, letters)
    if view.help:
        _draw_help(picture, area, letters)


def _draw_marks(picture: ByteArray, area: Rectangle, view: ViewState, letters: int, *, speed: bool) -> None:
    """Draws small plates side by side in the upper left corner."""
    words = ["recording"] * view.recording + ["paused"] * view.paused
    if speed and view.fps:
        words.append(f"{view.fps:.0f} fps · {view.latency_ms:.0f} ms")
    margin, left = letters // 2, area.left + letters // 2
    for word in words:
        mark = letters if word in ("recording", "paused") else 0
        width = text_width(word, letters, MEDIUM) + mark + (margin if mark else 0) + 2 * margin
        plate = Rectangle(left, area.top + margin, left + width, area.top + 3 * margin + letters)
        if plate.right > area.right:
            break
        veil(picture, plate, _STRENGTH)
        if word == "recording":
            middle = plate.left + margin + mark // 2, plate.top + margin + letters // 2
            cv2.circle(picture, middle, round(0.36 * letters), RED, cv2.FILLED, cv2.LINE_AA)
        elif word == "paused":
            for x in (0.15, 0.6):
                at = plate.left + margin + round(x * letters)
                fill(picture, Rectangle(at, plate.top + margin, at + letters // 4, plate.bottom - margin), WHITE)
        start = plate.left + margin + (mark + margin if mark else 0)
        write(picture, word, start, plate.top + margin, WHITE, letters, MEDIUM)
        left = plate.right + margin


def _draw_message(picture: ByteArray, area: Rectangle, message: str, letters: int) -> None:
    margin = round(0.7 * letters)
    text = fitted(message, area.width - 4 * margin, letters, MEDIUM)
    plate = _centred(area, text_width(text, letters, MEDIUM) + 2 * margin, letters + 2 * margin)
    plate = _moved(plate, area.bottom - plate.bottom - margin)
    veil(picture, plate, _STRENGTH)
    write(picture, text, plate.left + margin, plate.top + margin, WHITE, letters, MEDIUM)


def _draw_help(picture: ByteArray, area: Rectangle, letters: int) -> None:
    letters = max(9, min(letters, round(area.height / (1.75 * len(HELP) + 3))))
    line, margin = round(1.75 * letters), round(1.5 * letters)
    keys = max(text_width(key, letters, SEMIBOLD) for key, _ in HELP) + margin
    words = max(text_width(what, letters) for _, what in HELP)
    plate = _centred(area, keys + words + 2 * margin, line * len(HELP) + 2 * margin - (line - letters))
    veil(picture, plate, 0.9)
    for number, (key, what) in enumerate(HELP):
        top = plate.top + margin + number * line
        write(picture, key, plate.left + margin, top, WHITE, letters, SEMIBOLD)
        room = plate.right - margin - (plate.left + margin + keys)
        write(picture, fitted(what, room, letters), plate.left + margin + keys, top, BRIGHT, letters, REGULAR)


def _draw_naming(picture: ByteArray, area: Rectangle, naming: Naming, letters: int) -> None:
    """Asks for a name, beside the face that is going to have it."""
    margin, large = letters, round(1.3 * letters)
    side = 2 * letters + large + 2 * margin
    wanted = side + 3 * margin + max(text_width(_HOW, letters), text_width("m" * 14, large, SEMIBOLD))
    plate = _centred(area, min(wanted, area.width), side + 2 * margin)
    plate = _moved(plate, max(area.bottom - plate.bottom - margin, 0))
    veil(picture, plate, 0.9)
    thumb = Rectangle(plate.left + margin, plate.top + margin, plate.left + margin + side, plate.bottom - margin)
    _paste(picture, thumb, naming.face_bgr)
    left, right = thumb.right + margin, plate.right - margin
    write(picture, fitted(_WHO, right - left, letters), left, thumb.top, DIM, letters)
    top = thumb.top + letters + margin
    write(picture, naming.name, left, top, WHITE, large, SEMIBOLD)
    end = left + text_width(naming.name, large, SEMIBOLD) + 2
    fill(picture, Rectangle(end, top, end + max(2, letters // 8), top + large), WHITE)
    fill(picture, Rectangle(left, top + large + 3, right, top + large + 5), TRACK)
    write(picture, fitted(_HOW, right - left, letters), left, thumb.bottom - letters, DIM, letters)


def _paste(picture: ByteArray, area: Rectangle, face_bgr: ByteArray) -> None:
    seen = area.within(picture)
    if seen == area and area.width and area.height and face_bgr.size:
        area.of(picture)[:] = cv2.resize(face_bgr, (area.width, area.height), interpolation=cv2.INTER_AREA)


def _centred(area: Rectangle, width: int, height: int) -> Rectangle:
    left, top = area.left + (area.width - width) // 2, area.top + (area.height - height) // 2
    return Rectangle(left, top, left + width, top + height)


def _moved(area: Rectangle, down: int) -> Rectangle:
    return area._replace(top=area.top + down, bottom=area.bottom + down)
