"""The resting faces of a session: measure them while people look relaxed, keep each with its face, and drop them.

A baseline belongs to a tracked face. When the face has been out of sight for so long that the tracker forgot it, the
baseline waits and is given to a new face that looks the same (`association.appearances`). This compares light and
shape of the picture over minutes; it does not identify people. Nothing outlives the session.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from moodspace.arrays import ByteArray, FloatArray, IntArray
from moodspace.classifier.baseline import Baseline, Rest, measure_baseline, rest_of
from moodspace.classifier.recognizer import Recognizer, Shift
from moodspace.embeddings.detection.quality import FaceQuality
from moodspace.embeddings.encoder import Encoded
from moodspace.errors import MoodspaceError
from moodspace.realtime.tracking.association import appearances

# How long a relaxed face is measured unless told otherwise, in seconds.
MEASURE_S = 3.0
# Faces that are turned away further, in degrees, are not measured.
MOST_YAW = 30.0
# Two faces look the same from this cosine on, if no other waiting baseline is nearer than the margin. Of two different
# people, 0.7 % look the same in news photographs, 6 % in one group photograph; a face that holds still is at 0.97.
_SAME_LOOKS, _MARGIN = 0.9, 0.05
_LOOKS_WEIGHT = 0.1
# A new face may be recognized by its looks in this many readable frames.
_TRIES = 10
# With measuring at first sight, a face that is refused is measured again up to this many times.
_ATTEMPTS = 3
# How long a refusal is shown, in seconds.
_NOTE_S = 6.0
_LEFT = "it left while it was measured; try again"


@dataclass(frozen=True, slots=True, eq=False)
class FaceBaseline:
    """The baseline of one face in one frame.

    Attributes:
        in_use: Whether the predictions of this face are shifted by its resting face.
        left: Seconds for which it must look relaxed still; None unless it is being measured.
        note: Why the last measurement was refused, for some seconds; else empty.
        rest: `(C,)` float32, sums to 1, what the resting face is read as, for the view's classes; None unless in use.
    """

    in_use: bool = False
    left: float | None = None
    note: str = ""
    rest: FloatArray | None = None


NO_BASELINE = FaceBaseline()


@dataclass(slots=True, eq=False)
class _Kept:
    """A baseline in use or waiting for its face; `looks` is None for one that fits the first face."""

    rest: Rest
    looks: FloatArray | None


@dataclass(slots=True, eq=False)
class _Measuring:
    started: float
    seconds: float
    asked: bool = True
    looked: int = 0
    frames: list[Encoded] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Face:
    """What is known of a tracked face."""

    kept: _Kept | None = None
    measuring: _Measuring | None = None
    note: str = ""
    noted: float = 0.0
    tries: int = 0
    attempts: int = 0
    cleared: bool = False


class LiveBaselines:
    """The baselines of a session's faces. `toggle`, `measure` and `clear` may be called from any thread.

    Args:
        recognizer: Reads the resting faces.
        seconds: Measure each face for this long when it is first seen; None measures on request only.
        first: A baseline for the first face that can be read, measured in an earlier session.
        on_measured: Called with each new baseline, from the thread that processes frames.
        on_refused: Called likewise with one line for each face that makes no baseline.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        *,
        seconds: float | None = None,
        first: Baseline | None = None,
        on_measured: Callable[[Baseline], None] | None = None,
        on_refused: Callable[[str], None] | None = None,
    ) -> None:
        self._recognizer, self._seconds = recognizer, seconds
        self._on_measured, self._on_refused = on_measured, on_refused
        self._faces: dict[int, _Face] = {}
        self._waiting: list[_Kept] = [] if first is None else [_Kept(rest_of(first, recognizer), None)]
        self._requests: deque[tuple[int, str, float]] = deque()

    def measure(self, track_id: int, seconds: float = MEASURE_S) -> None:
        """Measure a face from the next frame on; an earlier baseline of it is dropped."""
        self._requests.append((track_id, "measure", seconds))

    def clear(self, track_id: int) -> None:
        """Drop the baseline of a face, or stop measuring it."""
        self._requests.append((track_id, "clear", 0.0))

    def toggle(self, track_id: int, seconds: float = MEASURE_S) -> None:
        """Measure a face or, if it has a baseline or is being measured, clear it."""
        self._requests.append((track_id, "toggle", seconds))

    def update(
        self,
        ids: Sequence[int],
        remembered: Collection[int],
        rows: IntArray,
        crops: ByteArray,
        encoded: Encoded,
        quality: FaceQuality,
        now: float,
    ) -> list[int]:
        """Take in the faces of a frame.

        Args:
            ids: The n visible faces.
            remembered: The ids that are visible or may come back.
            rows: `(m,)` int64, the rows of the faces that were looked at in this frame.
            crops: `(m, 48, 48)` uint8 gray, their crops.
            encoded: The n faces as they were last encoded.
            quality: The quality of the n faces.
            now: Seconds.

        Returns:
            The rows whose predictions change because a baseline came or went.
        """
        before = {one: self._rest(one) for one in ids}
        self._forget(remembered)
        for one in ids:
            self._faces.setdefault(one, _Face())
        self._answer_requests(now)
        readable = [(int(row), at) for at, row in enumerate(rows) if quality.good[row]]
        if readable and (self._waiting or any(face.kept is not None for face in self._faces.values())):
            self._follow_looks([ids[row] for row, _ in readable], appearances(crops[[at for _, at in readable]]))
        good = {row for row, _ in readable if abs(float(quality.yaw[row])) <= MOST_YAW}
        for row in rows.tolist():
            self._look(ids[row], encoded.take(slice(row, row + 1)) if row in good else None, now)
        self._end_measurements(ids, now)
        return [row for row, one in enumerate(ids) if self._rest(one) is not before[one]]

    def shifts(self, ids: Sequence[int]) -> Shift | None:
        """Return the shifts of the faces, for each label set `(n, C)`; None if no face has a baseline."""
        rests = [self._rest(one) for one in ids]
        known = next((rest for rest in rests if rest is not None), None)
        if known is None:
            return None
        return {
            name: np.array([np.zeros_like(by) if rest is None else rest.shift[name] for rest in rests])
            for name, by in known.shift.items()
        }

    def states(self, ids: Sequence[int], now: float) -> tuple[FaceBaseline, ...]:
        """Return the state of each face."""
        return tuple(self._state(self._faces.get(one), now) for one in ids)

    def _state(self, face: _Face | None, now: float) -> FaceBaseline:
        if face is None:
            return NO_BASELINE
        left = None
        if face.measuring is not None:
            left = max(0.0, face.measuring.seconds - (now - face.measuring.started))
        note = face.note if 0 <= now - face.noted < _NOTE_S else ""
        if face.kept is None:
            return FaceBaseline(left=left, note=note) if note or left is not None else NO_BASELINE
        return FaceBaseline(True, left, note, face.kept.rest.proba)

    def _rest(self, track_id: int) -> Rest | None:
        face = self._faces.get(track_id)
        return face.kept.rest if face is not None and face.kept is not None else None

    def _forget(self, remembered: Collection[int]) -> None:
        """Let the baselines of faces that the tracker forgot wait for them."""
        for one in [one for one in self._faces if one not in remembered]:
            face = self._faces.pop(one)
            if face.kept is not None:
                self._waiting.append(face.kept)
            if face.measuring is not None and self._on_refused is not None:
                self._on_refused(f"face {one}: {_LEFT}")

    def _answer_requests(self, now: float) -> None:
        while self._requests:
            track_id, wish, seconds = self._requests.popleft()
            if (face := self._faces.get(track_id)) is None:
                continue
            busy = face.kept is not None or face.measuring is not None
            face.kept, face.measuring, face.note = None, None, ""
            if wish == "clear" or (wish == "toggle" and busy):
                face.cleared = True
            else:
                face.cleared, face.measuring = False, _Measuring(now, seconds)

    def _follow_looks(self, ids: Sequence[int], looks: FloatArray) -> None:
        """Update the looks of the faces with a baseline, and give waiting ones to new faces that look the same."""
        new: list[tuple[float, int, int]] = []
        for at, one in enumerate(ids):
            face = self._faces[one]
            if face.kept is not None:
                face.kept.looks = _mixed(face.kept.looks, looks[at])
            elif self._waiting and face.measuring is None and not face.cleared and face.tries < _TRIES:
                face.tries += 1
                likeness = sorted(
                    ((_likeness(kept.looks, looks[at]), number) for number, kept in enumerate(self._waiting)),
                    reverse=True,
                )
                clear = len(likeness) == 1 or likeness[0][0] - likeness[1][0] >= _MARGIN
                if likeness[0][0] >= _SAME_LOOKS and clear:
                    new.append((*likeness[0], at))
        given: set[int] = set()
        for _, number, at in sorted(new, reverse=True):
            if number not in given:
                given.add(number)
                kept = self._waiting[number]
                kept.looks = _mixed(kept.looks, looks[at])
                self._faces[ids[at]].kept = kept
        self._waiting = [kept for number, kept in enumerate(self._waiting) if number not in given]

    def _look(self, track_id: int, encoded: Encoded | None, now: float) -> None:
        """Count a frame of a face; `encoded` is None if it cannot be read."""
        face = self._faces[track_id]
        idle = face.kept is None and face.measuring is None and not face.cleared
        # A waiting baseline may be this face's: measure it anew only if its looks have not been found.
        waits = self._waiting and face.tries < _TRIES
        if encoded is not None and idle and self._seconds is not None and face.attempts < _ATTEMPTS and not waits:
            face.measuring = _Measuring(now, self._seconds, asked=False)
        if face.measuring is not None:
            face.measuring.looked += 1
            if encoded is not None:
                face.measuring.frames.append(encoded)

    def _end_measurements(self, visible: Sequence[int], now: float) -> None:
        for one, face in self._faces.items():
            measuring = face.measuring
            if measuring is None or 0 <= now - measuring.started < measuring.seconds:
                continue
            face.measuring, face.attempts = None, face.attempts + 1
            if one not in visible:
                self._refuse(one, _LEFT, now)
                continue
            try:
                baseline = measure_baseline(
                    self._recognizer, _joined(measuring.frames), measuring.looked, asked=measuring.asked
                )
                face.kept = _Kept(rest_of(baseline, self._recognizer), None)
            except MoodspaceError as error:
                self._refuse(one, str(error), now)
                continue
            if self._on_measured is not None:
                self._on_measured(baseline)

    def _refuse(self, track_id: int, reason: str, now: float) -> None:
        face = self._faces[track_id]
        face.note, face.noted = reason, now
        if self._on_refused is not None:
            self._on_refused(f"face {track_id}: {reason}")


def _joined(frames: Sequence[Encoded]) -> Encoded:
    if not frames:
        return Encoded(np.zeros((0, 1), np.float32), {})
    names = frames[0].logits
    return Encoded(
        np.concatenate([one.embeddings for one in frames]),
        {name: np.concatenate([one.logits[name] for one in frames]) for name in names},
    )


def _likeness(looks: FloatArray | None, seen: FloatArray) -> float:
    # A baseline without looks fits any face, but one with the same looks fits better.
    return _SAME_LOOKS if looks is None else float(looks @ seen)


def _mixed(looks: FloatArray | None, seen: FloatArray) -> FloatArray:
    mixed = seen if looks is None else (1 - _LOOKS_WEIGHT) * looks + _LOOKS_WEIGHT * seen
    return np.asarray(mixed / max(float(np.linalg.norm(mixed)), 1e-6), np.float32)
