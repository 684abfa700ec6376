"""Made-up results of a live session."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.crops import crop_faces
from moodspace.embeddings.detection.faces import Faces
from moodspace.embeddings.detection.quality import FaceQuality
from moodspace.realtime.baselines import LiveBaselines
from moodspace.realtime.evidence import near_faces
from moodspace.realtime.pipeline import LiveResult
from tests.drawn_faces import drawn_faces
from tests.realtime.fakes import faces_at


def live_result(
    recognizer: Recognizer, faces: Faces, shows: list[str], *, taught: tuple[str, ...] = (), time: float = 0.0
) -> LiveResult:
    """Return faces with these expressions at 80 %; an empty name means unsure. `taught` adds classes."""
    n = len(faces)
    prediction = recognizer.predict(drawn_faces(n, seed=3).crops)
    classes = prediction.classes + taught
    shown = np.array([classes.index(name) if name else -1 for name in shows], np.int64)
    proba = np.full((n, len(classes)), 0.2 / (len(classes) - 1), np.float32)
    proba[np.arange(n), shown] = 0.8
    parts = {
        name: np.pad(getattr(prediction, name), ((0, 0), (0, len(taught)))) for name in ("head_proba", "knn_proba")
    }
    prediction = replace(prediction, classes=classes, proba=proba, unknown=shown < 0, **parts)
    embeddings = np.eye(n, recognizer.bundle.encoder.dim, dtype=np.float32)
    nearest = tuple(near_faces(prediction, row, recognizer)[:5] for row in range(n))
    return LiveResult(
        time, faces, np.arange(1, n + 1), prediction, proba, shown, quality(faces), embeddings, {}, nearest,
        prediction.knn_proba,
    )  # fmt: skip


def quality(faces: Faces, *, yaw: float = 0.0, good: bool = True) -> FaceQuality:
    n = len(faces)

    def same(value: float) -> npt.NDArray[np.float32]:
        return np.full(n, value, np.float32)

    return FaceQuality(faces.xywh[:, 2:].max(axis=1, initial=0.0), same(500), same(yaw), np.full(n, good))


def crowd(n: int, width: int, height: int) -> Faces:
    """Return n faces in four columns of a frame of this size."""
    rows = -(-n // 4)
    w, h = width / 6, height / (1.6 * rows) if rows else 1.0
    return faces_at(
        *((width * (0.04 + 0.24 * (i % 4)), height * (0.2 + i // 4) / max(rows, 1), w, h) for i in range(n))
    )


class PlainPipeline:
    """Recognize the given faces in every frame, without tracking or smoothing."""

    def __init__(self, recognizer: Recognizer, faces: Faces) -> None:
        self.recognizer, self.faces = recognizer, faces
        self.baselines = LiveBaselines(recognizer)
        self.restarts = 0

    def restart(self) -> None:
        self.restarts += 1

    def process(self, frame_bgr: npt.NDArray[np.uint8], now: float) -> LiveResult:
        bundle = self.recognizer.bundle
        encoded = bundle.encoder.encode(crop_faces(frame_bgr, self.faces.landmarks, bundle.geometry))
        prediction = self.recognizer.predict_encoded(encoded)
        ids, shown = np.arange(1, len(self.faces) + 1), np.where(prediction.unknown, -1, prediction.labels)
        return LiveResult(
            now, self.faces, ids, prediction, prediction.proba, shown, quality(self.faces), encoded.embeddings, {},
            tuple(near_faces(prediction, row, self.recognizer)[:5] for row in range(len(ids))), prediction.knn_proba,
        )  # fmt: skip
