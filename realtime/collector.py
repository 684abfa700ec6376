"""Collect varied examples of one face while its expression is held, to teach them as one lesson.

Only readable faces count, and near-identical frames are skipped: two frames are near-identical if their whitened
embeddings are much more similar than a face and its near copies usually are, which each bundle measures for itself
(`Gate.closeness`). While nothing new comes, the limit rises, so that an expression that is held still fills the ring
too, more slowly; the same picture never counts twice. The collector reads no clock and draws nothing; its examples are
in memory only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

import numpy as np

from moodspace.arrays import ByteArray, FloatArray
from moodspace.classifier.recognizer import Recognizer
from moodspace.classifier.taught_scores import ITSELF
from moodspace.embeddings.crops import crop_faces
from moodspace.realtime.pipeline import LiveResult

# The number of examples that fills the ring.
CAPACITY = 24
# Seconds between two examples, so that a full ring covers several seconds of a held expression.
LEAST_GAP_S = 0.25
# Frames are near-identical if their distance is below this share of the usual distance of near copies.
_NEAR_SHARE = 0.25
# Seconds after an example at which any frame counts that is not the same picture.
_PATIENCE_S = 1.0


class Offer(Enum):
    """What became of an offered frame."""

    ADDED = auto()
    EARLY = auto()
    SIMILAR = auto()
    UNREADABLE = auto()
    FULL = auto()

    @property
    def hint(self) -> str:
        """What the user can do about it; empty where nothing is wrong."""
        return {
            Offer.SIMILAR: "move a little: frames look the same",
            Offer.UNREADABLE: "the face cannot be read",
            Offer.FULL: "enough examples",
        }.get(self, "")


@dataclass(frozen=True, slots=True, eq=False)
class HeldExample:
    """One collected frame of a face.

    Attributes:
        number: Identifies it in its collector, from 1 up; never used again.
        embedding: `(d,)` float32 of unit length.
        crop: `(48, 48)` uint8 gray in [0, 255], as the network sees it.
        time: When it was collected, in seconds of the source.
    """

    number: int
    embedding: FloatArray
    crop: ByteArray
    time: float


class Collector:
    """Collects examples of one face.

    Args:
        measure: Maps embeddings `(n, d)` to unit rows `(n, e)` whose cosine tells frames apart.
        nearest: Frames with a larger cosine are near-identical, in (0, 1); rises to `ITSELF` while nothing new comes.
        capacity: How many examples fill it, at least 1.
        least_gap: Seconds between two examples.

    Attributes:
        examples: The collected examples, oldest first.
    """

    def __init__(
        self,
        measure: Callable[[FloatArray], FloatArray],
        nearest: float,
        *,
        capacity: int = CAPACITY,
        least_gap: float = LEAST_GAP_S,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity: expected at least 1, got {capacity}")
        self._measure, self._nearest, self.capacity, self._least_gap = measure, nearest, capacity, least_gap
        self.examples: list[HeldExample] = []
        self._measured: dict[int, FloatArray] = {}
        self._count = 0

    @classmethod
    def for_recognizer(cls, recognizer: Recognizer, *, capacity: int = CAPACITY) -> Self:
        """Return a collector for the embeddings of a recognizer's bundle."""
        near = 1 - _NEAR_SHARE * (1 - recognizer.bundle.gate.closeness)
        return cls(recognizer.whitening, near, capacity=capacity)

    def __len__(self) -> int:
        """Return the number of collected examples."""
        return len(self.examples)

    @property
    def share(self) -> float:
        """How full the ring is, in [0, 1]."""
        return len(self) / self.capacity

    @property
    def full(self) -> bool:
        """Whether there are enough examples."""
        return len(self) >= self.capacity

    @property
    def crops(self) -> ByteArray:
        """The crops of the examples, `(n, 48, 48)` uint8 gray."""
        return np.stack([one.crop for one in self.examples])

    @property
    def embeddings(self) -> FloatArray:
        """The embeddings of the examples, `(n, d)` float32 unit rows."""
        return np.stack([one.embedding for one in self.examples])

    def offer(self, embedding: FloatArray, crop: ByteArray, *, readable: bool, time: float) -> Offer:
        """Add a frame of the face unless it is unreadable, too early, near-identical to another, or one too many.

        Args:
            embedding: `(d,)` float32 of unit length.
            crop: `(48, 48)` uint8 gray in [0, 255].
            readable: Whether the face can be read.
            time: Seconds of the source; a time before the last example's belongs to another source and is accepted.
        """
        if self.full:
            return Offer.FULL
        if not readable:
            return Offer.UNREADABLE
        gap = time - self.examples[-1].time if self.examples else self._least_gap
        if 0 <= gap < self._least_gap:
            return Offer.EARLY
        measured = self._measure(embedding[None])[0]
        waited = float(np.clip((gap - self._least_gap) / max(_PATIENCE_S - self._least_gap, 1e-6), 0, 1))
        limit = self._nearest + waited * (max(self._nearest, ITSELF) - self._nearest)
        if self._measured and (np.stack(list(self._measured.values())) @ measured).max() > limit:
            return Offer.SIMILAR
        self._count += 1
        self.examples.append(HeldExample(self._count, embedding.copy(), crop.copy(), time))
        self._measured[self._count] = measured
        return Offer.ADDED

    def offer_frame(self, frame_bgr: ByteArray, result: LiveResult, track_id: int, recognizer: Recognizer) -> Offer:
        """Offer the face with this track id from a frame; a face that is not in view is unreadable.

        Args:
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
            result: The faces of the frame.
            track_id: Which face.
            recognizer: The recognizer of the result; its bundle says how faces are cropped.
        """
        rows = np.flatnonzero(result.track_ids == track_id)
        if not len(rows):
            return Offer.FULL if self.full else Offer.UNREADABLE
        row = int(rows[0])
        crop = crop_faces(frame_bgr, result.faces.landmarks[[row]], recognizer.bundle.geometry)[0]
        return self.offer(result.embeddings[row], crop, readable=bool(result.quality.good[row]), time=result.time)

    def remove(self, number: int) -> bool:
        """Remove one example; return whether there was one with this number."""
        kept = [one for one in self.examples if one.number != number]
        removed = len(kept) < len(self.examples)
        self.examples = kept
        self._measured.pop(number, None)
        return removed

    def remove_last(self) -> bool:
        """Remove the newest example; return whether there was one."""
        return bool(self.examples) and self.remove(self.examples[-1].number)
