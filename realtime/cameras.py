"""Frames of a camera or a stream, which may be unplugged, drop its connection or hang, and come back."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import cast

import cv2

from realtime.camera_options import OPEN_S, CameraOptions, open_capture
from realtime.capture_thread import Capture, CaptureThread, HangingError, Shot, Stated
from realtime.faces import ByteArray
from realtime.frames import Frame, Source, SourceError, usable_fps
from realtime.quiet import quiet_opencv

logger = logging.getLogger(__name__)

# What OpenCV needs beyond its own limit to say that it has opened nothing.
_GRACE_S = 2.0
# Seconds before each new try, and what they grow to.
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 10.0
# A thread that hangs must not keep the program from ending.
_PATIENCE_S = 0.5


class LiveSource(Source):
    """The frames of a camera or of a stream at an address, timed by the clock.

    A camera that is lost is tried again, as its options say; its frames go on in number and time. A stream that has an
    end, a video at an address, is not `live`: it is timed by itself and not tried again.

    Args:
        spec: A camera's number or an address.
        name: What to call it in results and messages.
        options: What is wished of it.
        on_event: Told, in one line, when it is lost, when it is back, and when it is not as was wished. Called in the
            thread that goes through the frames.
        clock: Seconds.
        wait: Waits so many seconds, or until the source is stopped, and returns whether it was.

    Raises:
        SourceError: it cannot be opened.
    """

    def __init__(
        self,
        spec: int | str,
        name: str,
        options: CameraOptions,
        *,
        on_event: Callable[[str], None] = logger.warning,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        super().__init__()
        self._spec, self._name, self._options = spec, name, options
        self._tell, self._clock = on_event, clock
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._mirror = isinstance(spec, int) if options.mirror is None else options.mirror
        self._thread = CaptureThread(self._open)
        stated = self._stated()
        self.live = stated.frames <= 0
        self._fps = usable_fps(stated.fps)
        self._compare(stated)

    def __iter__(self) -> Iterator[Frame]:
        index, begun = 0, self._clock()
        while (shot := self._next(index)) is not None:
            at = self._clock() - begun if self.live else shot.stated_time or index / self._fps
            bgr = cast(ByteArray, cv2.flip(shot.bgr, 1)) if self._mirror else shot.bgr
            yield Frame(self._name, index, at, bgr, self._fps)
            index += 1

    def stop(self) -> None:
        """Ends the frames at once, from any thread."""
        self._stopping.set()
        self._thread.stop()

    def close(self) -> None:
        """Frees the camera, or leaves that to its thread where it hangs."""
        self.stop()
        self._thread.join(_PATIENCE_S)

    def _next(self, count: int) -> Shot | None:
        """Returns the picture after `count` others, over a gap if need be; None when there are no more.

        Raises:
            SourceError: there is none, or the camera is lost for good.
        """
        hanging, shot, problem = False, None, f"none after {count}"
        try:
            shot = self._thread.take(self._options.hang_s)
        except HangingError:
            hanging, problem = True, f"none for {self._options.hang_s:g} s"
        if shot is not None or self._stopping.is_set():
            return shot
        if self.live and count and self._options.regain_s:
            return self._regain(problem)
        if count and not hanging and not isinstance(self._spec, int):
            return None
        raise SourceError(f"{self._name}: expected pictures, received {problem}; {_advice(self._spec)}")

    def _regain(self, problem: str) -> Shot | None:
        """Opens the camera again until it gives a picture; None when it is stopped meanwhile.

        Raises:
            SourceError: it takes too long.
        """
        lost, limit = self._clock(), self._options.regain_s
        self._tell(f"{self._name} is lost: expected pictures, received {problem}; trying again")
        for delay in delays():
            self._thread.stop()
            if self._wait(delay):
                return None
            self._thread = CaptureThread(self._open)
            if self._stopping.is_set():  # by somebody who stopped the thread before this one
                self._thread.stop()
                return None
            if (shot := self._first_shot()) is not None:
                self._tell(f"{self._name} is back after {self._clock() - lost:.1f} s")
                return shot
            if self._clock() - lost >= limit:
                break
        raise SourceError(f"{self._name}: expected it back within {limit:g} s, it is not; {_advice(self._spec)}")

    def _first_shot(self) -> Shot | None:
        """Returns the picture that a capture just opened begins with, if there is one."""
        try:
            opened = self._thread.stated(OPEN_S + _GRACE_S) is not None
            return self._thread.take(self._options.hang_s) if opened else None
        except HangingError:
            return None

    def _stated(self) -> Stated:
        """Waits until the capture is open."""
        stated = None
        try:
            stated = self._thread.stated(OPEN_S + _GRACE_S)
        except HangingError:
            logger.debug("%s: hangs when it is opened", self._name)
        finally:
            # Nobody can close what Ctrl-C keeps from being made.
            if stated is None:
                self.close()
        if stated is None:
            what = "a camera" if isinstance(self._spec, int) else "a video"
            raise SourceError(f"{self._name}: expected {what}, found none that can be opened; {_advice(self._spec)}")
        return stated

    def _compare(self, stated: Stated) -> None:
        """Tells when a camera is not as was wished."""
        wished = self._options
        pairs = ((wished.width, stated.width), (wished.height, stated.height), (wished.fps, stated.fps))
        if isinstance(self._spec, int) and any(wish is not None and wish != round(came, 2) for wish, came in pairs):
            asked = f"{wished.width or 'any'} x {wished.height or 'any'} at {wished.fps or 'any'} frames a second"
            came = f"{stated.width} x {stated.height} at {stated.fps:g}"
            self._tell(f"{self._name}: expected {asked}, received {came}; going on with that")

    def _open(self) -> Capture:
        with quiet_opencv():
            return open_capture(self._spec, self._options)


def delays() -> Iterator[float]:
    """Yields the seconds to wait before each new try: 0.5, doubled up to 10."""
    delay = _FIRST_DELAY_S
    while True:
        yield delay
        delay = min(2 * delay, _LONGEST_DELAY_S)


def _advice(spec: int | str) -> str:
    if isinstance(spec, int):
        return "is it plugged in, allowed and not in use elsewhere?"
    return "is it still sending? try it in a player"
