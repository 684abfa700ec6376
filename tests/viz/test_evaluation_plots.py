"""Tests of viz/evaluation_plots.py."""

import numpy as np
import pytest
from PIL import Image

from moodspace.classifier.evaluation import ScoredFaces
from moodspace.viz.evaluation_plots import most_confident_errors, plot_evaluation

CLASSES = ("happy", "sad", "surprise")


def scored(n: int, seed: int = 0, right: float = 0.7) -> ScoredFaces:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    proba = rng.dirichlet([1, 1, 1], n)
    shown = np.where(rng.random(n) < right, truth, (truth + 1) % 3)
    proba[np.arange(n), shown] += 1
    proba = (proba / proba.sum(axis=1, keepdims=True)).astype(np.float32)
    rows = np.arange(n, dtype=np.int64)
    embeddings = np.ones((n, 1), np.float32)
    return ScoredFaces("mood", CLASSES, rows, truth, proba, proba, proba, proba.max(axis=1) < 0.6, embeddings)


def test_all_pictures_are_written(tmp_path) -> None:
    one = scored(40)
    crops = np.random.default_rng(0).integers(0, 256, (40, 48, 48), np.uint8)
    written = plot_evaluation(one, crops, tmp_path / "new" / "plots")
    names = ["confusion", "reliability", "risk-coverage", "classes", "mistakes"]
    assert [path.name for path in written] == [f"{name}.png" for name in names]
    for path in written:
        picture = np.asarray(Image.open(path).convert("L"))
        assert min(picture.shape) > 150 and picture.std() > 5, path.name


def test_surest_mistakes_come_first_and_are_mistakes() -> None:
    one = scored(200)
    rows = most_confident_errors(one)
    assert (one.ensemble[rows].argmax(axis=1) != one.truth[rows]).all()
    confidence = one.ensemble[rows].max(axis=1)
    assert (np.diff(confidence) <= 0).all() and len(rows) == 48
    wrong = one.ensemble.argmax(axis=1) != one.truth
    assert confidence[-1] >= np.sort(one.ensemble[wrong].max(axis=1))[-48]


@pytest.mark.parametrize("n", [1, 3])
def test_few_faces_and_no_mistake_make_sensible_pictures(n: int, tmp_path) -> None:
    written = plot_evaluation(scored(n, right=1.0), np.zeros((n, 48, 48), np.uint8), tmp_path)
    assert [path.name for path in written][-1] == "classes.png"
