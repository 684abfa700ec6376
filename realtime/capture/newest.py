"""Read a source in real time: the newest frame of a live one, and the frames of a video when they are due.

A thread reads every frame of a camera, whose frames keep coming; the reader gets the last one.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self

from moodspace.realtime.capture.source import Frame, Source

# How long to wait for the thread at the end. If a source hangs, the thread is left alone; it is a daemon.
_JOIN_S = 1.0
# Windows handles Ctrl-C only between two waits.
_LONGEST_WAIT_S = 0.5


class NewestFrames:
    """The frames of a source, without those that arrived while the reader was busy.

    From the start of the `with` block to its end, a thread iterates the source, and closes it.

    Args:
        source: The source.

    Attributes:
        dropped: The number of frames that were replaced by a newer one before the reader asked.
    """

    def __init__(self, source: Source) -> None:
        self.dropped = 0
        self._source = source
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._error: BaseException | None = None
        self._stopped = self._ended = False
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    @property
    def ended(self) -> bool:
        """Whether no more frames will come."""
        with self._changed:
            return self._stopped or (self._ended and self._frame is None and self._error is None)

    def latest(self, timeout: float) -> Frame | None:
        """Return the newest frame that was not returned yet; None if none came in time or no more will (see `ended`).

        Args:
            timeout: Seconds to wait at most.

        Raises:
            SourceError: The source failed; raised once, after its last frame.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._has_news() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(min(left, _LONGEST_WAIT_S))
            frame, self._frame = self._frame, None
            if self._stopped:
                return None
            error = self._error if frame is None else None
            if error is not None:
                self._error = None
                raise error
            return frame

    def stop(self) -> None:
        """End the frames at once and wake up the reader; callable from any thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._source.stop()

    def _has_news(self) -> bool:
        return self._frame is not None or self._ended or self._stopped

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with self._source as source:
                for frame in source:
                    if not self._give(frame):
                        break
        except BaseException as raised:  # `latest` raises it in the reader's thread
            error = raised
        with self._changed:
            self._error, self._ended = error, True
            self._changed.notify_all()

    def _give(self, frame: Frame) -> bool:
        """Replace the frame before; return whether more are wanted."""
        with self._changed:
            self.dropped += self._frame is not None
            self._frame = frame
            self._changed.notify_all()
            return not self._stopped

    def __iter__(self) -> Iterator[Frame]:
        """Yield the newest frame, waiting for one that was not yielded yet.

        Raises:
            SourceError: The source failed; raised once, after its last frame.
        """
        while not self.ended:
            if (frame := self.latest(_LONGEST_WAIT_S)) is not None:
                yield frame

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join(_JOIN_S)


# A reader this late has paused or is too slow; the video then continues from where it is.
_LATE_S = 0.5


def paced_frames(frames: Iterable[Frame], clock: Callable[[], float]) -> Iterator[Frame]:
    """Yield the frames of videos at the videos' own speed, without those that are overdue; pictures at once.

    Args:
        frames: The frames of one file or several.
        clock: Return the time in seconds.
    """
    start = 0.0
    for frame in frames:
        if frame.fps is None:
            yield frame
            continue
        early = start + frame.time - clock()
        if frame.index == 0 or early < -_LATE_S:
            start, early = clock() - frame.time, 0.0
        if early > 0:
            time.sleep(early)
        if early > -1 / frame.fps:
            yield frame
