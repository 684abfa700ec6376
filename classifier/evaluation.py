"""Score a bundle on labelled faces: the head, the votes and the ensemble side by side."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.arrays import BoolArray, FloatArray, IntArray
from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.metrics import Coverage, PerClass, Retrieval, Scores, confusion, per_class, retrieval
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.data.labelled import LabelledFaces, label_sets
from moodspace.embeddings.data.labels import shared_columns
from moodspace.embeddings.encoder import BATCH, Encoded, Progress, encode_all


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """What the data set says, in terms of the prediction's classes.

    Attributes:
        labels: `(n,)` int64, a column of the prediction; -1 where a face has no label that the prediction knows.
        columns: `(m,)` int64, the prediction's columns that the data set knows too, ascending.
    """

    labels: IntArray
    columns: IntArray


def match_truth(faces: LabelledFaces, label_set: str, classes: tuple[str, ...]) -> GroundTruth:
    """Find out what the data set says about each face, in a prediction's classes.

    A label set that the data offer by name is read as it is; otherwise their own classes are matched by canonical name.

    Args:
        faces: The labelled faces.
        label_set: Name of the prediction's label set.
        classes: The prediction's classes, in column order.

    Raises:
        ValueError: Two classes of one side mean the same expression.
    """
    own = label_sets(faces).get(label_set)
    labels, own_classes = (faces.labels, faces.classes) if own is None else (own.labels, own.classes)
    shared = shared_columns(classes, own_classes)
    # One more place than there are classes: a face without a label, -1, reads the last.
    column_of = np.full(len(own_classes) + 1, -1, np.int64)
    column_of[shared.to_columns] = shared.from_columns
    return GroundTruth(column_of[labels], shared.from_columns)


def compared_labels(faces: LabelledFaces, label_set: str) -> str:
    """Return the name of the data's label set that a prediction is compared with: its own, or else their first."""
    sets = list(label_sets(faces))
    return label_set if label_set in sets else sets[0]


_SCORED = ("head", "knn", "ensemble", "ensemble_without_twins")


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """How good a bundle is on one data set and label set.

    Attributes:
        n: Number of scored faces; those without a label, or with one that the bundle does not know, are left out.
        left_out: How many faces of each class that the bundle does not know were left out.
        unlabelled: How many faces without a label were left out.
        label_set: The label set that was predicted.
        classes: The classes scored, in the prediction's column order.
        head: Scores of the calibrated head alone.
        knn: Scores of the votes alone.
        ensemble: Scores of the prediction.
        ensemble_without_twins: The same without faces of which a pixel-identical copy stands in another split.
        retrieval: How well the embedding finds scored faces with the same label among each other.
        coverage: How accurate the ensemble is on the faces that it answers, of all scored ones.
        per_class: Precision, recall and number of faces of each class, of the ensemble.
        confusion: `(C, C)` int64, the row is the true class, the column the predicted one, of the ensemble.
    """

    n: int
    left_out: dict[str, int]
    unlabelled: int
    label_set: str
    classes: tuple[str, ...]
    head: Scores
    knn: Scores
    ensemble: Scores
    ensemble_without_twins: Scores
    retrieval: Retrieval
    coverage: Coverage
    per_class: PerClass
    confusion: IntArray

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as plain values, None where a score has no faces to be read on."""
        columns = zip(self.per_class.precision, self.per_class.recall, self.per_class.n, strict=True)
        return {
            "n": self.n,
            "left_out": {
                "n": sum(self.left_out.values()) + self.unlabelled,
                "classes": self.left_out,
                "unlabelled": self.unlabelled,
            },
            "label_set": self.label_set,
            **{name: getattr(self, name).to_json() for name in _SCORED},
            "retrieval": self.retrieval.to_json(),
            "coverage": self.coverage.to_json(),
            "per_class": {
                name: {"precision": float(precision), "recall": float(recall), "n": int(n)}
                for name, (precision, recall, n) in zip(self.classes, columns, strict=True)
            },
            "confusion": self.confusion.tolist(),
            "classes": list(self.classes),
        }


@dataclass(frozen=True, slots=True, eq=False)
class ScoredFaces:
    """What a bundle predicts for the n faces of a data set that can be scored.

    Attributes:
        label_set: The view that was predicted.
        classes: The C classes scored, in the prediction's column order.
        rows: `(n,)` int64, which faces of the data set these are, ascending.
        truth: `(n,)` int64, what they show, a column of `classes`.
        head, knn, ensemble: `(n, C)` float32, rows sum to 1.
        unknown: `(n,)` bool.
        embeddings: `(n, d)` float32 unit rows.
    """

    label_set: str
    classes: tuple[str, ...]
    rows: IntArray
    truth: IntArray
    head: FloatArray
    knn: FloatArray
    ensemble: FloatArray
    unknown: BoolArray
    embeddings: FloatArray


def score_faces(
    bundle: Bundle,
    faces: LabelledFaces,
    labels: str | None = None,
    *,
    encoded: Encoded | None = None,
    progress: Progress | None = None,
) -> ScoredFaces:
    """Predict every face whose label the bundle knows.

    The truth is the data set's own label set of the same name where it has one. Otherwise classes are matched by
    canonical name, and only those that both sides know are scored: faces of other classes are left out and the
    probabilities are scaled to sum to 1 over the shared ones.

    Args:
        bundle: What is evaluated. Figures on faces that it was trained, indexed or calibrated on say nothing.
        faces: The labelled faces.
        labels: Name of the bundle's view to score, a label set or the blend; its default when None.
        encoded: What the bundle's encoder says of all `faces`, where that is known already; to score several views.
        progress: Called with the number of faces done and the total, after each batch.

    Raises:
        ValueError: An unknown view, or a data set that shares no class with it.
    """
    recognizer = Recognizer(bundle, labels)
    truth = match_truth(faces, recognizer.label_set, recognizer.classes)
    scored = np.flatnonzero(truth.labels >= 0)
    if not len(scored):
        raise ValueError(
            f"faces: expected some that are labelled with one of {', '.join(recognizer.classes)}, "
            f"got {len(faces)} faces of {', '.join(faces.classes) or 'no class'}; choose another label set"
        )
    encoded = encode_all(bundle.encoder, faces.crops[scored], progress) if encoded is None else encoded.take(scored)
    *witnesses, unknown = _judge(recognizer, encoded)
    head, knn, ensemble = (_restrict(proba, truth.columns) for proba in witnesses)
    return ScoredFaces(
        label_set=recognizer.label_set,
        classes=tuple(recognizer.classes[column] for column in truth.columns),
        rows=scored,
        # Places among the shared columns, which ascend.
        truth=np.searchsorted(truth.columns, truth.labels[scored]),
        head=head,
        knn=knn,
        ensemble=ensemble,
        unknown=unknown,
        embeddings=encoded.embeddings,
    )


def evaluate(
    bundle: Bundle,
    faces: LabelledFaces,
    labels: str | None = None,
    *,
    encoded: Encoded | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Predict every face and scores the predictions; arguments and errors are those of `score_faces`."""
    return score(score_faces(bundle, faces, labels, encoded=encoded, progress=progress), faces)


def score(judged: ScoredFaces, faces: LabelledFaces) -> Evaluation:
    """Score predictions of a data set's faces."""
    targets, ensemble = judged.truth, judged.ensemble
    predicted, alone = ensemble.argmax(axis=1).astype(np.int64), ~faces.twin[judged.rows]
    left_out = _left_out(judged, faces)
    return Evaluation(
        n=len(targets),
        left_out=left_out,
        unlabelled=len(faces) - len(targets) - sum(left_out.values()),
        label_set=judged.label_set,
        classes=judged.classes,
        head=Scores.of(judged.head, targets),
        knn=Scores.of(judged.knn, targets),
        ensemble=Scores.of(ensemble, targets),
        ensemble_without_twins=Scores.of(ensemble[alone], targets[alone]),
        retrieval=retrieval(judged.embeddings, targets),
        coverage=Coverage.of(ensemble, targets, judged.unknown),
        per_class=per_class(predicted, targets, len(judged.classes)),
        confusion=confusion(predicted, targets, len(judged.classes)),
    )


def _left_out(judged: ScoredFaces, faces: LabelledFaces) -> dict[str, int]:
    """Return how many faces of each class were left out because the prediction does not know it."""
    own = label_sets(faces).get(judged.label_set)
    labels, classes = (faces.labels, faces.classes) if own is None else (own.labels, own.classes)
    labels = np.delete(labels, judged.rows)
    counts = np.bincount(labels[labels >= 0], minlength=len(classes))
    return {name: int(count) for name, count in zip(classes, counts, strict=True) if count}


def _judge(recognizer: Recognizer, encoded: Encoded) -> list[npt.NDArray[Any]]:
    """Return the probabilities of head, votes and ensemble, each `(n, C)`, and who is unknown, `(n,)` bool."""
    parts = []
    for start in range(0, len(encoded), BATCH):
        found = recognizer.predict_encoded(encoded.take(slice(start, start + BATCH)))
        # The neighbors are let go: over a whole data set they would take hundreds of megabytes.
        parts.append((found.head_proba, found.knn_proba, found.proba, found.unknown))
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _restrict(proba: FloatArray, columns: IntArray) -> FloatArray:
    """Keep some columns and scales the rows to sum to 1; a row that has nothing in them is uniform."""
    kept = proba[:, columns]
    mass = kept.sum(axis=1, keepdims=True)
    return np.where(mass > 0, kept / np.where(mass > 0, mass, 1.0), np.float32(1.0 / len(columns)))
