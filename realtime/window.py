"""The live loop: frames in, a window and results out, without falling behind."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2

from realtime.capture import NewestFrames
from realtime.draw import draw
from realtime.faces import ByteArray
from realtime.pipeline import FrameResult, Process
from realtime.sources import Frame, Source

TITLE = "Moodspace"

_KEYS_TO_LEAVE = (ord("q"), ord("Q"), 27)
_NO_KEY = -1
_POLL_S = 0.03
# Fits the screens of small laptops; the user may enlarge the window.
_LARGEST_SIDE = 1280

_FONTS = Path("/usr/share/fonts")


class WindowError(ValueError):
    """A window that cannot be opened."""


def live(
    source: Source,
    pipeline: Process,
    *,
    show: bool = True,
    on_result: Callable[[Frame, FrameResult], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Runs frames through the pipeline until the source ends or the user leaves: with q, Esc or by closing the window.

    Of a camera or a stream the newest frame is taken and those that came meanwhile are dropped. In a window a video
    file keeps its own speed, for which frames are dropped too, and a picture stays until a key is pressed; without a
    window every frame of a file is taken, as fast as it goes.

    Args:
        source: Closed at the end.
        pipeline: What finds and recognises the faces.
        show: Whether there is a window.
        on_result: Called with each frame and what it shows.
        clock: Seconds, for a video's speed.

    Returns:
        How many frames went through.

    Raises:
        SourceError: the source gives no frames, or a camera stops.
        WindowError: there is no display.
    """
    with ExitStack() as stack:
        window = stack.enter_context(Window()) if show else None
        frames: Iterator[Frame] = iter(stack.enter_context(NewestFrames(source) if source.live else source))
        paced = frames if source.live or window is None else _at_own_speed(frames, clock)
        count = 0
        for frame in paced:
            result = pipeline.process(frame.bgr, frame.time)
            count += 1
            if on_result is not None:
                on_result(frame, result)
            if window is not None and not window.show(draw(frame.bgr, result), until_key=frame.fps is None):
                break
        return count


def _at_own_speed(frames: Iterator[Frame], clock: Callable[[], float]) -> Iterator[Frame]:
    """Yields the frames of video files when they are due, without those that are overdue; pictures at once."""
    start = 0.0
    for frame in frames:
        if frame.fps is None or frame.index == 0:
            start = clock() - frame.time
            yield frame
            continue
        early = start + frame.time - clock()
        if early > 0:
            time.sleep(early)
        if early > -1 / frame.fps:
            yield frame


class Window:
    """A window to look at frames in, to be used in a `with` block.

    Raises:
        WindowError: there is no display.
    """

    def __init__(self, title: str = TITLE) -> None:
        self._title = title
        self._sized = False

    def show(self, picture_bgr: ByteArray, *, until_key: bool = False) -> bool:
        """Shows a picture.

        Args:
            picture_bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
            until_key: Whether to wait until a key is pressed.

        Returns:
            False when the user wants to leave.
        """
        if not self._sized:
            height, width = picture_bgr.shape[:2]
            shrink = min(1.0, _LARGEST_SIDE / max(width, height))
            cv2.resizeWindow(self._title, max(1, round(width * shrink)), max(1, round(height * shrink)))
            self._sized = True
        cv2.imshow(self._title, picture_bgr)
        while True:
            key = cv2.pollKey() if not until_key else cv2.waitKey(round(1000 * _POLL_S))
            if (key & 0xFF if key != _NO_KEY else key) in _KEYS_TO_LEAVE or self._is_closed():
                return False
            if not until_key or key != _NO_KEY:
                return True

    def _is_closed(self) -> bool:
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:  # Qt's way to say that the last window was closed
            return True

    def __enter__(self) -> Self:
        if sys.platform.startswith("linux"):
            # Qt ends the whole process where there is no display.
            if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
                raise WindowError("window: expected a display, found none; run without a window (--headless)")
            # OpenCV's package points Qt to a folder of fonts that it does not have; Qt then warns at every start.
            if _FONTS.is_dir():
                os.environ["QT_QPA_FONTDIR"] = str(_FONTS)
        try:
            # Without this flag Qt adds a toolbar; with these the picture keeps its proportions and can be enlarged.
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as error:
            raise WindowError("window: this OpenCV has none; install opencv-python, not the headless one") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cv2.destroyAllWindows()
