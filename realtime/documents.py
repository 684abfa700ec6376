"""Results as plain values, ready for `json.dumps`."""

import math
from typing import Any

import numpy as np

from classifier.ensemble import Prediction
from classifier.recognizer import Recognizer
from realtime.evidence import listed, near_faces
from realtime.live_pipeline import LiveResult
from realtime.pipeline import FrameResult
from realtime.quality import FaceQuality
from realtime.sources import Frame

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
