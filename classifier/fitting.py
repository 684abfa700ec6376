"""Fit calibrations to validation faces, and measure them by cross-fitting.

`fit_calibration` fits the head first. Then it chooses tau and k one after the other: for each value it fits the votes
and the shares of both, and keeps the value that makes the ensemble likeliest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression, minimize, minimize_scalar

from moodspace.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from moodspace.classifier.calibration import Calibration, calibrated, sharpen
from moodspace.classifier.ensemble import calibrated_votes, mix, neighbor_labels, vote
from moodspace.classifier.metrics import Coverage, Scores, accuracy, ece, nll
from moodspace.index.search import Neighbors

K_GRID = (3, 5, 10, 15, 20, 30, 50, 75, 100)
TAU_GRID = np.geomspace(0.005, 1.0, 16)
ALPHA_GRID = np.linspace(0.0, 1.0, 21)
# The number of neighbors to search for: the largest k that the fit considers.
K_MAX = K_GRID[-1]
# `unknown` means "more likely wrong than right". A fixed share of unknown faces would reject right answers of a good
# model and accept wrong answers of a bad one.
UNKNOWN_ACCURACY = 0.5
# The weight of a normal prior, of standard deviation 1 / sqrt(2 * 3) = 0.4, on each bias and on each log scale's
# distance from their mean. Thousands of faces outweigh it (with 3,589 it is a ridge of 8e-4 on the mean
# log-likelihood); with ten faces, or for a class without any, it decides.
PRIOR = 3.0
_SCALES = (0.05, 20.0)  # bounded, because the likeliest scale is infinite if the head is right about every face
_TEMPERATURES = (0.05, 20.0)
_SMOOTHINGS = (1e-6, 0.1)


@dataclass(frozen=True, slots=True)
class CalibrationData:
    """Logits and neighbors of n labelled validation faces.

    Attributes:
        logits: `(n, C)` float32, the head's logits.
        similarities: `(n, k_max)` float32 cosine similarities of the nearest faces, best first.
        neighbor_labels: `(n, k_max)` int64, the class of each of them, -1 for none.
        labels: `(n,)` int64 in [0, C), the truth.

    Raises:
        ValueError: The arrays do not fit one another, there are no faces, or a label is outside the classes.
    """

    logits: FloatArray
    similarities: FloatArray
    neighbor_labels: IntArray
    labels: IntArray

    def __post_init__(self) -> None:
        n = len(self.labels)
        if n == 0:
            raise ValueError("labels: expected validation faces with a label in this label set, got none")
        if self.logits.ndim != 2 or not len(self.logits) == len(self.similarities) == len(self.neighbor_labels) == n:
            raise ValueError(
                f"logits, similarities, neighbor_labels: expected a row for each of the {n} labels, "
                f"got {self.logits.shape}, {self.similarities.shape} and {self.neighbor_labels.shape}"
            )
        lowest, highest, n_classes = self.labels.min(), self.labels.max(), self.logits.shape[1]
        if lowest < 0 or highest >= n_classes:
            raise ValueError(f"labels: expected values in [0, {n_classes}), got {lowest} to {highest}")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: BoolArray | IntArray) -> "CalibrationData":
        """Return some of the faces, by mask or row number."""
        return CalibrationData(
            self.logits[rows], self.similarities[rows], self.neighbor_labels[rows], self.labels[rows]
        )

    @classmethod
    def gather(
        cls, head_logits: FloatArray, neighbors: Neighbors, labels: IntArray, label_set: str
    ) -> "CalibrationData":
        """Collect the data of the faces that have a label.

        Args:
            head_logits: `(n, C)` float32, the head's logits for this label set.
            neighbors: The nearest gallery faces, `(n, k_max)`; search for `K_MAX`.
            labels: `(n,)` int64 columns of the head, -1 for none; such faces are left out.
            label_set: The label set that the neighbors vote in.
        """
        known = labels >= 0
        votes = neighbor_labels(neighbors, label_set)
        return cls(head_logits[known], neighbors.similarities[known], votes[known], labels[known])


@dataclass(frozen=True, slots=True)
class CalibrationScores:
    """The probabilities that a calibration gives n faces; columns in the order of the label set.

    Attributes:
        head: `(n, C)` float64, rows sum to 1: the calibrated head alone.
        knn: `(n, C)` float64, the calibrated votes alone.
        ensemble: `(n, C)` float64, both together.
        voted: `(n,)` bool, False where no neighbor voted and the head decided alone.
    """

    head: DoubleArray
    knn: DoubleArray
    ensemble: DoubleArray
    voted: BoolArray


def calibration_scores(data: CalibrationData, calibration: Calibration) -> CalibrationScores:
    """Predict the faces with a calibration."""
    n_classes = data.logits.shape[1]
    votes = vote(data.similarities, data.neighbor_labels, n_classes, tau=calibration.tau, k=calibration.k)
    head, knn = calibrated(data.logits, calibration), calibrated_votes(votes.proba, calibration)
    return CalibrationScores(head, knn, mix(head, knn, votes.voted, calibration), votes.voted)


def fit_calibration(data: CalibrationData, *, unknown_accuracy: float = UNKNOWN_ACCURACY) -> Calibration:
    """Fit all values of a calibration, in the order that the module describes.

    Args:
        data: Logits and neighbors of the validation faces.
        unknown_accuracy: Predictions are called unknown where fewer than this share of them would be right, in (0, 1).
    """
    scale, bias = fit_scaling(data.logits, data.labels)
    k_max = data.similarities.shape[1]
    ks = [k for k in K_GRID if k < k_max] + [max(1, min(k_max, K_GRID[-1]))]
    draft = Calibration(scale, bias, alpha=1.0, tau=float(TAU_GRID[-1]), k=ks[-1], unknown_below=0.0)
    if not (data.neighbor_labels >= 0).any():
        fitted, scores = _with_votes(data, replace(draft, k=ks[0]))
    else:
        tau = _likeliest(data, [replace(draft, tau=float(tau)) for tau in TAU_GRID[::-1]])[0].tau
        fitted, scores = _likeliest(data, [replace(draft, tau=tau, k=k) for k in ks])
    voted = scores.voted  # other faces keep the head's probabilities
    temperature = _fit_ensemble_temperature(scores.ensemble[voted], data.labels[voted])
    fitted = replace(fitted, ensemble_temperature=temperature)
    proba = calibration_scores(data, fitted).ensemble.astype(np.float32)
    threshold = fit_unknown_threshold(proba, data.labels, unknown_accuracy=unknown_accuracy)
    return replace(fitted, unknown_below=threshold)


def _likeliest(data: CalibrationData, drafts: Sequence[Calibration]) -> tuple[Calibration, CalibrationScores]:
    """Fit each draft; return the one whose ensemble is likeliest, and its scores."""
    return min((_with_votes(data, draft) for draft in drafts), key=lambda found: _costs(found[1], data.labels))


def _with_votes(data: CalibrationData, draft: Calibration) -> tuple[Calibration, CalibrationScores]:
    """Fit the votes' temperature and smoothing and alpha at the draft's tau and k."""
    scores = calibration_scores(data, draft)
    voted, labels = scores.voted, data.labels[scores.voted]
    temperature, smoothing = fit_votes_scaling(scores.knn[voted], labels)
    draft = replace(draft, votes_temperature=temperature, votes_smoothing=smoothing)
    alpha = fit_alpha(scores.head[voted], calibrated_votes(scores.knn, draft)[voted], labels)
    draft = replace(draft, alpha=alpha)
    return draft, calibration_scores(data, draft)


def _costs(scores: CalibrationScores, labels: IntArray) -> tuple[float, float]:
    """Return the log loss of the ensemble, and that of the votes to break ties, as when the head decides alone."""
    return nll(scores.ensemble, labels), nll(scores.knn, labels)


def _fit_ensemble_temperature(mixture: DoubleArray, labels: IntArray) -> float:
    """Return the likeliest temperature of the mixture, or 1 if it does not lower the calibration error."""
    if not len(labels):
        return 1.0
    temperature = fit_temperature(lambda value: sharpen(mixture, value), labels, 0.25, 4.0)
    helps = ece(sharpen(mixture, temperature), labels) < ece(mixture, labels)
    return temperature if helps else 1.0


def fit_scaling(logits: npt.NDArray[np.floating], labels: IntArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the scale and the bias of each class that make the true labels most likely, under `PRIOR`.

    Vector scaling (Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2). The overall scale,
    the inverse of a temperature, is free within [0.05, 20].

    Args:
        logits: `(n, C)`, logits of the head; n >= 1.
        labels: `(n,)` int64 in [0, C).

    Returns:
        Scales and biases, C each, in column order.
    """
    exact, n_classes = logits.astype(np.float64), logits.shape[1]
    found = minimize(
        _cost_and_gradient,
        np.zeros(2 * n_classes),
        args=(exact, labels),
        jac=True,
        method="L-BFGS-B",
        bounds=[(np.log(_SCALES[0]), np.log(_SCALES[1]))] * n_classes + [(None, None)] * n_classes,
    )
    scale, bias = np.exp(found.x[:n_classes]), found.x[n_classes:]
    return tuple(scale.tolist()), tuple(bias.tolist())


def _cost_and_gradient(parameters: DoubleArray, logits: DoubleArray, labels: IntArray) -> tuple[float, DoubleArray]:
    """Return the mean negative log-likelihood plus the prior at `(log scales, biases)`, and its gradient."""
    (n, n_classes), rows = logits.shape, np.arange(len(labels))
    log_scale, bias = parameters[:n_classes], parameters[n_classes:]
    scaled = np.exp(log_scale) * logits
    moved = scaled + bias
    moved -= moved.max(axis=1, keepdims=True)
    powers = np.exp(moved)
    sums = powers.sum(axis=1)
    apart, weight = log_scale - log_scale.mean(), PRIOR / n
    cost = np.mean(np.log(sums) - moved[rows, labels]) + weight * (apart @ apart + bias @ bias)
    slope = powers / sums[:, None]
    slope[rows, labels] -= 1.0
    slope /= n
    return float(cost), np.concatenate(
        [(slope * scaled).sum(axis=0) + 2 * weight * apart, slope.sum(axis=0) + 2 * weight * bias]
    )


def fit_votes_scaling(shares: npt.NDArray[np.floating], labels: IntArray) -> tuple[float, float]:
    """Return the temperature in [0.05, 20] and the smoothing in [1e-6, 0.1] that calibrate vote shares.

    Both are fitted at once, by the likelihood of `sharpen(shares + smoothing, temperature)`. A temperature alone cannot
    change shares of exactly 0 and 1, and most are when the embedding was trained on the gallery.

    Args:
        shares: `(n, C)` vote shares, rows sum to 1; with n = 0 the result changes nothing.
        labels: `(n,)` int64 in [0, C).
    """
    if not len(labels):
        return 1.0, 0.0
    found = minimize(
        lambda at: nll(sharpen(shares + np.exp(at[1]), np.exp(at[0])), labels),
        np.log([1.0, 1e-3]),
        method="Nelder-Mead",
        bounds=[np.log(_TEMPERATURES), np.log(_SMOOTHINGS)],
        options={"xatol": 1e-3, "fatol": 1e-6},
    )
    return float(np.exp(found.x[0])), float(np.exp(found.x[1]))


def fit_alpha(head: DoubleArray, knn: DoubleArray, truth: IntArray) -> float:
    """Return the likeliest alpha at which the mixture is at least as accurate as the better of head and votes.

    There always is one: at alpha = 1 the mixture is the head, at alpha = 0 the votes.

    Args:
        head: `(n, C)` calibrated probabilities of the head.
        knn: `(n, C)` calibrated probabilities of the votes; with n = 0 the head decides alone.
        truth: `(n,)` int64 in [0, C).
    """
    if not len(truth):
        return 1.0
    mixtures = [alpha * head + (1.0 - alpha) * knn for alpha in ALPHA_GRID]
    costs = np.array([nll(mixture, truth) for mixture in mixtures])
    accuracies = np.array([accuracy(mixture.argmax(axis=1), truth) for mixture in mixtures])
    accurate = accuracies >= max(accuracies[0], accuracies[-1])
    return float(ALPHA_GRID[int(np.where(accurate, costs, np.inf).argmin())])


def fit_temperature(soften: Callable[[float], DoubleArray], labels: IntArray, lowest: float, highest: float) -> float:
    """Return the temperature in [lowest, highest] at which `soften(temperature)` makes the labels most likely.

    Args:
        soften: Returns `(n, C)` probabilities at a temperature, rows sum to 1; n >= 1.
        labels: `(n,)` int64 in [0, C).
        lowest, highest: The range to search, both > 0.
    """
    found = minimize_scalar(
        lambda log: nll(soften(float(np.exp(log))), labels),
        bounds=(np.log(lowest), np.log(highest)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


def fit_unknown_threshold(proba: FloatArray, labels: IntArray, *, unknown_accuracy: float = UNKNOWN_ACCURACY) -> float:
    """Return the confidence below which fewer than `unknown_accuracy` of the predictions are right.

    Accuracy as a function of confidence is fitted by isotonic regression, which needs no bins. It never falls, so there
    is exactly one such threshold.

    Args:
        proba: `(n, C)` float32, rows sum to 1; n >= 1.
        labels: `(n,)` int64 in [0, C).
        unknown_accuracy: The required accuracy, in (0, 1).

    Returns:
        The threshold in [0, 1]: 0 if every prediction is good enough, 1 if none is.
    """
    confidence = proba.max(axis=1)
    # Ties are pooled (mean accuracy, weight by count): no threshold can separate them.
    values, group, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    right = np.bincount(group, weights=proba.argmax(axis=1) == labels) / counts
    good = isotonic_regression(right, weights=counts).x >= unknown_accuracy
    if good.all():
        return 0.0
    return float(values[good.argmax()]) if good.any() else 1.0


@dataclass(frozen=True, slots=True)
class CrossFit:
    """The scores of calibrated predictions on faces that their calibration was not fitted to.

    Attributes:
        n: Number of faces.
        head, knn, ensemble: Scores over all faces, each predicted by the calibration of the fold that left it out.
        coverage: Accuracy of the ensemble by coverage.
        calibrations: The calibration of each fold.
    """

    n: int
    head: Scores
    knn: Scores
    ensemble: Scores
    coverage: Coverage
    calibrations: tuple[Calibration, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the figures by name, without the calibrations; None for a figure without faces."""
        scores = {name: getattr(self, name).to_json() for name in ("head", "knn", "ensemble", "coverage")}
        return {"n": self.n, **scores}


def cross_fit(data: CalibrationData, *, folds: int = 5, seed: int = 0) -> CrossFit:
    """Fit on all folds but one and predict that one, in turn, so that no face is predicted by a fit that saw it.

    Args:
        data: Logits and neighbors of the validation faces.
        folds: Number of random folds, in [2, n].
        seed: Seed of the random folds.

    Raises:
        ValueError: There are fewer faces than folds, or fewer than two folds.
    """
    n = len(data)
    if not 2 <= folds <= n:
        raise ValueError(f"folds: expected 2 to {n}, the number of faces, got {folds}")
    fold_of = assign_folds(n, folds, seed)
    head, knn, ensemble = (np.empty(data.logits.shape, np.float32) for _ in range(3))
    unknown = np.empty(n, np.bool_)
    calibrations = []
    for fold in range(folds):
        held_out = fold_of == fold
        calibration = fit_calibration(data.take(~held_out))
        scores = calibration_scores(data.take(held_out), calibration)
        head[held_out], knn[held_out], ensemble[held_out] = scores.head, scores.knn, scores.ensemble
        unknown[held_out] = ensemble[held_out].max(axis=1) < calibration.unknown_below
        calibrations.append(calibration)
    return CrossFit(
        n=n,
        head=Scores.of(head, data.labels),
        knn=Scores.of(knn, data.labels),
        ensemble=Scores.of(ensemble, data.labels),
        coverage=Coverage.of(ensemble, data.labels, unknown),
        calibrations=tuple(calibrations),
    )


def assign_folds(n: int, folds: int, seed: int) -> IntArray:
    """Return the fold of each of `n` faces, `(n,)` int64 in [0, folds); sizes differ by one at most."""
    return np.random.default_rng(seed).permutation(n) % folds
