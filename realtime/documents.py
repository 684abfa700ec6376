"""Convert results to plain values for JSON: the faces of pictures and videos, and the frames of a live session."""

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

# How many neighbors are listed per face; more of them vote.
EVIDENCE = 5


def face_documents(result: FrameResult | LiveResult, recognizer: Recognizer) -> list[dict[str, Any]]:
    """Return the faces of a frame as plain values.

    Args:
        result: The frame's result.
        recognizer: The recognizer that made it; it names the neighbors' labels.

    Returns:
        For each face: `xywh` in pixels, the `expression`, its `confidence`, `probabilities` by class, which sum to 1,
        whether the expression is `unknown` (the confidence is too low, or the face cannot be read), and the most
        similar `neighbors`, best first, each with `id`, `label` (None if it has none), `similarity` (a cosine) and
        `source`. If the user taught faces as this expression, the best of them is always listed, in the last place if
        need be. `quality` follows if it was assessed, see `quality_document`; `baseline` is True, and left out
        otherwise, where a resting face shifts the probabilities.
    """
    documents = []
    for row, xywh in enumerate(result.faces.xywh):
        place = {"xywh": [round(float(value), 1) for value in xywh]}
        quality = {} if result.quality is None else {"quality": quality_document(result.quality, row)}
        documents.append(
            {**place, **_expression(result.prediction, row, recognizer), **quality, **_baseline(result, row)}
        )
    return documents


def _baseline(result: FrameResult | LiveResult, row: int) -> dict[str, Any]:
    in_use = result.baseline if isinstance(result, FrameResult) else result.baselines[row].in_use
    return {"baseline": True} if in_use else {}


def quality_document(quality: FaceQuality, row: int) -> dict[str, Any]:
    """Return how well a face can be read, as plain values.

    Args:
        quality: The quality of all faces.
        row: The face's row.

    Returns:
        `size` in pixels, `sharpness`, `yaw` in degrees to the viewer's right, whether the face is `good` enough to be
        read, and the `reason` if it is not, else None.
    """
    return {
        "size": finite(quality.size[row], 1),
        "sharpness": finite(quality.sharpness[row], 6),
        "yaw": finite(quality.yaw[row], 1),
        "good": bool(quality.good[row]),
        "reason": quality.reasons[row] or None,
    }


def finite(value: float | np.floating[Any], digits: int) -> float | None:
    """Return a rounded number; None for NaN and infinity, which JSON does not have."""
    number = round(float(value), digits)
    return number if math.isfinite(number) else None


def frame_document(frame: Frame, result: FrameResult | LiveResult, recognizer: Recognizer) -> dict[str, Any]:
    """Return a frame of a video as plain values: `source`, `time` in seconds and `faces`, see `face_documents`."""
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
    # The precision of 32-bit floats.
    return round(float(value), 6)


def live_document(frame: Frame, result: LiveResult) -> dict[str, Any]:
    """Return a frame of a live session as plain values. A number that is not finite is None.

    Args:
        frame: The frame.
        result: Its result.

    Returns:
        `source`, the frame's source; `frame`, its number in the source from 0, without the numbers of dropped frames;
        `time`, seconds since the first frame, including gaps; `size`, width and height in pixels; `faces`, see below;
        and `timings_ms`, milliseconds by stage and their `total`.

        Each face has `id`, the same from frame to frame; `xywh`, left, top, width and height in pixels; `detection`,
        the detector's confidence in [0, 1]; `expression`, the class shown, which does not flicker, or None if unknown;
        `unknown`; `smoothed`, probabilities over time by class, which sum to 1; `probabilities`, those of the newest
        prediction; `quality`, see `quality_document`; and `baseline`, whether the face's resting face is its zero.
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
    """Return one face of a live frame as plain values; see `live_document`."""
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
        "baseline": result.baselines[row].in_use,
    }


def _by_class(classes: tuple[str, ...], row: FloatArray) -> dict[str, float | None]:
    return {name: finite(value, 6) for name, value in zip(classes, row, strict=True)}
