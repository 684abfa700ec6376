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
from moodspace.realtime.session.recorder import FrameStats, group_second

# Of the documents of live sessions, see `sinks/schema.json`. It increases when a field goes or changes its meaning, not
# when one is added.
VERSION = 1
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


def live_document(frame: Frame, result: LiveResult, *, individuals: bool = True, min_group: int = 5) -> dict[str, Any]:
    """Return a frame of a live session as plain values, as `sinks/schema.json` describes them.

    A number that is not finite is None.

    Args:
        frame: The frame.
        result: Its result.
        individuals: Whether to tell single faces too, and the whole path of a file.
        min_group: Smallest group to tell of, >= 1.

    Returns:
        `kind`, "frame"; `version`, `VERSION`; `source`, the frame's source, of a file its name alone unless
        `individuals`; `frame`, its number in the source from 0, without the numbers of dropped frames; `time`, seconds
        since the first frame, including gaps; `captured`, when it was captured, unix seconds; `size`, width and height
        in pixels; `group`, see `group_document`; `faces`, see below, None unless `individuals`; and `timings_ms`,
        milliseconds by stage and their `total`.

        Each face has `id`, the same from frame to frame; `xywh`, left, top, width and height in pixels; `detection`,
        the detector's confidence in [0, 1]; `expression`, the class shown, which does not flicker, or None if unknown;
        `unknown`; `smoothed`, probabilities over time by class, which sum to 1; `probabilities`, those of the newest
        prediction; `quality`, see `quality_document`; and `baseline`, whether the face's resting face is its zero.
    """
    timings_ms = {name: finite(spent, 3) for name, spent in result.timings_ms.items()}
    height, width = frame.bgr.shape[:2]
    return {
        "kind": "frame",
        "version": VERSION,
        "source": frame.source if individuals else _without_folder(frame.source),
        "frame": frame.index,
        "time": finite(frame.time, 3),
        "captured": round(frame.captured, 6),
        "size": [width, height],
        "group": group_document(result, min_group),
        "faces": [face_document(result, row) for row in range(len(result.faces))] if individuals else None,
        "timings_ms": {**timings_ms, "total": finite(sum(result.timings_ms.values()), 3)},
    }


def _without_folder(source: str) -> str:
    """Return a file's name without its folder, which may name a person; any other source as it is."""
    return source if "://" in source else source.replace("\\", "/").rpartition("/")[2]


def group_document(result: LiveResult, min_group: int) -> dict[str, Any]:
    """Return what the group of a frame shows, by the rule of the recorder, see `group_second`.

    Args:
        result: The faces of the frame.
        min_group: Smallest group to tell of, >= 1.

    Returns:
        `min_group`; `faces` in view, None if fewer than `min_group`; `readable` faces, `unsure` ones among them and
        `shares`, the mean of their smoothed probabilities by class, which sum to 1; all three None if fewer than
        `min_group` are readable; and `withheld`, why they are None, or None.
    """
    classes = result.prediction.classes
    frame = FrameStats.from_result(result, np.arange(len(classes)), len(classes))
    group = group_second([frame], min_group)
    fewer = f"fewer than {min_group} {'face' if min_group == 1 else 'faces'}"
    withheld = fewer if group.faces is None else f"{fewer} that could be read"
    return {
        "min_group": min_group,
        "faces": group.faces,
        "readable": group.readable,
        "unsure": group.unsure,
        "shares": None if group.proba is None else {
            name: finite(value, 4) for name, value in zip(classes, group.proba, strict=True)
        },
        "withheld": withheld if group.proba is None else None,
    }  # fmt: skip


def mark_document(
    label: str,
    captured: float,
    *,
    by: str,
    source: str | None = None,
    frame: int | None = None,
    time: float | None = None,
) -> dict[str, Any]:
    """Return a mark, an event beside the frames of a live session, as plain values.

    Args:
        label: The name of the event.
        captured: When it happened, unix seconds.
        by: Where it came from, such as "key", "page", "post", "lsl" or "file".
        source: The source of the frame in view at that time, as its document names it, if known.
        frame: That frame's number, if known.
        time: Seconds since the source's first frame, if known.

    Returns:
        `kind`, "mark"; `version`, `VERSION`; and the arguments.
    """
    return {
        "kind": "mark",
        "version": VERSION,
        "source": source,
        "frame": frame,
        "time": None if time is None else finite(time, 3),
        "captured": round(captured, 6),
        "label": label,
        "by": by,
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
