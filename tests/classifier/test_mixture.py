"""Tests of classifier/mixture.py: a blend fitted to scenes."""

import numpy as np
import pytest

from moodspace.classifier.mixture import Scene, cross_fit_mixture, fit_mixture
from moodspace.classifier.views import Blend

CLASSES = {"acted": ("calm", "glad", "cross"), "seen": ("glad", "proud", "calm", "cross")}
EVEN = Blend(("calm", "glad", "cross"), {"acted": (0.5, 0.5, 0.5), "seen": (0.5, 0.5, 0.5)}, truth="seen")


def scene(n, seed, weight=1.0):
    """Faces of which "seen" is right about, while "acted" calls every second calm one cross."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, n)
    misled = np.where((labels == 0) & (random.random(n) < 0.5), 2, labels)
    acted = 0.7 * np.eye(3)[misled] + 0.1
    seen = 0.6 * np.eye(4)[np.array([2, 0, 3])[labels]] + 0.1
    return Scene({"acted": acted, "seen": seen}, labels.astype(np.int64), weight)


def test_the_fit_believes_who_is_right():
    fitted = fit_mixture(EVEN, CLASSES, [scene(400, 0)])
    fresh = scene(400, 1)
    right = (fitted.mean(fresh.proba, CLASSES).argmax(axis=1) == fresh.labels).mean()
    assert right > 0.99
    assert right > (fresh.proba["acted"].argmax(axis=1) == fresh.labels).mean() + 0.1


def test_a_scene_that_weighs_more_is_followed_where_two_contradict():
    one = scene(300, 2)
    other = Scene(one.proba, one.proba["acted"].argmax(axis=1))
    for weights, followed in (((9.0, 1.0), one), ((1.0, 9.0), other)):
        scenes = [Scene(s.proba, s.labels, w) for s, w in zip((one, other), weights, strict=True)]
        said = fit_mixture(EVEN, CLASSES, scenes).mean(one.proba, CLASSES).argmax(axis=1)
        assert (said == followed.labels).mean() > 0.95


def test_faces_without_a_label_change_nothing():
    known = scene(100, 3)
    more = scene(50, 4)
    both = {name: np.concatenate([known.proba[name], more.proba[name]]) for name in CLASSES}
    labels = np.concatenate([known.labels, np.full(50, -1)])
    assert fit_mixture(EVEN, CLASSES, [Scene(both, labels)]) == fit_mixture(EVEN, CLASSES, [known])


def test_every_face_is_predicted_by_a_fit_without_it():
    faces = scene(60, 5)
    (apart,) = cross_fit_mixture(EVEN, CLASSES, [faces], folds=3)
    np.testing.assert_allclose(apart.sum(axis=1), 1)
    wrong = np.roll(faces.labels, 1)
    (lost,) = cross_fit_mixture(EVEN, CLASSES, [Scene(faces.proba, wrong)], folds=3)
    assert (lost.argmax(axis=1) == wrong).mean() < 0.6


def test_a_fitted_blend_is_written_and_read():
    fitted = fit_mixture(EVEN, CLASSES, [scene(60, 6)])
    assert Blend.from_json(fitted.to_json()) == fitted


@pytest.mark.parametrize("bias", [(0.0, 0.0), (0.0, 0.0, float("nan"))])
def test_weights_that_are_none_are_refused(bias):
    fitted = fit_mixture(EVEN, CLASSES, [scene(60, 7)])
    with pytest.raises(ValueError, match="weights, bias: expected rows of 3 finite numbers"):
        Blend(fitted.classes, fitted.shares, "seen", weights=fitted.weights, bias=bias)


def test_weights_of_other_label_sets_are_refused():
    fitted = fit_mixture(EVEN, CLASSES, [scene(60, 6)])
    with pytest.raises(ValueError, match=r"weights: expected the sets \[.*\], got \['other'\]"):
        Blend(fitted.classes, fitted.shares, fitted.truth, weights={"other": ()}, bias=fitted.bias)
