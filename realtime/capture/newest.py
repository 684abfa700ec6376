"""The newest frame of a source that does not wait: a thread takes every frame, the reader gets the last one."""

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from moodspace.realtime.capture.source import Frame, Source

# A source that hangs must not keep the program from ending; the thread is a daemon and ends with it.
_PATIENCE_S = 1.0
# Windows answers Ctrl-C only between two waits.
_LONGEST_WAIT_S = 0.5


class NewestFrames:
    """Frames of a source, without those that came while the reader was busy.

    The source is iterated, and closed, in a thread of its own, from the start of the `with` block to its end.

    Attributes:
        dropped: How many frames the reader has not seen, because a newer one came before it asked.
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
        """Whether there are no more frames to come."""
        with self._changed:
            return self._stopped or (self._ended and self._frame is None and self._error is None)

    def latest(self, timeout: float) -> Frame | None:
        """Returns the newest frame that has not been seen; None where none came in time or none will: see `ended`.

        Args:
            timeout: Seconds to wait for one at most.

        Raises:
            SourceError: as the source does, once its last frame was seen.
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
                self._error = None  # raised once
                raise error
            return frame

    def stop(self) -> None:
        """Ends the frames at once, from any thread, for whoever waits for one."""
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
        except BaseException as raised:  # handed to the reader, which raises it
            error = raised
        with self._changed:
            self._error, self._ended = error, True
            self._changed.notify_all()

    def _give(self, frame: Frame) -> bool:
        """Puts a frame in the place of the one before; returns whether more are wanted."""
        with self._changed:
            self.dropped += self._frame is not None
            self._frame = frame
            self._changed.notify_all()
            return not self._stopped

    def __iter__(self) -> Iterator[Frame]:
        """Yields the newest frame that has not been seen, waiting for one.

        Raises:
            SourceError: as the source does, once its last frame was seen.
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
        self._thread.join(_PATIENCE_S)
