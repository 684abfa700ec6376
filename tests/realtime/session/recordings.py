"""Made-up results for the tests of sessions, and a process that records them until it is killed.

`python -m tests.realtime.session.recordings FOLDER` prints the time of each recorded frame.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from moodspace.classifier.ensemble import Prediction
from moodspace.embeddings.detection.faces import Faces
from moodspace.embeddings.detection.quality import FaceQuality
from moodspace.index.search import Neighbors
from moodspace.realtime.pipeline import LiveResult
from moodspace.realtime.session.recorder import SessionRecorder

CLASSES = ("happy", "neutral", "sad")
STARTED = 1_790_000_000.0


def shows(
    proba: Sequence[Sequence[float]],
    *,
    time: float = 0.0,
    classes: tuple[str, ...] = CLASSES,
    ids: Sequence[int] | None = None,
    good: Sequence[bool] | None = None,
    unsure: Sequence[int] = (),
) -> LiveResult:
    """Return faces with these smoothed probabilities, readable unless `good` is given; `unsure` lists rows."""
    n = len(proba)
    smoothed = np.array(proba, np.float32).reshape(n, len(classes))
    uniform = np.full_like(smoothed, 1 / len(classes))
    nothing = np.zeros((n, 0))
    neighbors = Neighbors(
        nothing.astype(np.int64), {}, nothing.astype(np.float32), nothing.astype(bool), nothing.astype(str)
    )
    shown = smoothed.argmax(axis=1) if n else np.zeros(0, np.int64)
    shown[list(unsure)] = -1
    faces = Faces(np.full((n, 4), 40, np.float32), np.zeros((n, 5, 2), np.float32), np.ones(n, np.float32))
    readable = np.ones(n, bool) if good is None else np.array(good)
    track_ids = np.arange(1, n + 1) if ids is None else np.array(ids, np.int64)
    prediction = Prediction(uniform, classes, uniform, uniform, neighbors, np.zeros(n, bool))
    size, sharpness, yaw = (np.full(n, value, np.float32) for value in (40, 0.05, -10))
    quality = FaceQuality(size, sharpness, yaw, readable)
    embeddings = np.zeros((n, 4), np.float32)
    return LiveResult(time, faces, track_ids, prediction, smoothed, shown, quality, embeddings, {}, ((),) * n, smoothed)


def group(n: int, *, time: float = 0.0, proba: Sequence[float] = (0.5, 0.25, 0.25)) -> LiveResult:
    """Return n faces with the same probabilities."""
    return shows([proba] * n, time=time)


def record_until_killed(folder: Path, fps: float = 20.0) -> None:
    with SessionRecorder(folder, classes=CLASSES, source="camera 0") as recorder:
        begun = time.monotonic()
        while (now := time.monotonic() - begun) < 60:
            recorder.add(group(5, time=now), time.time())
            print(now, flush=True)
            time.sleep(1 / fps)


if __name__ == "__main__":
    record_until_killed(Path(sys.argv[1]))
