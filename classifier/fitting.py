"""Fits a calibration on validation faces.

The order, and why. (1) The head's scales and biases, by likelihood, so that its own probabilities can be shown and
compared. (2) For each k the votes alone, by likelihood too: tau, then temperature and smoothing, so that what is shown
as evidence can be believed in its own right. (3) For each k alpha, the likeliest that costs no accuracy
(`classifier.mixing.fit_alpha`), and of these the k whose ensemble is likeliest: the votes that say most by themselves
are not those that add most to the head. Likelihood is smooth and rewards honest probabilities; accuracy alone moves in
steps of one face and would pick noise. (4) The ensemble's temperature, by likelihood again, kept only where it lowers
the calibration error too. (5) The threshold of `unknown`.

The faces must be neither trained on nor in the gallery; a face that finds itself there would make the votes look
perfect. How good a calibration is on other faces than these, `classifier.crossfit` tells.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from classifier.calibration import Calibration, calibrated, sharpen
from classifier.ensemble import calibrated_votes, mix
from classifier.metrics import ece, nll
from classifier.mixing import K_GRID, fit_alpha, likeliest_taus
from classifier.scaling import fit_scaling, fit_temperature, fit_votes_scaling
from classifier.votes import BoolArray, IntArray, ballots, vote
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
class Witnesses:
    """What a calibration makes of the evidence on `n` faces; columns in the order of the label set.

    Attributes:
        head: `(n, C)` float64, rows sum to 1: the calibrated head alone.
        knn: `(n, C)` float64, the calibrated votes alone.
        ensemble: `(n, C)` float64, both together.
        voted: `(n,)` bool, False where no neighbour had a vote and the head decided alone.
    """

    head: DoubleArray
    knn: DoubleArray
    ensemble: DoubleArray
    voted: BoolArray


def hear(evidence: Evidence, calibration: Calibration) -> Witnesses:
    """Predicts the faces by a calibration, from evidence that is at hand already."""
    n_classes = evidence.logits.shape[1]
    votes = vote(evidence.similarities, evidence.ballots, n_classes, tau=calibration.tau, k=calibration.k)
    head, knn = calibrated(evidence.logits, calibration), calibrated_votes(votes.proba, calibration)
    return Witnesses(head, knn, mix(head, knn, votes.voted, calibration), votes.voted)


def fit_calibration(evidence: Evidence, *, unknown_accuracy: float = UNKNOWN_ACCURACY) -> Calibration:
    """Fits all values of a calibration, in the order that the module describes.

    Args:
        evidence: what head and gallery say about the validation faces.
        unknown_accuracy: predictions are called unknown where fewer than this share of them would be right, in (0, 1).
    """
    scale, bias = fit_scaling(evidence.logits, evidence.labels)
    draft = Calibration(scale, bias, alpha=1.0, tau=1.0, k=1, unknown_below=0.0)
    widths = likeliest_taus(evidence.similarities, evidence.ballots, evidence.labels, len(scale))
    drafts = [_with_votes(evidence, replace(draft, tau=tau, k=k)) for tau, k in widths]
    fitted, heard = min(drafts, key=lambda found: _costs(found[1], evidence.labels))
    voted = heard.voted  # the others keep the head's probabilities
    temperature = _fit_ensemble_temperature(heard.ensemble[voted], evidence.labels[voted])
    fitted = replace(fitted, ensemble_temperature=temperature)
    proba = hear(evidence, fitted).ensemble.astype(np.float32)
    threshold = fit_unknown_threshold(proba, evidence.labels, unknown_accuracy=unknown_accuracy)
    return replace(fitted, unknown_below=threshold)


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


def _with_votes(evidence: Evidence, draft: Calibration) -> tuple[Calibration, Witnesses]:
    """Fits the votes' temperature and smoothing and alpha at the draft's tau and k."""
    heard = hear(evidence, draft)
    voted, labels = heard.voted, evidence.labels[heard.voted]
    temperature, smoothing = fit_votes_scaling(heard.knn[voted], labels)
    draft = replace(draft, votes_temperature=temperature, votes_smoothing=smoothing)
    alpha = fit_alpha(heard.head[voted], calibrated_votes(heard.knn, draft)[voted], labels)
    draft = replace(draft, alpha=alpha)
    return draft, hear(evidence, draft)


def _costs(heard: Witnesses, labels: IntArray) -> tuple[float, float]:
    """How unlikely the labels are by the ensemble, and by the votes alone where the head decides whatever they say."""
    return nll(heard.ensemble, labels), nll(heard.knn, labels)


def _fit_ensemble_temperature(mixture: DoubleArray, labels: IntArray) -> float:
    """Returns the likeliest temperature of the mixture, or 1 where it would not lower the calibration error."""
    if not len(labels):
        return 1.0
    temperature = fit_temperature(lambda value: sharpen(mixture, value), labels, 0.25, 4.0)
    helps = ece(sharpen(mixture, temperature), labels) < ece(mixture, labels)
    return temperature if helps else 1.0
