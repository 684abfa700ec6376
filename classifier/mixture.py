"""Fit the blend of several label sets on scenes: labelled faces of different kinds.

The fit is a multinomial logistic regression on the log probabilities of all label sets (Wolpert, "Stacked
generalization", Neural Networks 1992). The same faces may be two scenes with different labels. Where the labels
contradict each other, the fit is a compromise by the weights of the scenes. A ridge keeps the weights near the
geometric mean of the label sets, so that a class that is rare in all scenes keeps its meaning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from moodspace.arrays import BoolArray, DoubleArray, IntArray
from moodspace.classifier.fitting import assign_folds
from moodspace.classifier.views import Blend, Classes, log_evidence

# Factor of the squared distance from the geometric mean. Ten times more or less changes no figure in docs/results.md by
# more than half a point.
_RIDGE = 3e-3
# In a balanced scene a class with fewer faces than this counts as if it had so many.
_FEW = 20


@dataclass(frozen=True, slots=True)
class Scene:
    """Labelled faces of one kind, and how much they count in the fit.

    Attributes:
        proba: For each label set `(n, C_set)`, rows sum to 1.
        labels: `(n,)` int64, columns of the blend, -1 for none.
        weight: Weight of the whole scene relative to others.
        balanced: Weight each class by the square root of its number of faces, not by the number.
    """

    proba: Mapping[str, npt.NDArray[np.floating]]
    labels: IntArray
    weight: float = 1.0
    balanced: bool = False

    def take(self, rows: BoolArray) -> "Scene":
        """Return some of the faces, by mask."""
        return replace(self, proba={name: p[rows] for name, p in self.proba.items()}, labels=self.labels[rows])


def fit_mixture(blend: Blend, classes: Classes, scenes: Sequence[Scene]) -> Blend:
    """Return the blend with the weights and the bias that make the labels of the scenes most likely.

    Args:
        blend: Its classes and label sets are kept; its temperature becomes 1.
        classes: Class names of each label set, in column order.
        scenes: Labelled faces. Faces without a label are left out.
    """
    scenes = [scene.take(scene.labels >= 0) for scene in scenes]
    names = list(blend.shares)
    logs = np.concatenate([np.hstack([log_evidence(scene.proba[name]) for name in names]) for scene in scenes])
    labels = np.concatenate([scene.labels for scene in scenes])
    counts = np.concatenate([_face_weights(scene, len(blend.classes)) for scene in scenes])
    even = np.vstack([_same_name(classes[name], blend.classes) for name in names]) / len(names)
    start = np.vstack([even, np.zeros(len(blend.classes))])
    found = minimize(
        _cost_and_gradient,
        start.ravel(),
        args=(np.hstack([logs, np.ones((len(logs), 1))]), labels, counts / counts.sum(), start),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 500},
    ).x.reshape(start.shape)
    ends = np.cumsum([len(classes[name]) for name in names])
    matrices = dict(zip(names, np.split(found[:-1], ends[:-1]), strict=True))
    weights = {name: tuple(tuple(row) for row in matrix.round(4).tolist()) for name, matrix in matrices.items()}
    return replace(blend, weights=weights, bias=tuple(found[-1].round(4).tolist()), temperature=1.0)


def cross_fit_mixture(
    blend: Blend, classes: Classes, scenes: Sequence[Scene], *, folds: int = 5, seed: int = 0
) -> list[DoubleArray]:
    """Predict every face by a mixture that was fitted without it.

    Args:
        blend, classes, scenes: As for `fit_mixture`. Scenes with equal numbers of faces are taken to be the same faces.
        folds: Number of random folds.
        seed: Seed of the folds.

    Returns:
        For each scene `(n, C)` float64, rows sum to 1.
    """
    fold_of = [assign_folds(len(scene.labels), folds, seed) for scene in scenes]
    out = [np.empty((len(scene.labels), len(blend.classes))) for scene in scenes]
    for fold in range(folds):
        fitted = fit_mixture(blend, classes, [s.take(f != fold) for s, f in zip(scenes, fold_of, strict=True)])
        for scene, own, proba in zip(scenes, fold_of, out, strict=True):
            proba[own == fold] = fitted.mean(scene.take(own == fold).proba, classes)
    return out


def _face_weights(scene: Scene, n_classes: int) -> DoubleArray:
    counts = np.maximum(np.bincount(scene.labels, minlength=n_classes), _FEW)
    each = 1 / np.sqrt(counts[scene.labels]) if scene.balanced else np.ones(len(scene.labels))
    return np.asarray(scene.weight * each / max(each.sum(), 1e-12))


def _same_name(own: tuple[str, ...], shared: tuple[str, ...]) -> DoubleArray:
    return np.array([[float(name == other) for other in shared] for name in own])


def _cost_and_gradient(
    flat: DoubleArray, features: DoubleArray, labels: IntArray, counts: DoubleArray, start: DoubleArray
) -> tuple[float, DoubleArray]:
    """Return the weighted mean negative log-likelihood plus the ridge, and its gradient."""
    weights, rows = flat.reshape(start.shape), np.arange(len(labels))
    scores = features @ weights
    scores -= scores.max(axis=1, keepdims=True)
    powers = np.exp(scores)
    sums = powers.sum(axis=1)
    apart = weights - start
    cost = counts @ (np.log(sums) - scores[rows, labels]) + _RIDGE * (apart**2).sum()
    slope = powers / sums[:, None]
    slope[rows, labels] -= 1.0
    return float(cost), (features.T @ (slope * counts[:, None]) + 2 * _RIDGE * apart).ravel()
