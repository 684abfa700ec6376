"""What the live window shows besides the faces, and its layout."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

from moodspace.arrays import ByteArray, FloatArray
from moodspace.realtime.drawing.canvas import Rectangle
from moodspace.realtime.window.holding import HeldView

# What the window says while everything is recorded.
RECORDING, SENDING = "recording", "sending"

# From this width on, the panel is beside the picture; in narrower windows it is on the picture.
_WIDE = 760
# Smaller windows have no panel.
_LEAST_WIDTH, _LEAST_HEIGHT = 240, 140
# Fits the screen of a small laptop.
_LARGEST = 1280, 720
# The panel's width at which its text has its default size, its smallest and largest width, and its share of the
# window's width beside the picture and on it.
PANEL_WIDTH = 300
_NARROWEST, _WIDEST = 190, 480
_SHARE_BESIDE, _SHARE_ON = 0.235, 0.4


@dataclass(frozen=True, slots=True, eq=False)
class ClassNameInput:
    """The input of the name of a new class or of an event.

    Attributes:
        name: The text typed so far.
        face_bgr: `(h, w, 3)` uint8 in [0, 255], BGR, the face to teach; None for an event.
    """

    name: str
    face_bgr: ByteArray | None


@dataclass(frozen=True, slots=True, eq=False)
class ViewState:
    """What to show besides a frame and its faces.

    Attributes:
        size: Width and height of the window in pixels; None draws in the frame's size.
        selected: Track id of the face that the panel describes; None for none.
        evidence: Whether the panel shows the nearest faces.
        map: Whether the panel shows the map. Without both there is no panel.
        positions: Position of each face on the map by track id, `(2,)` float32.
        help: Whether to show the help.
        naming: The input of a name, if open.
        held: The frames that are collected or reviewed, if any.
        message: A message; empty for none.
        paused: Whether the picture is paused.
        recording: What is recorded and sent, such as `RECORDING`; empty for nothing.
        fps: Frames per second; 0 hides it and the latency.
        latency_ms: Milliseconds from a frame's arrival until it is shown.
    """

    size: tuple[int, int] | None = None
    selected: int | None = None
    evidence: bool = False
    map: bool = False
    positions: Mapping[int, FloatArray] = field(default_factory=dict)
    help: bool = False
    naming: ClassNameInput | None = None
    held: HeldView | None = None
    message: str = ""
    paused: bool = False
    recording: str = ""
    fps: float = 0.0
    latency_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of the window.

    Attributes:
        size: Width and height of the window in pixels.
        picture: The frame's area.
        panel: The panel's area; None for none.
        scale: The frame's size in the window divided by its own.
        beside: Whether the panel is beside the picture instead of on it.
    """

    size: tuple[int, int]
    picture: Rectangle
    panel: Rectangle | None
    scale: float
    beside: bool


def arrange(frame_shape: tuple[int, ...], view: ViewState) -> Layout:
    """Lay out the window; the frame keeps its proportions.

    Args:
        frame_shape: Shape of the frame, height and width first.
        view: What to show.
    """
    height, width = frame_shape[:2]
    size = view.size or (width, height)
    wanted = view.evidence or view.map
    beside = wanted and view.size is not None and size[0] >= _WIDE and size[1] >= _LEAST_HEIGHT
    panel = _panel(size, beside=beside) if wanted else None
    room = size[0] - (panel.width if panel and beside else 0), size[1]
    scale = min(room[0] / width, room[1] / height)
    # Do not scale a frame that nearly fits; that would only blur it.
    if 0.9 < 1 / scale <= 1:
        scale = 1.0
    shown = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (room[0] - shown[0]) // 2, (room[1] - shown[1]) // 2
    return Layout(size, Rectangle(left, top, left + shown[0], top + shown[1]), panel, scale, beside)


def window_size(frame_shape: tuple[int, ...], *, panel: bool) -> tuple[int, int]:
    """Return the initial width and height of the window in pixels; it fits the screen of a small laptop.

    Args:
        frame_shape: Shape of the frames, height and width first.
        panel: Whether to leave room for a panel beside the picture.
    """
    height, width = frame_shape[:2]
    share = 1 - _SHARE_BESIDE if panel else 1.0
    scale = min(share * _LARGEST[0] / width, _LARGEST[1] / height)
    if 0.75 < 1 / scale <= 1:
        scale = 1.0
    # A panel needs some height, even beside a low picture.
    least = 0.75 * _LARGEST[1] if panel else 1
    return max(1, ceil(width * scale / share)), round(max(least, height * scale))


def _panel(size: tuple[int, int], *, beside: bool) -> Rectangle | None:
    width, height = size
    if width < _LEAST_WIDTH or height < _LEAST_HEIGHT:
        return None
    share = int((_SHARE_BESIDE if beside else _SHARE_ON) * width)
    # Make a low panel narrow too: smaller text leaves room for more lines.
    across = min(max(share, _NARROWEST), _WIDEST, max(_NARROWEST, round(0.56 * height)))
    return Rectangle(width - across, 0, width, height)
