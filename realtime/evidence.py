"""The known faces that support a prediction, smoothed over time in the same way as the probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from moodspace.arrays import FloatArray
from moodspace.classifier.ensemble import Prediction
from moodspace.classifier.recognizer import Recognizer

# A neighbor whose weight falls below this share is dropped.
_LEAST_WEIGHT = 0.01


@dataclass(frozen=True, slots=True)
class NearFace:
    """A known face that is similar to a face in view.

    Attributes:
        id: Its gallery id.
        label: Its class; None if it has none.
        similarity: Cosine in [-1, 1]; the mean over the predictions that found it, where it is smoothed.
        source: Its source, to be shown.
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
        prediction: The prediction.
        row: The face's row in it.
        recognizer: The recognizer that made it; it names the neighbors' labels.
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
    """Return the first neighbors, and always the best one that the user taught as the answer.

    A taught face can decide although many faces of the bundle are a little more similar, so it must be listed.

    Args:
        ranked: All neighbors, most important first.
        answer: The predicted class.
        most: The maximum number to return, >= 1.
    """
    first = tuple(ranked[:most])
    decided = next((one for one in ranked if one.taught and one.label == answer), None)
    return first if decided is None or decided in first else (*first[:-1], decided)


def reason(
    answer: str, known: Sequence[str], nearest: Sequence[NearFace], classes: Sequence[str], votes: FloatArray
) -> str:
    """Explain in one sentence why the answer differs from the neighbors' votes; return "" if it does not.

    Args:
        answer: The predicted class.
        known: The classes that the network knows.
        nearest: The neighbors that are shown.
        classes: The names of the C columns.
        votes: `(C,)` float32, sums to 1, the votes of all neighbors in the bundle.
    """
    best = int(votes.argmax())
    if classes[best] == answer:
        return ""
    if answer not in known or any(one.taught and one.label == answer for one in nearest):
        return f"Faces that you taught as {answer} decide: this face is similar enough to them."
    share = f"{100 * float(votes[best]):.0f} %"
    return f"Together, the neighbors vote {classes[best]} ({share}); the network's own prediction makes it {answer}."


@dataclass(slots=True)
class _Weighted:
    """A neighbor over time: its weight in the smoothed predictions, and the weighted sum of its similarities."""

    face: NearFace
    weight: float
    weighted_similarity: float


class SmoothedEvidence:
    """The neighbors of one face and their votes, with the half-life of its smoothed probabilities.

    While an expression changes, the newest neighbors would contradict the smoothed probabilities. So each neighbor
    has the weight of the predictions that found it, and the list is sorted by weight times similarity.

    Args:
        half_life: Smoothing half-life in seconds; 0 keeps the newest prediction's neighbors only.
    """

    def __init__(self, half_life: float) -> None:
        self._half_life = half_life
        self._neighbors: dict[int, _Weighted] = {}
        self._votes: dict[str, float] = {}
        self._time: float | None = None

    def reset(self) -> None:
        """Treat the next prediction as the first, as after the user taught something."""
        self._time = None

    def update(self, neighbors: Sequence[NearFace], classes: Sequence[str], votes: FloatArray, now: float) -> None:
        """Add a prediction.

        Args:
            neighbors: Its neighbors.
            classes: The names of the C columns.
            votes: `(C,)` float32, sums to 1, the neighbors' votes.
            now: Seconds, not before the last prediction.
        """
        kept = 0.0
        if self._time is not None and self._half_life > 0:
            kept = 0.5 ** (max(now - self._time, 0.0) / self._half_life)
        self._time = now
        moved = {name: kept * share for name, share in self._votes.items()} if kept else {}
        for name, share in zip(classes, votes.tolist(), strict=True):
            moved[name] = moved.get(name, 0.0) + (1 - kept) * share
        self._votes = moved
        weighted = {
            one.face.id: _Weighted(one.face, kept * one.weight, kept * one.weighted_similarity)
            for one in self._neighbors.values()
            if kept * one.weight >= _LEAST_WEIGHT
        }
        for face in neighbors:
            one = weighted.setdefault(face.id, _Weighted(face, 0.0, 0.0))
            one.face = face
            one.weight += 1 - kept
            one.weighted_similarity += (1 - kept) * face.similarity
        self._neighbors = weighted

    def nearest(self, most: int, answer: str = "") -> tuple[NearFace, ...]:
        """Return at most `most` neighbors, most important first; see `listed`."""
        ranked = sorted(self._neighbors.values(), key=lambda one: (-one.weighted_similarity, one.face.id))
        return listed(
            [replace(one.face, similarity=one.weighted_similarity / one.weight) for one in ranked], answer, most
        )

    def votes(self, classes: Sequence[str]) -> FloatArray:
        """Return the smoothed votes, `(C,)` float32, in the order of `classes`; uniform before the first update."""
        shares = np.array([self._votes.get(name, 0.0) for name in classes])
        total = shares.sum()
        return (shares / total if total > 0 else np.full(len(classes), 1 / len(classes))).astype(np.float32)
