"""Tests of moodspace/estimator.py: scikit-learn's contract, and against an oracle."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

import moodspace as ms


@parametrize_with_checks([ms.Ensemble(n_neighbors=5)])
def test_the_contract(estimator, check) -> None:
    check(estimator)


def test_votes_alone_are_those_of_weighted_neighbors() -> None:
    rng = np.random.default_rng(0)
    rows, queries, labels = rng.normal(size=(60, 8)), rng.normal(size=(20, 8)), rng.integers(0, 3, 60)
    votes = ms.Ensemble(n_neighbors=9, tau=0.2, alpha=0.0).fit(rows, labels).predict_proba(queries)
    oracle = KNeighborsClassifier(
        9, metric="cosine", algorithm="brute", weights=lambda distances: np.exp(-distances / 0.2)
    )
    assert votes == pytest.approx(oracle.fit(rows, labels).predict_proba(queries), abs=1e-6)


def test_head_and_votes_are_mixed() -> None:
    rng = np.random.default_rng(1)
    rows, labels = rng.normal(size=(40, 4)), np.arange(40) % 2
    parts = [ms.Ensemble(alpha=alpha).fit(rows, labels).predict_proba(rows) for alpha in (0.0, 1.0, 0.25)]
    assert parts[2] == pytest.approx(0.75 * parts[0] + 0.25 * parts[1])
    similarities, nearest = ms.Ensemble().fit(rows, labels).kneighbors(rows, 2)
    assert (nearest[:, 0] == np.arange(40)).all() and similarities[:, 0] == pytest.approx(np.ones(40))


@pytest.mark.parametrize("wrong", [{"n_neighbors": 0}, {"tau": 0}, {"alpha": 2}])
def test_wrong_settings_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match="n_neighbors, tau, alpha: expected"):
        ms.Ensemble(**wrong).fit([[1.0, 0.0], [0.0, 1.0]], [0, 1])
