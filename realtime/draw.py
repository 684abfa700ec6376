"""Draws a result on its frame: a box for each face, in the colour of the expression it shows, and a label."""

from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from classifier.ensemble import Prediction
from classifier.palette import COLOURS
from realtime.faces import ByteArray
from realtime.pipeline import FrameResult

UNSURE = "unsure"

Colour = tuple[int, int, int]

_WHITE: Colour = (255, 255, 255)
_BLACK: Colour = (0, 0, 0)
_DARK: Colour = (32, 32, 32)

# The height of the letters in a frame whose shorter side has 1,000 pixels, and the least that can be read.
_LETTERS_PER_1000 = 34
_SMALLEST_LETTERS = 13
_SEMIBOLD = 600

# In a crowd, where faces are small, a label is no wider than this many boxes, as long as it can be read.
_WIDEST_LABEL = 1.3


class _Rectangle(NamedTuple):
    """Pixels from (left, top) to just before (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    def shared(self, other: "_Rectangle") -> int:
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0) * max(height, 0)


def draw(frame_bgr: ByteArray, result: FrameResult) -> ByteArray:
    """Draws boxes, labels and confidences.

    Lines and letters grow with the frame. A label stands above its box, below it or just inside, where it hides least
    of the other faces and labels, and always within the frame. A prediction that is not sure enough is called "unsure".

    Args:
        frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR; left as it is.
        result: What the frame shows.

    Returns:
        `(h, w, 3)` uint8 in [0, 255], BGR, another array.
    """
    picture = frame_bgr.copy()
    boxes = [_box(xywh, frame_bgr.shape) for xywh in result.faces.xywh]
    labels = [label_of(result.prediction, row) for row in range(len(boxes))]
    # Boxes first, so that no box crosses a neighbour's label.
    for box, (_, colour) in zip(boxes, labels, strict=True):
        _draw_box(picture, box, colour)
    plates: list[_Rectangle] = []
    for row, (box, (text, colour)) in enumerate(zip(boxes, labels, strict=True)):
        letters = _letters(text, box, frame_bgr.shape)
        taken = [*boxes[:row], *boxes[row + 1 :], *plates]
        plates.append(_place(_plate_size(text, letters), box, frame_bgr.shape, taken))
        _draw_label(picture, plates[-1], text, letters, colour)
    return picture


def label_of(prediction: Prediction, row: int) -> tuple[str, Colour]:
    """Returns what is written at a face, "happy 93%", and its colour in BGR; classes of the user's own are white."""
    if prediction.unknown[row]:
        return UNSURE, _DARK
    name = prediction.classes[int(prediction.labels[row])]
    return f"{name} {100 * float(prediction.confidence[row]):.0f}%", _bgr(COLOURS.get(name, "#FFFFFF"))


def _usual_letters(shape: tuple[int, ...]) -> int:
    return max(_SMALLEST_LETTERS, round(min(shape[:2]) * _LETTERS_PER_1000 / 1000))


def _letters(text: str, box: _Rectangle, shape: tuple[int, ...]) -> int:
    """Returns the height of the letters: the frame's usual one, less at a small face or in a narrow frame."""
    usual = _usual_letters(shape)
    width = _plate_size(text, usual)[0]
    wanted = max(_SMALLEST_LETTERS, min(usual, round(usual * _WIDEST_LABEL * (box.right - box.left) / width)))
    return max(1, min(wanted, int(usual * shape[1] / width)))


def _margin(letters: int) -> int:
    return max(2, round(letters / 4))


def _plate_size(text: str, letters: int) -> tuple[int, int]:
    left, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace("sans"), letters, _SEMIBOLD)
    return int(left + width) + 2 * _margin(letters), letters + 2 * _margin(letters)


def _place(size: tuple[int, int], box: _Rectangle, shape: tuple[int, ...], taken: list[_Rectangle]) -> _Rectangle:
    """Finds a label's place, out of those within the frame: above the box, below it, or inside at its top."""
    width, height = min(size[0], shape[1]), min(size[1], shape[0])
    left = min(box.left, shape[1] - width)
    lowest = shape[0] - height
    tops = [top for top in (box.top - height, box.bottom) if 0 <= top <= lowest]
    places = [_Rectangle(left, top, left + width, top + height) for top in (*tops, min(box.top, lowest))]
    return min(places, key=lambda place: sum(place.shared(other) for other in taken))


def _draw_box(picture: ByteArray, box: _Rectangle, colour: Colour) -> None:
    """Draws the box with a rim in the opposite brightness, so that one of the two stands out on any picture."""
    line = max(1, round(_usual_letters(picture.shape) / 8))
    corners = (box.left, box.top), (box.right - 1, box.bottom - 1)
    rim = _DARK if _is_light(colour) else _WHITE
    cv2.rectangle(picture, *corners, rim, line + 2 * max(1, line // 2), cv2.LINE_AA)
    cv2.rectangle(picture, *corners, colour, line, cv2.LINE_AA)


def _draw_label(picture: ByteArray, plate: _Rectangle, text: str, letters: int, colour: Colour) -> None:
    cv2.rectangle(picture, (plate.left, plate.top), (plate.right - 1, plate.bottom - 1), colour, cv2.FILLED)
    ink = _BLACK if _is_light(colour) else _WHITE
    start = plate.left + _margin(letters), plate.top + _margin(letters) + round(0.8 * letters)
    cv2.putText(picture, text, start, ink, cv2.FontFace("sans"), letters, _SEMIBOLD)


def _box(xywh: npt.NDArray[np.floating[Any]], shape: tuple[int, ...]) -> _Rectangle:
    """Returns the pixels of a box, at least one, cut to the frame."""
    limit = np.array([shape[1], shape[0]])
    first = np.clip(np.round(xywh[:2]), 0, limit - 1).astype(int)
    last = np.clip(np.round(xywh[:2] + xywh[2:]), first + 1, limit).astype(int)
    return _Rectangle(*first.tolist(), *last.tolist())


def _bgr(rgb_hex: str) -> Colour:
    red, green, blue = bytes.fromhex(rgb_hex.removeprefix("#"))
    return blue, green, red


def _is_light(colour: Colour) -> bool:
    blue, green, red = (((value / 255 + 0.055) / 1.055) ** 2.4 for value in colour)
    # The luminance at which black and white ink have the same contrast (WCAG 2).
    return 0.0722 * blue + 0.7152 * green + 0.2126 * red > 0.179
