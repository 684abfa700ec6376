"""Votes against scikit-learn, and where scikit-learn has no opinion against closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from moodspace.classifier.ensemble import vote
from tests.classifier.evidence import unit_rows


def nearest(queries: np.ndarray, gallery: np.ndarray, labels: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact neighbours by sorting, `(n, k)` similarities and labels, best first."""
    similarities = queries @ gallery.T
    order = np.argsort(-similarities, axis=1)[:, :k]
    return np.take_along_axis(similarities, order, axis=1), labels[order]


@pytest.mark.parametrize("tau", [0.02, 0.2, 5.0])
@pytest.mark.parametrize("k", [1, 7, 40])
def test_votes_are_scikit_learns(tau: float, k: int) -> None:
    rng = np.random.default_rng(0)
    gallery, queries = unit_rows(rng, 80, 8), unit_rows(rng, 25, 8)
    labels = rng.integers(0, 5, 80)
    oracle = KNeighborsClassifier(k, metric="cosine", algorithm="brute", weights=lambda d: np.exp(-d / tau))
    expected = oracle.fit(gallery, labels).predict_proba(queries)
    votes = vote(*nearest(queries, gallery, labels, 40), 5, tau=tau, k=k)
    assert votes.voted.all()
    np.testing.assert_allclose(votes.proba, expected, atol=1e-5)


def test_two_neighbours_in_closed_form() -> None:
    # weights exp(-0.1 / 0.1) and exp(-0.2 / 0.1): shares e^-1 : e^-2, so e / (e + 1)
    votes = vote(np.array([[0.9, 0.8]]), np.array([[2, 0]]), 3, tau=0.1)
    np.testing.assert_allclose(votes.proba, [[1 / (np.e + 1), 0, np.e / (np.e + 1)]], rtol=1e-6)


def test_missing_and_unlabelled_neighbours_never_vote() -> None:
    similarities = np.array([[0.9, 0.5, np.nan], [-3.4e38, -3.4e38, -3.4e38]], np.float32)
    votes = vote(similarities, np.array([[-1, 1, -1], [-1, -1, -1]]), 2, tau=0.01)
    np.testing.assert_array_equal(votes.proba, [[0, 1], [0.5, 0.5]])
    np.testing.assert_array_equal(votes.voted, [True, False])


def test_only_k_neighbours_are_asked() -> None:
    votes = vote(np.array([[0.9, 0.8, 0.7]]), np.array([[-1, 0, 1]]), 2, tau=0.1, k=1)
    assert not votes.voted[0]


def test_the_smallest_tau_leaves_the_nearest_voter_alone_to_decide() -> None:
    votes = vote(np.array([[0.30, 0.29, 0.28]], np.float32), np.array([[1, 0, 0]]), 2, tau=1e-300)
    np.testing.assert_array_equal(votes.proba, [[0, 1]])


@pytest.mark.parametrize("shape", [(0, 5), (3, 0)])
def test_nothing_to_count(shape: tuple[int, int]) -> None:
    votes = vote(np.zeros(shape, np.float32), np.zeros(shape, np.int64), 4, tau=0.1)
    np.testing.assert_array_equal(votes.proba, np.full((shape[0], 4), 0.25))


@given(seed=st.integers(0, 10_000), tau=st.floats(1e-4, 10))
def test_rows_are_distributions_and_the_order_of_neighbours_does_not_matter(seed: int, tau: float) -> None:
    rng = np.random.default_rng(seed)
    similarities, labels = rng.uniform(-1, 1, (4, 6)), rng.integers(-1, 3, (4, 6))
    votes = vote(similarities, labels, 3, tau=tau)
    assert ((votes.proba >= 0) & (votes.proba <= 1)).all()
    np.testing.assert_allclose(votes.proba.sum(axis=1), 1, atol=1e-6)
    order = rng.permutation(6)
    np.testing.assert_allclose(vote(similarities[:, order], labels[:, order], 3, tau=tau).proba, votes.proba, atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "tau", "message"),
    [
        (np.zeros((1, 3), np.int64), 0.1, "expected the shape"),
        (np.zeros((1, 2), np.int64), 0.0, "tau: expected"),
        (np.zeros((1, 2), np.int64), float("nan"), "tau: expected"),
        (np.full((1, 2), 2), 0.1, "columns of 2 classes, got 2"),
    ],
)
def test_refusals(labels: np.ndarray, tau: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vote(np.zeros((1, 2), np.float32), labels, 2, tau=tau)
