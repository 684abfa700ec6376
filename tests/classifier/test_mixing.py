"""The search for alpha, tau and k against brute force, and its promise about accuracy."""

import itertools

import numpy as np
import pytest

from classifier.calibration import softmax
from classifier.fitting import Evidence, fit_temperature
from classifier.metrics import accuracy, nll
from classifier.mixing import ALPHA_GRID, K_GRID, TAU_GRID, TOLERANCE, fit_mixture
from classifier.votes import vote
from tests.classifier.evidence import draw_evidence


def mixed(head: np.ndarray, evidence: Evidence, alpha: float, tau: float, k: int) -> tuple[np.ndarray, np.ndarray]:
    votes = vote(evidence.similarities, evidence.ballots, head.shape[1], tau=tau, k=k)
    knn = np.where(votes.voted[:, None], votes.proba, head)
    return knn, alpha * head + (1 - alpha) * knn


@pytest.mark.parametrize("without_a_vote", [0, 75])
def test_tau_and_k_make_the_votes_likeliest(without_a_vote: int) -> None:
    evidence = draw_evidence(150, k_max=20)
    evidence.ballots[:without_a_vote] = -1
    head = softmax(evidence.logits)
    alpha, tau, k = fit_mixture(head, evidence.similarities, evidence.ballots, evidence.labels)
    found = nll(mixed(head, evidence, alpha, tau, k)[0], evidence.labels)
    for tau, k in itertools.product(TAU_GRID, [k for k in K_GRID if k <= 20]):
        assert found <= nll(mixed(head, evidence, 0.5, tau, k)[0], evidence.labels) + 1e-6


def test_alpha_is_the_smallest_that_costs_nothing() -> None:
    evidence = draw_evidence(400)
    head = softmax(evidence.logits)
    found, tau, k = fit_mixture(head, evidence.similarities, evidence.ballots, evidence.labels)
    tried = {alpha: mixed(head, evidence, alpha, tau, k)[1] for alpha in ALPHA_GRID}
    floor = max(accuracy(tried[end].argmax(axis=1), evidence.labels) for end in (0.0, 1.0))
    limit = min(nll(proba, evidence.labels) for proba in tried.values()) + TOLERANCE
    fair = {
        alpha
        for alpha, proba in tried.items()
        if accuracy(proba.argmax(axis=1), evidence.labels) >= floor and nll(proba, evidence.labels) <= limit
    }
    assert fair and found == min(fair)


@pytest.mark.parametrize(("n", "seed"), [(60, 13), (60, 27), (30, 22), (30, 31), (30, 59)])
def test_the_mixture_is_no_less_accurate_than_either_witness(n: int, seed: int) -> None:
    evidence = draw_evidence(n, seed=seed)  # on each of these, the likeliest mixture of all is less accurate
    head = softmax(evidence.logits)
    alpha, tau, k = fit_mixture(head, evidence.similarities, evidence.ballots, evidence.labels)
    knn, proba = mixed(head, evidence, alpha, tau, k)
    scores = [accuracy(p.argmax(axis=1), evidence.labels) for p in (proba, head, knn)]
    assert scores[0] == max(scores)


def test_a_head_that_knows_nothing_leaves_the_votes_to_decide() -> None:
    evidence = draw_evidence(500)
    alpha, _, _ = fit_mixture(np.full((500, 5), 0.2), evidence.similarities, evidence.ballots, evidence.labels)
    assert alpha < 0.5


def test_votes_that_know_nothing_leave_the_head_to_decide() -> None:
    evidence = draw_evidence(500)
    noise = np.random.default_rng(0).integers(0, 5, evidence.ballots.shape)
    # Of an overconfident head even noise takes the edge off; a calibrated one has nothing to gain from it.
    head = softmax(evidence.logits, fit_temperature(evidence.logits, evidence.labels))
    assert fit_mixture(head, evidence.similarities, noise, evidence.labels)[0] > 0.9


@pytest.mark.parametrize("k_max", [0, 1, 4])
def test_a_gallery_smaller_than_the_grid(k_max: int) -> None:
    evidence = draw_evidence(40, k_max=k_max)
    alpha, _, k = fit_mixture(softmax(evidence.logits), evidence.similarities, evidence.ballots, evidence.labels)
    assert 1 <= k <= max(k_max, 1)
    assert k_max or alpha == 1


def test_a_gallery_without_a_label_of_this_set_leaves_the_head_alone() -> None:
    evidence = draw_evidence(40)
    none = np.full_like(evidence.ballots, -1)
    assert fit_mixture(softmax(evidence.logits), evidence.similarities, none, evidence.labels)[0] == 1
