"""One frame of a session in, the faces followed through it out: track, crop, encode, recognise, smooth."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifier.ensemble import Prediction
from classifier.recognizer import Recognizer
from embeddings.crops import crop_faces
from realtime.faces import ByteArray, Detector, Faces, FloatArray
from realtime.quality import FaceQuality, assess
from realtime.smoothing import ShownLabel, approach, by_name
from realtime.tracking import Tracker

IntArray = npt.NDArray[np.int64]

_MARGIN, _PATIENCE_S = 0.1, 0.3


@dataclass(frozen=True, slots=True, eq=False)
class LiveResult:
    """What a frame of a session shows; no faces are legal.

    Attributes:
        time: Seconds, as `process` was given them.
        faces: The n faces, in the order of their ids.
        track_ids: `(n,)` int64, from 1 up; a face keeps its number and no other face gets it.
        prediction: Of the newest look at each face, not smoothed; n rows. Its classes may become more from one
            result to the next, when the user teaches a new one.
        smoothed: `(n, C)` float32, rows sum to 1, columns in the order of `prediction.classes`.
        shown: `(n,)` int64, the column of the label to show; -1 for unknown.
        quality: How well the faces can be read.
        embeddings: `(n, d)` float32 unit rows, of the newest look at each face.
        timings_ms: Milliseconds spent on each stage: "detect", "track", "crop", "encode", "search", "ensemble".
    """

    time: float
    faces: Faces
    track_ids: IntArray
    prediction: Prediction
    smoothed: FloatArray
    shown: IntArray
    quality: FaceQuality
    embeddings: FloatArray
    timings_ms: dict[str, float]

    def __post_init__(self) -> None:
        n = len(self.faces)
        for name in ("track_ids", "prediction", "smoothed", "shown", "quality", "embeddings"):
            received = len(getattr(self, name))
            if received != n:
                raise ValueError(f"{name}: expected {n} rows, one a face, received {received}")
        if self.smoothed.shape[1] != len(self.prediction.classes):
            expected = f"{len(self.prediction.classes)} columns, one a class"
            raise ValueError(f"smoothed: expected {expected}, received {self.smoothed.shape[1]}")


class _State:
    """What is remembered of a face."""

    def __init__(self) -> None:
        self.smoothed: FloatArray | None = None
        self.classes: tuple[str, ...] = ()
        self.time = 0.0
        self.label = ShownLabel(_MARGIN, _PATIENCE_S)


class LivePipeline:
    """Follows the faces of a session and says what they show. Same frames and times, same results.

    Args:
        detector: Finds the faces.
        recognizer: Recognises their crops, which are made with its bundle's geometry.
        half_life: Seconds after which half of a change of expression shows in the smoothed probabilities.
        clock: Seconds, for the timings alone.
    """

    def __init__(
        self,
        detector: Detector,
        recognizer: Recognizer,
        *,
        half_life: float = 0.5,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.recognizer = recognizer
        self._tracker = Tracker(detector)
        self._half_life, self._clock = half_life, clock
        self._states: dict[int, _State] = {}

    def process(self, frame_bgr: ByteArray, now: float) -> LiveResult:
        """Follows and recognises the faces of the next frame.

        Args:
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
            now: Seconds since the source began; never less than before.
        """
        marks = [self._clock()]
        ids, faces = self._tracker.follow(frame_bgr, now)
        marks.append(self._clock())
        crops = crop_faces(frame_bgr, faces.landmarks, self.recognizer.bundle.geometry)
        quality = assess(faces, crops)
        marks.append(self._clock())
        encoded = self.recognizer.bundle.encoder.encode(crops)
        marks.append(self._clock())
        evidence = self.recognizer.search(encoded)
        marks.append(self._clock())
        prediction = self.recognizer.decide(encoded, evidence)
        marks.append(self._clock())
        smoothed, shown = self._smooth(ids, prediction, now)
        spent = dict(
            zip(("detect", "crop", "encode", "search", "ensemble"), (1000 * np.diff(marks)).tolist(), strict=True)
        )
        timings_ms = {"track": 0.0} | spent
        return LiveResult(now, faces, ids, prediction, smoothed, shown, quality, encoded.embeddings, timings_ms)

    def _smooth(self, ids: IntArray, prediction: Prediction, now: float) -> tuple[FloatArray, IntArray]:
        self._states = {int(one): self._states.get(int(one), _State()) for one in ids}
        smoothed = np.zeros((len(ids), len(prediction.classes)), np.float32)
        shown = np.zeros(len(ids), np.int64)
        for row, state in enumerate(self._states.values()):
            new = prediction.proba[row]
            if state.smoothed is not None:
                old = by_name(state.smoothed, state.classes, prediction.classes)
                new = approach(old, new, now - state.time, self._half_life)
            state.smoothed, state.classes, state.time = new, prediction.classes, now
            smoothed[row] = new
            shown[row] = state.label.update(new, prediction.classes, self.recognizer.unknown_below, now)
        return smoothed, shown
