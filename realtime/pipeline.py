"""Recognize the faces of a frame: of a picture by `Pipeline`, of a live session by `LivePipeline`.

A picture's faces are detected, cropped and predicted. A session's faces are also tracked from frame to frame, encoded
in turn where there are many, and smoothed over time.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from moodspace.arrays import ByteArray, FloatArray, IntArray
from moodspace.classifier.ensemble import Prediction
from moodspace.classifier.recognizer import Evidence, Recognizer, Shift
from moodspace.embeddings.crops import SIZE, crop_faces
from moodspace.embeddings.detection.faces import Detector, Faces
from moodspace.embeddings.detection.occlusion import mouth_hidden_probability
from moodspace.embeddings.detection.quality import FaceQuality, assess, assess_crops, noise_level, sharpness
from moodspace.embeddings.encoder import Encoded
from moodspace.embeddings.pictures import to_crop
from moodspace.index.taught.search import TaughtIndex
from moodspace.realtime.baselines import NO_BASELINE, FaceBaseline, LiveBaselines
from moodspace.realtime.evidence import NearFace, SmoothedEvidence, neighbors_of
from moodspace.realtime.tracking.smoothing import LabelSmoother
from moodspace.realtime.tracking.tracker import TrackedFaces, Tracker


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """The n faces of a frame; n = 0 is legal.

    Attributes:
        time: The `now` that `process` was called with, in seconds.
        faces: The faces, most confident first.
        prediction: Their expressions, in the same order; also unknown where a face cannot be read.
        timings_ms: Milliseconds per stage: "detect", "crop", "recognise".
        quality: How well the faces can be read; None if not assessed.
        baseline: Whether the predictions are shifted by a resting face.

    Raises:
        ValueError: The prediction or the quality has another number of rows than there are faces.
    """

    time: float
    faces: Faces
    prediction: Prediction
    timings_ms: dict[str, float]
    quality: FaceQuality | None = None
    baseline: bool = False

    def __post_init__(self) -> None:
        if len(self.faces) != len(self.prediction):
            raise ValueError(f"prediction: expected {len(self.faces)} rows, one per face, got {len(self.prediction)}")
        if self.quality is not None and len(self.quality) != len(self.faces):
            raise ValueError(f"quality: expected {len(self.faces)} rows, one per face, got {len(self.quality)}")


class Process(Protocol):
    """Turn frames into results; `Pipeline` and `WholePicture` do."""

    recognizer: Recognizer
    shift: Shift | None

    def process(self, frame_bgr: ByteArray, now: float) -> FrameResult:
        """Recognize the faces of a frame; see `Pipeline.process`."""
        ...

    def find(self, frame_bgr: ByteArray) -> tuple[Faces, ByteArray, FaceQuality]:
        """Return the n faces of a frame, their crops `(n, 48, 48)` uint8 gray, and their quality."""
        ...


class Pipeline:
    """Detect the faces of a frame and recognize them as one batch. The same frame gives the same result.

    Args:
        detector: The face detector.
        recognizer: The recognizer. Its bundle also says how faces are cropped.
        clock: Return the time in seconds; used for `timings_ms` only.

    Attributes:
        shift: the shift of one person's resting face, see `moodspace.classifier.baseline.rest_of`; or None.
    """

    def __init__(
        self, detector: Detector, recognizer: Recognizer, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.detector = detector
        self.recognizer = recognizer
        self.shift: Shift | None = None
        self._clock = clock

    def process(self, frame_bgr: ByteArray, now: float) -> FrameResult:
        """Detect and recognize the faces of a frame.

        Args:
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
            now: Seconds since the start of the source.
        """
        started = self._clock()
        faces = self.detector.detect(frame_bgr)
        detected = self._clock()
        crops, quality = self._crop(frame_bgr, faces)
        cropped = self._clock()
        prediction = self.recognizer.predict(crops, quality, shift=self.shift).withheld(quality.good)
        recognized = self._clock()
        timings_ms = {
            "detect": 1000 * (detected - started),
            "crop": 1000 * (cropped - detected),
            "recognise": 1000 * (recognized - cropped),
        }
        return FrameResult(now, faces, prediction, timings_ms, quality, self.shift is not None)

    def find(self, frame_bgr: ByteArray) -> tuple[Faces, ByteArray, FaceQuality]:
        """Return the n faces of a frame, their crops `(n, 48, 48)` uint8 gray, and their quality."""
        faces = self.detector.detect(frame_bgr)
        return faces, *self._crop(frame_bgr, faces)

    def _crop(self, frame_bgr: ByteArray, faces: Faces) -> tuple[ByteArray, FaceQuality]:
        crops = crop_faces(frame_bgr, faces.landmarks, self.recognizer.bundle.geometry)
        return crops, assess_crops(faces, crops, frame_bgr.shape)


class WholePicture:
    """Recognize each frame as one face that fills it, as in most labeled data sets. No detector runs.

    Args:
        recognizer: The recognizer.
        clock: Return the time in seconds; used for `timings_ms` only.

    Attributes:
        shift: As in `Pipeline`.
    """

    def __init__(self, recognizer: Recognizer, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self.recognizer = recognizer
        self.shift: Shift | None = None
        self._clock = clock

    def process(self, frame_bgr: ByteArray, now: float) -> FrameResult:
        """Recognize the face. Its box is the frame; its landmarks are the template's, scaled to the frame."""
        started = self._clock()
        faces, crops, quality = self.find(frame_bgr)
        cropped = self._clock()
        prediction = self.recognizer.predict(crops, quality, shift=self.shift).withheld(quality.good)
        recognized = self._clock()
        timings_ms = {"detect": 0.0, "crop": 1000 * (cropped - started), "recognise": 1000 * (recognized - cropped)}
        return FrameResult(now, faces, prediction, timings_ms, quality, self.shift is not None)

    def find(self, frame_bgr: ByteArray) -> tuple[Faces, ByteArray, FaceQuality]:
        """Return the frame as one face, its crop `(1, 48, 48)` uint8 gray, and its quality."""
        crops = to_crop(np.ascontiguousarray(frame_bgr[..., ::-1]))[None]
        size = np.array(frame_bgr.shape[1::-1])
        landmarks = (self.recognizer.bundle.geometry.template[None] + 0.5) * size / SIZE - 0.5
        faces = Faces(np.array([[0, 0, *size]], np.float32), landmarks.astype(np.float32), np.ones(1, np.float32))
        return faces, crops, assess_crops(faces, crops)


STAGES = ("detect", "track", "crop", "encode", "search", "ensemble")

# Up to this many faces, all are encoded in every frame. Of n > 4 faces, max(4, min(n / 2, 8), n / 4) are, in turn; the
# encoder takes 8 at once.
_ALL_UP_TO, _ENCODER_BATCH = 4, 8

# How many neighbors `LiveResult.nearest` names per face.
_NAMED_NEIGHBORS = 5


@dataclass(frozen=True, slots=True, eq=False)
class LiveResult:
    """The n tracked faces of a session's frame; n = 0 is legal.

    Attributes:
        time: The `now` that `process` was called with, in seconds.
        faces: The faces, in the order of their ids.
        track_ids: `(n,)` int64, from 1 up. A face keeps its id while it is tracked; an id is never used again.
        prediction: For the newest crop of each face, not smoothed; n rows, unknown where a face cannot be read. A
            class that the user teaches is added to `prediction.classes` from the next result on.
        smoothed: `(n, C)` float32, rows sum to 1, probabilities over time, columns in the order of
            `prediction.classes`.
        shown: `(n,)` int64, the column of the label to show, which does not flicker; -1 for unknown.
        quality: How well the faces can be read.
        embeddings: `(n, d)` float32 unit rows, of the newest crop of each face.
        timings_ms: Milliseconds per stage: "detect", "track", "crop", "encode", "search", "ensemble".
        nearest: For each face at most 5 known faces that support `smoothed`, smoothed in the same way, most important
            first; empty for a face that was never readable.
        votes: `(n, C)` float32, rows sum to 1, the votes of all neighbors, smoothed in the same way.
        baselines: For each face whether its resting face is its zero; none has a baseline if omitted.

    Raises:
        ValueError: An attribute has another number of rows than there are faces, or of columns than there are classes.
    """

    time: float
    faces: Faces
    track_ids: IntArray
    prediction: Prediction
    smoothed: FloatArray
    shown: IntArray
    quality: FaceQuality
    embeddings: FloatArray
    timings_ms: dict[str, float]
    nearest: tuple[tuple[NearFace, ...], ...]
    votes: FloatArray
    baselines: tuple[FaceBaseline, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.faces)
        if not self.baselines:
            object.__setattr__(self, "baselines", (NO_BASELINE,) * n)
        for name in (
            "track_ids", "prediction", "smoothed", "shown", "quality", "embeddings", "nearest", "votes", "baselines",
        ):  # fmt: skip
            if (rows := len(getattr(self, name))) != n:
                raise ValueError(f"{name}: expected {n} rows, one per face, got {rows}")
        for name in ("smoothed", "votes"):
            if (columns := getattr(self, name).shape[1]) != len(self.prediction.classes):
                expected = f"expected {len(self.prediction.classes)} columns, one per class"
                raise ValueError(f"{name}: {expected}, got {columns}")


class LivePipeline:
    """Track the faces of a session and recognize their expressions.

    The same frames at the same times give the same results. A face that cannot be read is not encoded; its smoothed
    probabilities fade. Neither is one whose crop has not changed, as where a camera repeats frames in the dark.

    Args:
        detector: The face detector.
        recognizer: The recognizer. Its bundle also says how faces are cropped.
        half_life: Smoothing half-life in seconds: half of a change shows in `smoothed` after this time.
        every_face: Whether to encode every face in every frame; otherwise more than 4 faces are encoded in turn, to
            keep up with a camera.
        clock: Return the time in seconds; used for `timings_ms` only.
        baselines: The resting faces of the session; by default they are measured on request only.

    Attributes:
        baselines: The resting faces of the session: measure and clear them here.
    """

    def __init__(
        self,
        detector: Detector,
        recognizer: Recognizer,
        *,
        half_life: float = 0.5,
        every_face: bool = False,
        clock: Callable[[], float] = time.perf_counter,
        baselines: LiveBaselines | None = None,
    ) -> None:
        self.recognizer = recognizer
        self.baselines = baselines or LiveBaselines(recognizer)
        self._tracker = Tracker(detector, recognizer.bundle.geometry, clock=clock)
        self._encoded_faces = _EncodedFaces(recognizer)
        self._half_life, self._every_face, self._clock = half_life, every_face, clock
        self._states: dict[int, _FaceState] = {}

    def restart(self) -> None:
        """Start over with another source: the next frame is its first. Ids are not used again."""
        self._tracker.restart()

    def reset_smoothing(self) -> None:
        """Drop the smoothed past, so that what was just taught or forgotten shows in the next frame."""
        for state in self._states.values():
            state.reset()

    def process(self, frame_bgr: ByteArray, now: float) -> LiveResult:
        """Track and recognize the faces of the next frame.

        Args:
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
            now: Seconds since the start of the source. A time before the last frame's starts over, see `restart`.
        """
        marks = [self._clock()]
        tracked = self._tracker.update(frame_bgr, now)
        marks.append(self._clock())
        ids = tracked.ids.tolist()
        states = self._update_states(ids, tracked.remembered)
        due = _due_rows(states, tracked, every=self._every_face)
        crops = self._crop(frame_bgr, tracked, due)
        for row, crop, hiding in zip(due, crops, mouth_hidden_probability(crops).tolist(), strict=True):
            states[row].cropped_at, states[row].sharpness, states[row].hidden = now, sharpness(crop), hiding
            states[row].noise = noise_level(crop)
        quality = _quality(tracked.faces, states, frame_bgr.shape)
        marks.append(self._clock())
        wanted = [
            at
            for at, row in enumerate(due)
            if ids[row] not in self._encoded_faces
            or (quality.good[row] and not self._encoded_faces.has_seen(ids[row], crops[at]))
        ]
        update = self._encoded_faces.encode(crops[wanted], tracked.ids[due[wanted]].tolist(), ids, tracked.remembered)
        encoded = update.encoded.take(slice(0, update.visible))
        marks.append(self._clock())
        evidence = self._encoded_faces.search(update)
        marks.append(self._clock())
        for row in self.baselines.update(ids, tracked.remembered, due, crops, encoded, quality, now):
            states[row].reset()
        shifts = self.baselines.shifts(ids)
        prediction = self.recognizer.decide(encoded, evidence, quality, shift=shifts).withheld(quality.good)
        smoothed, shown = self._smooth(states, due, prediction, quality, now)
        nearest, votes = _smoothed_evidence(states, smoothed, prediction.classes)
        marks.append(self._clock())
        spent = 1000 * np.diff(marks)
        detect_ms = 1000 * tracked.detect_s
        timings_ms = dict(zip(STAGES, [detect_ms, spent[0] - detect_ms, *spent[1:].tolist()], strict=True))
        return LiveResult(
            now, tracked.faces, tracked.ids, prediction, smoothed, shown, quality, encoded.embeddings, timings_ms,
            nearest, votes, self.baselines.states(ids, now),
        )  # fmt: skip

    def _update_states(self, ids: list[int], remembered: Collection[int]) -> "list[_FaceState]":
        """Return the state of each visible face, in the order of `ids`; forget those that the tracker forgot."""
        states = [self._states.get(one) or _FaceState.new(self._half_life) for one in ids]
        kept = {one: state for one, state in self._states.items() if one in remembered}
        self._states = kept | dict(zip(ids, states, strict=True))
        return states

    def _crop(self, frame_bgr: ByteArray, tracked: TrackedFaces, rows: IntArray) -> ByteArray:
        """Return the crops of some faces, `(len(rows), 48, 48)` uint8; the tracker's where it has cropped them."""
        crops = dict(tracked.crops)
        missing = [row for row in rows if int(tracked.ids[row]) not in crops]
        cut = crop_faces(frame_bgr, tracked.faces.landmarks[missing], self.recognizer.bundle.geometry)
        crops.update(zip(tracked.ids[missing].tolist(), cut, strict=True))
        return np.array([crops[one] for one in tracked.ids[rows].tolist()], np.uint8).reshape(-1, SIZE, SIZE)

    def _smooth(
        self, states: "list[_FaceState]", due: IntArray, prediction: Prediction, quality: FaceQuality, now: float
    ) -> tuple[FloatArray, IntArray]:
        """Add the predictions of the faces that were due; return the smoothed probabilities and the labels to show."""
        for row in due:
            if quality.good[row]:
                states[row].smoother.update(prediction.proba[row], prediction.classes, now)
                neighbors = neighbors_of(prediction, int(row), self.recognizer)
                states[row].evidence.update(neighbors, prediction.classes, prediction.knn_proba[row], now)
            else:
                states[row].smoother.fade(prediction.classes, now)
        smoothed = np.zeros((len(states), len(prediction.classes)), np.float32)
        shown = np.zeros(len(states), np.int64)
        for row, state in enumerate(states):
            state.smoother.use_classes(prediction.classes)
            smoothed[row] = state.smoother.proba
            shown[row] = state.smoother.shown(self.recognizer.unknown_below, now)
        return smoothed, shown


@dataclass(slots=True, eq=False)
class _FaceState:
    """The state of one tracked face.

    Attributes:
        smoother: Its probabilities and label over time.
        evidence: Its neighbors and their votes over time.
        cropped_at: When it was last cropped, in seconds; -1 for never.
        sharpness: Of that crop.
        hidden: How likely the mouth is hidden in that crop, in [0, 1].
        noise: Of that crop, gray levels.
    """

    smoother: LabelSmoother
    evidence: SmoothedEvidence
    cropped_at: float = -1.0
    sharpness: float = 0.0
    hidden: float = 0.0
    noise: float = 0.0

    @classmethod
    def new(cls, half_life: float) -> "_FaceState":
        """Return the state of a face that was not cropped yet."""
        return cls(LabelSmoother(half_life), SmoothedEvidence(half_life))

    def reset(self) -> None:
        """Drop the smoothed past."""
        self.smoother.reset()
        self.evidence.reset()


def _due_rows(states: list[_FaceState], tracked: TrackedFaces, *, every: bool) -> IntArray:
    """Return the rows of the faces to crop in this frame: all, or the new ones and those that waited longest."""
    waiting = [row for row, state in enumerate(states) if tracked.fresh[row] or state.cropped_at < 0]
    waiting.sort(key=lambda row: states[row].cropped_at)
    n = len(waiting)
    share = n if every or n <= _ALL_UP_TO else max(_ALL_UP_TO, min(-(-n // 2), _ENCODER_BATCH), -(-n // 4))
    new = sum(state.cropped_at < 0 for state in states)
    return np.sort(np.array(waiting[: max(share, new)], np.int64))


def _quality(faces: Faces, states: list[_FaceState], frame_shape: tuple[int, ...]) -> FaceQuality:
    sharpnesses = np.array([state.sharpness for state in states], np.float32)
    hiddenness = np.array([state.hidden for state in states], np.float32)
    noise = np.array([state.noise for state in states], np.float32)
    return assess(faces, sharpnesses, hiddenness, frame_shape, noise)


def _smoothed_evidence(
    states: list[_FaceState], smoothed: FloatArray, classes: tuple[str, ...]
) -> tuple[tuple[tuple[NearFace, ...], ...], FloatArray]:
    """Return each face's most important neighbors, and the votes of all, `(n, C)` float32 like `smoothed`."""
    best = [classes[column] for column in smoothed.argmax(axis=1)]
    nearest = tuple(
        state.evidence.nearest(_NAMED_NEIGHBORS, answer) for state, answer in zip(states, best, strict=True)
    )
    votes = np.zeros_like(smoothed)
    for row, state in enumerate(states):
        votes[row] = state.evidence.votes(classes)
    return nearest, votes


class _EncodedFaces:
    """The newest embedding and neighbors of each tracked face, as one batch.

    Only faces that were encoded again are searched again; all are when the taught faces have changed.

    Args:
        recognizer: Encodes and searches.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        # The rows of the batch: the visible faces, then those that may come back.
        self._ids: list[int] = []
        self._crops: dict[int, ByteArray] = {}
        self._encoded: Encoded | None = None
        self._evidence: Evidence | None = None
        # The taught faces that `_evidence` is from; None for none.
        self._taught: TaughtIndex | None = None

    def __contains__(self, track_id: int) -> bool:
        return track_id in self._ids

    def has_seen(self, track_id: int, crop: ByteArray) -> bool:
        """Return whether the embedding of a face is that of this crop, `(48, 48)` uint8."""
        return track_id in self._crops and np.array_equal(self._crops[track_id], crop)

    def encode(self, crops: ByteArray, ids: list[int], visible: list[int], remembered: Collection[int]) -> "_Update":
        """Encode crops as one batch, and put the results in the place of the older ones of the same faces.

        Args:
            crops: `(m, 48, 48)` uint8 gray in [0, 255]; m = 0 is legal.
            ids: The ids of the m faces.
            visible: The ids of all visible faces; each was encoded now or before.
            remembered: The ids that are visible or may come back; other faces are dropped.
        """
        changed = self._recognizer.bundle.encoder.encode(crops)
        places = {one: row for row, one in enumerate(self._ids)}
        places |= {one: len(self._ids) + row for row, one in enumerate(ids)}
        shown = set(visible)
        self._ids = visible + [one for one in self._ids if one in remembered and one not in shown]
        rows = np.array([places[one] for one in self._ids], np.int64)
        self._encoded = _merged(self._encoded, changed, rows)
        known = self._crops | dict(zip(ids, crops, strict=True))
        self._crops = {one: known[one] for one in self._ids}
        return _Update(changed, rows, self._encoded, len(visible))

    def search(self, update: "_Update") -> Evidence:
        """Return the neighbors of the visible faces after an update."""
        taught = self._current_taught()
        if self._evidence is None or taught is not self._taught or len(update.changed) == len(self._ids):
            self._evidence, self._taught = self._recognizer.search(update.encoded), taught
        else:
            found = self._recognizer.search(update.changed)
            if (newest := self._current_taught()) is taught:
                self._evidence = _merged(self._evidence, found, update.rows)
            else:  # taught by another thread meanwhile: the old and the new rows may differ in their classes
                self._evidence, self._taught = self._recognizer.search(update.encoded), newest
        return _map_arrays(lambda values: values[: update.visible], self._evidence)

    def _current_taught(self) -> TaughtIndex | None:
        taught = self._recognizer.taught
        return taught.current() if taught is not None else None


@dataclass(frozen=True, slots=True, eq=False)
class _Update:
    """What a frame changed in `_EncodedFaces`.

    Attributes:
        changed: The faces that were encoded in this frame.
        rows: For each row of the new batch its row in the old batch and `changed`, one after the other.
        encoded: The new batch.
        visible: How many of its rows are of visible faces; these come first.
    """

    changed: Encoded
    rows: IntArray
    encoded: Encoded
    visible: int


_Batch = TypeVar("_Batch", Encoded, Evidence)


def _merged(old: _Batch | None, new: _Batch, rows: IntArray) -> _Batch:
    """Return rows of two batches as one, counted through the old batch and then the new one."""
    if old is None:
        return new
    return _map_arrays(lambda *parts: np.concatenate(parts)[rows], old, new)


def _map_arrays(function: Callable[..., Any], *batches: _Batch) -> _Batch:
    """Return a batch whose arrays are the function of those of `batches`; what is no array is the first batch's."""
    mapped: _Batch = _mapped(function, batches)
    return mapped


def _mapped(function: Callable[..., Any], parts: Sequence[Any]) -> Any:
    first = parts[0]
    if isinstance(first, np.ndarray):
        return function(*parts)
    if isinstance(first, Mapping):
        return {name: _mapped(function, [part[name] for part in parts]) for name in first}
    if is_dataclass(first) and not isinstance(first, type):
        names = [field.name for field in fields(first)]
        return replace(first, **{name: _mapped(function, [getattr(part, name) for part in parts]) for name in names})
    return first
