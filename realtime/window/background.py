"""Recognises frames in a thread of its own, so that a window answers keys at any time."""

import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from moodspace.realtime.capture.source import Frame
from moodspace.realtime.pipeline import LivePipeline, LiveResult

# The thread looks this often whether it is to end. One that hangs must not keep the program from ending.
_LOOK_S, _PATIENCE_S = 0.1, 2.0


@dataclass(frozen=True, slots=True, eq=False)
class ProcessedFrame:
    """A frame and what it shows.

    Attributes:
        frame: As its source gave it.
        result: What the pipeline found.
        arrived: When the frame came, seconds by the clock.
    """

    frame: Frame
    result: LiveResult
    arrived: float


def recognize(pipeline: LivePipeline, frame: Frame) -> LiveResult:
    """Puts the next frame of a session through a pipeline; a picture, or a video's first frame, begins anew."""
    if frame.index == 0:
        pipeline.restart()
    return pipeline.process(frame.bgr, frame.time)


class Background:
    """Puts frames through a pipeline while its owner does other things, to be used in a `with` block.

    Every frame's result can be taken once, in order; the thread goes one frame ahead and then waits for its owner.

    Args:
        frames: Gone through in the thread.
        pipeline: Recognises them, in the thread.
        clock: Seconds.
    """

    def __init__(self, frames: Iterable[Frame], pipeline: LivePipeline, *, clock: Callable[[], float]) -> None:
        self._frames, self._pipeline, self._clock = frames, pipeline, clock
        self._seen: queue.Queue[ProcessedFrame | BaseException | None] = queue.Queue(maxsize=1)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recognise", daemon=True)
        self.ended = False

    def take(self, wait: float = 0.0) -> ProcessedFrame | None:
        """Returns the next frame's result; None when there is none yet, or none any more: `ended` tells which.

        Args:
            wait: Seconds to wait for it at most.

        Raises:
            SourceError: the source gives no frames, or a camera stops.
        """
        if self.ended:
            return None
        try:
            seen = self._seen.get(wait > 0, wait)
        except queue.Empty:
            return None
        if isinstance(seen, ProcessedFrame):
            return seen
        self.ended = True
        if seen is not None:
            raise seen
        return None

    def _run(self) -> None:
        end: BaseException | None = None
        try:
            for frame in self._frames:
                arrived = self._clock()
                if not self._give(ProcessedFrame(frame, recognize(self._pipeline, frame), arrived)):
                    break
        except BaseException as error:  # handed to the owner, who raises it
            end = error
        self._give(end)

    def _give(self, seen: ProcessedFrame | BaseException | None) -> bool:
        """Waits until the owner has taken what was there before; returns False when there is to be an end."""
        while not self._ending.is_set():
            try:
                self._seen.put(seen, timeout=_LOOK_S)
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
        self._ending.set()
        self._thread.join(_PATIENCE_S)
