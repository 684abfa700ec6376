"""The known faces that support a prediction, smoothed over time in the same way as the probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from moodspace.arrays import BoolArray, DoubleArray, FloatArray, IntArray, StringArray
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


@dataclass(frozen=True, slots=True, eq=False)
class NearFaces:
    """The m neighbors of one face as arrays: 100 objects a face and frame would take longer than the search itself.

    Attributes:
        ids: `(m,)` int64, their gallery ids, each once.
        labels: `(m,)` objects, the name of the class, or None.
        similarities: `(m,)` floating, cosines in [-1, 1].
        sources: `(m,)` numpy strings.
        taught: `(m,)` bool, whether the user taught it.
    """

    ids: IntArray
    labels: npt.NDArray[np.object_]
    similarities: npt.NDArray[np.floating]
    sources: StringArray
    taught: BoolArray

    def take(self, rows: IntArray | BoolArray) -> "NearFaces":
        """Return some of them, by row numbers or a mask."""
        return NearFaces(
            self.ids[rows], self.labels[rows], self.similarities[rows], self.sources[rows], self.taught[rows]
        )

    def then(self, others: "NearFaces") -> "NearFaces":
        """Return these, followed by others."""
        parts = ((getattr(self, name), getattr(others, name)) for name in self.__slots__)
        return NearFaces(*(np.concatenate(pair) for pair in parts))

    def faces(self) -> tuple[NearFace, ...]:
        """Return them one by one."""
        columns = (getattr(self, name).tolist() for name in ("ids", "labels", "similarities", "sources", "taught"))
        return tuple(NearFace(*values) for values in zip(*columns, strict=True))


NO_FACES = NearFaces(
    np.zeros(0, np.int64), np.zeros(0, np.object_), np.zeros(0, np.float32), np.zeros(0, np.str_), np.zeros(0, np.bool_)
)


def neighbors_of(prediction: Prediction, row: int, recognizer: Recognizer) -> NearFaces:
    """Return the neighbors of one face, best first.

    Args:
        prediction: The prediction.
        row: The face's row in it.
        recognizer: The recognizer that made it; it names the neighbors' labels.
    """
    found = prediction.neighbors
    near = NearFaces(
        found.ids[row],
        recognizer.neighbor_names(prediction, row),
        found.similarities[row],
        found.sources[row],
        recognizer.bundle.index.rows(found.ids[row]) < 0,
    )
    return near.take(found.valid[row])


def near_faces(prediction: Prediction, row: int, recognizer: Recognizer) -> tuple[NearFace, ...]:
    """Return the neighbors of one face one by one, best first; see `neighbors_of`."""
    return neighbors_of(prediction, row, recognizer).faces()


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


class SmoothedEvidence:
    """The neighbors of one face and their votes, with the half-life of its smoothed probabilities.

    While an expression changes, the newest neighbors would contradict the smoothed probabilities. So each neighbor
    has the weight of the predictions that found it, and the list is sorted by weight times similarity.

    Args:
        half_life: Smoothing half-life in seconds; 0 keeps the newest prediction's neighbors only.
    """

    def __init__(self, half_life: float) -> None:
        self._half_life = half_life
        self._faces = NO_FACES
        # For each of them its weight in the smoothed predictions, and the weighted sum of its similarities.
        self._weights: DoubleArray = np.zeros(0)
        self._weighted: DoubleArray = np.zeros(0)
        self._votes: dict[str, float] = {}
        self._time: float | None = None

    def __len__(self) -> int:
        """Return the number of neighbors that still count."""
        return len(self._weights)

    def reset(self) -> None:
        """Treat the next prediction as the first, as after the user taught something."""
        self._time = None

    def update(self, neighbors: NearFaces, classes: Sequence[str], votes: FloatArray, now: float) -> None:
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
        self._add(neighbors, kept)

    def _add(self, neighbors: NearFaces, kept: float) -> None:
        """Let the old neighbors keep a share of their weight, and give the rest to the new ones."""
        heavy = kept * self._weights >= _LEAST_WEIGHT
        # What is known about a neighbor comes from the newest prediction, whose faces are therefore first.
        both = neighbors.then(self._faces.take(heavy))
        gained = np.full(len(neighbors.ids), 1 - kept)
        weights = np.concatenate([gained, kept * self._weights[heavy]])
        weighted = np.concatenate([gained * neighbors.similarities, kept * self._weighted[heavy]])
        _, first, place = np.unique(both.ids, return_index=True, return_inverse=True)
        self._faces = both.take(first)
        self._weights = np.bincount(place, weights, len(first)).astype(np.float64)
        self._weighted = np.bincount(place, weighted, len(first)).astype(np.float64)

    def nearest(self, most: int, answer: str = "") -> tuple[NearFace, ...]:
        """Return at most `most` neighbors, most important first; see `listed`."""
        first = self._ranked(np.arange(len(self)), most)
        # The best taught face is the only other one that `listed` may name.
        decided = self._ranked(np.flatnonzero(self._faces.taught & (self._faces.labels == answer)), 1)
        rows = np.concatenate([first, decided])
        means = self._weighted[rows] / self._weights[rows]
        return listed(replace(self._faces.take(rows), similarities=means).faces(), answer, most)

    def _ranked(self, rows: IntArray, most: int) -> IntArray:
        """Return the most important of some rows, best first; ties go to the lower id."""
        values = self._weighted[rows]
        if len(rows) > most:
            rows = rows[values >= np.partition(values, len(rows) - most)[len(rows) - most]]
        return rows[np.lexsort((self._faces.ids[rows], -self._weighted[rows]))][:most]

    def votes(self, classes: Sequence[str]) -> FloatArray:
        """Return the smoothed votes, `(C,)` float32, in the order of `classes`; uniform before the first update."""
        shares = np.array([self._votes.get(name, 0.0) for name in classes])
        total = shares.sum()
        return (shares / total if total > 0 else np.full(len(classes), 1 / len(classes))).astype(np.float32)
