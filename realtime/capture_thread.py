"""Reads a camera or a stream in a thread of its own, so that one that hangs can be left behind."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from realtime.faces import ByteArray

logger = logging.getLogger(__name__)


class Capture(Protocol):
    """What this project uses of `cv2.VideoCapture`."""

    def isOpened(self) -> bool: ...  # noqa: N802, D102 (OpenCV's names)
    def get(self, what: int) -> float: ...  # noqa: D102
    def read(self) -> tuple[bool, Any]: ...  # noqa: D102
    def release(self) -> None: ...  # noqa: D102


class HangingError(Exception):
    """Neither a picture nor an end came in time."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a capture says of itself once it is open.

    Attributes:
        width: Pixels.
        height: Pixels.
        fps: Frames a second; whatever number where it does not know.
        frames: How many there will be; 0 or less where there is no end.
    """

    width: int
    height: int
    fps: float
    frames: float


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A picture, `(h, w, 3)` uint8 BGR, and the seconds from the beginning that the stream states for it."""

    bgr: ByteArray
    stated_time: float


class CaptureThread:
    """Opens a capture, reads it picture by picture, and releases it, all in one thread.

    OpenCV can neither be interrupted nor asked to end from another thread. So nobody waits here for longer than was
    said, and `stop` leaves a thread that hangs to itself: it releases the capture once it goes on.

    Args:
        opener: Opens the capture.
    """

    def __init__(self, opener: Callable[[], Capture]) -> None:
        self._opener = opener
        self._changed = threading.Condition()
        self._stated: Stated | None = None
        self._shot: Shot | None = None
        self._stopped = self._ended = False
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def stated(self, timeout: float) -> Stated | None:
        """Returns what the capture says of itself; None when it cannot be opened.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            HangingError: it was neither opened nor refused in this time.
        """
        self._wait_for(lambda: self._stated is not None, timeout)
        return self._stated

    def take(self, timeout: float) -> Shot | None:
        """Returns the next picture; None when there are no more.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            HangingError: none came in this time.
        """
        self._wait_for(lambda: self._shot is not None, timeout)
        with self._changed:
            shot, self._shot = self._shot, None
            self._changed.notify_all()
        return shot

    def stop(self) -> None:
        """Ends it, from any thread; who waits for a picture is told that there are no more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Waits until the capture is released, so many seconds at most."""
        self._thread.join(timeout)

    def _wait_for(self, there: Callable[[], bool], timeout: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: there() or self._ended or self._stopped, timeout):
                raise HangingError

    def _run(self) -> None:
        capture: Capture | None = None
        try:
            capture = self._opener()
            if capture.isOpened() and not _may_be_unwritten(capture):
                self._read(capture)
        except cv2.error:  # some backends raise it when a device goes away
            pass
        except Exception:  # whoever waits reads that there are no more pictures; why, stands in the log
            logger.exception("a camera or stream could not be read any further")
        finally:
            self._release(capture)
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _release(self, capture: Capture | None) -> None:
        try:
            if capture is not None:
                capture.release()
        except Exception:
            logger.exception("a camera or stream could not be closed")

    def _read(self, capture: Capture) -> None:
        width, height = (round(capture.get(what)) for what in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        with self._changed:
            frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
            self._stated = Stated(width, height, capture.get(cv2.CAP_PROP_FPS), frames)
            self._changed.notify_all()
        while True:
            read, picture = capture.read()
            if not read or not _is_picture(picture):
                return
            shot = Shot(picture, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            with self._changed:
                self._changed.wait_for(lambda: self._shot is None or self._stopped)
                if self._stopped:
                    return
                self._shot = shot
                self._changed.notify_all()


def _is_picture(picture: Any) -> bool:
    return isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3


def _may_be_unwritten(capture: Capture) -> bool:
    """Says whether OpenCV reads with its ffmpeg: OpenCV 5.0.0 gives memory that nobody wrote for interlaced frames."""
    backend = getattr(capture, "getBackendName", None)
    return backend is not None and backend() == "FFMPEG"
