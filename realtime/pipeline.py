"""One frame in, what its faces show out: detect, crop, recognise."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from classifier.ensemble import Prediction
from classifier.recognizer import Recognizer
from embeddings.crops import SIZE, crop_faces
from embeddings.pictures import to_crop
from realtime.faces import ByteArray, Detector, Faces
from realtime.quality import FaceQuality, look_at


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """What a frame shows; no faces are legal.

    Attributes:
        time: Seconds, as `process` was given them.
        faces: The n faces, most confident first.
        prediction: What they show, in the same order; unknown where a face cannot be read, too.
        timings_ms: Milliseconds spent on each stage: "detect", "crop", "recognise".
        quality: How well the faces can be read; None where this was not looked at.
    """

    time: float
    faces: Faces
    prediction: Prediction
    timings_ms: dict[str, float]
    quality: FaceQuality | None = None

    def __post_init__(self) -> None:
        if len(self.faces) != len(self.prediction):
            raise ValueError(
                f"prediction: expected {len(self.faces)} rows, one a face, received {len(self.prediction)}"
            )
        if self.quality is not None and len(self.quality) != len(self.faces):
            raise ValueError(f"quality: expected {len(self.faces)} rows, one a face, got {len(self.quality)}")


class Process(Protocol):
    """What turns frames into results."""

    recognizer: Recognizer

    def process(self, frame_bgr: ByteArray, now: float) -> FrameResult:
        """See `Pipeline.process`."""
        ...


class Pipeline:
    """Finds the faces of a frame and recognises them as one batch. Same frame, same result.

    Args:
        detector: Finds the faces.
        recognizer: Recognises their crops, which are made with its bundle's geometry.
        clock: Seconds, for the timings alone.
    """

    def __init__(
        self, detector: Detector, recognizer: Recognizer, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.detector = detector
        self.recognizer = recognizer
        self._clock = clock

    def process(self, frame_bgr: ByteArray, now: float) -> FrameResult:
        """Finds and recognises the faces of a frame.

        Args:
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
            now: Seconds since the source began.
        """
        started = self._clock()
        faces = self.detector.detect(frame_bgr)
        detected = self._clock()
        crops = crop_faces(frame_bgr, faces.landmarks, self.recognizer.bundle.geometry)
        quality = look_at(faces, crops, frame_bgr.shape)
        cropped = self._clock()
        prediction = self.recognizer.predict(crops).withheld(quality.good)
        recognised = self._clock()
        timings_ms = {
            "detect": 1000 * (detected - started),
            "crop": 1000 * (cropped - detected),
            "recognise": 1000 * (recognised - cropped),
        }
        return FrameResult(now, faces, prediction, timings_ms, quality)


class WholePicture:
    """Takes each frame for one face that fills it, as the pictures of a labelled data set are; nothing is detected.

    Args:
        recognizer: Recognises the faces.
        clock: Seconds, for the timings alone.
    """

    def __init__(self, recognizer: Recognizer, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self.recognizer = recognizer
        self._clock = clock

    def process(self, frame_bgr: ByteArray, now: float) -> FrameResult:
        """Recognises the one face; its box is the frame and its landmarks are the template's, not looked for."""
        started = self._clock()
        crop = to_crop(np.ascontiguousarray(frame_bgr[..., ::-1]))
        cropped = self._clock()
        prediction = self.recognizer.predict(crop[None])
        recognised = self._clock()
        size = np.array(frame_bgr.shape[1::-1])
        landmarks = (self.recognizer.bundle.geometry.template[None] + 0.5) * size / SIZE - 0.5
        faces = Faces(np.array([[0, 0, *size]], np.float32), landmarks.astype(np.float32), np.ones(1, np.float32))
        quality = look_at(faces, crop[None])
        prediction = prediction.withheld(quality.good)
        timings_ms = {"detect": 0.0, "crop": 1000 * (cropped - started), "recognise": 1000 * (recognised - cropped)}
        return FrameResult(now, faces, prediction, timings_ms, quality)
