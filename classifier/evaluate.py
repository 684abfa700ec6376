"""Scores a bundle on labelled faces: the head, the votes and the ensemble side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from classifier.bundle import Bundle
from classifier.metrics import PerClass, Scores, confusion, per_class
from classifier.recognizer import Recognizer
from embeddings.labelled import LabelledFaces, label_sets
from embeddings.labels import shared_columns

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """How good a bundle is on one data set and label set.

    Attributes:
        n: number of scored faces; those without a label, or with one that the bundle does not know, are left out.
        label_set: the label set that was predicted.
        classes: the classes scored, in the prediction's column order.
        head: scores of the calibrated head alone.
        knn: scores of the votes alone.
        ensemble: scores of the prediction.
        ensemble_without_twins: the same without faces of which a pixel-identical copy stands in another split.
        per_class: precision, recall and number of faces of each class, of the ensemble.
        confusion: `(C, C)` int64, the row is the true class, the column the predicted one, of the ensemble.
    """

    n: int
    label_set: str
    classes: tuple[str, ...]
    head: Scores
    knn: Scores
    ensemble: Scores
    ensemble_without_twins: Scores
    per_class: PerClass
    confusion: IntArray

    def to_json(self) -> dict[str, Any]:
        """Returns the evaluation as plain values, None where a score has no faces to be read on."""
        columns = zip(self.per_class.precision, self.per_class.recall, self.per_class.n, strict=True)
        return {
            "n": self.n,
            "label_set": self.label_set,
            **{name: getattr(self, name).to_json() for name in ("head", "knn", "ensemble", "ensemble_without_twins")},
            "per_class": {
                name: {"precision": float(precision), "recall": float(recall), "n": int(n)}
                for name, (precision, recall, n) in zip(self.classes, columns, strict=True)
            },
            "confusion": self.confusion.tolist(),
            "classes": list(self.classes),
        }


@dataclass(frozen=True, slots=True)
class Truth:
    """What the data set says, in terms of the prediction's classes.

    Attributes:
        labels: `(n,)` int64 into `columns`, -1 where a face has no label that the prediction knows.
        columns: `(m,)` int64, the prediction's columns that the data set knows too, ascending.
    """

    labels: IntArray
    columns: IntArray


def evaluate(
    bundle: Bundle,
    faces: LabelledFaces,
    labels: str | None = None,
    *,
    batch_size: int = 256,
    progress: Progress | None = None,
) -> Evaluation:
    """Predicts every face and scores the predictions.

    The truth is the data set's own label set of the same name where it has one. Otherwise classes are matched by
    canonical name, and only those that both sides know are scored: faces of other classes are left out and the
    probabilities are scaled to sum to 1 over the shared ones.

    Args:
        bundle: what is evaluated. Figures on faces that it was trained, indexed or calibrated on say nothing.
        faces: the labelled faces.
        labels: name of the bundle's label set to score; its default when None.
        batch_size: faces per call of the encoder.
        progress: called with the number of faces done and the total, after each batch.

    Raises:
        ValueError: an unknown label set, or a data set that shares no class with it.
    """
    recognizer = Recognizer(bundle, labels)
    truth = match_truth(faces, recognizer.label_set, recognizer.classes)
    scored = np.flatnonzero(truth.labels >= 0)
    if not len(scored):
        raise ValueError(
            f"faces: expected some that are labelled with one of {', '.join(recognizer.classes)}, "
            f"received {len(faces)} faces of {', '.join(faces.classes) or 'no class'}; choose another label set"
        )
    head, knn, ensemble = _predict(recognizer, faces.crops[scored], truth.columns, batch_size, progress)
    targets, predicted = truth.labels[scored], ensemble.argmax(axis=1).astype(np.int64)
    alone = ~faces.twin[scored]
    return Evaluation(
        n=len(scored),
        label_set=recognizer.label_set,
        classes=tuple(recognizer.classes[column] for column in truth.columns),
        head=Scores.of(head, targets),
        knn=Scores.of(knn, targets),
        ensemble=Scores.of(ensemble, targets),
        ensemble_without_twins=Scores.of(ensemble[alone], targets[alone]),
        per_class=per_class(predicted, targets, len(truth.columns)),
        confusion=confusion(predicted, targets, len(truth.columns)),
    )


def match_truth(faces: LabelledFaces, label_set: str, classes: tuple[str, ...]) -> Truth:
    """Finds out what the data set says about each face, in a prediction's classes.

    Args:
        faces: the labelled faces.
        label_set: name of the prediction's label set.
        classes: the prediction's classes, in column order.

    Raises:
        ValueError: two classes of one side mean the same expression.
    """
    offered = label_sets(faces)
    if label_set in offered:
        labels, own_classes = offered[label_set].labels, offered[label_set].classes
    else:
        labels, own_classes = faces.labels, faces.classes
    shared = shared_columns(classes, own_classes)
    # One more place than there are classes: a face without a label, -1, reads the last.
    position = np.full(len(own_classes) + 1, -1, np.int64)
    position[shared.to_columns] = np.arange(len(shared.names))
    return Truth(position[labels], shared.from_columns)


def _predict(
    recognizer: Recognizer,
    crops: npt.NDArray[np.uint8],
    columns: IntArray,
    batch_size: int,
    progress: Progress | None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Returns the probabilities of head, votes and ensemble over the chosen columns, each `(n, m)`."""
    head, knn, ensemble = (np.empty((len(crops), len(columns)), np.float32) for _ in range(3))
    for start in range(0, len(crops), batch_size):
        rows = slice(start, start + batch_size)
        prediction = recognizer.predict(crops[rows])
        head[rows] = _restrict(prediction.head_proba, columns)
        knn[rows] = _restrict(prediction.knn_proba, columns)
        ensemble[rows] = _restrict(prediction.proba, columns)
        if progress is not None:
            progress(min(start + batch_size, len(crops)), len(crops))
    return head, knn, ensemble


def _restrict(proba: FloatArray, columns: IntArray) -> FloatArray:
    """Keeps some columns and scales the rows to sum to 1; a row that has nothing in them is uniform."""
    kept = proba[:, columns]
    mass = kept.sum(axis=1, keepdims=True)
    return np.where(mass > 0, kept / np.where(mass > 0, mass, 1.0), np.float32(1.0 / len(columns)))
