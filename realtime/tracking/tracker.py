"""Follows faces from frame to frame, so that each keeps its number while it is in sight and for a second beyond."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from moodspace.arrays import BoolArray, ByteArray, DoubleArray, FloatArray, IntArray
from moodspace.embeddings.crops import CropGeometry, crop_faces
from moodspace.embeddings.detection.faces import Detector, Faces
from moodspace.realtime.tracking.association import associate, looks, overlaps
from moodspace.realtime.tracking.flow import Flow

# So much of a newly measured speed counts, and of newly seen looks.
_NEW_SPEED = 0.5
_NEW_LOOKS = 0.3
# A face out of sight drifts on and comes to rest: this many seconds' worth of its speed in all.
_DRIFT_S = 0.5


class Track:
    """One face, from the moment it was first found.

    Attributes:
        id: Its number; 0 while it has none.
        xywh: `(4,)` float64, left, top, width and height in pixels, where it is now.
        landmarks: `(5, 2)` float64, pixels, where they are now.
        confidence: That it is a face, when it was last found, in [0, 1].
        looks: `(k,)` float32 of length 1, what it looks like.
        found: When it was last found, seconds.
        fresh: Whether it was found when faces were last looked for.
        flowing: Whether its pixels could be followed since it was last found.
        confirmed: Whether it was found more than once.
    """

    def __init__(
        self, xywh: FloatArray, landmarks: FloatArray, confidence: np.float32, looks: FloatArray, now: float
    ) -> None:
        self.id = 0
        self.looks = looks
        self.confirmed = False
        self._speed: DoubleArray = np.zeros(2)
        self._place(xywh, landmarks, confidence, now)

    def _place(self, xywh: FloatArray, landmarks: FloatArray, confidence: np.float32, now: float) -> None:
        self.xywh, self.landmarks = xywh.astype(np.float64), landmarks.astype(np.float64)
        self.confidence, self.found = float(confidence), now
        self.fresh = self.flowing = True
        self._found_xywh, self._found_landmarks = self.xywh, self.landmarks

    def see(self, xywh: FloatArray, landmarks: FloatArray, confidence: np.float32, now: float) -> None:
        """Takes note of where it was found."""
        moved = (xywh[:2] + xywh[2:] / 2) - (self._found_xywh[:2] + self._found_xywh[2:] / 2)
        if now > self.found:
            share = _NEW_SPEED if self.confirmed else 1.0
            self._speed = (1 - share) * self._speed + share * moved / (now - self.found)
        self.confirmed = True
        self._place(xywh, landmarks, confidence, now)

    def learn(self, looks: FloatArray) -> None:
        """Takes note of what it looks like now; `(k,)` float32 of length 1."""
        mixed = (1 - _NEW_LOOKS) * self.looks + _NEW_LOOKS * looks
        self.looks = (mixed / max(float(np.linalg.norm(mixed)), 1e-6)).astype(np.float32)

    def miss(self) -> None:
        """Takes note that it was not found where faces were looked for."""
        self.fresh = False

    def move(self, move: DoubleArray) -> None:
        """Moves it by a `(2, 3)` matrix of shift, turn and growth."""
        middle = move @ np.append(self.xywh[:2] + self.xywh[2:] / 2, 1.0)
        size = self.xywh[2:] * np.hypot(*move[:, 0])
        self.xywh = np.concatenate([middle - size / 2, size])
        self.landmarks = self.landmarks @ move[:, :2].T + move[:, 2]

    def drift(self, now: float) -> None:
        """Moves it to where its speed has brought it since it was last found, as far as that can be told."""
        self.flowing = False
        shift = self._speed * _DRIFT_S * (1 - np.exp(-(now - self.found) / _DRIFT_S))
        self.xywh = self._found_xywh + np.append(shift, np.zeros(2))
        self.landmarks = self._found_landmarks + shift

    def stretch(self, across: float, down: float) -> None:
        """Follows the picture to another size."""
        by = np.array([across, down])
        self.xywh, self._found_xywh = self.xywh * np.tile(by, 2), self._found_xywh * np.tile(by, 2)
        self.landmarks, self._found_landmarks = self.landmarks * by, self._found_landmarks * by
        self._speed = self._speed * by


# Faces are looked for in every second frame, with one frame more for every two faces, up to every fifth; and after this
# many seconds in any case. The more faces there are, the more the encoder needs the time. While it is not sure who is
# where, because faces touch, are new or are out of sight, it is every second frame.
_FEWEST_FRAMES, _MOST_FRAMES, _FACES_A_FRAME = 2, 5, 2
_LONGEST_WAIT_S = 0.3
# An empty scene has this many frames from one look to the next.
_FRAMES_WHEN_EMPTY = 3
# A face out of sight for longer is forgotten. Detections come up to _LONGEST_WAIT_S late.
_MEMORY_S = 1.5
# A face that the detector does not see for longer than this is not shown, even where its pixels can be followed.
_BLIND_S = 0.3
# A face that shares more than this of its box with another that was found is behind it.
_BEHIND = 0.3
# Boxes that share more than this touch, and have pixels of each other in their crops.
_TOUCHING = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFaces:
    """The faces of a frame.

    Attributes:
        ids: `(n,)` int64, ascending, from 1 up.
        faces: The faces, in that order.
        fresh: `(n,)` bool, False where the detector missed the face when it last looked, or its pixels could not be
            followed since: where it is, is a guess.
        remembered: The ids of these and of those that are out of sight and may come back.
        detect_s: Seconds that the detector took; 0 where it was not asked.
    """

    ids: IntArray
    faces: Faces
    fresh: BoolArray
    remembered: frozenset[int]
    detect_s: float


class Tracker:
    """Finds faces in some frames and follows them in the others.

    A face gets a number when it was found twice; those of the first frame get theirs at once.

    Args:
        detector: Finds the faces.
        geometry: How to crop them, to tell them apart.
        clock: Seconds, for the detector's time alone.
    """

    def __init__(
        self, detector: Detector, geometry: CropGeometry, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._detector, self._geometry, self._clock = detector, geometry, clock
        self._next_id = 1
        self._flow = Flow()
        self.restart()

    def restart(self) -> None:
        """Takes the next frame for the first of another source. Numbers go on."""
        self._tracks: list[Track] = []
        self._size: tuple[int, int] | None = None
        self._time = 0.0
        self._waited, self._looked = 0, 0.0
        self._touching = False
        self._flow.forget()

    def follow(self, frame_bgr: ByteArray, now: float) -> TrackedFaces:
        """Finds or follows the faces of the next frame.

        Args:
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR. Where the size changes, faces are expected at the same share
                of width and height.
            now: Seconds; a time before the last frame's begins another source.
        """
        if now < self._time:
            self.restart()
        height, width = frame_bgr.shape[:2]
        first, resized = self._size is None, self._size not in (None, (width, height))
        if self._size is not None and resized:
            for track in self._tracks:
                track.stretch(width / self._size[0], height / self._size[1])
        self._size, self._time = (width, height), now
        self._move(frame_bgr, now)
        self._waited += 1
        detect_s = 0.0
        if first or resized or self._should_look(now):
            detect_s = self._look(frame_bgr, now, first=first)
        self._tracks = [track for track in self._tracks if now - track.found <= _MEMORY_S]
        return self._sighting(now, detect_s)

    def _move(self, frame_bgr: ByteArray, now: float) -> None:
        """Brings every face to where it should be by now."""
        landmarks = np.array([track.landmarks for track in self._tracks], np.float32).reshape(-1, 5, 2)
        for track, move, known in zip(self._tracks, *self._flow.advance(frame_bgr, landmarks), strict=True):
            if known and track.flowing:
                track.move(move)
            else:
                track.drift(now)

    def _should_look(self, now: float) -> bool:
        if now - self._looked >= _LONGEST_WAIT_S:
            return True
        if not self._tracks:
            return self._waited >= _FRAMES_WHEN_EMPTY
        if self._touching or any(not track.flowing or not track.id for track in self._tracks):
            return self._waited >= _FEWEST_FRAMES
        return self._waited >= min(_FEWEST_FRAMES + len(self._tracks) // _FACES_A_FRAME, _MOST_FRAMES)

    def _look(self, frame_bgr: ByteArray, now: float, *, first: bool) -> float:
        """Asks the detector, and tells every track whether its face was found. Returns the detector's seconds."""
        started = self._clock()
        faces = self._detector.detect(frame_bgr)
        detect_s = self._clock() - started
        self._waited, self._looked = 0, now
        seen = looks(crop_faces(frame_bgr, faces.landmarks, self._geometry))
        whole = (overlaps(faces.xywh, faces.xywh) > _TOUCHING).sum(axis=1) == 1
        self._touching = not whole.all()
        pairs = dict(self._pairs(faces, seen, whole, now))
        for row, track in enumerate(self._tracks):
            if row in pairs:
                at = pairs[row]
                track.see(faces.xywh[at], faces.landmarks[at], faces.confidence[at], now)
                if whole[at]:
                    track.learn(seen[at])
            else:
                track.miss()
        self._tracks = [track for track in self._tracks if track.fresh or track.confirmed]
        for at in sorted(set(range(len(faces))) - set(pairs.values())):
            self._tracks.append(Track(faces.xywh[at], faces.landmarks[at], faces.confidence[at], seen[at], now))
        self._number(at_once=first)
        self._cover()
        return detect_s

    def _pairs(self, faces: Faces, seen: FloatArray, whole: BoolArray, now: float) -> list[tuple[int, int]]:
        expected = np.array([track.xywh for track in self._tracks], np.float32).reshape(-1, 4)
        known = np.array([track.looks for track in self._tracks], np.float32).reshape(-1, seen.shape[1])
        unseen = np.array([now - track.found for track in self._tracks])
        return associate(expected, known, unseen, faces.xywh, seen, whole)

    def _number(self, *, at_once: bool) -> None:
        for track in self._tracks:
            if not track.id and (at_once or track.confirmed):
                track.id = self._next_id
                self._next_id += 1

    def _cover(self) -> None:
        """Stops following the pixels of faces that another one hides."""
        found = np.array([track.xywh for track in self._tracks if track.fresh], np.float32).reshape(-1, 4)
        for track in self._tracks:
            if not track.fresh and (overlaps(track.xywh[None].astype(np.float32), found) > _BEHIND).any():
                track.flowing = False

    def _sighting(self, now: float, detect_s: float) -> TrackedFaces:
        visible = [
            track
            for track in self._tracks
            if track.id and (track.fresh or (track.flowing and now - track.found <= _BLIND_S))
        ]
        visible.sort(key=lambda track: track.id)
        faces = Faces(
            np.array([track.xywh for track in visible], np.float32).reshape(-1, 4),
            np.array([track.landmarks for track in visible], np.float32).reshape(-1, 5, 2),
            np.array([track.confidence for track in visible], np.float32),
        )
        ids = np.array([track.id for track in visible], np.int64)
        fresh = np.array([track.fresh and track.flowing for track in visible], np.bool_)
        return TrackedFaces(ids, faces, fresh, frozenset(track.id for track in self._tracks), detect_s)
