import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from moodspace.viz.map.quality import measure_quality


def circle(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Points on a circle, which a plane can hold as they are, and the quarter that each lies in."""
    angle = np.sort(np.random.default_rng(0).uniform(0, 2 * np.pi, n))
    return np.c_[np.cos(angle), np.sin(angle)].astype(np.float32), (angle // (np.pi / 2)).astype(np.int64)


def test_a_perfect_map_keeps_everything() -> None:
    rows, labels = circle(300)
    quality = measure_quality(rows, 7 * rows, labels, seed=1)
    assert quality.trustworthiness == pytest.approx(1, abs=1e-3)  # ties between cosine and Euclidean rounding
    assert quality.knn_accuracy_map == quality.knn_accuracy_space
    assert quality.knn_accuracy_space is not None and quality.knn_accuracy_space > 0.9
    assert quality.k == 15


def test_a_random_map_keeps_nothing() -> None:
    rows, labels = circle(300)
    quality = measure_quality(rows, np.random.default_rng(1).normal(size=(300, 2)).astype(np.float32), labels, seed=1)
    assert quality.trustworthiness is not None and quality.trustworthiness < 0.6
    assert quality.knn_accuracy_map is not None and quality.knn_accuracy_map < 0.4


def test_a_face_does_not_vote_for_itself() -> None:
    rows = np.array([[1, 0], [1, 0], [1, 0], [-1, 0], [-1, 0], [-1, 0]], np.float32)
    labels = np.array([0, 0, 1, 0, 0, 1])
    assert measure_quality(rows, rows, labels, seed=1).knn_accuracy_space == pytest.approx(4 / 6)


def test_the_sample_stands_for_all() -> None:
    rows, labels = circle(1500)
    places = rows + np.random.default_rng(2).normal(scale=0.05, size=rows.shape).astype(np.float32)
    sampled = measure_quality(rows, places, labels, seed=1, sample=500).trustworthiness
    assert sampled == measure_quality(rows, places, labels, seed=1, sample=500).trustworthiness
    assert sampled == pytest.approx(trustworthiness(rows, places, n_neighbors=15), abs=0.02)


def test_faces_without_a_label_are_left_out_of_the_accuracies() -> None:
    rows, labels = circle(300)
    labels[::2] = -1
    halved = measure_quality(rows[1::2], rows[1::2], labels[1::2], seed=1)
    assert measure_quality(rows, rows, labels, seed=1).knn_accuracy_map == halved.knn_accuracy_map


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_to_measure(n: int) -> None:
    rows, labels = circle(n)
    quality = measure_quality(rows, rows, labels, seed=1)
    assert quality.trustworthiness is None


def test_three_faces() -> None:
    rows, labels = circle(3)
    assert measure_quality(rows, rows, labels, seed=1).k == 1


def test_no_labels_at_all() -> None:
    rows, labels = circle(50)
    quality = measure_quality(rows, rows, np.full_like(labels, -1), seed=1)
    assert quality.knn_accuracy_map is None and quality.knn_accuracy_space is None
    assert quality.trustworthiness is not None


def test_columns_of_other_lengths() -> None:
    rows, labels = circle(50)
    with pytest.raises(ValueError, match="rows that the map was made from"):
        measure_quality(rows, rows[:49], labels, seed=1)


@pytest.mark.parametrize("noise", [0.02, 0.3, 3.0])
def test_trustworthiness_is_that_of_scikit_learn(noise: float) -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(400, 6))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    places = (rows[:, :2] + noise * rng.normal(size=(400, 2))).astype(np.float32)
    measured = measure_quality(rows, places, np.zeros(400, np.int64), seed=1).trustworthiness
    assert measured == pytest.approx(trustworthiness(rows, places, n_neighbors=15, metric="cosine"), abs=1e-4)


def test_faces_all_on_one_spot() -> None:
    rows, labels = circle(100)
    quality = measure_quality(rows, np.zeros((100, 2), np.float32), labels, seed=1)
    assert quality.trustworthiness is not None and 0 <= quality.trustworthiness < 0.7
