"""What a frame of a live session shows as plain values, a JSON line for other programs."""

from typing import Any

from realtime.documents import finite, quality_document
from realtime.faces import FloatArray
from realtime.frames import Frame
from realtime.live_pipeline import LiveResult


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
