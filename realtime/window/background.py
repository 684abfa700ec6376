"""Process frames in a thread, so that the window answers keys at any time."""

import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from moodspace.realtime.capture.source import Frame
from moodspace.realtime.pipeline import LivePipeline, LiveResult

# How often the thread checks whether to stop, and how long to wait for it at the end: if it hangs, the program must
# still end.
_CHECK_S, _JOIN_S = 0.1, 2.0


@dataclass(frozen=True, slots=True, eq=False)
class ProcessedFrame:
    """A frame and its result.

    Attributes:
        frame: The frame.
        result: The faces of the frame.
        arrived: When the frame came, in seconds of the clock.
    """

    frame: Frame
    result: LiveResult
    arrived: float


def recognize(pipeline: LivePipeline, frame: Frame) -> LiveResult:
    """Process a frame; restart the pipeline first for a picture or the first frame of a video."""
    if frame.index == 0:
        pipeline.restart()
    return pipeline.process(frame.bgr, frame.time)


class Background:
    """Process frames in a thread; use it in a `with` block.

    Each result can be taken once, in order. The thread works one frame ahead and then waits.

    Attributes:
        ended: Whether all results were taken.

    Args:
        frames: The frames; iterated in the thread.
        pipeline: Processes them, in the thread.
        clock: Returns seconds.
    """

    def __init__(self, frames: Iterable[Frame], pipeline: LivePipeline, *, clock: Callable[[], float]) -> None:
        self._frames, self._pipeline, self._clock = frames, pipeline, clock
        self._results: queue.Queue[ProcessedFrame | BaseException | None] = queue.Queue(maxsize=1)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recognize", daemon=True)
        self.ended = False

    def take(self, wait: float = 0.0) -> ProcessedFrame | None:
        """Return the next result, or None: there is none yet or, if `ended`, no more.

        Args:
            wait: Seconds to wait for a result.

        Raises:
            SourceError: The source gives no frames, or a camera stops.
        """
        if self.ended:
            return None
        try:
            result = self._results.get(wait > 0, wait)
        except queue.Empty:
            return None
        if isinstance(result, ProcessedFrame):
            return result
        self.ended = True
        if result is not None:
            raise result
        return None

    def _run(self) -> None:
        end: BaseException | None = None
        try:
            for frame in self._frames:
                arrived = self._clock()
                if not self._put(ProcessedFrame(frame, recognize(self._pipeline, frame), arrived)):
                    break
        except BaseException as error:  # raised again by `take`
            end = error
        self._put(end)

    def _put(self, result: ProcessedFrame | BaseException | None) -> bool:
        """Wait until the previous result was taken, then store this one; return False if the thread must stop."""
        while not self._stopping.is_set():
            try:
                self._results.put(result, timeout=_CHECK_S)
            except queue.Full:
                continue
            return True
        return False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(_JOIN_S)
