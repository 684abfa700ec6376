"""Evaluate a bundle on labelled faces: accuracy and calibration of the head, the votes and the ensemble."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.arrays import BoolArray, ByteArray, DoubleArray, FloatArray, IntArray
from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.metrics import Coverage, PerClass, Retrieval, Scores, confusion, per_class, retrieval
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.data.labelled import LabelledFaces, label_sets
from moodspace.embeddings.data.labels import shared_columns
from moodspace.embeddings.detection.quality import assess_crops_alone
from moodspace.embeddings.encoder import BATCH, Encoded, Progress, encode_all


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """The labels of a data set, as columns of a prediction.

    Attributes:
        labels: `(n,)` int64, columns of the prediction; -1 where a face has no label that the prediction knows.
        columns: `(m,)` int64, the prediction's columns that the data set has too, ascending.
    """

    labels: IntArray
    columns: IntArray


def match_truth(faces: LabelledFaces, label_set: str, classes: tuple[str, ...]) -> GroundTruth:
    """Match the labels of a data set to the classes of a prediction.

    If the data set has a label set of this name, its labels are used; otherwise its classes are matched by canonical
    name.

    Args:
        faces: The labelled faces.
        label_set: Name of the prediction's label set.
        classes: The prediction's classes, in column order.

    Raises:
        ValueError: Two classes of one side have the same canonical name.
    """
    own = label_sets(faces).get(label_set)
    labels, own_classes = (faces.labels, faces.classes) if own is None else (own.labels, own.classes)
    shared = shared_columns(classes, own_classes)
    # One element more than classes: index -1, for a face without a label, reads the last.
    column_of = np.full(len(own_classes) + 1, -1, np.int64)
    column_of[shared.to_columns] = shared.from_columns
    return GroundTruth(column_of[labels], shared.from_columns)


def compared_labels(faces: LabelledFaces, label_set: str) -> str:
    """Return the data set's label set that a prediction is compared with: the one of its name, or else the first."""
    sets = list(label_sets(faces))
    return label_set if label_set in sets else sets[0]


_SCORED = ("head", "knn", "ensemble", "ensemble_without_twins")


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The scores of a bundle on one data set and label set.

    Attributes:
        n: Number of scored faces. Faces without a label, or with one that the bundle does not know, are left out.
        left_out: Number of left-out faces by class, for classes that the bundle does not know.
        unlabelled: Number of left-out faces without a label.
        label_set: The label set that was predicted.
        classes: The classes scored, in the prediction's column order.
        head: Scores of the calibrated head alone.
        knn: Scores of the votes alone.
        ensemble: Scores of the prediction.
        ensemble_without_twins: The same without faces that have a pixel-identical copy in another split.
        retrieval: Retrieval metrics of the embedding among the scored faces.
        coverage: Accuracy of the ensemble by coverage.
        per_class: Precision, recall and number of faces of each class, of the ensemble.
        confusion: `(C, C)` int64, true classes in rows, predicted ones in columns, of the ensemble.
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
        """Return the evaluation as plain values; None for a score without faces."""
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
    """The predictions of a bundle for the n faces of a data set that have a label it knows.

    Attributes:
        label_set: The view that was predicted.
        classes: The C classes scored, in the prediction's column order.
        rows: `(n,)` int64, the rows of these faces in the data set, ascending.
        truth: `(n,)` int64, their labels as columns of `classes`.
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
    prior: DoubleArray | None = None,
    progress: Progress | None = None,
) -> ScoredFaces:
    """Predict every face whose label the bundle knows.

    The truth is the data set's label set of the same name, if it has one. Otherwise classes are matched by canonical
    name and only the shared ones are scored: faces of other classes are left out, and the probabilities are scaled to
    sum to 1 over the shared classes.

    Args:
        bundle: The bundle. Do not evaluate it on faces that it was trained, indexed or calibrated on.
        faces: The labelled faces.
        labels: The view to score: a label set or "blend". None for the bundle's default.
        encoded: All `faces` as the bundle's encoder encodes them; saves encoding again to score several views.
        prior: How common each class is, as for `Recognizer`.
        progress: Called with the number of faces done and the total, after each batch.

    Raises:
        ValueError: The view is unknown, or the data set shares no class with it.
    """
    recognizer = Recognizer(bundle, labels, prior=prior)
    truth = match_truth(faces, recognizer.label_set, recognizer.classes)
    scored = np.flatnonzero(truth.labels >= 0)
    if not len(scored):
        raise ValueError(
            f"faces: expected faces labelled with one of {', '.join(recognizer.classes)}, "
            f"got {len(faces)} faces of {', '.join(faces.classes) or 'no class'}; choose another label set"
        )
    encoded = encode_all(bundle.encoder, faces.crops[scored], progress) if encoded is None else encoded.take(scored)
    *probas, unknown = _predict(recognizer, encoded, faces.crops[scored])
    head, knn, ensemble = (_restrict(proba, truth.columns) for proba in probas)
    return ScoredFaces(
        label_set=recognizer.label_set,
        classes=tuple(recognizer.classes[column] for column in truth.columns),
        rows=scored,
        # Positions among the shared columns, which ascend.
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
    prior: DoubleArray | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Predict and score every face. Arguments and errors are those of `score_faces`."""
    return score(score_faces(bundle, faces, labels, encoded=encoded, prior=prior, progress=progress), faces)


def score(scored: ScoredFaces, faces: LabelledFaces) -> Evaluation:
    """Score the predictions for a data set's faces."""
    targets, ensemble = scored.truth, scored.ensemble
    predicted, alone = ensemble.argmax(axis=1).astype(np.int64), ~faces.twin[scored.rows]
    left_out = _left_out(scored, faces)
    return Evaluation(
        n=len(targets),
        left_out=left_out,
        unlabelled=len(faces) - len(targets) - sum(left_out.values()),
        label_set=scored.label_set,
        classes=scored.classes,
        head=Scores.of(scored.head, targets),
        knn=Scores.of(scored.knn, targets),
        ensemble=Scores.of(ensemble, targets),
        ensemble_without_twins=Scores.of(ensemble[alone], targets[alone]),
        retrieval=retrieval(scored.embeddings, targets),
        coverage=Coverage.of(ensemble, targets, scored.unknown),
        per_class=per_class(predicted, targets, len(scored.classes)),
        confusion=confusion(predicted, targets, len(scored.classes)),
    )


def _left_out(scored: ScoredFaces, faces: LabelledFaces) -> dict[str, int]:
    """Return the number of left-out faces of each class that the prediction does not know."""
    own = label_sets(faces).get(scored.label_set)
    labels, classes = (faces.labels, faces.classes) if own is None else (own.labels, own.classes)
    labels = np.delete(labels, scored.rows)
    counts = np.bincount(labels[labels >= 0], minlength=len(classes))
    return {name: int(count) for name, count in zip(classes, counts, strict=True) if count}


def _predict(recognizer: Recognizer, encoded: Encoded, crops: ByteArray) -> list[npt.NDArray[Any]]:
    """Return the probabilities of head, votes and ensemble, each `(n, C)`, and `unknown`, `(n,)` bool."""
    parts = []
    for start in range(0, len(encoded), BATCH):
        rows = slice(start, start + BATCH)
        found = recognizer.predict_encoded(encoded.take(rows), quality=assess_crops_alone(crops[rows]))
        # The neighbors are not kept: for a whole data set they would take hundreds of megabytes.
        parts.append((found.head_proba, found.knn_proba, found.proba, found.unknown))
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _restrict(proba: FloatArray, columns: IntArray) -> FloatArray:
    """Keep some columns and scale the rows to sum to 1; a row that is 0 in all of them becomes uniform."""
    kept = proba[:, columns]
    mass = kept.sum(axis=1, keepdims=True)
    return np.where(mass > 0, kept / np.where(mass > 0, mass, 1.0), np.float32(1.0 / len(columns)))
