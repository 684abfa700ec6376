"""Run the live session as `moodspace live` does, with a window whose pictures a function gets."""

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
    """A window on the screen that calls a function with each picture once it is shown.

    Args:
        look: Called with each picture, `(h, w, 3)` uint8 BGR, as large as the window.
    """

    def __init__(self, look: Look) -> None:
        super().__init__()
        self._look = look
        self._fresh: ByteArray | None = None

    def show(self, picture_bgr: ByteArray) -> None:
        """Show a picture, `(h, w, 3)` uint8 BGR."""
        super().show(picture_bgr)
        self._fresh = picture_bgr

    def key(self, wait: float) -> int | None:
        """Return the pressed key. OpenCV updates the screen during this call."""
        key = super().key(wait)
        if self._fresh is not None:
            self._look(self._fresh)
            self._fresh = None
        return key


class UnseenWindow(WatchedWindow):
    """A window without a screen."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels; None before `open_at`."""
        return self._size

    def open_at(self, size: tuple[int, int]) -> None:
        """Set the width and height in pixels."""
        self._size = size

    def show(self, picture_bgr: ByteArray) -> None:
        """Pass on a picture, `(h, w, 3)` uint8 BGR."""
        self._look(picture_bgr)

    def key(self, wait: float) -> int | None:
        """Wait as long as a window does for a key; return None."""
        time.sleep(wait)
        return None

    @property
    def is_closed(self) -> bool:
        """Whether it was closed; always False."""
        return False

    def __enter__(self) -> "UnseenWindow":
        return self

    def __exit__(self, *error: object) -> None:
        pass


def watch(source: Source, recognizer: Recognizer, look: Look, *, on_screen: bool) -> int:
    """Run a live session until its source ends; return the number of frames.

    Args:
        source: A live source.
        recognizer: The recognizer.
        look: Called with each shown picture, as large as the window.
        on_screen: Whether to open a real window.
    """
    pipeline = LivePipeline(open_detector(), recognizer)
    window = WatchedWindow(look) if on_screen else UnseenWindow(look)
    clock = time.monotonic
    with NewestFrames(source) as newest, Background(newest, pipeline, clock=clock) as work, window:
        return LiveLoop(work, recognizer, window, WindowCallbacks(), clock=clock).run()


def frame_in_window(picture: ByteArray, width: int, height: int) -> ByteArray:
    """Cut the frame out of a window's picture and scale it to the frame's size; the panel must be beside it.

    Args:
        picture: `(h, w, 3)` uint8 BGR, as large as the window.
        width: The frame's width in pixels.
        height: The frame's height in pixels.
    """
    size = picture.shape[1], picture.shape[0]
    place = arrange((height, width), ViewState(size=size, evidence=True)).picture
    return cast(ByteArray, cv2.resize(place.of(picture), (width, height), interpolation=cv2.INTER_AREA))
