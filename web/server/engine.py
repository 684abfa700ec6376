"""What all visitors share: the bundle, the detectors, and a few threads that serve the visitors' frames in turn."""

import os
import queue
from collections.abc import Callable, Mapping
from dataclasses import replace

from moodspace.arrays import ByteArray
from moodspace.classifier.bundle.bundle import Bundle, load_bundle
from moodspace.classifier.face_pictures import FacePictures
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.detectors import open_detector, open_picture_detector
from moodspace.embeddings.detection.faces import Detector, Faces
from moodspace.embeddings.detection.later import LaterDetector
from moodspace.embeddings.encoder import Encoded, Encoder, encode_all
from moodspace.realtime.pipeline import FrameResult, Pipeline
from moodspace.web.server.settings import WebSettings
from moodspace.web.server.turns import FairThreadPool, Turns

# How many faces are encoded before the next thread has its turn.
_FACES_A_TURN = 8


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
        live = [LaterDetector(open_detector).start() for _ in range(threads)]
        bundle = load_bundle(settings.bundle, threads=1)
        self.bundle = replace(bundle, encoder=SharedEncoder(bundle.encoder))
        self.labels = settings.labels
        self.detector: Detector = _DetectorPool([one.opened() for one in live])
        # Live sessions never wait for those of the pages.
        self._video_detector = _later(open_detector, threads)
        # For pictures: searches at several sizes, as `moodspace predict` does.
        self._picture_detector = _later(open_picture_detector, threads)
        Recognizer(self.bundle, self.labels)  # raises ValueError now if the bundle has no such labels
        self._second: tuple[str, Bundle] | None = None
        if settings.compare is not None:
            second = load_bundle(settings.compare, threads=1)
            named = settings.compare.name
            if named == settings.bundle.name:
                named = f"{settings.compare.parent.name}/{named}"
            self._second = named, replace(second, encoder=SharedEncoder(second.encoder))
        self.pictures = FacePictures.read(settings.pictures, bundle) if settings.pictures else FacePictures.none()
        self.pool = FairThreadPool(threads)

    def recognize(self, recognizer: Recognizer, frame_bgr: ByteArray, *, video: bool = False) -> FrameResult:
        """Find and recognize the faces of one picture, in the caller's thread.

        Args:
            recognizer: The visitor's recognizer, which knows the visitor's taught faces.
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
            video: Whether it is a video frame, which is searched for faces at one size only.
        """
        return Pipeline(self._video_detector if video else self._picture_detector, recognizer).process(frame_bgr, 0.0)

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


def _later(open: Callable[[], Detector], threads: int) -> Detector:
    """Return a detector for that many threads, opened when it is first needed."""
    return _DetectorPool([LaterDetector(open) for _ in range(threads)])


class SharedEncoder:
    """An encoder that several threads may share, in the order in which they ask; LiteRT's alone serves one thread.

    Many faces are encoded a few at a time, so that a live frame never waits for all faces of somebody's picture.

    Args:
        encoder: The encoder to share.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self._turns = encoder, Turns()
        self.dim: int = encoder.dim
        self.classes: Mapping[str, tuple[str, ...]] = encoder.classes

    def encode(self, crops: ByteArray) -> Encoded:
        """Encode `(n, 48, 48)` uint8 gray crops; see `Encoder.encode`."""
        if len(crops) > _FACES_A_TURN:
            return encode_all(self, crops, batch_size=_FACES_A_TURN)
        with self._turns:
            return self._encoder.encode(crops)
