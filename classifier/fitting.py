"""Fits a calibration on validation faces, and says how good it is on faces it was not fitted to.

The order, and why. (1) The head's temperature alone, by likelihood, so that the head's own probabilities can be shown
and compared. (2) tau and k by the likelihood of the votes alone, then alpha as small as costs neither accuracy nor
likelihood (`classifier.mixing.fit_mixture`): likelihood is smooth and rewards honest probabilities, accuracy alone
moves in steps of one face and would pick noise. (3) The ensemble's temperature, by likelihood again, kept only where
it lowers the calibration error too. (4) The threshold of `unknown`.

The faces must be neither trained on nor in the gallery; a face that finds itself there would make the votes look
perfect.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression, minimize_scalar

from classifier.calibration import Calibration, sharpen, softmax
from classifier.ensemble import mix
from classifier.metrics import Scores, ece, nll
from classifier.mixing import K_GRID, fit_mixture
from classifier.votes import IntArray, ballots, vote
from index.search import Neighbors

DoubleArray = npt.NDArray[np.float64]

# How many neighbours a caller has to search for: the most that the fit considers.
K_MAX = K_GRID[-1]

# `unknown` means "more likely wrong than right". A fixed share of refused faces would be easier to plan with, but it
# would refuse good answers of a good model and let bad ones of a bad model pass.
UNKNOWN_ACCURACY = 0.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """What head and gallery say about `n` labelled validation faces.

    Attributes:
        logits: `(n, C)` float32, the head's raw outputs.
        similarities: `(n, k_max)` float32 cosine similarities of the nearest faces, best first.
        ballots: `(n, k_max)` int64, the class each of them votes for, -1 for none.
        labels: `(n,)` int64 in [0, C), the truth.

    Raises:
        ValueError: arrays that do not fit one another, no faces at all, or a label outside the classes.
    """

    logits: npt.NDArray[np.float32]
    similarities: npt.NDArray[np.float32]
    ballots: IntArray
    labels: IntArray

    def __post_init__(self) -> None:
        n = len(self.labels)
        if n == 0:
            raise ValueError("labels: expected validation faces that are labelled in this label set, received none")
        if self.logits.ndim != 2 or not len(self.logits) == len(self.similarities) == len(self.ballots) == n:
            raise ValueError(
                f"logits, similarities, ballots: expected a row for each of the {n} labels, "
                f"received {self.logits.shape}, {self.similarities.shape} and {self.ballots.shape}"
            )
        lowest, highest, n_classes = self.labels.min(), self.labels.max(), self.logits.shape[1]
        if lowest < 0 or highest >= n_classes:
            raise ValueError(f"labels: expected values in [0, {n_classes}), received {lowest} to {highest}")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.bool_] | IntArray) -> "Evidence":
        """Returns the chosen faces, by mask or by row number."""
        return Evidence(self.logits[rows], self.similarities[rows], self.ballots[rows], self.labels[rows])

    @classmethod
    def gather(
        cls, head_logits: npt.NDArray[np.float32], neighbors: Neighbors, labels: IntArray, label_set: str
    ) -> "Evidence":
        """Collects the evidence on the faces that have a label; rows whose label is -1 are left out.

        Args:
            head_logits: `(n, C)` float32, the head's raw outputs for this label set.
            neighbors: the nearest gallery faces, `(n, k_max)`; search for `K_MAX`.
            labels: `(n,)` int64 into the head's classes, -1 for none.
            label_set: the label column that the neighbours vote with.
        """
        known = labels >= 0
        votes = ballots(neighbors, label_set)
        return cls(head_logits[known], neighbors.similarities[known], votes[known], labels[known])


@dataclass(frozen=True, slots=True)
class CrossFit:
    """How good calibrated predictions are on faces that their calibration was not fitted to.

    Attributes:
        head, knn, ensemble: scores over all faces, each predicted by the calibration of the fold that left it out.
        coverage: share of faces that are not called unknown.
        covered_accuracy: accuracy among those, NaN where there are none.
        calibrations: the calibration of each fold.
    """

    head: Scores
    knn: Scores
    ensemble: Scores
    coverage: float
    covered_accuracy: float
    calibrations: tuple[Calibration, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the figures by name, without the calibrations; None where there is no face to read one on."""
        covered = None if math.isnan(self.covered_accuracy) else self.covered_accuracy
        scores = {name: getattr(self, name).to_json() for name in ("head", "knn", "ensemble")}
        return scores | {"coverage": self.coverage, "covered_accuracy": covered}


def fit_calibration(evidence: Evidence, *, unknown_accuracy: float = UNKNOWN_ACCURACY) -> Calibration:
    """Fits all values of a calibration, in the order that the module describes.

    Args:
        evidence: what head and gallery say about the validation faces.
        unknown_accuracy: predictions are called unknown where fewer than this share of them would be right, in (0, 1).
    """
    temperature = fit_temperature(evidence.logits, evidence.labels)
    head = softmax(evidence.logits, temperature)
    alpha, tau, k = fit_mixture(head, evidence.similarities, evidence.ballots, evidence.labels)
    draft = Calibration(temperature=temperature, alpha=alpha, tau=tau, k=k, unknown_below=0.0)
    voted = (evidence.ballots[:, :k] >= 0).any(axis=1)  # the others keep the head's probabilities
    mixture = _ensemble(evidence, draft)[1]
    ensemble_temperature = _fit_ensemble_temperature(mixture[voted], evidence.labels[voted])
    proba = _ensemble(evidence, replace(draft, ensemble_temperature=ensemble_temperature))[1].astype(np.float32)
    threshold = fit_unknown_threshold(proba, evidence.labels, unknown_accuracy=unknown_accuracy)
    return replace(draft, ensemble_temperature=ensemble_temperature, unknown_below=threshold)


def fit_temperature(logits: npt.NDArray[np.floating], labels: IntArray) -> float:
    """Returns the temperature in [0.05, 20] that makes the true labels most likely (Guo et al., ICML 2017).

    Args:
        logits: `(n, C)`, raw outputs of the head; n >= 1.
        labels: `(n,)` int64 in [0, C).
    """
    return _most_likely_temperature(lambda temperature: softmax(logits, temperature), labels, 0.05, 20.0)


def fit_unknown_threshold(
    proba: npt.NDArray[np.float32], labels: IntArray, *, unknown_accuracy: float = UNKNOWN_ACCURACY
) -> float:
    """Returns the confidence below which fewer than `unknown_accuracy` of the predictions are right.

    Accuracy as a function of confidence comes from isotonic regression: it needs no bins, and because it only rises
    with confidence, there is one such threshold.

    Args:
        proba: `(n, C)` float32, rows sum to 1; n >= 1.
        labels: `(n,)` int64 in [0, C).
        unknown_accuracy: the accuracy asked for, in (0, 1).

    Returns:
        The threshold in [0, 1]: 0 where every prediction is good enough, 1 where none is.
    """
    confidence = proba.max(axis=1)
    # Ties are pooled (mean accuracy, weight by count): they stand on the same side of any threshold.
    values, group, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    right = np.bincount(group, weights=proba.argmax(axis=1) == labels) / counts
    good = isotonic_regression(right, weights=counts).x >= unknown_accuracy
    if good.all():
        return 0.0
    return float(values[good.argmax()]) if good.any() else 1.0


def cross_fit(evidence: Evidence, *, folds: int = 5, seed: int = 0) -> CrossFit:
    """Fits on all folds but one and predicts that one, in turn, so that no figure is read on the faces fitted to.

    Args:
        evidence: what head and gallery say about the validation faces.
        folds: number of random folds, in [2, n].
        seed: of the random folds.

    Raises:
        ValueError: fewer faces than folds, or fewer than two folds.
    """
    n = len(evidence)
    if not 2 <= folds <= n:
        raise ValueError(f"folds: expected 2 to {n}, the number of faces, received {folds}")
    fold_of = assign_folds(n, folds, seed)
    head, knn, ensemble = (np.empty(evidence.logits.shape, np.float32) for _ in range(3))
    unknown = np.empty(n, np.bool_)
    calibrations = []
    for fold in range(folds):
        held_out = fold_of == fold
        calibration = fit_calibration(evidence.take(~held_out))
        knn[held_out], ensemble[held_out] = _ensemble(evidence.take(held_out), calibration)
        head[held_out] = softmax(evidence.logits[held_out], calibration.temperature)
        unknown[held_out] = ensemble[held_out].max(axis=1) < calibration.unknown_below
        calibrations.append(calibration)
    hits = ensemble.argmax(axis=1) == evidence.labels
    return CrossFit(
        head=Scores.of(head, evidence.labels),
        knn=Scores.of(knn, evidence.labels),
        ensemble=Scores.of(ensemble, evidence.labels),
        coverage=float(np.mean(~unknown)),
        covered_accuracy=float(np.mean(hits[~unknown])) if not unknown.all() else float("nan"),
        calibrations=tuple(calibrations),
    )


def assign_folds(n: int, folds: int, seed: int) -> IntArray:
    """Returns the fold of each of `n` faces, `(n,)` int64 in [0, folds); sizes differ by one at most."""
    return np.random.default_rng(seed).permutation(n) % folds


def _ensemble(evidence: Evidence, calibration: Calibration) -> tuple[DoubleArray, DoubleArray]:
    """Returns the votes' and the mixture's probabilities, each `(n, C)`."""
    n_classes = evidence.logits.shape[1]
    votes = vote(evidence.similarities, evidence.ballots, n_classes, tau=calibration.tau, k=calibration.k)
    head = softmax(evidence.logits, calibration.temperature)
    return votes.proba.astype(np.float64), mix(head, votes.proba, votes.voted, calibration)


def _most_likely_temperature(
    soften: Callable[[float], DoubleArray], labels: IntArray, lowest: float, highest: float
) -> float:
    """Returns the temperature at which `soften(temperature)` makes the labels most likely."""
    found = minimize_scalar(
        lambda log: nll(soften(float(np.exp(log))), labels),
        bounds=(np.log(lowest), np.log(highest)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


def _fit_ensemble_temperature(mixture: DoubleArray, labels: IntArray) -> float:
    """Returns the likeliest temperature of the mixture, or 1 where it would not lower the calibration error."""
    if not len(labels):
        return 1.0
    temperature = _most_likely_temperature(lambda value: sharpen(mixture, value), labels, 0.25, 4.0)
    helps = ece(sharpen(mixture, temperature), labels) < ece(mixture, labels)
    return temperature if helps else 1.0
