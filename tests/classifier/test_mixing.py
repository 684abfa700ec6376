"""The search for alpha, tau and k against brute force, and its promise about accuracy."""

import itertools

import numpy as np
import pytest

from moodspace.classifier.calibration import softmax
from moodspace.classifier.ensemble import vote
from moodspace.classifier.fitting import ALPHA_GRID, K_GRID, TAU_GRID, CalibrationData, fit_alpha, likeliest_taus
from moodspace.classifier.metrics import accuracy, nll
from tests.classifier.evidence import draw_evidence


def widths(evidence: CalibrationData) -> list[tuple[float, int]]:
    return likeliest_taus(evidence.similarities, evidence.neighbor_labels, evidence.labels, 5)


def voted(evidence: CalibrationData, tau: float, k: int) -> np.ndarray:
    return vote(evidence.similarities, evidence.neighbor_labels, 5, tau=tau, k=k).proba.astype(np.float64)


def hits(proba: np.ndarray, evidence: CalibrationData) -> float:
    return accuracy(proba.argmax(axis=1), evidence.labels)


@pytest.mark.parametrize("without_a_vote", [0, 75])
def test_tau_makes_the_votes_likeliest_for_each_k(without_a_vote: int) -> None:
    evidence = draw_evidence(150, k_max=20)
    evidence.neighbor_labels[:without_a_vote] = -1
    found = widths(evidence)
    assert [k for _, k in found] == [k for k in K_GRID if k <= 20]
    for (likeliest, k), tau in itertools.product(found, TAU_GRID):
        cost = nll(voted(evidence, likeliest, k), evidence.labels)
        assert cost <= nll(voted(evidence, tau, k), evidence.labels) + 1e-6


@pytest.mark.parametrize(("n", "seed"), [(400, 0), (60, 13), (60, 27), (30, 22), (30, 31), (30, 59)])
def test_alpha_is_the_likeliest_that_costs_no_accuracy(n: int, seed: int) -> None:
    evidence = draw_evidence(n, seed=seed)
    head, knn = softmax(evidence.logits), voted(evidence, *widths(evidence)[-1])
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
    assert fit_alpha(np.full((500, 5), 0.2), voted(evidence, *widths(evidence)[-1]), evidence.labels) < 0.5


def test_votes_that_know_nothing_leave_the_head_to_decide() -> None:
    evidence = draw_evidence(500)
    knn = np.random.default_rng(0).dirichlet(np.ones(5) * 5, 500)
    assert fit_alpha(softmax(evidence.logits), knn, evidence.labels) > 0.7


@pytest.mark.parametrize("k_max", [0, 1, 4])
def test_a_gallery_smaller_than_the_grid(k_max: int) -> None:
    ks = [k for _, k in widths(draw_evidence(40, k_max=k_max))]
    assert ks == {0: [1], 1: [1], 4: [3, 4]}[k_max]


def test_without_any_vote_the_head_decides_alone() -> None:
    assert fit_alpha(np.zeros((0, 5)), np.zeros((0, 5)), np.zeros(0, np.int64)) == 1
