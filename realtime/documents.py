"""What a frame of a live session shows as plain values, a JSON line for other programs."""

import math
from typing import Any

import numpy as np

from moodspace.arrays import FloatArray
from moodspace.classifier.ensemble import Prediction
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.quality import FaceQuality
from moodspace.realtime.capture.source import Frame
from moodspace.realtime.evidence import listed, near_faces
from moodspace.realtime.pipeline import FrameResult, LiveResult

# How many of the neighbours that voted are named: evidence to look at, not the whole vote.
EVIDENCE = 5


def face_documents(result: FrameResult | LiveResult, recognizer: Recognizer) -> list[dict[str, Any]]:
    """Describes each face of a frame.

    Args:
        result: What the frame shows.
        recognizer: What recognised it; names the neighbours' labels.

    Returns:
        For each face `xywh` in pixels, the `expression` it shows, the `confidence` in that, `probabilities` by class,
        which sum to 1, whether it is `unknown` (the confidence is too low to tell, or the face cannot be read), and the
        most similar `neighbors`, best first, each with `id`, `label` (None where it has none), `similarity` (a cosine)
        and `source`. If the user taught faces as this expression, the best of them is the last one where it is not
        among the others. Where it was assessed, `quality` follows, see `quality_document`.
    """
    documents = []
    for row, xywh in enumerate(result.faces.xywh):
        place = {"xywh": [round(float(value), 1) for value in xywh]}
        quality = {} if result.quality is None else {"quality": quality_document(result.quality, row)}
        documents.append({**place, **_expression(result.prediction, row, recognizer), **quality})
    return documents


def quality_document(quality: FaceQuality, row: int) -> dict[str, Any]:
    """Describe how well a face can be read.

    Args:
        quality: Of all faces.
        row: Which of them.

    Returns:
        `size` in pixels, `sharpness`, `yaw` in degrees to the viewer's right, whether that is `good` enough to be read,
        and the `reason` why not, None where it is.
    """
    return {
        "size": finite(quality.size[row], 1),
        "sharpness": finite(quality.sharpness[row], 6),
        "yaw": finite(quality.yaw[row], 1),
        "good": bool(quality.good[row]),
        "reason": quality.reasons[row] or None,
    }


def finite(value: float | np.floating[Any], digits: int) -> float | None:
    """Return a number that JSON has: 32-bit floats print as noise beyond a few digits, and NaN is no JSON."""
    number = round(float(value), digits)
    return number if math.isfinite(number) else None


def frame_document(frame: Frame, result: FrameResult | LiveResult, recognizer: Recognizer) -> dict[str, Any]:
    """Describes a frame of a video or a camera: `source`, `time` in seconds and its `faces`."""
    return {"source": frame.source, "time": round(frame.time, 3), "faces": face_documents(result, recognizer)}


def _expression(prediction: Prediction, row: int, recognizer: Recognizer) -> dict[str, Any]:
    named = zip(prediction.classes, prediction.proba[row], strict=True)
    return {
        "expression": prediction.classes[int(prediction.labels[row])],
        "confidence": _rounded(prediction.confidence[row]),
        "probabilities": {name: _rounded(value) for name, value in named},
        "unknown": bool(prediction.unknown[row]),
        "neighbors": _neighbors(prediction, row, recognizer),
    }


def _neighbors(prediction: Prediction, row: int, recognizer: Recognizer) -> list[dict[str, Any]]:
    answer = prediction.classes[int(prediction.labels[row])]
    return [
        {"id": one.id, "label": one.label, "similarity": _rounded(one.similarity), "source": one.source}
        for one in listed(near_faces(prediction, row, recognizer), answer, EVIDENCE)
    ]


def _rounded(value: float | np.floating[Any]) -> float:
    # 32-bit floats carry no more than this, and print as noise beyond it.
    return round(float(value), 6)


def live_document(frame: Frame, result: LiveResult) -> dict[str, Any]:
    """Describes a frame of a live session.

    All numbers are finite; one that is not is None.

    Args:
        frame: As its source gave it.
        result: What it shows.

    Returns:
        `source`, which is what the frame came from; `frame`, its number within that, from 0, where numbers are left out
        of frames that were dropped; `time`, seconds since the first one, also over gaps; `size`, width and height in
        pixels; `faces`, see below; and `timings_ms`, milliseconds by stage and their `total`.

        Each face has `id`, which stays with it from frame to frame; `xywh`, left, top, width and height in pixels;
        `detection` in [0, 1], how sure it is that this is a face; `expression`, the class shown, which does not
        flicker, or None where it cannot be told; `unknown`, whether that is so; `smoothed` and `probabilities` by
        class, which sum to 1, the latter of the newest look alone; and `quality`, how well it can be read, see
        `realtime.documents.quality_document`.
    """
    timings_ms = {name: finite(spent, 3) for name, spent in result.timings_ms.items()}
    height, width = frame.bgr.shape[:2]
    return {
        "source": frame.source,
        "frame": frame.index,
        "time": finite(frame.time, 3),
        "size": [width, height],
        "faces": [face_document(result, row) for row in range(len(result.faces))],
        "timings_ms": {**timings_ms, "total": finite(sum(result.timings_ms.values()), 3)},
    }


def face_document(result: LiveResult, row: int) -> dict[str, Any]:
    """Describes one face of a frame, as `live_document` says."""
    classes, column = result.prediction.classes, int(result.shown[row])
    return {
        "id": int(result.track_ids[row]),
        "xywh": [finite(value, 1) for value in result.faces.xywh[row]],
        "detection": finite(result.faces.confidence[row], 6),
        "expression": classes[column] if column >= 0 else None,
        "unknown": column < 0,
        "smoothed": _by_class(classes, result.smoothed[row]),
        "probabilities": _by_class(classes, result.prediction.proba[row]),
        "quality": quality_document(result.quality, row),
    }


def _by_class(classes: tuple[str, ...], row: FloatArray) -> dict[str, float | None]:
    return {name: finite(value, 6) for name, value in zip(classes, row, strict=True)}
