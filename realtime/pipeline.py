"""One frame of a session in, the faces followed through it out: track, crop, encode, recognise, smooth."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from moodspace.arrays import ByteArray, FloatArray, IntArray
from moodspace.classifier.ensemble import Prediction
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.crops import SIZE, crop_faces
from moodspace.embeddings.detection.faces import Detector, Faces
from moodspace.embeddings.detection.occlusion import hidden
from moodspace.embeddings.detection.quality import FaceQuality, assess, look_at, sharpness
from moodspace.embeddings.encoder import Encoded
from moodspace.embeddings.pictures import to_crop
from moodspace.realtime.evidence import NearFace, SmoothedEvidence, near_faces
from moodspace.realtime.tracking.smoothing import LabelSmoother
from moodspace.realtime.tracking.tracker import TrackedFaces, Tracker


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """What a frame shows; no faces are legal.

    Attributes:
        time: Seconds, as `process` was given them.
        faces: The n faces, most confident first.
        prediction: What they show, in the same order; unknown where a face cannot be read, too.
        timings_ms: Milliseconds spent on each stage: "detect", "crop", "recognise".
        quality: How well the faces can be read; None where this was not looked at.
    """

    time: float
    faces: Faces
    prediction: Prediction
    timings_ms: dict[str, float]
    quality: FaceQuality | None = None

    def __post_init__(self) -> None:
        if len(self.faces) != len(self.prediction):
            raise ValueError(
                f"prediction: expected {len(self.faces)} rows, one a face, received {len(self.prediction)}"
            )
        if self.quality is not None and len(self.quality) != len(self.faces):
            raise ValueError(f"quality: expected {len(self.faces)} rows, one a face, got {len(self.quality)}")


class Process(Protocol):
    """What turns frames into results."""

    recognizer: Recognizer

    def process(self, frame_bgr: ByteArray, now: float) -> FrameResult:
        """See `Pipeline.process`."""
        ...


class Pipeline:
    """Finds the faces of a frame and recognises them as one batch. Same frame, same result.

    Args:
        detector: Finds the faces.
        recognizer: Recognises their crops, which are made with its bundle's geometry.
        clock: Seconds, for the timings alone.
    """

    def __init__(
        self, detector: Detector, recognizer: Recognizer, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.detector = detector
        self.recognizer = recognizer
        self._clock = clock

    def process(self, frame_bgr: ByteArray, now: float) -> FrameResult:
        """Finds and recognises the faces of a frame.

        Args:
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
            now: Seconds since the source began.
        """
        started = self._clock()
        faces = self.detector.detect(frame_bgr)
        detected = self._clock()
        crops = crop_faces(frame_bgr, faces.landmarks, self.recognizer.bundle.geometry)
        quality = look_at(faces, crops, frame_bgr.shape)
        cropped = self._clock()
        prediction = self.recognizer.predict(crops).withheld(quality.good)
        recognised = self._clock()
        timings_ms = {
            "detect": 1000 * (detected - started),
            "crop": 1000 * (cropped - detected),
            "recognise": 1000 * (recognised - cropped),
        }
        return FrameResult(now, faces, prediction, timings_ms, quality)


class WholePicture:
    """Takes each frame for one face that fills it, as the pictures of a labelled data set are; nothing is detected.

    Args:
        recognizer: Recognises the faces.
        clock: Seconds, for the timings alone.
    """

    def __init__(self, recognizer: Recognizer, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self.recognizer = recognizer
        self._clock = clock

    def process(self, frame_bgr: ByteArray, now: float) -> FrameResult:
        """Recognises the one face; its box is the frame and its landmarks are the template's, not looked for."""
        started = self._clock()
        crop = to_crop(np.ascontiguousarray(frame_bgr[..., ::-1]))
        cropped = self._clock()
        prediction = self.recognizer.predict(crop[None])
        recognised = self._clock()
        size = np.array(frame_bgr.shape[1::-1])
        landmarks = (self.recognizer.bundle.geometry.template[None] + 0.5) * size / SIZE - 0.5
        faces = Faces(np.array([[0, 0, *size]], np.float32), landmarks.astype(np.float32), np.ones(1, np.float32))
        quality = look_at(faces, crop[None])
        prediction = prediction.withheld(quality.good)
        timings_ms = {"detect": 0.0, "crop": 1000 * (cropped - started), "recognise": 1000 * (recognised - cropped)}
        return FrameResult(now, faces, prediction, timings_ms, quality)


STAGES = ("detect", "track", "crop", "encode", "search", "ensemble")

# So many faces are looked at in every frame. Of more, half are, each in its turn, up to the number that the encoder
# takes at once; and never less than a quarter.
_ALWAYS, _AT_ONCE = 4, 8

# So many of the neighbors that voted are named.
_NAMED = 5


@dataclass(frozen=True, slots=True, eq=False)
class LiveResult:
    """What a frame of a session shows; no faces are legal.

    Attributes:
        time: Seconds, as `process` was given them.
        faces: The n faces, in the order of their ids.
        track_ids: `(n,)` int64, from 1 up; a face keeps its number and no other face gets it.
        prediction: Of the newest look at each face, not smoothed; n rows, unknown where a face cannot be read. Its
            classes may become more from one result to the next, when the user teaches a new one.
        smoothed: `(n, C)` float32, rows sum to 1, columns in the order of `prediction.classes`.
        shown: `(n,)` int64, the column of the label to show, which does not flicker; -1 for unknown.
        quality: How well the faces can be read.
        embeddings: `(n, d)` float32 unit rows, of the newest look at each face.
        timings_ms: Milliseconds spent on each stage: "detect", "track", "crop", "encode", "search", "ensemble".
        nearest: For each face the known faces behind `smoothed`, at most 5, smoothed as that is, the most important
            first; none for a face that could not be read so far.
        votes: `(n, C)` float32, rows sum to 1, the votes of all neighbors, smoothed as `smoothed`.
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

    def __post_init__(self) -> None:
        n = len(self.faces)
        for name in ("track_ids", "prediction", "smoothed", "shown", "quality", "embeddings", "nearest", "votes"):
            received = len(getattr(self, name))
            if received != n:
                raise ValueError(f"{name}: expected {n} rows, one a face, received {received}")
        for name in ("smoothed", "votes"):
            got = getattr(self, name).shape[1]
            if got != len(self.prediction.classes):
                raise ValueError(f"{name}: expected {len(self.prediction.classes)} columns, one a class, got {got}")


@dataclass(slots=True, eq=False)
class _Known:
    """What is known of a face that is followed.

    Attributes:
        steadied: What it shows.
        evidence: The known faces behind that.
        turn: When it was last cropped, seconds; -1 for never.
        sharpness: Of that crop.
        hidden: How likely the mouth is hidden in that crop.
        encoded: One row, of the last crop that could be read, or of the first one.
    """

    steadied: LabelSmoother
    evidence: SmoothedEvidence
    turn: float = -1.0
    sharpness: float = 0.0
    hidden: float = 0.0
    encoded: Encoded | None = None


class LivePipeline:
    """Follows the faces of a session and says what they show. Same frames and times, same results.

    A face that cannot be read keeps what it showed, less and less certain, and is not encoded.

    Args:
        detector: Finds the faces.
        recognizer: Recognises their crops, which are made with its bundle's geometry.
        half_life: Seconds after which half of a change of expression shows in the smoothed probabilities.
        clock: Seconds, for the timings alone.
    """

    def __init__(
        self,
        detector: Detector,
        recognizer: Recognizer,
        *,
        half_life: float = 0.5,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.recognizer = recognizer
        self._tracker = Tracker(detector, recognizer.bundle.geometry, clock=clock)
        self._half_life, self._clock = half_life, clock
        self._known: dict[int, _Known] = {}

    def restart(self) -> None:
        """Takes the next frame for the first of another source. Ids go on."""
        self._tracker.restart()

    def look_anew(self) -> None:
        """Shows at once what the next look at each face says, as when something was taught or taken back."""
        for known in self._known.values():
            known.steadied.begin_anew()
            known.evidence.begin_anew()

    def process(self, frame_bgr: ByteArray, now: float) -> LiveResult:
        """Follows and recognises the faces of the next frame.

        Args:
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
            now: Seconds since the source began; a time before the last frame's begins another source.
        """
        marks = [self._clock()]
        sight = self._tracker.follow(frame_bgr, now)
        marks.append(self._clock())
        faces = [self._known.get(one) or self._new_face() for one in sight.ids.tolist()]
        kept = {one: known for one, known in self._known.items() if one in sight.remembered}
        self._known = kept | dict(zip(sight.ids.tolist(), faces, strict=True))
        turns = _turns(faces, sight)
        crops = crop_faces(frame_bgr, sight.faces.landmarks[turns], self.recognizer.bundle.geometry)
        for row, crop, hiding in zip(turns, crops, hidden(crops).tolist(), strict=True):
            faces[row].turn, faces[row].sharpness, faces[row].hidden = now, sharpness(crop), hiding
        quality = _quality(sight.faces, faces, frame_bgr.shape)
        marks.append(self._clock())
        encoded = self._encode(crops, turns, faces, quality)
        marks.append(self._clock())
        evidence = self.recognizer.search(encoded)
        marks.append(self._clock())
        prediction = self.recognizer.decide(encoded, evidence).withheld(quality.good)
        smoothed, shown = self._steady(faces, turns, prediction, quality, now)
        best = [prediction.classes[column] for column in smoothed.argmax(axis=1)]
        nearest = tuple(known.evidence.nearest(_NAMED, answer) for known, answer in zip(faces, best, strict=True))
        votes = np.zeros_like(smoothed)
        for row, known in enumerate(faces):
            votes[row] = known.evidence.votes(prediction.classes)
        marks.append(self._clock())
        spent = 1000 * np.diff(marks)
        detect_ms = 1000 * sight.detect_s
        timings_ms = dict(zip(STAGES, [detect_ms, spent[0] - detect_ms, *spent[1:].tolist()], strict=True))
        return LiveResult(
            now, sight.faces, sight.ids, prediction, smoothed, shown, quality, encoded.embeddings, timings_ms,
            nearest, votes,
        )  # fmt: skip

    def _new_face(self) -> _Known:
        return _Known(LabelSmoother(self._half_life), SmoothedEvidence(self._half_life))

    def _encode(self, crops: ByteArray, turns: IntArray, faces: list[_Known], quality: FaceQuality) -> Encoded:
        """Encodes, as one batch, the crops that can be read and those of new faces. Returns each face's newest."""
        worth = [at for at, row in enumerate(turns) if quality.good[row] or faces[row].encoded is None]
        encoded = self.recognizer.bundle.encoder.encode(crops[worth])
        for at, row in enumerate(turns[worth]):
            faces[row].encoded = encoded.take(slice(at, at + 1))
        rows = [known.encoded for known in faces if known.encoded is not None]
        return _joined(rows) if rows else encoded

    def _steady(
        self, faces: list[_Known], turns: IntArray, prediction: Prediction, quality: FaceQuality, now: float
    ) -> tuple[FloatArray, IntArray]:
        """Smooth what was seen and return the smoothed probabilities and the labels to show."""
        for row in turns:
            if quality.good[row]:
                faces[row].steadied.see(prediction.proba[row], prediction.classes, now)
                found = near_faces(prediction, int(row), self.recognizer)
                faces[row].evidence.see(found, prediction.classes, prediction.knn_proba[row], now)
            else:
                faces[row].steadied.fade(prediction.classes, now)
        smoothed = np.zeros((len(faces), len(prediction.classes)), np.float32)
        shown = np.zeros(len(faces), np.int64)
        for row, known in enumerate(faces):
            known.steadied.follow(prediction.classes)
            smoothed[row] = known.steadied.proba
            shown[row] = known.steadied.shown(self.recognizer.unknown_below, now)
        return smoothed, shown


def _turns(faces: list[_Known], sight: TrackedFaces) -> IntArray:
    """Returns the rows of the faces whose turn it is: the new ones, and those that waited longest."""
    waiting = [row for row, known in enumerate(faces) if sight.fresh[row] or known.turn < 0]
    waiting.sort(key=lambda row: faces[row].turn)
    n = len(waiting)
    share = n if n <= _ALWAYS else max(_ALWAYS, min(-(-n // 2), _AT_ONCE), -(-n // 4))
    new = sum(known.turn < 0 for known in faces)
    return np.sort(np.array(waiting[: max(share, new)], np.int64))


def _quality(faces: Faces, known: list[_Known], frame_shape: tuple[int, ...]) -> FaceQuality:
    sharpnesses, hiddenness = (np.array([getattr(one, name) for one in known], np.float32)
                               for name in ("sharpness", "hidden"))  # fmt: skip
    return assess(faces, sharpnesses, hiddenness, frame_shape)


def _joined(parts: list[Encoded]) -> Encoded:
    logits = {name: np.concatenate([part.logits[name] for part in parts]) for name in parts[0].logits}
    return Encoded(np.concatenate([part.embeddings for part in parts]), logits)
