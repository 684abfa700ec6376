"""A detector that is opened beside other work, or only when a frame needs it."""

import threading
from collections.abc import Callable
from typing import Self

from moodspace.arrays import ByteArray
from moodspace.embeddings.detection.faces import Detector, Faces


class LaterDetector:
    """A detector that is opened once: in a thread after `start`, otherwise by the first frame. Thread-safe.

    Args:
        open: Opens the detector.
    """

    def __init__(self, open: Callable[[], Detector]) -> None:
        self._open, self._lock = open, threading.Lock()
        self._detector: Detector | None = None

    def start(self) -> Self:
        """Begin to open the detector in a thread; `opened` tells whether that failed."""
        threading.Thread(target=self._try, name="detector").start()  # no daemon: OpenCV must return
        return self

    def opened(self) -> Detector:
        """Return the detector, opened.

        Raises:
            DetectorError: It cannot be opened; each call tries again.
        """
        with self._lock:
            if self._detector is None:
                self._detector = self._open()
            return self._detector

    def detect(self, frame_bgr: ByteArray) -> Faces:
        """Find the faces of a frame; see `Detector.detect`. Raise as `opened` does."""
        return self.opened().detect(frame_bgr)

    def _try(self) -> None:
        try:
            self.opened()
        except Exception:  # the caller gets it from `opened`
            return
