"""Results as plain values, ready for `json.dumps`."""

from typing import Any

import numpy as np

from classifier.ensemble import Prediction
from classifier.recognizer import Recognizer
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
        best first, each with `id`, `label` (None where it has none), `similarity` (a cosine) and `source`.
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
    neighbors = prediction.neighbors
    names = recognizer.neighbor_names(prediction, row)
    return [
        {
            "id": int(neighbors.ids[row, column]),
            "label": names[column],
            "similarity": _rounded(neighbors.similarities[row, column]),
            "source": str(neighbors.sources[row, column]),
        }
        for column in range(min(EVIDENCE, neighbors.ids.shape[1]))
        if neighbors.valid[row, column]
    ]


def _rounded(value: np.floating[Any]) -> float:
    # 32-bit floats carry no more than this, and print as noise beyond it.
    return round(float(value), 6)
