"""What all visitors share: the bundle, the detectors, and a few threads that serve the visitors' frames in turn."""

import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from moodspace.arrays import ByteArray
from moodspace.classifier.bundle.bundle import Bundle, load_bundle
from moodspace.classifier.face_pictures import FacePictures
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.detectors import open_detector, open_picture_detector
from moodspace.embeddings.detection.faces import Detector, Faces
from moodspace.embeddings.encoder import Encoded, Encoder
from moodspace.realtime.pipeline import FrameResult, Pipeline
from moodspace.web.server.settings import WebSettings

logger = logging.getLogger(__name__)

Work = Callable[[], None]


class Engine:
    """The bundle, its detectors and its threads.

    Args:
        settings: The operator's settings.

    Raises:
        BundleError: A bundle cannot be used.
        DataError: The data with the pictures of its faces cannot be used.
        ValueError: The bundle has no such labels.

    Attributes:
        pictures: The pictures of the bundle's faces.
    """

    def __init__(self, settings: WebSettings) -> None:
        threads = max(1, min(4, os.cpu_count() or 1))
        bundle = load_bundle(settings.bundle, threads=1)
        self.bundle = replace(bundle, encoder=_LockedEncoder(bundle.encoder))
        self.labels = settings.labels
        self.detector: Detector = _DetectorPool([open_detector() for _ in range(threads)])
        # For pictures: searches at several sizes, as `moodspace predict` does.
        self._picture_detector: Detector = _DetectorPool([open_picture_detector() for _ in range(threads)])
        Recognizer(self.bundle, self.labels)  # raises ValueError now if the bundle has no such labels
        self._second: tuple[str, Bundle] | None = None
        if settings.compare is not None:
            second = load_bundle(settings.compare, threads=1)
            named = settings.compare.name
            if named == settings.bundle.name:
                named = f"{settings.compare.parent.name}/{named}"
            self._second = named, replace(second, encoder=_LockedEncoder(second.encoder))
        self.pictures = FacePictures.read(settings.pictures, bundle) if settings.pictures else FacePictures.none()
        self.pool = FairThreadPool(threads)

    def recognize(self, recognizer: Recognizer, frame_bgr: ByteArray, *, video: bool = False) -> FrameResult:
        """Find and recognize the faces of one picture, in the caller's thread.

        Args:
            recognizer: The visitor's recognizer, which knows the visitor's taught faces.
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
            video: Whether it is a video frame, which is searched for faces at one size only.
        """
        return Pipeline(self.detector if video else self._picture_detector, recognizer).process(frame_bgr, 0.0)

    def others(self, recognizer: Recognizer) -> dict[str, Recognizer]:
        """Return what can be compared with a visitor's recognizer, by a name to show.

        These are the other views of its bundle, with the visitor's taught faces, and those of the operator's second
        bundle, with them only if its encoder is the same.
        """
        views = [view for view in self.bundle.views if view != recognizer.label_set]
        found = {view: Recognizer(self.bundle, view, recognizer.taught) for view in views}
        for one in found.values():
            one.pictures = recognizer.pictures
        if self._second is not None:
            name, bundle = self._second
            same = bundle.encoder_spec.fingerprint == self.bundle.encoder_spec.fingerprint
            taught = recognizer.taught if same else None
            found |= {f"{name}: {view}": Recognizer(bundle, view, taught) for view in bundle.views}
        return found

    def encode(self, crops: ByteArray) -> Encoded:
        """Encode `(n, 48, 48)` uint8 gray crops."""
        return self.bundle.encoder.encode(crops)

    def close(self) -> None:
        """End the threads after their current work."""
        self.pool.close()


class FairThreadPool:
    """Threads that serve queues round robin: a queue that was just served waits until all others were.

    Args:
        threads: Number of threads.
        patience: Seconds that `close` waits for current work.
    """

    def __init__(self, threads: int, *, patience: float = 2.0) -> None:
        self._patience = patience
        self._waiting: deque[SessionQueue] = deque()
        self._changed = threading.Condition()
        self._open = True
        self._threads = [
            threading.Thread(target=self._serve, name=f"engine-{at}", daemon=True) for at in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def new_queue(self) -> "SessionQueue":
        """Return a new queue, for one live session."""
        return SessionQueue(self)

    def submit(self, session: "SessionQueue", work: Work) -> bool:
        """Put work into a queue, in place of work that waits there. Return whether it replaced something."""
        with self._changed:
            replaced = session.next is not None
            session.next = work
            if not session.busy and not replaced:
                self._waiting.append(session)
                self._changed.notify()
            return replaced

    def close(self) -> None:
        """Drop waiting work, end the threads after their current work, and wait a moment for that."""
        with self._changed:
            self._open = False
            self._waiting.clear()
            self._changed.notify_all()
        until = time.monotonic() + self._patience
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
            session = self._waiting.popleft()
            work, session.next, session.busy = session.next, None, True
        try:
            if work is not None:
                work()
        except Exception:
            logger.exception("a frame could not be analyzed")
        with self._changed:
            session.busy = False
            if session.next is not None:
                self._waiting.append(session)
                self._changed.notify()
        return True


class SessionQueue:
    """The queue of one live session: at most one frame in work and one waiting."""

    def __init__(self, pool: FairThreadPool) -> None:
        self._pool = pool
        self.next: Work | None = None
        self.busy = False

    def put(self, work: Work) -> bool:
        """Submit work, in place of work that waits. Return whether it replaced something."""
        return self._pool.submit(self, work)


class _DetectorPool:
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


class _LockedEncoder:
    """An encoder that several threads may share; a LiteRT interpreter alone serves one thread."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self._lock = encoder, threading.Lock()
        self.dim: int = encoder.dim
        self.classes: Mapping[str, tuple[str, ...]] = encoder.classes

    def encode(self, crops: ByteArray) -> Encoded:
        with self._lock:
            return self._encoder.encode(crops)
