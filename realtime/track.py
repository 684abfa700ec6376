"""What is known of one face that is followed."""

import numpy as np
import numpy.typing as npt

from realtime.faces import FloatArray

DoubleArray = npt.NDArray[np.float64]

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
