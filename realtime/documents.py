"""Results as plain values, ready for `json.dumps`."""

from typing import Any

import numpy as np

from classifier.ensemble import Prediction
from classifier.recognizer import Recognizer
from realtime.evidence import listed, near_faces
from realtime.live_pipeline import LiveResult
from realtime.pipeline import FrameResult
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
        which sum to 1, whether it is `unknown` (the confidence is too low to tell), and the most similar `neighbors`,
        best first, each with `id`, `label` (None where it has none), `similarity` (a cosine) and `source`. If the user
        taught faces as this expression, the best of them is the last one where it is not among the others.
    """
    return [
        {"xywh": [round(float(value), 1) for value in xywh], **_expression(result.prediction, row, recognizer)}
        for row, xywh in enumerate(result.faces.xywh)
    ]


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
