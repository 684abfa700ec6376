"""Frames of a camera or a stream, which may be unplugged, drop its connection or hang, and come back."""

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


class StreamCapture:
    """Stands in for `cv2.VideoCapture`, whose ffmpeg gives memory that nobody wrote for an interlaced frame.

    Args:
        address: Of the stream.
        timeout: Seconds that opening, and each read, may take.
    """

    def __init__(self, address: str, timeout: float) -> None:
        self._decoder: Decoder | None = None
        self._last: Decoded | None = None
        try:
            self._decoder = Decoder(address, stream=True, timeout=timeout)
        except SourceError:
            return

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        """Say whether there is a video at the address."""
        return self._decoder is not None

    def get(self, what: int) -> float:
        """Return one of the properties that `CaptureThread` asks for."""
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


# A stream is given up after this, when it is opened and at every picture; a camera gets as long to be opened.
OPEN_S = 10.0


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """What is wished of a camera or a stream.

    Attributes:
        width: Pixels; None for what the camera is set to, as with `height` and `fps`. Streams come as they are.
        height: Pixels.
        fps: Frames a second.
        mirror: Whether left and right are exchanged; by default a camera's are, so that people find themselves in the
            window as in a mirror.
        regain_s: Seconds for which a camera or stream that was lost is tried again; 0 for not at all.
        hang_s: Seconds without a picture after which it counts as lost.

    Raises:
        ValueError: a number that is not positive.
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
                raise ValueError(f"{name}: expected a number above 0, received {value}")
        if not self.regain_s >= 0:
            raise ValueError(f"regain_s: expected 0 seconds or more, received {self.regain_s}")


# For those who read a source once through: pictures as they come, and lost is lost.
AS_IT_IS = CameraOptions(mirror=False, regain_s=0)


def open_capture(spec: int | str, options: CameraOptions) -> cv2.VideoCapture | StreamCapture:
    """Opens a stream, or a camera, which is set as was wished as far as it can be.

    Args:
        spec: A camera's number or an address.
        options: What is wished of it.
    """
    if not isinstance(spec, int):
        return StreamCapture(spec, OPEN_S)
    capture = cv2.VideoCapture(spec)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    wishes = {
        cv2.CAP_PROP_FRAME_WIDTH: options.width,
        cv2.CAP_PROP_FRAME_HEIGHT: options.height,
        cv2.CAP_PROP_FPS: options.fps,
    }
    if any(wishes.values()):
        # USB 2 has room for 640x480 at 30 frames a second and little more, unless the camera compresses them.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    for what, wish in wishes.items():
        if wish is not None:
            capture.set(what, wish)
    return capture


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
class StreamProperties:
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
class CapturedFrame:
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
        self._stated: StreamProperties | None = None
        self._shot: CapturedFrame | None = None
        self._stopped = self._ended = False
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def stated(self, timeout: float) -> StreamProperties | None:
        """Returns what the capture says of itself; None when it cannot be opened.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            HangingError: it was neither opened nor refused in this time.
        """
        self._wait_for(lambda: self._stated is not None, timeout)
        return self._stated

    def take(self, timeout: float) -> CapturedFrame | None:
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
            self._stated = StreamProperties(width, height, capture.get(cv2.CAP_PROP_FPS), frames)
            self._changed.notify_all()
        while True:
            read, picture = capture.read()
            if not read or not _is_picture(picture):
                return
            shot = CapturedFrame(picture, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
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

    def _next(self, count: int) -> CapturedFrame | None:
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

    def _regain(self, problem: str) -> CapturedFrame | None:
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

    def _first_shot(self) -> CapturedFrame | None:
        """Returns the picture that a capture just opened begins with, if there is one."""
        try:
            opened = self._thread.stated(OPEN_S + _GRACE_S) is not None
            return self._thread.take(self._options.hang_s) if opened else None
        except HangingError:
            return None

    def _stated(self) -> StreamProperties:
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

    def _compare(self, stated: StreamProperties) -> None:
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
