"""Track faces from frame to frame: a face keeps its id while it is visible, and for 1.5 s after that."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from moodspace.arrays import BoolArray, ByteArray, DoubleArray, FloatArray, IntArray
from moodspace.embeddings.crops import CropGeometry, crop_faces
from moodspace.embeddings.detection.faces import Detector, Faces
from moodspace.realtime.tracking.association import appearances, associate, overlaps
from moodspace.realtime.tracking.flow import Flow

# The detector runs in every second frame, one frame less often for every two faces, down to every fifth frame, and at
# least every 0.3 s: the more faces there are, the more time the encoder needs. While identities are uncertain (faces
# touch, are new or are out of sight), it runs in every second frame.
_FEWEST_FRAMES, _MOST_FRAMES, _FACES_PER_FRAME = 2, 5, 2
_LONGEST_WAIT_S = 0.3
# In an empty scene, it runs in every third frame.
_FRAMES_WHEN_EMPTY = 3
# A face that was not detected for this time is forgotten. Detections are up to _LONGEST_WAIT_S late.
_MEMORY_S = 1.5
# A face that was not detected for this time is not returned, even if optical flow still follows it.
_UNDETECTED_S = 0.3
# A face is behind a detected one if their boxes overlap by more than this intersection over union.
_BEHIND = 0.3
# Boxes that overlap by more than this touch: their crops show pixels of each other.
_TOUCHING = 0.05
# The weight of a new measurement in the running mean of a face's speed, and of its appearance.
_SPEED_WEIGHT = 0.5
_APPEARANCE_WEIGHT = 0.3
# An undetected face slows down exponentially with this time constant.
_DRIFT_S = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFaces:
    """The n visible faces of a frame.

    Attributes:
        ids: `(n,)` int64, ascending, from 1 up.
        faces: The faces, in the order of their ids.
        fresh: `(n,)` bool, False where the position is a guess: the detector missed the face when it last ran, or
            optical flow lost it since.
        remembered: The ids of these faces and of those that are out of sight and may come back.
        detect_s: Seconds that the detector took; 0 in frames in which it did not run.
        crops: By id, the crops `(48, 48)` uint8 of the faces that were detected in this frame; empty where the detector
            did not run.
    """

    ids: IntArray
    faces: Faces
    fresh: BoolArray
    remembered: frozenset[int]
    detect_s: float
    crops: Mapping[int, ByteArray]


class Tracker:
    """Detect faces in some frames and follow them by optical flow in the others.

    A face gets an id when it is detected a second time. Faces of the first frame get theirs at once, and so do those of
    frames so far apart that a face may be gone by the next one.

    Args:
        detector: The face detector.
        geometry: How to crop faces, to compare their appearance.
        clock: Return the time in seconds; used for `detect_s` only.
    """

    def __init__(
        self, detector: Detector, geometry: CropGeometry, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._detector, self._geometry, self._clock = detector, geometry, clock
        self._next_id = 1
        self._flow = Flow()
        self.restart()

    def restart(self) -> None:
        """Start over with another source: the next frame is its first. Ids are not used again."""
        self._tracks: list[Track] = []
        self._size: tuple[int, int] | None = None
        self._time = 0.0
        self._frames_since, self._detected_at = 0, 0.0
        self._touching = False
        self._crops: dict[int, ByteArray] = {}
        self._flow.restart()

    def update(self, frame_bgr: ByteArray, now: float) -> TrackedFaces:
        """Detect or follow the faces of the next frame.

        Args:
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR. If the size changes, positions are scaled with it.
            now: Seconds. A time before the last frame's starts over, see `restart`.
        """
        if now < self._time:
            self.restart()
        height, width = frame_bgr.shape[:2]
        first, resized = self._size is None, self._size not in (None, (width, height))
        if self._size is not None and resized:
            for track in self._tracks:
                track.rescale(width / self._size[0], height / self._size[1])
        self._size, self._time = (width, height), now
        self._move(frame_bgr, now)
        self._frames_since += 1
        self._crops, detect_s = {}, 0.0
        if first or resized or self._detector_is_due(now):
            apart = self._frames_since == 1 and now - self._detected_at > _LONGEST_WAIT_S
            detect_s = self._detect(frame_bgr, now, at_once=first or apart)
        self._tracks = [track for track in self._tracks if now - track.detected_at <= _MEMORY_S]
        return self._visible_faces(now, detect_s)

    def _move(self, frame_bgr: ByteArray, now: float) -> None:
        """Move each face to where it should be now."""
        landmarks = np.array([track.landmarks for track in self._tracks], np.float32).reshape(-1, 5, 2)
        for track, move, known in zip(self._tracks, *self._flow.advance(frame_bgr, landmarks), strict=True):
            if known and track.flowing:
                track.move(move)
            else:
                track.drift(now)

    def _detector_is_due(self, now: float) -> bool:
        if now - self._detected_at >= _LONGEST_WAIT_S:
            return True
        if not self._tracks:
            return self._frames_since >= _FRAMES_WHEN_EMPTY
        if self._touching or any(not track.flowing or not track.id for track in self._tracks):
            return self._frames_since >= _FEWEST_FRAMES
        return self._frames_since >= min(_FEWEST_FRAMES + len(self._tracks) // _FACES_PER_FRAME, _MOST_FRAMES)

    def _detect(self, frame_bgr: ByteArray, now: float, *, at_once: bool) -> float:
        """Run the detector and update all tracks; return the seconds that the detector took.

        With `at_once`, a face gets its id at its first detection.
        """
        started = self._clock()
        faces = self._detector.detect(frame_bgr)
        detect_s = self._clock() - started
        self._frames_since, self._detected_at = 0, now
        crops = crop_faces(frame_bgr, faces.landmarks, self._geometry)
        seen = appearances(crops)
        whole = (overlaps(faces.xywh, faces.xywh) > _TOUCHING).sum(axis=1) == 1
        self._touching = not whole.all()
        pairs = dict(self._pairs(faces, seen, whole, now))
        crop_of: dict[Track, ByteArray] = {}
        for row, track in enumerate(self._tracks):
            if row in pairs:
                at = pairs[row]
                track.update(faces.xywh[at], faces.landmarks[at], faces.confidence[at], now)
                crop_of[track] = crops[at]
                if whole[at]:
                    track.update_appearance(seen[at])
            else:
                track.miss()
        self._tracks = [track for track in self._tracks if track.fresh or track.confirmed]
        for at in sorted(set(range(len(faces))) - set(pairs.values())):
            track = Track(faces.xywh[at], faces.landmarks[at], faces.confidence[at], seen[at], now)
            crop_of[track] = crops[at]
            self._tracks.append(track)
        self._assign_ids(at_once=at_once)
        self._stop_flow_of_covered()
        self._crops = {track.id: crop for track, crop in crop_of.items() if track.id}
        return detect_s

    def _pairs(self, faces: Faces, seen: FloatArray, whole: BoolArray, now: float) -> list[tuple[int, int]]:
        """Return the pairs of a track's row and a detected face's."""
        expected = np.array([track.xywh for track in self._tracks], np.float32).reshape(-1, 4)
        known = np.array([track.appearance for track in self._tracks], np.float32).reshape(-1, seen.shape[1])
        undetected = np.array([now - track.detected_at for track in self._tracks])
        return associate(expected, known, undetected, faces.xywh, seen, whole)

    def _assign_ids(self, *, at_once: bool) -> None:
        for track in self._tracks:
            if not track.id and (at_once or track.confirmed):
                track.id = self._next_id
                self._next_id += 1

    def _stop_flow_of_covered(self) -> None:
        """Stop following the pixels of faces that are behind another one."""
        found = np.array([track.xywh for track in self._tracks if track.fresh], np.float32).reshape(-1, 4)
        for track in self._tracks:
            if not track.fresh and (overlaps(track.xywh[None].astype(np.float32), found) > _BEHIND).any():
                track.flowing = False

    def _visible_faces(self, now: float, detect_s: float) -> TrackedFaces:
        visible = [
            track
            for track in self._tracks
            if track.id and (track.fresh or (track.flowing and now - track.detected_at <= _UNDETECTED_S))
        ]
        visible.sort(key=lambda track: track.id)
        faces = Faces(
            np.array([track.xywh for track in visible], np.float32).reshape(-1, 4),
            np.array([track.landmarks for track in visible], np.float32).reshape(-1, 5, 2),
            np.array([track.confidence for track in visible], np.float32),
        )
        ids = np.array([track.id for track in visible], np.int64)
        fresh = np.array([track.fresh and track.flowing for track in visible], np.bool_)
        remembered = frozenset(track.id for track in self._tracks)
        return TrackedFaces(ids, faces, fresh, remembered, detect_s, self._crops)


class Track:
    """One face, from its first detection on.

    Attributes:
        id: Its id, from 1 up; 0 while it has none.
        xywh: `(4,)` float64, its box now: left, top, width and height in pixels.
        landmarks: `(5, 2)` float64, its landmarks now, in pixels.
        confidence: The detector's confidence in [0, 1] at the last detection.
        appearance: `(k,)` float32 of length 1, see `appearances`.
        detected_at: When it was last detected, in seconds.
        fresh: Whether the detector found it when it last ran.
        flowing: Whether optical flow has followed it since its last detection.
        confirmed: Whether it was detected more than once.
    """

    def __init__(
        self, xywh: FloatArray, landmarks: FloatArray, confidence: np.float32, appearance: FloatArray, now: float
    ) -> None:
        self.id = 0
        self.appearance = appearance
        self.confirmed = False
        self._speed: DoubleArray = np.zeros(2)
        self._place(xywh, landmarks, confidence, now)

    def _place(self, xywh: FloatArray, landmarks: FloatArray, confidence: np.float32, now: float) -> None:
        self.xywh, self.landmarks = xywh.astype(np.float64), landmarks.astype(np.float64)
        self.confidence, self.detected_at = float(confidence), now
        self.fresh = self.flowing = True
        self._detected_xywh, self._detected_landmarks = self.xywh, self.landmarks

    def update(self, xywh: FloatArray, landmarks: FloatArray, confidence: np.float32, now: float) -> None:
        """Move it to where it was detected, and measure its speed."""
        moved = (xywh[:2] + xywh[2:] / 2) - (self._detected_xywh[:2] + self._detected_xywh[2:] / 2)
        if now > self.detected_at:
            weight = _SPEED_WEIGHT if self.confirmed else 1.0
            self._speed = (1 - weight) * self._speed + weight * moved / (now - self.detected_at)
        self.confirmed = True
        self._place(xywh, landmarks, confidence, now)

    def update_appearance(self, appearance: FloatArray) -> None:
        """Add an appearance, `(k,)` float32 of length 1, to the running mean."""
        mixed = (1 - _APPEARANCE_WEIGHT) * self.appearance + _APPEARANCE_WEIGHT * appearance
        self.appearance = (mixed / max(float(np.linalg.norm(mixed)), 1e-6)).astype(np.float32)

    def miss(self) -> None:
        """Note that the detector ran and did not find it."""
        self.fresh = False

    def move(self, move: DoubleArray) -> None:
        """Move it by a `(2, 3)` similarity matrix: translation, rotation and scale."""
        middle = move @ np.append(self.xywh[:2] + self.xywh[2:] / 2, 1.0)
        size = self.xywh[2:] * np.hypot(*move[:, 0])
        self.xywh = np.concatenate([middle - size / 2, size])
        self.landmarks = self.landmarks @ move[:, :2].T + move[:, 2]

    def drift(self, now: float) -> None:
        """Move it to where its speed, slowing down, has taken it since its last detection."""
        self.flowing = False
        shift = self._speed * _DRIFT_S * (1 - np.exp(-(now - self.detected_at) / _DRIFT_S))
        self.xywh = self._detected_xywh + np.append(shift, np.zeros(2))
        self.landmarks = self._detected_landmarks + shift

    def rescale(self, across: float, down: float) -> None:
        """Scale its position by these factors when the frame's size changes."""
        by = np.array([across, down])
        self.xywh, self._detected_xywh = self.xywh * np.tile(by, 2), self._detected_xywh * np.tile(by, 2)
        self.landmarks, self._detected_landmarks = self.landmarks * by, self._detected_landmarks * by
        self._speed = self._speed * by
