"""The live session as `cli.py live` runs it, with a window whose pictures can be looked at."""

import time
from collections.abc import Callable
from typing import cast

import cv2

from moodspace.arrays import ByteArray
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.detectors import open_detector
from moodspace.realtime.capture.newest import NewestFrames
from moodspace.realtime.capture.source import Source
from moodspace.realtime.pipeline import LivePipeline
from moodspace.realtime.window.background import Background
from moodspace.realtime.window.loop import LiveLoop, WindowCallbacks
from moodspace.realtime.window.screen import Window
from moodspace.realtime.window.state import ViewState, arrange

Look = Callable[[ByteArray], None]


class WatchedWindow(Window):
    """A window on the screen; each picture is looked at once it is there.

    Args:
        look: Called with each picture, as large as the window.
    """

    def __init__(self, look: Look) -> None:
        super().__init__()
        self._look = look
        self._fresh: ByteArray | None = None

    def show(self, picture_bgr: ByteArray) -> None:
        """Shows a picture, `(h, w, 3)` uint8 BGR."""
        super().show(picture_bgr)
        self._fresh = picture_bgr

    def key(self, wait: float) -> int | None:
        """Returns the key that was pressed; it is then that OpenCV puts the picture onto the screen."""
        key = super().key(wait)
        if self._fresh is not None:
            self._look(self._fresh)
            self._fresh = None
        return key


class UnseenWindow(WatchedWindow):
    """As large as a window would be, where there is no screen."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height, pixels; None before `open_at`."""
        return self._size

    def open_at(self, size: tuple[int, int]) -> None:
        """Takes this width and height, pixels."""
        self._size = size

    def show(self, picture_bgr: ByteArray) -> None:
        """Looks at a picture, `(h, w, 3)` uint8 BGR."""
        self._look(picture_bgr)

    def key(self, wait: float) -> int | None:
        """Waits as long as a window does for a key; none is pressed."""
        time.sleep(wait)
        return None

    @property
    def is_closed(self) -> bool:
        """Whether somebody has closed it: nobody can."""
        return False

    def __enter__(self) -> "UnseenWindow":
        return self

    def __exit__(self, *error: object) -> None:
        pass


def watch(source: Source, recognizer: Recognizer, look: Look, *, on_screen: bool) -> int:
    """Runs a live session over a source until that ends; returns how many frames went through.

    Args:
        source: A live one.
        recognizer: What recognises the faces.
        look: Called with each picture that is shown, as large as the window.
        on_screen: Whether there is a real window.
    """
    pipeline = LivePipeline(open_detector(), recognizer)
    window = WatchedWindow(look) if on_screen else UnseenWindow(look)
    clock = time.monotonic
    with NewestFrames(source) as newest, Background(newest, pipeline, clock=clock) as work, window:
        return LiveLoop(work, recognizer, window, WindowCallbacks(), clock=clock).run()


def frame_in_window(picture: ByteArray, width: int, height: int) -> ByteArray:
    """Cuts the frame out of a window's picture and scales it to its own size; the panel has to be beside it.

    Args:
        picture: `(h, w, 3)` uint8 BGR, as large as the window.
        width: The frame's own, pixels.
        height: The frame's own, pixels.
    """
    size = picture.shape[1], picture.shape[0]
    place = arrange((height, width), ViewState(size=size, evidence=True)).picture
    return cast(ByteArray, cv2.resize(place.of(picture), (width, height), interpolation=cv2.INTER_AREA))
