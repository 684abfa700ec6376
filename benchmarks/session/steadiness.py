"""Measure how steady the labels of a live session are, and how late they follow real changes of expression.

Real changes are derived from the raw labels afterwards: a face has settled on a label if that is its most frequent
label within half a second before and after, for at least `SETTLED_S`. A change from one settled label to the next is
real; all other label changes are flicker.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from moodspace.arrays import DoubleArray, IntArray
from moodspace.realtime.pipeline import LiveResult

SETTLED_S = 0.8
_AROUND_S = 0.5
# A real change starts with this many predictions of the new label in a row.
_IN_A_ROW = 3


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """The labels of one face.

    Attributes:
        times: `(n,)` float64, seconds, ascending.
        raw: `(n,)` int64, the predicted labels, columns of the classes, -1 for unknown.
        shown: `(n,)` int64, the labels shown, likewise.
    """

    times: DoubleArray
    raw: IntArray
    shown: IntArray


@dataclass(frozen=True, slots=True)
class Steadiness:
    """The label changes of all faces.

    Attributes:
        seconds: The total time that faces were visible.
        raw: The number of changes of the raw labels.
        shown: The number of changes of the labels shown.
        real: The number of real changes.
        delays_s: For each real change, the seconds until its label was shown.
        missed: The number of real changes that were never shown.
    """

    seconds: float
    raw: int
    shown: int
    real: int
    delays_s: tuple[float, ...]
    missed: int

    def to_json(self) -> dict[str, float | int | None]:
        """Return the changes per minute, the flicker among them, and the delays."""
        minutes = max(self.seconds, 1e-9) / 60
        return {
            "minutes_of_faces": round(minutes, 2),
            "raw_changes_a_minute": round(self.raw / minutes, 1),
            "shown_changes_a_minute": round(self.shown / minutes, 1),
            "real_changes_a_minute": round(self.real / minutes, 1),
            "times_fewer": round(self.raw / max(self.shown, 1), 1),
            "times_less_flicker": round(max(self.raw - self.real, 0) / max(self.shown - self.real, 1), 1),
            "delay_s_median": round(float(np.median(self.delays_s)), 2) if self.delays_s else None,
            "delay_s_most": round(max(self.delays_s), 2) if self.delays_s else None,
            "missed": self.missed,
        }


def histories(results: Sequence[LiveResult]) -> list[History]:
    """Return the labels of each face of a session, in the order of their ids."""
    seen: dict[int, list[tuple[float, int, int]]] = {}
    for result in results:
        raw = np.where(result.prediction.unknown, -1, result.prediction.labels)
        for one, row_raw, row_shown in zip(result.track_ids, raw, result.shown, strict=True):
            seen.setdefault(int(one), []).append((result.time, int(row_raw), int(row_shown)))
    columns = [zip(*seen[one], strict=True) for one in sorted(seen)]
    return [
        History(np.array(times), np.array(raw, np.int64), np.array(shown, np.int64)) for times, raw, shown in columns
    ]


def steadiness(faces: Sequence[History]) -> Steadiness:
    """Count the label changes and measure the delays of the real ones."""
    raw = sum(int((np.diff(face.raw) != 0).sum()) for face in faces)
    shown = sum(int((np.diff(face.shown) != 0).sum()) for face in faces)
    seconds = sum(float(face.times[-1] - face.times[0]) for face in faces)
    found = [delay for face in faces for delay in _delays(face)]
    delays = tuple(delay for delay in found if delay is not None)
    return Steadiness(seconds, raw, shown, len(found), delays, len(found) - len(delays))


def settled(times: DoubleArray, raw: IntArray) -> list[tuple[int, int, int]]:
    """Return the runs of frames in which a face had settled on a label: start, end (exclusive) and label."""
    usual = np.array([np.bincount(raw[np.abs(times - now) <= _AROUND_S] + 1).argmax() - 1 for now in times])
    edges = np.flatnonzero(np.diff(usual)) + 1
    runs: list[tuple[int, int, int]] = []
    for start, end in zip([0, *edges.tolist()], [*edges.tolist(), len(times)], strict=True):
        if times[end - 1] - times[start] < SETTLED_S:
            continue
        if runs and runs[-1][2] == usual[start]:
            start = runs.pop()[0]  # noqa: PLW2901 (joined over a short run between)
        runs.append((start, end, int(usual[start])))
    return runs


def _delays(face: History) -> list[float | None]:
    """Return the delay of each real change; None for one that was never shown."""
    runs = settled(face.times, face.raw)
    delays: list[float | None] = []
    for (start, _, _), (begins, end, label) in itertools.pairwise(runs):
        new = face.raw == label
        steady = [at for at in range(start + 1, end - _IN_A_ROW + 1) if new[at : at + _IN_A_ROW].all()]
        first = steady[0] if steady else begins
        after = np.flatnonzero(face.shown[first:end] == label)
        delays.append(float(face.times[first + after[0]] - face.times[first]) if len(after) else None)
    return delays
