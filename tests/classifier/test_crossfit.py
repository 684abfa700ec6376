"""Cross-fitting does not look at the faces it scores."""

import json

import numpy as np
import pytest

from moodspace.classifier.fitting import assign_folds, cross_fit
from tests.classifier.evidence import draw_evidence


def test_head_and_votes_together_are_better_than_either() -> None:
    scores = cross_fit(draw_evidence(2000, temperature=3.0))
    assert scores.ensemble.nll < min(scores.head.nll, scores.knn.nll) - 0.05
    assert scores.ensemble.accuracy > max(scores.head.accuracy, scores.knn.accuracy) + 0.02
    assert max(scores.head.ece, scores.knn.ece, scores.ensemble.ece) < 0.05
    assert scores.coverage.known_accuracy > scores.ensemble.accuracy
    assert 0.5 < scores.coverage.known < 1
    assert scores.coverage.accuracy_at[0] == pytest.approx(scores.ensemble.accuracy)
    assert scores.coverage.accuracy_at[2] > scores.ensemble.accuracy + 0.05


def test_a_folds_calibration_does_not_depend_on_its_faces() -> None:
    evidence = draw_evidence(200)
    fold_of = assign_folds(200, 4, seed=1)
    honest = cross_fit(evidence, folds=4, seed=1)
    other = draw_evidence(200, seed=9)
    spoiled = evidence.take(np.arange(200))
    for name in ("logits", "similarities", "neighbor_labels", "labels"):
        getattr(spoiled, name)[fold_of == 2] = getattr(other, name)[fold_of == 2]
    changed = cross_fit(spoiled, folds=4, seed=1)
    same = [a == b for a, b in zip(honest.calibrations, changed.calibrations, strict=True)]
    assert same == [False, False, True, False]


def test_figures_in_json() -> None:
    document = json.loads(json.dumps(cross_fit(draw_evidence(60)).to_json(), allow_nan=False))
    assert document.keys() == {"n", "head", "knn", "ensemble", "coverage"}
    assert document["head"].keys() == {"accuracy", "macro_f1", "ece", "nll"}
    assert document["coverage"].keys() == {"accuracy_at", "known", "known_accuracy"}


def test_folds_are_even_seeded_and_cover_all_faces() -> None:
    folds = assign_folds(23, 5, seed=3)
    assert sorted(np.bincount(folds)) == [4, 4, 5, 5, 5]
    np.testing.assert_array_equal(folds, assign_folds(23, 5, seed=3))
    assert (folds != assign_folds(23, 5, seed=4)).any()


@pytest.mark.parametrize("folds", [1, 11])
def test_too_few_or_too_many_folds(folds: int) -> None:
    with pytest.raises(ValueError, match="expected 2 to 10"):
        cross_fit(draw_evidence(10), folds=folds)
