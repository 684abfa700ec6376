"""Metrics: accuracy, F1, calibration error, log loss, coverage of predictions, and retrieval of embeddings."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.arrays import BoolArray, DoubleArray, FloatArray, IntArray

# A vote share may be exactly 0 for the true class. This floor, float32's resolution as in scikit-learn's log_loss,
# keeps the likelihood finite: such a face costs 15.9 nats.
PROBA_FLOOR = float(np.finfo(np.float32).eps)

# The shares of faces, most confident first, at which accuracy is reported.
COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.5)


@dataclass(frozen=True, slots=True)
class PerClass:
    """One value per class, in the classes' column order.

    Attributes:
        precision: `(C,)` share of the class's predictions that are right; 0 if it was never predicted.
        recall: `(C,)` share of the class's faces that were predicted as it; 0 if it has no faces.
        n: `(C,)` number of faces of the class.
    """

    precision: DoubleArray
    recall: DoubleArray
    n: IntArray


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """The error rate among the most confident faces, by the share of faces that are answered.

    Attributes:
        coverage: `(m,)` share of faces answered, ascending, one step per distinct confidence.
        risk: `(m,)` share of wrong answers among them.
        threshold: `(m,)` the lowest confidence answered.
    """

    coverage: DoubleArray
    risk: DoubleArray
    threshold: DoubleArray


def accuracy(predicted: IntArray, labels: IntArray) -> float:
    """Return the share of rows where `predicted` equals `labels`; both `(n,)` int64."""
    return float(np.mean(predicted == labels)) if len(labels) else float("nan")


def wilson(right: float, n: int, *, z: float = 1.959964) -> tuple[float, float]:
    """Return the confidence interval of an accuracy that was measured on n faces (Wilson, JASA 1927).

    Args:
        right: Share of right answers, in [0, 1].
        n: Number of faces; for 0 the interval is [0, 1].
        z: Quantile of the normal distribution; the default gives 95 %.

    Example:
        >>> [round(end, 2) for end in wilson(0.5, 10)]
        [0.24, 0.76]
    """
    if not n:
        return 0.0, 1.0
    middle = (right + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(right * (1 - right) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def confusion(predicted: IntArray, labels: IntArray, n_classes: int) -> IntArray:
    """Return the confusion matrix, `(C, C)` int64: true classes in rows, predicted ones in columns."""
    cells = labels * n_classes + predicted
    return np.bincount(cells, minlength=n_classes * n_classes).reshape(n_classes, n_classes).astype(np.int64)


def per_class(predicted: IntArray, labels: IntArray, n_classes: int) -> PerClass:
    """Return precision, recall and number of faces of each class."""
    counts = confusion(predicted, labels, n_classes)
    hits = np.diag(counts).astype(np.float64)
    n_predicted, n_true = counts.sum(axis=0), counts.sum(axis=1)
    return PerClass(hits / np.maximum(n_predicted, 1), hits / np.maximum(n_true, 1), n_true)


def macro_f1(predicted: IntArray, labels: IntArray, n_classes: int) -> float:
    """Return the mean F1 over the classes that occur in the truth or among the predictions.

    All of them have the same weight. A class that occurs in neither has no F1 and is left out, as in scikit-learn's
    `f1_score(average="macro")`.
    """
    counts = confusion(predicted, labels, n_classes)
    mass = counts.sum(axis=0) + counts.sum(axis=1)
    occurring = mass > 0
    return float(np.mean(2.0 * np.diag(counts)[occurring] / mass[occurring])) if occurring.any() else float("nan")


def nll(proba: npt.NDArray[np.floating], labels: IntArray) -> float:
    """Return the mean negative log-likelihood of the true class, in nats.

    Args:
        proba: `(n, C)`, rows sum to 1. A true class below `PROBA_FLOOR` counts as that floor.
        labels: `(n,)` int64 in [0, C).
    """
    if not len(labels):
        return float("nan")
    true = proba[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.mean(np.log(np.maximum(true, PROBA_FLOOR))))


def confidence_gap(proba: npt.NDArray[np.floating], labels: IntArray) -> float:
    """Return the mean confidence minus the accuracy; positive if the predictions are too sure.

    Args:
        proba: `(n, C)`, rows sum to 1.
        labels: `(n,)` int64 in [0, C).

    Returns:
        In [-1, 1]; NaN without faces.
    """
    if not len(labels):
        return float("nan")
    return float(proba.max(axis=1).mean(dtype=np.float64)) - accuracy(proba.argmax(axis=1).astype(np.int64), labels)


def ece(proba: npt.NDArray[np.floating], labels: IntArray, *, bins: int = 15) -> float:
    """Return the expected calibration error of the most probable class.

    Faces are sorted into `bins` equal-width bins of confidence, `(i/bins, (i+1)/bins]`; the error is the mean over
    faces of the gap between their bin's mean confidence and its accuracy (Guo et al., On Calibration of Modern Neural
    Networks, ICML 2017, equation 3).

    Args:
        proba: `(n, C)`, rows sum to 1.
        labels: `(n,)` int64 in [0, C).
        bins: Number of bins.
    """
    if not len(labels):
        return float("nan")
    confidence = proba.max(axis=1).astype(np.float64)
    right = proba.argmax(axis=1) == labels
    bin_of = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def risk_coverage(proba: npt.NDArray[np.floating], labels: IntArray) -> RiskCoverage:
    """Return the error rate among the most confident faces, for every coverage.

    Faces of equal confidence are answered together, so that the curve does not depend on their order (El-Yaniv and
    Wiener, On the Foundations of Noise-free Selective Classification, JMLR 2010).

    Args:
        proba: `(n, C)`, rows sum to 1.
        labels: `(n,)` int64 in [0, C).
    """
    confidence = proba.max(axis=1).astype(np.float64)
    order = np.argsort(-confidence, kind="stable")
    confidence, wrong = confidence[order], (proba.argmax(axis=1) != labels)[order]
    answered = np.arange(1, len(labels) + 1)
    last_of_ties = np.append(np.diff(confidence) != 0, True)[: len(labels)]
    risk = np.cumsum(wrong) / answered
    return RiskCoverage(answered[last_of_ties] / max(len(labels), 1), risk[last_of_ties], confidence[last_of_ties])


@dataclass(frozen=True, slots=True)
class Coverage:
    """Accuracy when the least confident faces are left out.

    Attributes:
        accuracy_at: For each share of `COVERAGES` the accuracy among that share of the faces, the most confident ones;
            ties with the last one are included.
        known: Share of faces that are not called unknown.
        known_accuracy: Accuracy among them.
    """

    accuracy_at: tuple[float, ...]
    known: float
    known_accuracy: float

    def to_json(self) -> dict[str, Any]:
        """Return the figures by name, `accuracy_at` by percentage of faces; None for NaN, which JSON lacks."""
        at = {f"{share:.0%}": _or_none(value) for share, value in zip(COVERAGES, self.accuracy_at, strict=True)}
        return {"accuracy_at": at, "known": _or_none(self.known), "known_accuracy": _or_none(self.known_accuracy)}

    @classmethod
    def of(cls, proba: npt.NDArray[np.floating], labels: IntArray, unknown: BoolArray) -> "Coverage":
        """Measure coverage on `(n, C)` probabilities, `(n,)` labels in [0, C) and `(n,)` bool `unknown`."""
        if not len(labels):
            return cls((math.nan,) * len(COVERAGES), math.nan, math.nan)
        curve = risk_coverage(proba, labels)
        steps = np.searchsorted(curve.coverage, np.array(COVERAGES) - 1e-9)  # tolerance for rounding
        predicted = proba.argmax(axis=1).astype(np.int64)
        return cls(
            tuple((1.0 - curve.risk[steps]).tolist()),
            float(np.mean(~unknown)),
            accuracy(predicted[~unknown], labels[~unknown]),
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """Accuracy, macro-F1, expected calibration error (15 bins) and mean negative log-likelihood (nats)."""

    accuracy: float
    macro_f1: float
    ece: float
    nll: float

    def to_json(self) -> dict[str, float | None]:
        """Return the scores by name; None for NaN, which JSON lacks."""
        return {name: _or_none(value) for name, value in asdict(self).items()}

    @classmethod
    def of(cls, proba: npt.NDArray[np.floating], labels: IntArray) -> "Scores":
        """Score `(n, C)` probabilities against `(n,)` labels in [0, C)."""
        predicted = proba.argmax(axis=1).astype(np.int64)
        return cls(
            accuracy(predicted, labels),
            macro_f1(predicted, labels, proba.shape[1]),
            ece(proba, labels),
            nll(proba, labels),
        )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


# Queries per block of similarities.
_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Retrieval metrics: each face of a data set is a query to all others.

    Attributes:
        recall_at_1: Share of faces whose nearest other face has their label, in [0, 1]; NaN without faces.
        recall_at_5: Share with at least one such face among the 5 nearest.
        map_at_r: Mean average precision at R, the number of other faces with the label: the mean over the first R
            ranks of the precision at each rank that has such a face (Musgrave, Belongie and Lim, "A Metric Learning
            Reality Check", ECCV 2020).
    """

    recall_at_1: float
    recall_at_5: float
    map_at_r: float

    def to_json(self) -> dict[str, float | None]:
        """Return the metrics by name; None for NaN, which JSON lacks."""
        return {name: _or_none(value) for name, value in asdict(self).items()}


def retrieval(embeddings: FloatArray, labels: IntArray) -> Retrieval:
    """Measure retrieval by cosine similarity; a face is never its own neighbor.

    Faces whose label no other face has are no queries, but stay in the gallery.

    Args:
        embeddings: `(n, d)` float32 unit rows.
        labels: `(n,)` int64.
    """
    counts = np.bincount(labels, minlength=1)[labels] - 1 if len(labels) else np.zeros(0, np.int64)
    queries = np.flatnonzero(counts > 0)
    if not len(queries):
        return Retrieval(np.nan, np.nan, np.nan)
    parts = [
        _hits(embeddings, labels, counts, queries[start : start + _CHUNK]) for start in range(0, len(queries), _CHUNK)
    ]
    return Retrieval(*(float(column) for column in np.concatenate(parts).mean(axis=0)))


def _hits(embeddings: FloatArray, labels: IntArray, counts: IntArray, rows: IntArray) -> DoubleArray:
    """Return `(m, 3)` for the queries in `rows`: hit at 1, hit among 5, average precision at R."""
    similarities = embeddings[rows] @ embeddings.T
    similarities[np.arange(len(rows)), rows] = -np.inf
    deepest = min(max(int(counts[rows].max()), 5), len(labels) - 1)
    nearest = np.argpartition(-similarities, deepest - 1, axis=1)[:, :deepest]
    order = np.argsort(-np.take_along_axis(similarities, nearest, axis=1), axis=1, kind="stable")
    same = labels[np.take_along_axis(nearest, order, axis=1)] == labels[rows][:, None]
    places = np.arange(1, deepest + 1)
    counted = same & (places <= counts[rows][:, None])
    precision = (np.cumsum(same, axis=1) / places * counted).sum(axis=1) / counts[rows]
    return np.stack([same[:, 0], same[:, :5].any(axis=1), precision], axis=1)
