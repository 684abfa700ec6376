"""Retrieval figures are those of the definitions, worked out face by face."""

import numpy as np
import pytest

from moodspace.classifier import metrics as module
from moodspace.classifier.metrics import retrieval


def on_a_circle(degrees: list[float]) -> np.ndarray:
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def by_hand(embeddings: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    ones, fives, averages = [], [], []
    for row in range(len(labels)):
        others = [i for i in range(len(labels)) if i != row]
        total = sum(labels[i] == labels[row] for i in others)
        if not total:
            continue
        order = sorted(others, key=lambda i: -float(embeddings[row] @ embeddings[i]))
        hits = [labels[i] == labels[row] for i in order]
        ones.append(hits[0])
        fives.append(any(hits[:5]))
        averages.append(sum(np.mean(hits[:place]) for place in range(1, total + 1) if hits[place - 1]) / total)
    return float(np.mean(ones)), float(np.mean(fives)), float(np.mean(averages))


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_worked_out_by_hand(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 7)
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(40, 4)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels = rng.integers(0, 5, 40)
    labels[0] = 9
    found = retrieval(rows, labels)
    assert (found.recall_at_1, found.recall_at_5, found.map_at_r) == pytest.approx(by_hand(rows, labels))


def test_parted_classes_are_found_whole() -> None:
    found = retrieval(on_a_circle([0, 1, 2, 90, 91, 92]), np.array([0, 0, 0, 1, 1, 1]))
    assert (found.recall_at_1, found.recall_at_5, found.map_at_r) == (1, 1, 1)


def test_a_neighbour_of_another_class_costs() -> None:
    found = retrieval(on_a_circle([0, 1, 3]), np.array([0, 1, 0]))
    assert found.recall_at_1 == 0 and found.recall_at_5 == 1 and found.map_at_r == 0


@pytest.mark.parametrize("labels", [[], [0], [0, 1, 2]])
def test_without_pairs_there_are_no_figures(labels: list[int]) -> None:
    found = retrieval(on_a_circle([float(i) for i in range(len(labels))]), np.array(labels, np.int64))
    assert set(found.to_json().values()) == {None}
