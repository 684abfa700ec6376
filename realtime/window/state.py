"""What the live window shows beside the faces, and where."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

from moodspace.arrays import ByteArray, FloatArray
from moodspace.realtime.drawing.canvas import Rectangle

# What the window says while everything is recorded.
RECORDING = "recording"

# A window at least this wide has the panel beside the picture; a narrower one has it on the picture.
_WIDE = 760
# On less than this there is no room for a panel.
_LEAST_WIDTH, _LEAST_HEIGHT = 240, 140
# What the screen of a small laptop has room for.
_LARGEST = 1280, 720
# The panel's width at which its letters have their usual size, the least and most it may have, and its share of the
# window beside the picture and on it.
PANEL_WIDTH = 300
_NARROWEST, _WIDEST = 190, 480
_SHARE_BESIDE, _SHARE_ON = 0.235, 0.4


@dataclass(frozen=True, slots=True, eq=False)
class ClassNameInput:
    """A new class that is being named.

    Attributes:
        name: What has been typed.
        face_bgr: `(h, w, 3)` uint8 in [0, 255], BGR, the face that will be taught.
    """

    name: str
    face_bgr: ByteArray


@dataclass(frozen=True, slots=True, eq=False)
class ViewState:
    """What is to be seen, beside a frame and its faces.

    Attributes:
        size: Width and height of the window, pixels; None draws on the frame as it is.
        selected: The track id of the face that the panel is about; None for none.
        evidence: Whether the panel shows the nearest faces.
        map: Whether the panel shows the map. With neither there is no panel.
        places: By track id `(2,)` float32, where each face stands on the map.
        help: Whether the help lies over the picture.
        naming: The new class that is being named, if any.
        message: What was done last; empty for nothing.
        paused: Whether the picture stands still.
        recording: What the recording does, as `realtime.wording.recording_words` says it; empty without one.
        fps: Frames a second; 0 hides it and the latency.
        latency_ms: From a frame's arrival until it is shown.
    """

    size: tuple[int, int] | None = None
    selected: int | None = None
    evidence: bool = False
    map: bool = False
    places: Mapping[int, FloatArray] = field(default_factory=dict)
    help: bool = False
    naming: ClassNameInput | None = None
    message: str = ""
    paused: bool = False
    recording: str = ""
    fps: float = 0.0
    latency_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are in the window.

    Attributes:
        size: Width and height of the window, pixels.
        picture: Where the frame is.
        panel: Where the panel is; None for none.
        scale: The frame's size in the window against its own.
        beside: Whether the panel is beside the picture, not on it.
    """

    size: tuple[int, int]
    picture: Rectangle
    panel: Rectangle | None
    scale: float
    beside: bool


def arrange(frame_shape: tuple[int, ...], view: ViewState) -> Layout:
    """Decides where things are in the window; the frame keeps its proportions.

    Args:
        frame_shape: Height and width of the frame, and whatever follows.
        view: What is to be seen.
    """
    height, width = frame_shape[:2]
    size = view.size or (width, height)
    wanted = view.evidence or view.map
    beside = wanted and view.size is not None and size[0] >= _WIDE and size[1] >= _LEAST_HEIGHT
    panel = _panel(size, beside=beside) if wanted else None
    room = size[0] - (panel.width if panel and beside else 0), size[1]
    scale = min(room[0] / width, room[1] / height)
    # What nearly fits is shown as it is: scaling it would only blur it.
    if 0.9 < 1 / scale <= 1:
        scale = 1.0
    shown = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (room[0] - shown[0]) // 2, (room[1] - shown[1]) // 2
    return Layout(size, Rectangle(left, top, left + shown[0], top + shown[1]), panel, scale, beside)


def window_size(frame_shape: tuple[int, ...], *, panel: bool) -> tuple[int, int]:
    """Returns width and height of a window for frames of a shape, to begin with; it fits small laptops.

    Args:
        frame_shape: Height and width of the frame, and whatever follows.
        panel: Whether there will be a panel beside the picture.
    """
    height, width = frame_shape[:2]
    share = 1 - _SHARE_BESIDE if panel else 1.0
    scale = min(share * _LARGEST[0] / width, _LARGEST[1] / height)
    if 0.75 < 1 / scale <= 1:
        scale = 1.0
    # A panel needs some height, whatever the proportions of the picture.
    least = 0.75 * _LARGEST[1] if panel else 1
    return max(1, ceil(width * scale / share)), round(max(least, height * scale))


def _panel(size: tuple[int, int], *, beside: bool) -> Rectangle | None:
    width, height = size
    if width < _LEAST_WIDTH or height < _LEAST_HEIGHT:
        return None
    share = int((_SHARE_BESIDE if beside else _SHARE_ON) * width)
    # A low panel is a narrow one, so that its lines have room.
    across = min(max(share, _NARROWEST), _WIDEST, max(_NARROWEST, round(0.56 * height)))
    return Rectangle(width - across, 0, width, height)
