"""Scenes of drawn people who move in front of a camera, and a detector that knows where they are."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from moodspace.embeddings.detection.faces import Faces
from moodspace.realtime.tracking.association import overlaps
from moodspace.realtime.tracking.tracker import TrackedFaces, Tracker
from tests.drawn_faces import drawn_faces
from tests.realtime.fakes import ByteArray, faces_at, noise

FPS = 30.0
PEOPLE = drawn_faces(12, seed=5).crops

Box = tuple[float, float, float]


@dataclass
class Person:
    """A drawn face; `place` returns the center and side of its box at a time, None while it is out of view."""

    picture: ByteArray
    place: Callable[[float], Box | None]

    def box(self, now: float) -> tuple[float, float, float, float] | None:
        placed = self.place(now)
        if placed is None:
            return None
        x, y, side = placed
        return x - side / 2, y - side / 2, side, side


@dataclass
class Scene:
    """People in front of a wall, nearest first; `hidden(now, number)` tells whether a hand hides a person."""

    people: list[Person]
    size: tuple[int, int] = (480, 270)
    hidden: Callable[[float, int], bool] = lambda now, number: False
    jitter: float = 0.02
    now: float = 0.0
    calls: list[float] = field(default_factory=list)

    def frame(self, now: float) -> ByteArray:
        self.now = now
        frame = wall(*self.size).copy()
        for number, person in reversed(list(enumerate(self.people))):
            box = person.box(now)
            if box is not None:
                picture = np.full((48, 48), 90, np.uint8) if self.hidden(now, number) else person.picture
                paste(frame, picture, box)
        return frame

    def seen(self) -> list[int]:
        """Return who can be detected: nobody behind another person, because detectors merge overlapping boxes."""
        found: list[int] = []
        for number, person in enumerate(self.people):
            box = person.box(self.now)
            if box is None or self.hidden(self.now, number):
                continue
            mine = np.array([box], np.float32)
            others = np.array([self.people[other].box(self.now) for other in found], np.float32).reshape(-1, 4)
            if not (overlaps(mine, others) > 0.3).any():
                found.append(number)
        return found

    def detect(self, frame_bgr: ByteArray) -> Faces:
        self.calls.append(self.now)
        rng = np.random.default_rng(round(1000 * self.now))
        boxes = [self.people[number].box(self.now) for number in self.seen()]
        return faces_at(*(tuple(np.array(box) + rng.normal(0, self.jitter * box[2], 4)) for box in boxes if box))

    def whose(self, xywh: npt.NDArray[np.float32]) -> int:
        """Return whose box this is, -1 for nobody's."""
        seen = self.seen()
        boxes = np.array([self.people[number].box(self.now) for number in seen], np.float32).reshape(-1, 4)
        shared = overlaps(xywh[None], boxes)[0]
        return seen[int(shared.argmax())] if shared.max(initial=0) > 0.4 else -1


@functools.cache
def wall(width: int, height: int) -> ByteArray:
    return np.asarray(cv2.GaussianBlur(noise(height, width, seed=3), (0, 0), 3), np.uint8)


def paste(frame: ByteArray, picture: ByteArray, box: tuple[float, float, float, float]) -> None:
    """Paste a gray picture into a box of the frame, with subpixel accuracy."""
    x, y, width, height = box
    matrix = np.array([[width / 48, 0, x], [0, height / 48, y]])
    size = (frame.shape[1], frame.shape[0])
    shown = cv2.warpAffine(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), matrix, size, flags=cv2.INTER_LINEAR)
    mask = cv2.warpAffine(np.full((48, 48), 255, np.uint8), matrix, size) > 127
    frame[mask] = shown[mask]


def times(seconds: float, fps: float = FPS) -> list[float]:
    return [number / fps for number in range(round(seconds * fps))]


def play(scene: Scene, tracker: Tracker, seconds: float, fps: float = FPS) -> Iterator[TrackedFaces]:
    for now in times(seconds, fps):
        yield tracker.update(scene.frame(now), now)


def held(scene: Scene, tracker: Tracker, seconds: float, fps: float = FPS) -> dict[int, set[int]]:
    """Return the ids that each person had, without nobody (-1)."""
    ids: dict[int, set[int]] = {}
    for tracked in play(scene, tracker, seconds, fps):
        for one, xywh, fresh in zip(tracked.ids, tracked.faces.xywh, tracked.fresh, strict=True):
            if fresh and (person := scene.whose(xywh)) >= 0:
                ids.setdefault(person, set()).add(int(one))
    return ids


def still(x: float, y: float, side: float = 60.0) -> Callable[[float], Box]:
    return lambda now: (x, y, side)
