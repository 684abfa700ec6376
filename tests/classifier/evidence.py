"""Synthetic logits and neighbours whose true probabilities are known."""

import numpy as np

from moodspace.classifier.calibration import softmax
from moodspace.classifier.fitting import CalibrationData
from moodspace.index.search import Neighbors


def unit_rows(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """Random `(n, dim)` float32 directions."""
    rows = rng.normal(size=(n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def draw_labels(rng: np.random.Generator, proba: np.ndarray) -> np.ndarray:
    """One label per row, drawn from its probabilities, so that these are perfectly calibrated."""
    return (proba.cumsum(axis=1) < rng.uniform(size=(len(proba), 1))).sum(axis=1).clip(max=proba.shape[1] - 1)


def draw_evidence(
    n: int, *, seed: int = 0, n_classes: int = 5, k_max: int = 30, temperature: float = 1.0
) -> CalibrationData:
    """Head and neighbours that each know something of their own; the head's logits are off by `temperature`."""
    rng = np.random.default_rng(seed)
    seen, felt = rng.normal(size=(2, n, n_classes)) * 1.5
    labels = draw_labels(rng, softmax(seen + felt))
    votes = draw_labels(rng, np.repeat(softmax(felt), k_max, axis=0)).reshape(n, k_max)
    similarities = np.sort(rng.uniform(0.5, 1, (n, k_max)), axis=1)[:, ::-1].astype(np.float32)
    return CalibrationData((seen * temperature).astype(np.float32), similarities, votes, labels)


def neighbors_of(
    similarities: np.ndarray, labels: dict[str, np.ndarray], *, valid: np.ndarray | None = None
) -> Neighbors:
    """Neighbours with the given `(n, k)` similarities and labels, all valid unless said otherwise."""
    ids = np.arange(similarities.size).reshape(similarities.shape)
    return Neighbors(
        ids=ids,
        labels=labels,
        similarities=similarities.astype(np.float32),
        valid=np.ones(similarities.shape, np.bool_) if valid is None else valid,
        sources=ids.astype(str),
    )
