"""Draw a result on its frame: for each face a box and a label in the color of its expression."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from moodspace.arrays import ByteArray, IntArray
from moodspace.classifier.ensemble import Prediction
from moodspace.realtime.drawing.canvas import (
    DARK,
    SEMIBOLD,
    WHITE,
    Color,
    Rectangle,
    bar,
    class_colors,
    fill,
    is_light,
    mix,
    text_color_on,
    text_width,
    write,
)
from moodspace.realtime.pipeline import FrameResult

UNSURE = "unsure"

# Text height in a frame whose shorter side has 1,000 pixels, and the smallest readable one.
_TEXT_HEIGHT_PER_1000 = 34
_SMALLEST_TEXT_HEIGHT = 13

# Widths of a label in widths of its box. Text shrinks, down to the smallest readable height, to keep a label within the
# first; a label that then is still wider than the second is shortened.
_WIDEST_LABEL, _WIDEST_WHOLE = 1.3, 2.2


@dataclass(frozen=True, slots=True)
class Label:
    """The label of a face.

    Attributes:
        text: The text.
        color: Color of box and plate.
        short: Shorter text, without tag, for a face so small that the label would cover its neighbors; empty for none.
        tag: A number before the text.
        share: Filled share of the bar below the text, in [0, 1]; None for no bar.
        strong: Whether to draw a thicker box and never shorten the label.
        numbered: Whether to keep the tag instead of the text if there is no room for both.
    """

    text: str
    color: Color
    short: str = ""
    tag: str = ""
    share: float | None = None
    strong: bool = False
    numbered: bool = False


def draw(frame_bgr: ByteArray, result: FrameResult, *, numbered: bool = False) -> ByteArray:
    """Draw boxes, labels and confidences.

    Args:
        frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR; not changed.
        result: The faces of the frame.
        numbered: Whether to number the faces from 1, in their order, if there are several.

    Returns:
        `(h, w, 3)` uint8 in [0, 255], BGR, a new array.
    """
    picture = frame_bgr.copy()
    labels = [label_of(result.prediction, row, _reason(result, row)) for row in range(len(result.faces))]
    if numbered and len(labels) > 1:
        labels = [replace(label, tag=str(number), numbered=True) for number, label in enumerate(labels, 1)]
    draw_faces(picture, result.faces.xywh, labels)
    return picture


def label_of(prediction: Prediction, row: int, reason: str = "") -> Label:
    """Return the label of a face: "happy 93%", or "unsure" with the reason."""
    if prediction.unknown[row]:
        return Label(f"{UNSURE} · {reason}" if reason else UNSURE, DARK, UNSURE)
    column = int(prediction.labels[row])
    name, color = prediction.classes[column], class_colors(prediction.classes)[column]
    return Label(f"{name} {100 * float(prediction.confidence[row]):.0f}%", color, name)


def _reason(result: FrameResult, row: int) -> str:
    return result.quality.reasons[row] if result.quality is not None else ""


def draw_faces(
    picture: ByteArray,
    xywh: npt.NDArray[np.floating[Any]],
    labels: Sequence[Label],
    taken: Sequence[Rectangle] = (),
) -> list[Rectangle]:
    """Draw a box and a label for each face.

    Lines and text grow with the picture. A label is placed above its box, below it or inside at its top, wherever it
    covers least of the other faces and labels, and always within the picture.

    Args:
        picture: `(h, w, 3)` uint8 in [0, 255], BGR; changed.
        xywh: `(n, 4)` floating, left, top, width and height in pixels; may reach beyond the picture.
        labels: The n labels.
        taken: Areas that labels avoid.

    Returns:
        The areas of the n labels.
    """
    boxes = [_box(one, picture.shape) for one in xywh]
    # Draw the boxes first, so that no box crosses another face's label.
    for box, label in zip(boxes, labels, strict=True):
        _draw_box(picture, box, label)
    plates: list[Rectangle] = []
    for row, (box, whole) in enumerate(zip(boxes, labels, strict=True)):
        text_height, label = _text_height(whole, box, picture.shape), _shortened(whole, box)
        others = [*boxes[:row], *boxes[row + 1 :], *plates, *taken]
        plates.append(_place(_plate_size(label, text_height), box, picture.shape, others))
        _draw_label(picture, plates[-1], label, text_height)
    return plates


def default_text_height(shape: tuple[int, ...]) -> int:
    """Return the default text height in pixels for a picture of this shape, height and width first."""
    return max(_SMALLEST_TEXT_HEIGHT, round(min(shape[:2]) * _TEXT_HEIGHT_PER_1000 / 1000))


def _shortened(label: Label, box: Rectangle) -> Label:
    """Return the longest form of a label that fits its face; a strong label stays whole."""
    shorter = [label]
    if label.numbered:
        shorter += [replace(label, text=label.short), replace(label, text=label.tag, tag="")]
    elif label.short and not label.strong:
        shorter += [replace(label, text=label.short, tag="")]
    room = _WIDEST_WHOLE * box.width
    fitting = (one for one in shorter if one.text and _plate_size(one, _SMALLEST_TEXT_HEIGHT)[0] <= room)
    return next(fitting, shorter[-1])


def _text_height(label: Label, box: Rectangle, shape: tuple[int, ...]) -> int:
    """Return the text height of a label: the picture's default, less at a small face or in a narrow picture."""
    default = default_text_height(shape)
    width = _plate_size(label, default)[0]
    height = max(_SMALLEST_TEXT_HEIGHT, min(default, round(default * _WIDEST_LABEL * box.width / width)))
    return max(1, min(height, int(default * shape[1] / width)))


def _margin(text_height: int) -> int:
    return max(2, round(text_height / 4))


def _bar_height(text_height: int) -> int:
    return max(2, round(text_height / 6))


def _tag_width(label: Label, text_height: int) -> int:
    return text_width(label.tag, text_height, SEMIBOLD) + 2 * _margin(text_height) if label.tag else 0


def _plate_size(label: Label, text_height: int) -> tuple[int, int]:
    height = text_height + 2 * _margin(text_height) + (_bar_height(text_height) if label.share is not None else 0)
    return _tag_width(label, text_height) + text_width(label.text, text_height, SEMIBOLD) + 2 * _margin(
        text_height
    ), height


def _place(size: tuple[int, int], box: Rectangle, shape: tuple[int, ...], taken: list[Rectangle]) -> Rectangle:
    """Return the best area for a label within the picture: above the box, below it, or inside at its top."""
    width, height = min(size[0], shape[1]), min(size[1], shape[0])
    left = min(box.left, shape[1] - width)
    lowest = shape[0] - height
    tops = [top for top in (box.top - height, box.bottom) if 0 <= top <= lowest]
    places = [Rectangle(left, top, left + width, top + height) for top in (*tops, min(box.top, lowest))]
    return places[int(_covered(places, taken).argmin())]


def _covered(places: list[Rectangle], taken: list[Rectangle]) -> IntArray:
    """Return how many pixels of each place others take; pixels that several take count several times."""
    ours = np.array(places)[:, None]
    others = np.array(taken, np.int64).reshape(1, -1, 4)
    shared = np.minimum(ours[..., 2:], others[..., 2:]) - np.maximum(ours[..., :2], others[..., :2])
    return np.maximum(shared, 0).prod(axis=2).sum(axis=1)


def _draw_box(picture: ByteArray, box: Rectangle, label: Label) -> None:
    """Draw the box with a rim of opposite brightness, so that one of the two contrasts with any picture."""
    line = max(1, round(default_text_height(picture.shape) / (4 if label.strong else 9)))
    corners = (box.left, box.top), (box.right - 1, box.bottom - 1)
    rim = DARK if is_light(label.color) else WHITE
    cv2.rectangle(picture, *corners, rim, line + 2 * max(1, line // 2), cv2.LINE_AA)
    cv2.rectangle(picture, *corners, label.color, line, cv2.LINE_AA)


def _draw_label(picture: ByteArray, plate: Rectangle, label: Label, text_height: int) -> None:
    fill(picture, plate, label.color)
    text_color, margin, tag = text_color_on(label.color), _margin(text_height), _tag_width(label, text_height)
    if label.tag:
        # Darker or lighter than the plate, to set the number apart from the text.
        fill(picture, plate._replace(right=plate.left + tag), mix(text_color, label.color, 0.25))
        write(picture, label.tag, plate.left + margin, plate.top + margin, text_color, text_height, SEMIBOLD)
    write(picture, label.text, plate.left + tag + margin, plate.top + margin, text_color, text_height, SEMIBOLD)
    if label.share is not None:
        foot = plate._replace(top=plate.bottom - _bar_height(text_height))
        bar(picture, foot, label.share, text_color, mix(text_color, label.color, 0.25))


def _box(xywh: npt.NDArray[np.floating[Any]], shape: tuple[int, ...]) -> Rectangle:
    """Return a box clipped to the picture, with at least one pixel."""
    limit = np.array([shape[1], shape[0]])
    first = np.clip(np.round(xywh[:2]), 0, limit - 1).astype(int)
    last = np.clip(np.round(xywh[:2] + xywh[2:]), first + 1, limit).astype(int)
    return Rectangle(*first.tolist(), *last.tolist())
