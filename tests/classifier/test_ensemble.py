"""The two ends of alpha, faces without any vote, and that a prediction is always a distribution."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodspace.classifier.calibration import Calibration, calibrated
from moodspace.classifier.ensemble import Prediction, combine, shifted_probabilities
from moodspace.index.gallery import Gallery
from moodspace.index.search import GalleryIndex
from tests.classifier.evidence import neighbors_of, unit_rows

CLASSES = ("calm", "cross", "confused")
PLAIN = Calibration(scale=(0.5,) * 3, bias=(0.0,) * 3, alpha=0.5, tau=0.1, k=3, unknown_below=0.5)


def predict(calibration: Calibration, *, seed: int = 0, n: int = 6) -> Prediction:
    rng = np.random.default_rng(seed)
    neighbors = neighbors_of(rng.uniform(-1, 1, (n, 4)), {"mood": rng.integers(-1, 3, (n, 4))})
    return combine(rng.normal(size=(n, 3)).astype(np.float32) * 3, neighbors, calibration, "mood", CLASSES)


def test_one_face_in_closed_form() -> None:
    neighbors = neighbors_of(np.array([[0.9, 0.9, 0.9]]), {"mood": np.array([[0, 0, 1]])})
    logits = np.log(np.array([[1, 4, 25]], np.float32))  # at a scale of a half: 1 : 2 : 5
    found = combine(logits, neighbors, replace(PLAIN, alpha=0.25), "mood", CLASSES)
    np.testing.assert_allclose(found.head_proba, [[1 / 8, 2 / 8, 5 / 8]], rtol=1e-6)
    np.testing.assert_allclose(found.knn_proba, [[2 / 3, 1 / 3, 0]], rtol=1e-6)
    np.testing.assert_allclose(found.proba, [[0.25 / 8 + 0.5, 0.5 / 8 + 0.25, 1.25 / 8]], rtol=1e-6)
    assert found.labels.tolist() == [0]
    np.testing.assert_allclose(found.confidence, [0.25 / 8 + 0.5], rtol=1e-6)


def test_the_ends_of_alpha_are_the_head_and_the_votes() -> None:
    head, knn = predict(replace(PLAIN, alpha=1.0)), predict(replace(PLAIN, alpha=0.0))
    np.testing.assert_array_equal(head.proba, head.head_proba)
    np.testing.assert_allclose(knn.proba, knn.knn_proba, rtol=1e-6)
    assert (head.proba != knn.proba).any()


def test_votes_are_smoothed_then_softened() -> None:
    neighbors = neighbors_of(np.array([[0.9, 0.9, 0.9]]), {"mood": np.array([[0, 0, 1]])})
    calibration = replace(PLAIN, alpha=0.0, votes_smoothing=1 / 3, votes_temperature=2.0)
    found = combine(np.zeros((1, 3), np.float32), neighbors, calibration, "mood", CLASSES)
    roots = np.sqrt([[1, 2 / 3, 1 / 3]])  # shares of 2/3, 1/3 and 0, a third added to each
    np.testing.assert_allclose(found.knn_proba, roots / roots.sum(), rtol=1e-6)
    np.testing.assert_array_equal(found.proba, found.knn_proba)


def test_the_ensembles_temperature_sharpens_and_keeps_the_labels() -> None:
    plain, sharp = predict(PLAIN), predict(replace(PLAIN, ensemble_temperature=0.5))
    np.testing.assert_array_equal(sharp.labels, plain.labels)
    squares = plain.proba**2
    np.testing.assert_allclose(sharp.proba, squares / squares.sum(axis=1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("valid", [True, False])
def test_without_a_vote_the_head_decides_alone(valid: bool) -> None:
    labels = {"mood": np.full((1, 2), -1 if valid else 0)}
    neighbors = neighbors_of(np.full((1, 2), 0.9), labels, valid=np.full((1, 2), valid))
    calibration = replace(PLAIN, alpha=0.0, ensemble_temperature=0.3)
    found = combine(np.array([[0, 1, 3]], np.float32), neighbors, calibration, "mood", CLASSES)
    np.testing.assert_allclose(found.proba, calibrated(np.array([[0, 1, 3]]), PLAIN), rtol=1e-6)
    np.testing.assert_allclose(found.knn_proba, 1 / 3)


def test_more_neighbours_than_k_are_evidence_but_do_not_vote() -> None:
    neighbors = neighbors_of(np.array([[0.9, 0.9]]), {"mood": np.array([[0, 1]])})
    found = combine(np.zeros((1, 3), np.float32), neighbors, replace(PLAIN, k=1), "mood", CLASSES)
    np.testing.assert_array_equal(found.knn_proba, [[1, 0, 0]])
    assert found.neighbors.ids.shape == (1, 2)


def test_unknown_is_strictly_below_the_threshold() -> None:
    confidence = predict(PLAIN).confidence
    found = predict(replace(PLAIN, unknown_below=float(np.sort(confidence)[2])))
    assert found.unknown.sum() == 2


@given(
    seed=st.integers(0, 10_000),
    alpha=st.floats(0, 1),
    tau=st.floats(1e-4, 10),
    scale=st.floats(0.05, 20),
    bias=st.floats(-5, 5),
    temperature=st.floats(0.05, 20),
    smoothing=st.floats(0, 1),
    sharpness=st.floats(0.25, 4),
)
def test_predictions_are_distributions(
    seed: int,
    alpha: float,
    tau: float,
    scale: float,
    bias: float,
    temperature: float,
    smoothing: float,
    sharpness: float,
) -> None:
    scales, biases = (scale, 1.0, 1.0), (0.0, bias, 0.0)
    found = predict(Calibration(scales, biases, alpha, tau, 3, 0.5, temperature, smoothing, sharpness), seed=seed)
    for proba in (found.proba, found.head_proba, found.knn_proba):
        assert proba.dtype == np.float32
        assert ((proba >= 0) & (proba <= 1)).all()
        np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)


def test_the_order_of_the_gallery_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    gallery = Gallery(
        embeddings=unit_rows(rng, 40, 8),
        ids=np.arange(40),
        labels={"mood": rng.integers(-1, 3, 40)},
        classes={"mood": CLASSES},
        sources=np.arange(40).astype(str),
        added=np.zeros(40),
    )
    queries, logits = unit_rows(rng, 5, 8), rng.normal(size=(5, 3)).astype(np.float32)
    found = [
        combine(logits, GalleryIndex(faces).search(queries, 3), PLAIN, "mood", CLASSES).proba
        for faces in (gallery, gallery.take(rng.permutation(40)))
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_no_faces_are_legal() -> None:
    found = predict(PLAIN, n=0)
    assert len(found) == 0
    assert found.proba.shape == (0, 3)
    assert found.labels.shape == found.confidence.shape == found.unknown.shape == (0,)


@pytest.mark.parametrize(
    ("logits", "label_set", "message"),
    [
        (np.zeros((1, 4), np.float32), "mood", r"expected the shape \(1, 3\) of faces and classes, got \(1, 4\)"),
        (np.zeros((2, 3), np.float32), "mood", "expected the shape"),
        (np.full((1, 3), np.nan, np.float32), "mood", "expected finite values"),
        (np.zeros((1, 3), np.float32), "weather", r"\['mood'\], got 'weather'"),
    ],
)
def test_refusals(logits: np.ndarray, label_set: str, message: str) -> None:
    neighbors = neighbors_of(np.zeros((1, 2)), {"mood": np.zeros((1, 2), np.int64)})
    with pytest.raises(ValueError, match=message):
        combine(logits, neighbors, PLAIN, label_set, CLASSES)


def test_a_prediction_of_uneven_arrays_is_refused() -> None:
    with pytest.raises(ValueError, match="knn_proba: expected the shape"):
        replace(predict(PLAIN), knn_proba=np.zeros((6, 2), np.float32))


def test_shifted_probabilities_are_as_precise_as_the_others() -> None:
    proba = np.array([[0.25, 0.75]], np.float32)
    shifted = shifted_probabilities(proba, np.array([np.log(3.0), 0.0]))
    assert shifted.dtype == np.float32
    np.testing.assert_allclose(shifted, [[0.5, 0.5]])
