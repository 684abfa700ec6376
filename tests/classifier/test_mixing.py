"""The search for alpha, tau and k, and its promise about accuracy."""

import dataclasses

import numpy as np
import pytest

from moodspace.classifier.calibration import softmax
from moodspace.classifier.ensemble import vote
from moodspace.classifier.fitting import (
    ALPHA_GRID,
    K_GRID,
    TAU_GRID,
    CalibrationData,
    calibration_scores,
    fit_alpha,
    fit_calibration,
)
from moodspace.classifier.metrics import accuracy, nll
from tests.classifier.evidence import draw_evidence


def voted(evidence: CalibrationData, tau: float, k: int) -> np.ndarray:
    return vote(evidence.similarities, evidence.neighbor_labels, 5, tau=tau, k=k).proba.astype(np.float64)


def hits(proba: np.ndarray, evidence: CalibrationData) -> float:
    return accuracy(proba.argmax(axis=1), evidence.labels)


@pytest.mark.parametrize("without_a_vote", [0, 75])
def test_another_tau_of_the_grid_does_not_make_the_ensemble_likelier(without_a_vote: int) -> None:
    evidence = draw_evidence(150, k_max=3)  # one k, so that the search for tau is exhaustive
    evidence.neighbor_labels[:without_a_vote] = -1
    fitted = fit_calibration(evidence)
    assert fitted.k == 3 and fitted.tau in TAU_GRID
    own = dataclasses.replace(fitted, ensemble_temperature=1.0)
    cost = nll(calibration_scores(evidence, own).ensemble, evidence.labels)
    for tau in TAU_GRID:  # with the same votes' scaling and alpha no other tau is better by much
        other = dataclasses.replace(own, tau=float(tau))
        assert cost <= nll(calibration_scores(evidence, other).ensemble, evidence.labels) + 0.01


@pytest.mark.parametrize(("n", "seed"), [(400, 0), (60, 13), (60, 27), (30, 22), (30, 31), (30, 59)])
def test_alpha_is_the_likeliest_that_costs_no_accuracy(n: int, seed: int) -> None:
    evidence = draw_evidence(n, seed=seed)
    head, knn = softmax(evidence.logits), voted(evidence, 0.1, 20)
    tried = {alpha: alpha * head + (1 - alpha) * knn for alpha in ALPHA_GRID}
    fair = [alpha for alpha in tried if hits(tried[alpha], evidence) >= max(hits(head, evidence), hits(knn, evidence))]
    found = fit_alpha(head, knn, evidence.labels)
    assert found in fair
    assert nll(tried[found], evidence.labels) == min(nll(tried[alpha], evidence.labels) for alpha in fair)


def test_a_likelier_mixture_is_passed_over_where_it_is_less_accurate() -> None:
    # The votes alone are likeliest, but below alpha = 0.91 the first face, which the head has right, is lost.
    true_in_head, true_in_votes = np.array([0.51, 0.9, 0.9, 0.9]), np.array([0.40, 0.99, 0.99, 0.99])
    head, knn = (np.stack([true, 1 - true], axis=1) for true in (true_in_head, true_in_votes))
    assert nll(knn, np.zeros(4, np.int64)) < nll(head, np.zeros(4, np.int64))
    assert fit_alpha(head, knn, np.zeros(4, np.int64)) == pytest.approx(0.95)


def test_a_head_that_knows_nothing_leaves_the_votes_to_decide() -> None:
    evidence = draw_evidence(500)
    assert fit_alpha(np.full((500, 5), 0.2), voted(evidence, 0.1, 20), evidence.labels) < 0.5


def test_votes_that_know_nothing_leave_the_head_to_decide() -> None:
    evidence = draw_evidence(500)
    knn = np.random.default_rng(0).dirichlet(np.ones(5) * 5, 500)
    assert fit_alpha(softmax(evidence.logits), knn, evidence.labels) > 0.7


@pytest.mark.parametrize(("k_max", "allowed"), [(0, {1}), (1, {1}), (4, {3, 4}), (20, {k for k in K_GRID if k <= 20})])
def test_k_is_at_most_the_size_of_the_gallery(k_max: int, allowed: set[int]) -> None:
    assert fit_calibration(draw_evidence(40, k_max=k_max)).k in allowed


def test_without_any_vote_the_head_decides_alone() -> None:
    assert fit_alpha(np.zeros((0, 5)), np.zeros((0, 5)), np.zeros(0, np.int64)) == 1
