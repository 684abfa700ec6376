"""What a second of a session comes to: the group's distribution under the rule for small groups, and single faces.

A frame counts for the group only when at least `min_group` of its faces could be read, so that no mean of fewer faces
goes into anything that is kept. Faces are counted within one frame, never over several: a face that is lost and found
under a new number is still one face.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.embeddings.detection.quality import FaceQuality
from moodspace.realtime.pipeline import LiveResult


@dataclass(frozen=True, slots=True, eq=False)
class FrameStats:
    """What is counted of one frame with n faces.

    Attributes:
        track_ids: `(n,)` int64.
        proba: `(n, C)` float32, the smoothed probabilities, columns in the order of the session's classes.
        shown: `(n,)` int64, columns of the session's classes, -1 for unsure.
        quality: How well the faces could be read.
    """

    track_ids: IntArray
    proba: FloatArray
    shown: IntArray
    quality: FaceQuality

    @classmethod
    def at(cls, result: LiveResult, columns: IntArray, n_classes: int) -> "FrameStats":
        """Brings a result to a session's classes.

        Args:
            result: What a frame shows.
            columns: `(c,)` int64, the session's column of each of the result's c classes.
            n_classes: How many classes the session has, C.
        """
        proba = np.zeros((len(result.track_ids), n_classes), np.float32)
        proba[:, columns] = result.smoothed
        shown = np.where(result.shown < 0, -1, columns[result.shown])
        return cls(result.track_ids, proba, shown, result.quality)


class GroupSecond(NamedTuple):
    """What a group showed within a second.

    Attributes:
        faces: How many faces were in view; None when they were fewer than the smallest group.
        readable: How many of them could be read; None, as what follows, when those were fewer than the smallest group.
        unsure: How many of the readable ones showed nothing certain.
        proba: `(C,)` float32, the mean of the readable faces' smoothed probabilities, sums to 1.
    """

    faces: int | None = None
    readable: int | None = None
    unsure: int | None = None
    proba: FloatArray | None = None


class FaceSecond(NamedTuple):
    """What one face showed within a second.

    Attributes:
        track_id: Its number.
        shown: The column of the label shown last, -1 for unsure.
        readable: Whether it could be read in any frame.
        size: Pixels, the mean, as the next two.
        sharpness: As `realtime.quality` measures it.
        yaw: Degrees.
        proba: `(C,)` float32, the mean of the smoothed probabilities, over the frames in which it could be read
            where there are any.
    """

    track_id: int
    shown: int
    readable: bool
    size: float
    sharpness: float
    yaw: float
    proba: FloatArray


def group_second(looks: Sequence[FrameStats], min_group: int) -> GroupSecond:
    """Sums up what a group showed in the frames of a second.

    Args:
        looks: The frames; later ones may have more classes.
        min_group: The least number of faces, >= 1, of which anything is said.
    """
    enough = [look for look in looks if look.quality.good.sum() >= min_group]
    if not enough:
        seen = [len(look.track_ids) for look in looks if len(look.track_ids) >= min_group]
        return GroupSecond(faces=_rounded_mean(seen) if seen else None)
    proba = np.zeros(max(look.proba.shape[1] for look in enough))
    for look in enough:
        proba[: look.proba.shape[1]] += look.proba[look.quality.good].mean(axis=0)
    return GroupSecond(
        faces=_rounded_mean([len(look.track_ids) for look in enough]),
        readable=_rounded_mean([int(look.quality.good.sum()) for look in enough]),
        unsure=_rounded_mean([int((look.quality.good & (look.shown < 0)).sum()) for look in enough]),
        proba=(proba / proba.sum()).astype(np.float32),
    )


def face_seconds(looks: Sequence[FrameStats]) -> list[FaceSecond]:
    """Sums up what each face showed in the frames of a second, in the order of their numbers; as `group_second`."""
    rows: dict[int, list[tuple[FrameStats, int]]] = {}
    for look in looks:
        for row, track_id in enumerate(look.track_ids.tolist()):
            rows.setdefault(track_id, []).append((look, row))
    return [_face_second(track_id, rows[track_id]) for track_id in sorted(rows)]


def _face_second(track_id: int, rows: list[tuple[FrameStats, int]]) -> FaceSecond:
    good = [(look, row) for look, row in rows if look.quality.good[row]]
    last, at = rows[-1]
    proba = np.zeros(last.proba.shape[1])
    for look, row in good or rows:
        proba[: look.proba.shape[1]] += look.proba[row]
    size, sharpness, yaw = (
        float(np.mean([getattr(look.quality, name)[row] for look, row in rows]))
        for name in ("size", "sharpness", "yaw")
    )
    mean = (proba / proba.sum()).astype(np.float32)
    return FaceSecond(track_id, int(last.shown[at]), bool(good), size, sharpness, yaw, mean)


def _rounded_mean(counts: Sequence[int]) -> int:
    return int(np.floor(np.mean(counts) + 0.5))
