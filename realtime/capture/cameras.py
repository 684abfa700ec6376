"""Frames of a camera or a stream, which may be unplugged, lose its connection or hang, and is reopened then."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast

import cv2
import numpy as np

from moodspace.arrays import ByteArray
from moodspace.embeddings.detection.opencv_logging import quiet_opencv
from moodspace.realtime.capture.decoder import Decoded, Decoder
from moodspace.realtime.capture.source import Frame, Source, SourceError, usable_fps

logger = logging.getLogger(__name__)

# The time limit in seconds for opening a camera or stream, and for each read of a stream.
OPEN_S = 10.0
# What OpenCV needs beyond its own limit to report that it could not open anything.
_GRACE_S = 2.0
# Seconds before the first reopening, and the limit up to which they double.
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 10.0
# How long to wait for the thread at the end. One that hangs must not keep the program from ending.
_JOIN_S = 0.5


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """How to open a camera or a stream.

    Attributes:
        width: Width in pixels to ask the camera for; None keeps the camera's setting. Streams ignore `width`, `height`
            and `fps`.
        height: Height in pixels, likewise.
        fps: Frames per second, likewise.
        mirror: Whether to flip the picture horizontally. None flips cameras and not streams, so that people see
            themselves as in a mirror.
        regain_s: How long to try to reopen a lost camera or stream, in seconds; 0 does not try.
        hang_s: Seconds without a frame after which it counts as lost.

    Raises:
        ValueError: A number is not positive.
    """

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    mirror: bool | None = None
    regain_s: float = math.inf
    hang_s: float = 5.0

    def __post_init__(self) -> None:
        for name in ("width", "height", "fps", "hang_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name}: expected a number above 0, got {value}")
        if not self.regain_s >= 0:
            raise ValueError(f"regain_s: expected 0 seconds or more, got {self.regain_s}")


# The default: frames are not mirrored, and a lost camera ends the frames.
READ_ONCE = CameraOptions(mirror=False, regain_s=0)


class LiveSource(Source):
    """The frames of a camera, or of a stream at an address, timed by the clock.

    A lost camera or stream is reopened as the options say; frame numbers and times continue. A stream with an end (a
    video at an address) is not `live`: its frames have their own times, and it is not reopened.

    Args:
        spec: A camera's number or an address.
        name: Its name in results and messages.
        options: How to open it.
        on_event: Called with a one-line message when it is lost, when it is back, and when the camera does not follow
            the options; called in the thread that iterates the frames.
        clock: Return the time in seconds.
        wait: Wait for some seconds or until the source is stopped; return whether it was stopped.
        delays: Yield the seconds to wait before each reopening; `reopening_delays` when None.

    Raises:
        SourceError: It cannot be opened.
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
        delays: Callable[[], Iterator[float]] | None = None,
    ) -> None:
        super().__init__()
        self._spec, self._name, self._options = spec, name, options
        self._tell, self._clock = on_event, clock
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._delays = delays or reopening_delays
        self._mirror = isinstance(spec, int) if options.mirror is None else options.mirror
        self._thread = CaptureThread(self._open)
        stated = self._wait_until_open()
        self.live = stated.frames <= 0
        self._fps = usable_fps(stated.fps)
        self._report_differences(stated)

    def __iter__(self) -> Iterator[Frame]:
        index, begun = 0, self._clock()
        while (captured := self._next(index)) is not None:
            at = self._clock() - begun if self.live else captured.stated_time or index / self._fps
            bgr = cast(ByteArray, cv2.flip(captured.bgr, 1)) if self._mirror else captured.bgr
            yield Frame(self._name, index, at, bgr, self._fps)
            index += 1

    def stop(self) -> None:
        """End the frames at once; callable from any thread."""
        self._stopping.set()
        self._thread.stop()

    def close(self) -> None:
        """Release the camera; if it hangs, its thread will."""
        self.stop()
        self._thread.join(_JOIN_S)

    def _next(self, count: int) -> CapturedFrame | None:
        """Return the next frame after `count` frames, reopening a lost camera; None at the end.

        Raises:
            SourceError: There is no frame, or the camera could not be reopened.
        """
        hanging, captured, problem = False, None, f"none after {count}"
        try:
            captured = self._thread.take(self._options.hang_s)
        except HangingError:
            hanging, problem = True, f"none for {self._options.hang_s:g} s"
        if captured is not None or self._stopping.is_set():
            return captured
        if self.live and count and self._options.regain_s:
            return self._regain(problem)
        if count and not hanging and not isinstance(self._spec, int):
            return None
        raise SourceError(f"{self._name}: expected frames, got {problem}; {_advice(self._spec)}")

    def _regain(self, problem: str) -> CapturedFrame | None:
        """Reopen the camera until it gives a frame; return None if the source is stopped meanwhile.

        Raises:
            SourceError: It takes too long.
        """
        lost, limit = self._clock(), self._options.regain_s
        self._tell(f"{self._name} is lost: expected frames, got {problem}; trying to reopen it")
        for delay in self._delays():
            self._thread.stop()
            if self._wait(delay):
                return None
            self._thread = CaptureThread(self._open)
            if self._stopping.is_set():  # stopped while the new thread was being started
                self._thread.stop()
                return None
            if (captured := self._first_frame()) is not None:
                self._tell(f"{self._name} is back after {self._clock() - lost:.1f} s")
                return captured
            if self._clock() - lost >= limit:
                break
        raise SourceError(f"{self._name}: expected it back within {limit:g} s, it is not; {_advice(self._spec)}")

    def _first_frame(self) -> CapturedFrame | None:
        """Return the first frame of the capture that was just opened; None if there is none."""
        try:
            opened = self._thread.properties(OPEN_S + _GRACE_S) is not None
            return self._thread.take(self._options.hang_s) if opened else None
        except HangingError:
            return None

    def _wait_until_open(self) -> StreamProperties:
        """Wait until the capture is open and return its properties.

        Raises:
            SourceError: It cannot be opened.
        """
        stated = None
        try:
            stated = self._thread.properties(OPEN_S + _GRACE_S)
        except HangingError:
            logger.debug("%s: hangs when it is opened", self._name)
        finally:
            # Ctrl-C ends the constructor, so that nobody else could close it.
            if stated is None:
                self.close()
        if stated is None:
            what = "a camera" if isinstance(self._spec, int) else "a video"
            raise SourceError(f"{self._name}: expected {what}, got none that can be opened; {_advice(self._spec)}")
        return stated

    def _report_differences(self, stated: StreamProperties) -> None:
        """Report a camera that does not have the size and frame rate of the options."""
        options = self._options
        pairs = ((options.width, stated.width), (options.height, stated.height), (options.fps, stated.fps))
        if isinstance(self._spec, int) and any(
            wanted is not None and wanted != round(actual, 2) for wanted, actual in pairs
        ):
            expected = f"{options.width or 'any'} x {options.height or 'any'} at {options.fps or 'any'} frames a second"
            got = f"{stated.width} x {stated.height} at {stated.fps:g}"
            self._tell(f"{self._name}: expected {expected}, got {got}; going on with that")

    def _open(self) -> Capture:
        with quiet_opencv():
            return open_capture(self._spec, self._options)


def reopening_delays() -> Iterator[float]:
    """Yield the seconds to wait before each reopening: 0.5, doubled up to 10."""
    delay = _FIRST_DELAY_S
    while True:
        yield delay
        delay = min(2 * delay, _LONGEST_DELAY_S)


def _advice(spec: int | str) -> str:
    if isinstance(spec, int):
        return "is it plugged in, allowed and not in use elsewhere?"
    return "is it still sending? try it in a player"


class CaptureThread:
    """Open a capture, read its frames and release it, all in one thread.

    OpenCV cannot be interrupted from another thread. So all waiting here has a time limit, and `stop` abandons a thread
    that hangs: it releases the capture when OpenCV returns.

    Args:
        opener: Open the capture.
    """

    def __init__(self, opener: Callable[[], Capture]) -> None:
        self._opener = opener
        self._changed = threading.Condition()
        self._properties: StreamProperties | None = None
        self._frame: CapturedFrame | None = None
        self._stopped = self._ended = False
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def properties(self, timeout: float) -> StreamProperties | None:
        """Return the properties of the open capture; None if it cannot be opened.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            HangingError: It neither opened nor failed in time.
        """
        self._wait_for(lambda: self._properties is not None, timeout)
        return self._properties

    def take(self, timeout: float) -> CapturedFrame | None:
        """Return the next frame; None at the end.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            HangingError: No frame came in time.
        """
        self._wait_for(lambda: self._frame is not None, timeout)
        with self._changed:
            captured, self._frame = self._frame, None
            self._changed.notify_all()
        return captured

    def stop(self) -> None:
        """End the frames, also for a waiting reader; callable from any thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Wait until the capture is released, at most `timeout` seconds."""
        self._thread.join(timeout)

    def _wait_for(self, there: Callable[[], bool], timeout: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: there() or self._ended or self._stopped, timeout):
                raise HangingError

    def _run(self) -> None:
        capture: Capture | None = None
        try:
            capture = self._opener()
            if capture.isOpened() and not _may_be_uninitialized(capture):
                self._read(capture)
        except cv2.error:  # some backends raise it when a device goes away
            pass
        except Exception:  # the reader gets the end of the frames; the log has the reason
            logger.exception("a camera or stream can no longer be read")
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
            self._properties = StreamProperties(width, height, capture.get(cv2.CAP_PROP_FPS), frames)
            self._changed.notify_all()
        while True:
            read, picture = capture.read()
            if not read or not _is_picture(picture):
                return
            captured = CapturedFrame(picture, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            with self._changed:
                self._changed.wait_for(lambda: self._frame is None or self._stopped)
                if self._stopped:
                    return
                self._frame = captured
                self._changed.notify_all()


def _is_picture(picture: Any) -> bool:
    return isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3


def _may_be_uninitialized(capture: Capture) -> bool:
    """Return whether OpenCV reads with ffmpeg: 5.0.0 then returns uninitialized memory for interlaced frames."""
    backend = getattr(capture, "getBackendName", None)
    return backend is not None and backend() == "FFMPEG"


class Capture(Protocol):
    """The part of `cv2.VideoCapture` that is used here."""

    def isOpened(self) -> bool: ...  # noqa: N802, D102 (OpenCV's names)
    def get(self, what: int) -> float: ...  # noqa: D102
    def read(self) -> tuple[bool, Any]: ...  # noqa: D102
    def release(self) -> None: ...  # noqa: D102


class HangingError(Exception):
    """Neither a frame nor the end came in time."""


@dataclass(frozen=True, slots=True)
class StreamProperties:
    """What an open capture states.

    Attributes:
        width: Pixels.
        height: Pixels.
        fps: Frames per second; any number if unknown.
        frames: The number of frames; 0 or less if there is no end.
    """

    width: int
    height: int
    fps: float
    frames: float


@dataclass(frozen=True, slots=True, eq=False)
class CapturedFrame:
    """A frame, `(h, w, 3)` uint8 BGR, and its time in seconds as the stream states it."""

    bgr: ByteArray
    stated_time: float


def open_capture(spec: int | str, options: CameraOptions) -> cv2.VideoCapture | StreamCapture:
    """Open a stream, or a camera with the size and frame rate of the options as far as it supports them.

    Args:
        spec: A camera's number or an address.
        options: How to open it.
    """
    if not isinstance(spec, int):
        return StreamCapture(spec, OPEN_S)
    capture = cv2.VideoCapture(spec)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    wanted = {
        cv2.CAP_PROP_FRAME_WIDTH: options.width,
        cv2.CAP_PROP_FRAME_HEIGHT: options.height,
        cv2.CAP_PROP_FPS: options.fps,
    }
    if any(wanted.values()):
        # Without compression, USB 2 is too slow for much more than 640x480 at 30 fps.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    for what, value in wanted.items():
        if value is not None:
            capture.set(what, value)
    return capture


class StreamCapture:
    """Replace `cv2.VideoCapture` for streams: its ffmpeg returns uninitialized memory for interlaced frames.

    Args:
        address: The stream's address.
        timeout: The time limit in seconds for opening and for each read.
    """

    def __init__(self, address: str, timeout: float) -> None:
        self._decoder: Decoder | None = None
        self._last: Decoded | None = None
        try:
            self._decoder = Decoder(address, stream=True, timeout=timeout)
        except SourceError:
            return

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        """Return whether there is a video at the address."""
        return self._decoder is not None

    def get(self, what: int) -> float:
        """Return one of the properties that `CaptureThread` reads."""
        decoder = self._decoder
        if decoder is None:
            return 0.0
        match what:
            case cv2.CAP_PROP_FRAME_WIDTH:
                return float(decoder.width)
            case cv2.CAP_PROP_FRAME_HEIGHT:
                return float(decoder.height)
            case cv2.CAP_PROP_FPS:
                return decoder.fps
            case cv2.CAP_PROP_FRAME_COUNT:
                return float(decoder.stated_frames or round(decoder.seconds * decoder.fps))
            case cv2.CAP_PROP_POS_MSEC:
                return 1000 * self._last.time if self._last else 0.0
        return 0.0

    def read(self) -> tuple[bool, ByteArray | None]:
        """Return whether there is a next frame, and that frame."""
        try:
            self._last = self._decoder.next() if self._decoder else None
        except SourceError:
            self._last = None
        return (False, None) if self._last is None else (True, self._last.bgr)

    def release(self) -> None:
        """Close the connection."""
        if self._decoder is not None:
            self._decoder.close()
