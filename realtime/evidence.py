"""The known faces behind what a face shows, smoothed over time as its probabilities are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from moodspace.arrays import FloatArray
from moodspace.classifier.ensemble import Prediction
from moodspace.classifier.recognizer import Recognizer

# A neighbor that counts for less than this share of the smoothed time is dropped.
_LEAST_WEIGHT = 0.01


@dataclass(frozen=True, slots=True)
class NearFace:
    """A known face that is similar to a face in view.

    Attributes:
        id: Its gallery id.
        label: Its class; None for none.
        similarity: Cosine in [-1, 1], the mean over the looks that found it.
        source: Where it came from, to be shown.
        taught: Whether the user taught it.
    """

    id: int
    label: str | None
    similarity: float
    source: str
    taught: bool = False


def near_faces(prediction: Prediction, row: int, recognizer: Recognizer) -> tuple[NearFace, ...]:
    """Return the neighbors of one face, best first.

    Args:
        prediction: Whose neighbors.
        row: The face.
        recognizer: What predicted; it names the neighbors' labels.
    """
    neighbors, names = prediction.neighbors, recognizer.neighbor_names(prediction, row)
    taught = recognizer.bundle.index.rows(neighbors.ids[row]) < 0
    return tuple(
        NearFace(
            int(number), names[at], float(neighbors.similarities[row, at]), str(neighbors.sources[row, at]),
            bool(taught[at]),
        )
        for at, number in enumerate(neighbors.ids[row])
        if neighbors.valid[row, at]
    )  # fmt: skip


def listed(ranked: Sequence[NearFace], answer: str, most: int) -> tuple[NearFace, ...]:
    """Return the first neighbors, among them the best one that the user taught as the answer, if there is any.

    A taught face can decide although many faces of the bundle are a little more similar; it must not be missing then.

    Args:
        ranked: All neighbors, the most important first.
        answer: The class that is predicted.
        most: How many to return at most, >= 1.
    """
    first = tuple(ranked[:most])
    decided = next((one for one in ranked if one.taught and one.label == answer), None)
    return first if decided is None or decided in first else (*first[:-1], decided)


def reason(
    answer: str, known: Sequence[str], nearest: Sequence[NearFace], classes: Sequence[str], votes: FloatArray
) -> str:
    """Return one sentence on why the answer differs from the neighbors' votes; empty where it does not.

    Args:
        answer: The class that is predicted.
        known: The classes that the network knows.
        nearest: The neighbors that are shown.
        classes: Names of the C columns.
        votes: `(C,)` float32, sums to 1, the votes of all neighbors of the bundle.
    """
    best = int(votes.argmax())
    if classes[best] == answer:
        return ""
    if answer not in known or any(one.taught and one.label == answer for one in nearest):
        return f"Faces that you taught as {answer} decide: this face is similar enough to them."
    share = f"{100 * float(votes[best]):.0f} %"
    return f"Together, the neighbors vote {classes[best]} ({share}); the network's own prediction makes it {answer}."


@dataclass(slots=True)
class _Weighed:
    """A neighbor over time: its share of the smoothed looks, and that share times its similarity."""

    face: NearFace
    weight: float
    weighed_similarity: float


class SmoothedEvidence:
    """The neighbors of one face and their votes, with the half-life of its smoothed probabilities.

    While an expression changes, the neighbors of the newest look alone would contradict the smoothed probabilities. So
    each neighbor counts for as much as the looks that found it; the list is ordered by that times the similarity.

    Args:
        half_life: Seconds after which half of a change shows; 0 shows the newest look alone.
    """

    def __init__(self, half_life: float) -> None:
        self._half_life = half_life
        self._neighbors: dict[int, _Weighed] = {}
        self._votes: dict[str, float] = {}
        self._time: float | None = None

    def begin_anew(self) -> None:
        """Drop what was seen, as when faces are compared with others than before."""
        self._time = None

    def see(self, neighbors: Sequence[NearFace], classes: Sequence[str], votes: FloatArray, now: float) -> None:
        """Add a look.

        Args:
            neighbors: What it found.
            classes: Names of the C columns.
            votes: `(C,)` float32, sums to 1, the neighbors' votes.
            now: Seconds, not before the last look.
        """
        kept = 0.0
        if self._time is not None and self._half_life > 0:
            kept = 0.5 ** (max(now - self._time, 0.0) / self._half_life)
        self._time = now
        moved = {name: kept * share for name, share in self._votes.items()} if kept else {}
        for name, share in zip(classes, votes.tolist(), strict=True):
            moved[name] = moved.get(name, 0.0) + (1 - kept) * share
        self._votes = moved
        weighed = {
            one.face.id: _Weighed(one.face, kept * one.weight, kept * one.weighed_similarity)
            for one in self._neighbors.values()
            if kept * one.weight >= _LEAST_WEIGHT
        }
        for face in neighbors:
            one = weighed.setdefault(face.id, _Weighed(face, 0.0, 0.0))
            one.face = face
            one.weight += 1 - kept
            one.weighed_similarity += (1 - kept) * face.similarity
        self._neighbors = weighed

    def nearest(self, most: int, answer: str = "") -> tuple[NearFace, ...]:
        """Return the neighbors that count most, at most so many, the most important first; see `listed`."""
        ranked = sorted(self._neighbors.values(), key=lambda one: (-one.weighed_similarity, one.face.id))
        return listed(
            [replace(one.face, similarity=one.weighed_similarity / one.weight) for one in ranked], answer, most
        )

    def votes(self, classes: Sequence[str]) -> FloatArray:
        """Return the smoothed votes, `(C,)` float32 that sum to 1, in the order of `classes`; uniform before any."""
        shares = np.array([self._votes.get(name, 0.0) for name in classes])
        total = shares.sum()
        return (shares / total if total > 0 else np.full(len(classes), 1 / len(classes))).astype(np.float32)
