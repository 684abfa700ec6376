"""How well taught classes separate: each example is recognized without itself, and what it is taken for is counted.

The pictures of taught faces are not stored, so the votes of the bundle's gallery stand in for the network.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.classifier.ensemble import Prediction
from moodspace.classifier.recognizer import Recognizer, calibrated_knn, max_neighbors
from moodspace.classifier.taught_scores import MOST_EXAMPLES, with_taught
from moodspace.index.search import Neighbors
from moodspace.index.taught.faces import TAUGHT
from moodspace.index.taught.search import FoundFaces

# Examples of a class that are recognized, evenly spread over its faces, and of all classes together.
_MOST_TESTED, _MOST_IN_ALL, _LEAST_TESTED = 30, 400, 5


@dataclass(frozen=True, slots=True)
class Separation:
    """How the examples of one class are recognized without themselves.

    Attributes:
        examples: The number of examples of the class.
        tested: How many of them were recognized; 0 for a class of one example, which has no other.
        right: How many of those were recognized as their class.
        unsure: How many were recognized as no class.
        confused: For each other class how many were taken for it, most first.
    """

    examples: int
    tested: int
    right: int
    unsure: int
    confused: Mapping[str, int]

    @property
    def summary(self) -> str:
        """The result in a few words of plain text."""
        if not self.tested:
            return "too few examples to tell; add some"
        if self.right == self.tested:
            return f"all {self.tested} recognized" if self.tested > 1 else "recognized"
        parts = [f"confused with {name} in {n}" for name, n in self.confused.items()]
        parts += [f"unsure in {self.unsure}"] if self.unsure else []
        return f"{', '.join(parts)} of {self.tested}"

    def to_json(self) -> dict[str, Any]:
        """Return the counts as plain values, and the words."""
        return {
            "examples": self.examples, "tested": self.tested, "right": self.right, "unsure": self.unsure,
            "confused": dict(self.confused), "summary": self.summary,
        }  # fmt: skip


class ExamplesByClass(Protocol):
    """Gives examples of taught classes; `TaughtGallery` does."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that have faces, sorted."""
        ...

    def examples(self, name: str, limit: int) -> FloatArray:
        """Return the embeddings, `(n, d)` float32 unit rows, of up to `limit` newest faces of a class."""
        ...


def separation(recognizer: Recognizer, taught: ExamplesByClass, counts: Mapping[str, int]) -> dict[str, Separation]:
    """Recognize examples of each taught class with themselves left out.

    Frames of one held expression look alike, so a class that was taught once separates well by itself; it is the
    confusions that say what to add.

    Args:
        recognizer: The bundle and the view.
        taught: The taught faces; the newest 500 of each class count.
        counts: The number of faces of each class, by name.

    Returns:
        The result for each class, by name, sorted by name.
    """
    names = taught.classes
    parts = [taught.examples(name, MOST_EXAMPLES) for name in names]
    if not parts:
        return {}
    labels = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    faces = _Examples(np.concatenate(parts), labels, names)
    most = max(_LEAST_TESTED, min(_MOST_TESTED, _MOST_IN_ALL // len(parts)))
    found: dict[str, Separation] = {}
    for column, name in enumerate(names):
        rows = np.flatnonzero(faces.labels == column)
        tested = rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(np.int64))]
        answers = Counter(_answers(recognizer, faces, tested if len(rows) > 1 else tested[:0]))
        right, unsure = answers.pop(name, 0), answers.pop("", 0)
        found[name] = Separation(
            counts.get(name, len(rows)), right + unsure + answers.total(), right, unsure, dict(answers.most_common())
        )
    return found


def _answers(recognizer: Recognizer, faces: "_Examples", rows: IntArray) -> list[str]:
    """Return the class of each example, recognized without itself; "" where the recognizer is unsure."""
    prediction = _votes(recognizer, faces.embeddings[rows])
    answers = []
    for at, row in enumerate(rows.tolist()):
        one = _taken(prediction, at)
        scores = recognizer.scorer.score(faces.embeddings[[row]], faces.without(row))
        found = with_taught(one, scores, recognizer.label_set, recognizer.unknown_below)
        answers.append("" if found.unknown[0] else found.classes[int(found.labels[0])])
    return answers


def _votes(recognizer: Recognizer, embeddings: FloatArray) -> Prediction:
    """Return the prediction of the bundle's votes alone."""
    bundle, view = recognizer.bundle, recognizer.label_set
    neighbors = bundle.index.search(embeddings, max_neighbors(bundle, view))
    proba, _ = calibrated_knn(
        bundle, view, bundle.index.gallery.labels, neighbors.similarities, bundle.index.rows(neighbors.ids)
    )
    unknown = proba.max(axis=1, initial=0.0) < recognizer.unknown_below
    # A blend's neighbors have no labels of their own; nobody reads them here.
    labels = {recognizer.label_set: np.full_like(neighbors.ids, -1)}
    bare = Neighbors(neighbors.ids, labels, neighbors.similarities, neighbors.valid, neighbors.sources)
    return Prediction(proba, recognizer.classes, proba, proba, bare, unknown)


def _taken(prediction: Prediction, row: int) -> Prediction:
    some, near = slice(row, row + 1), prediction.neighbors
    neighbors = Neighbors(
        near.ids[some], {name: column[some] for name, column in near.labels.items()}, near.similarities[some],
        near.valid[some], near.sources[some],
    )  # fmt: skip
    proba = prediction.proba[some]
    return Prediction(proba, prediction.classes, proba, proba, neighbors, prediction.unknown[some])


class _Examples:
    """Some taught faces in memory, in the form that the scorer reads.

    Args:
        embeddings: `(n, d)` float32 unit rows, for each class its newest face first.
        labels: `(n,)` int64, columns of `classes`.
        classes: The names of the classes.
    """

    def __init__(self, embeddings: FloatArray, labels: IntArray, classes: Sequence[str]) -> None:
        self.embeddings, self.labels, self.classes = embeddings, labels, tuple(classes)

    def without(self, row: int) -> "_Examples":
        """Return the faces but one; its class has another."""
        return _Examples(np.delete(self.embeddings, row, axis=0), np.delete(self.labels, row), self.classes)

    def search(self, queries: FloatArray, k: int) -> Neighbors:
        similarities = queries @ self.embeddings.T
        best = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
        found = np.take_along_axis(similarities, best, axis=1).clip(-1, 1)
        return Neighbors(
            best.astype(np.int64), {TAUGHT: self.labels[best]}, found, np.ones(best.shape, np.bool_),
            np.full(best.shape, "", np.str_),
        )  # fmt: skip

    def look_up(self, ids: IntArray) -> FoundFaces:
        names = tuple(self.classes[label] for label in self.labels[ids].tolist())
        return FoundFaces(ids, names, ("",) * len(ids), self.embeddings[ids])

    def examples(self, name: str, limit: int) -> FloatArray:
        return self.embeddings[self.labels == self.classes.index(name)][:limit]
