"""Draw the live window: the frame with its faces, the panel, and the overlays."""

from math import ceil

import cv2
import numpy as np

from moodspace.arrays import ByteArray
from moodspace.realtime.drawing.canvas import GRAY, GROUND, Rectangle, class_colors, fill
from moodspace.realtime.drawing.faces import UNSURE, Label, draw_faces
from moodspace.realtime.pipeline import LiveResult
from moodspace.realtime.window.overlays import Overlays, moved
from moodspace.realtime.window.panel import Panel
from moodspace.realtime.window.state import Layout, ViewState, arrange

_PLAIN = ViewState()


def draw_live(
    frame_bgr: ByteArray, result: LiveResult, view: ViewState = _PLAIN, panel: Panel | None = None
) -> ByteArray:
    """Draw a frame of a live session with its result.

    Args:
        frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR; not changed.
        result: The faces of the frame.
        view: What else to draw; by default nothing but boxes and labels.
        panel: Draws the panel; without it there is none.

    Returns:
        `(h, w, 3)` uint8 in [0, 255], BGR, a new array of the frame's size or of `view.size`.
    """
    layout = arrange(frame_bgr.shape, view)
    picture = _canvas(frame_bgr, layout)
    labels = [live_label(result, row, strong=one == view.selected) for row, one in enumerate(result.track_ids)]
    free = layout.picture
    if layout.panel is not None and panel is not None:
        free = free._replace(right=min(free.right, layout.panel.left))
    overlays = Overlays(free, view, speed=layout.panel is None)
    left, top = layout.picture.left, layout.picture.top
    marks = [moved(plate, -left, -top) for plate in overlays.marks]
    plates = draw_faces(layout.picture.of(picture), layout.scale * result.faces.xywh, labels, marks)
    if layout.panel is not None and panel is not None:
        panel.draw(picture, layout.panel, result, view, solid=layout.beside)
    overlays.draw(picture, [moved(plate, left, top) for plate in plates])
    return picture


def live_label(result: LiveResult, row: int, *, strong: bool) -> Label:
    """Return the label of a face: its number, expression and confidence, its baseline, what is wrong with its picture.

    Args:
        result: The faces.
        row: Row of the face.
        strong: Whether to highlight it.
    """
    tag, reason = str(result.track_ids[row]), result.quality.reasons[row]
    why = f" · {reason}" if reason else ""
    baseline = result.baselines[row]
    if baseline.left is not None:
        why = f" · look relaxed {ceil(baseline.left)} s{why}"
    elif baseline.in_use:
        why = f" · baseline{why}"
    column = int(result.shown[row])
    if column < 0:
        return Label(f"{UNSURE}{why}", GRAY, UNSURE, tag, strong=strong)
    share = float(result.smoothed[row, column])
    classes = result.prediction.classes
    text = f"{classes[column]} {100 * share:.0f}%{why}"
    return Label(text, class_colors(classes)[column], classes[column], tag, share, strong)


def _canvas(frame_bgr: ByteArray, layout: Layout) -> ByteArray:
    """Return the window's pixels with the frame in its place."""
    width, height = layout.size
    shown = layout.picture
    if (width, height) == (shown.width, shown.height) == frame_bgr.shape[1::-1]:
        return frame_bgr.copy()
    canvas = np.empty((height, width, 3), np.uint8)
    for edge in _edges(layout):
        fill(canvas, edge, GROUND)
    part = shown.of(canvas)
    if part.shape == frame_bgr.shape:
        part[:] = frame_bgr
    else:
        # Bilinear: area averaging looks no better between half and double size, and takes ten times as long.
        cv2.resize(frame_bgr, (shown.width, shown.height), part, interpolation=cv2.INTER_LINEAR)
    return canvas


def _edges(layout: Layout) -> tuple[Rectangle, ...]:
    """Return the areas around the frame: above, below, left and right of it."""
    (width, height), shown = layout.size, layout.picture
    return (
        Rectangle(0, 0, width, shown.top),
        Rectangle(0, shown.bottom, width, height),
        Rectangle(0, shown.top, shown.left, shown.bottom),
        Rectangle(shown.right, shown.top, width, shown.bottom),
    )
