"""Faces whose label is likely wrong: where a classifier that never saw the label is sure of another one.

Confident learning: the probabilities of each face come from a classifier that was fitted to other faces; a class's
threshold is the mean probability that its own faces get for it; a face is a likely error when a class other than its
label reaches that class's threshold and is the most probable that does.

The classifier is a softmax regression on the embeddings, as the head of a network is; five folds take three seconds on
32,000 faces. Faces that the network itself learned from are judged among themselves: it has learned most of their
labels by heart, so that few of their errors show and what is uncertain elsewhere looks certain there.

Source:
    Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", Journal of Artificial
    Intelligence Research 70, 2021.
"""

from dataclasses import dataclass

import numpy as np

from moodspace.arrays import BoolArray, DoubleArray, FloatArray, IntArray

FOLDS = 5
# A class with fewer faces cannot be learned, so nothing is said about its faces.
LEAST = 10
# Of 1e-3, 3e-3 and 1e-2 the one whose 50 likeliest errors in FER2013 the people of FER+ confirm most often: for 45 they
# chose the suggested expression, for one the label.
_RIDGE = 1e-2


@dataclass(frozen=True, slots=True, eq=False)
class LabelErrors:
    """What a classifier that did not see a face's label says about it.

    Attributes:
        proba: `(n, C)` float32, rows sum to 1; all zero where a face was not judged.
        judged: `(n,)` bool: faces of classes with at least `LEAST` faces to learn from, where there are two such.
        learned: `(n,)` bool, whether the network that made the embeddings was trained on the face.
        rows: `(m,)` int64, the faces whose label is likely wrong, likeliest first.
        suggested: `(m,)` int64, the class that each shows more likely.
    """

    proba: FloatArray
    judged: BoolArray
    learned: BoolArray
    rows: IntArray
    suggested: IntArray

    def agreement(self, labels: IntArray, learned: bool) -> float | None:
        """Share of judged faces whose label is the most probable, of those the network learned from or the others."""
        asked = self.judged & (self.learned == learned)
        return float((self.proba[asked].argmax(axis=1) == labels[asked]).mean()) if asked.any() else None


def find_label_errors(
    embeddings: FloatArray, labels: IntArray, families: IntArray, learned: BoolArray, n_classes: int
) -> LabelErrors:
    """Judges each face by a classifier fitted to others, and lists those whose label is likely wrong.

    Args:
        embeddings: `(n, d)` float32, unit rows.
        labels: `(n,)` int64, from 0 to `n_classes - 1`.
        families: `(n,)` int64, equal for copies of one photograph; they are all seen or all left out.
        learned: `(n,)` bool, whether the network that made the embeddings was trained on the face.
        n_classes: C.
    """
    proba, judged = np.zeros((len(labels), n_classes), np.float32), np.zeros(len(labels), bool)
    rows, suggested, margins = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    for group in (learned, ~learned):
        asked = group & (np.bincount(labels[group], minlength=n_classes) >= LEAST)[labels]
        present, own = np.unique(labels[asked], return_inverse=True)
        if len(present) < 2:
            continue
        found = _unseen(embeddings[asked], own, families[asked], len(present))
        wrong, better = confident_errors(found, own)
        proba[np.ix_(asked, present)] = found
        judged |= asked
        rows.append(np.flatnonzero(asked)[wrong])
        suggested.append(present[better])
        margins.append(found[wrong, better] - found[wrong, own[wrong]])
    order = np.argsort(-np.concatenate(margins), kind="stable")
    return LabelErrors(proba, judged, learned, np.concatenate(rows)[order], np.concatenate(suggested)[order])


def confident_errors(proba: DoubleArray, labels: IntArray) -> tuple[IntArray, IntArray]:
    """Lists rows whose label is likely wrong, by confident learning, and the class that each more likely has.

    Args:
        proba: `(n, C)` float64, rows sum to 1, each from a classifier that was not fitted to that row.
        labels: `(n,)` int64; each class has at least one row.
    """
    thresholds = np.array([proba[labels == column, column].mean() for column in range(proba.shape[1])])
    sure = np.where(proba >= thresholds, proba, 0)
    best = sure.argmax(axis=1)
    # That the label's own column is sure but less so does not save it; that the mode is another one without being sure
    # does not condemn it.
    wrong = np.flatnonzero((sure.max(axis=1) > 0) & (best != labels) & (proba.argmax(axis=1) == best))
    return wrong, best[wrong]


def _unseen(embeddings: FloatArray, labels: IntArray, families: IntArray, n_classes: int) -> DoubleArray:
    """Returns `(n, C)` probabilities of each face, by a classifier fitted to the other folds."""
    names, family = np.unique(families, return_inverse=True)
    fold = (np.random.default_rng(0).permutation(len(names)) % FOLDS)[family]
    features = np.column_stack([embeddings, np.ones(len(embeddings), np.float32)])
    proba = np.full((len(labels), n_classes), 1 / n_classes)
    for number in range(FOLDS):
        held = fold == number
        if held.any() and not held.all():
            weights = _fit(features[~held], labels[~held], n_classes)
            proba[held] = _softmax(features[held] @ weights)
    return proba


def _fit(features: FloatArray, labels: IntArray, n_classes: int) -> FloatArray:
    """Fits a softmax regression with a ridge penalty; returns `(d, C)` weights."""
    from scipy.optimize import minimize

    wanted = np.eye(n_classes, dtype=np.float32)[labels]
    shape = (features.shape[1], n_classes)

    def loss(flat: DoubleArray) -> tuple[float, DoubleArray]:
        weights = flat.reshape(shape).astype(np.float32)
        proba = _softmax(features @ weights)
        likelihood = np.log(np.maximum(proba[np.arange(len(labels)), labels], 1e-30)).mean(dtype=np.float64)
        slope = features.T @ (proba - wanted) / np.float32(len(labels)) + _RIDGE * weights
        return float(_RIDGE / 2 * np.square(flat).sum() - likelihood), slope.ravel().astype(np.float64)

    fitted = minimize(loss, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 60})
    return fitted.x.reshape(shape).astype(np.float32)


def _softmax(scores: FloatArray) -> FloatArray:
    scores = scores - scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores
