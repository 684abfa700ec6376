"""Says how good a calibration is on faces that it was not fitted to."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from classifier.calibration import Calibration
from classifier.fitting import Evidence, fit_calibration, hear
from classifier.metrics import Coverage, Scores
from classifier.votes import IntArray


@dataclass(frozen=True, slots=True)
class CrossFit:
    """How good calibrated predictions are on faces that their calibration was not fitted to.

    Attributes:
        n: number of faces.
        head, knn, ensemble: scores over all faces, each predicted by the calibration of the fold that left it out.
        coverage: how accurate the ensemble is on the faces that it answers.
        calibrations: the calibration of each fold.
    """

    n: int
    head: Scores
    knn: Scores
    ensemble: Scores
    coverage: Coverage
    calibrations: tuple[Calibration, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the figures by name, without the calibrations; None where there is no face to read one on."""
        scores = {name: getattr(self, name).to_json() for name in ("head", "knn", "ensemble", "coverage")}
        return {"n": self.n, **scores}


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
        heard = hear(evidence.take(held_out), calibration)
        head[held_out], knn[held_out], ensemble[held_out] = heard.head, heard.knn, heard.ensemble
        unknown[held_out] = ensemble[held_out].max(axis=1) < calibration.unknown_below
        calibrations.append(calibration)
    return CrossFit(
        n=n,
        head=Scores.of(head, evidence.labels),
        knn=Scores.of(knn, evidence.labels),
        ensemble=Scores.of(ensemble, evidence.labels),
        coverage=Coverage.of(ensemble, evidence.labels, unknown),
        calibrations=tuple(calibrations),
    )


def assign_folds(n: int, folds: int, seed: int) -> IntArray:
    """Returns the fold of each of `n` faces, `(n,)` int64 in [0, folds); sizes differ by one at most."""
    return np.random.default_rng(seed).permutation(n) % folds
