"""What all visitors share: the bundle, and a few threads that look at their frames, each visitor in turn."""

import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from moodspace.arrays import ByteArray
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.detectors import open_detector, open_picture_detector
from moodspace.embeddings.detection.faces import Detector, Faces
from moodspace.embeddings.encoder import Encoded, Encoder
from moodspace.realtime.pipeline import FrameResult, Pipeline
from moodspace.web.server.settings import WebSettings

if TYPE_CHECKING:
    from moodspace.web.server.visitors import Visitor

logger = logging.getLogger(__name__)

Work = Callable[[], None]
# Seconds that the end of the server waits for frames that are in work.
_CLOSING_S = 2.0


class Engine:
    """The bundle, its detectors and its threads.

    Args:
        settings: The operator's.

    Raises:
        BundleError: the bundle cannot be used.
        ValueError: it has no such labels.
    """

    def __init__(self, settings: WebSettings) -> None:
        threads = max(1, min(4, os.cpu_count() or 1))
        bundle = load_bundle(settings.bundle, threads=1)
        self.bundle = replace(bundle, encoder=_OneAtATime(bundle.encoder))
        self.labels = settings.labels
        self.detector: Detector = _AnyFree([open_detector() for _ in range(threads)])
        # Looks closer, for pictures: as `cli.py predict` does.
        self._close: Detector = _AnyFree([open_picture_detector() for _ in range(threads)])
        Recognizer(self.bundle, self.labels)  # says at once when there are no such labels
        self.turns = FairThreadPool(threads)

    def recognize(self, visitor: "Visitor", frame_bgr: ByteArray, *, video: bool = False) -> FrameResult:
        """Find and recognize the faces of one picture, in the caller's thread.

        Args:
            visitor: Whose taught faces count.
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
            video: Whether it is one of many, which are looked at less closely.
        """
        return Pipeline(self.detector if video else self._close, visitor.recognizer).process(frame_bgr, 0.0)

    def encode(self, crops: ByteArray) -> Encoded:
        """Encode `(n, 48, 48)` uint8 gray crops."""
        return self.bundle.encoder.encode(crops)

    def close(self) -> None:
        """End the threads after what they are doing."""
        self.turns.close()


class FairThreadPool:
    """Threads that serve lanes in turn: who has just been served waits until the others were.

    Args:
        threads: How many.
    """

    def __init__(self, threads: int) -> None:
        self._waiting: deque[SessionQueue] = deque()
        self._changed = threading.Condition()
        self._open = True
        self._threads = [threading.Thread(target=self._serve, name=f"turns-{at}", daemon=True) for at in range(threads)]
        for thread in self._threads:
            thread.start()

    def lane(self) -> "SessionQueue":
        """Return a lane of its own for one live session."""
        return SessionQueue(self)

    def enter(self, lane: "SessionQueue", work: Work) -> bool:
        """Put work into a lane in place of what waits there. Return whether something was replaced."""
        with self._changed:
            gave_way = lane.next is not None
            lane.next = work
            if not lane.busy and not gave_way:
                self._waiting.append(lane)
                self._changed.notify()
            return gave_way

    def close(self) -> None:
        """End the threads after what they are doing, and wait a moment for that; what waits is dropped."""
        with self._changed:
            self._open = False
            self._waiting.clear()
            self._changed.notify_all()
        until = time.monotonic() + _CLOSING_S
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(until - time.monotonic(), 0.0))

    def _serve(self) -> None:
        while self._serve_one():
            pass

    def _serve_one(self) -> bool:
        """Wait for work and do it; return whether to go on. Keep no reference to finished work."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._open)
            if not self._open:
                return False
            lane = self._waiting.popleft()
            work, lane.next, lane.busy = lane.next, None, True
        try:
            if work is not None:
                work()
        except Exception:
            logger.exception("a frame could not be analyzed")
        with self._changed:
            lane.busy = False
            if lane.next is not None:
                self._waiting.append(lane)
                self._changed.notify()
        return True


class SessionQueue:
    """Where the frames of one live session wait: one in work, one waiting."""

    def __init__(self, turns: FairThreadPool) -> None:
        self._turns = turns
        self.next: Work | None = None
        self.busy = False

    def put(self, work: Work) -> bool:
        """Ask for work to be done in a thread, in place of what waits. Return whether something was replaced."""
        return self._turns.enter(self, work)


class _AnyFree:
    """A detector made of several, each used by one thread at a time."""

    def __init__(self, detectors: list[Detector]) -> None:
        self._free: queue.SimpleQueue[Detector] = queue.SimpleQueue()
        for detector in detectors:
            self._free.put(detector)

    def detect(self, frame_bgr: ByteArray) -> Faces:
        detector = self._free.get()
        try:
            return detector.detect(frame_bgr)
        finally:
            self._free.put(detector)


class _OneAtATime:
    """An encoder for several threads: LiteRT's interpreters serve one each."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self._lock = encoder, threading.Lock()
        self.dim: int = encoder.dim
        self.classes: Mapping[str, tuple[str, ...]] = encoder.classes

    def encode(self, crops: ByteArray) -> Encoded:
        with self._lock:
            return self._encoder.encode(crops)
