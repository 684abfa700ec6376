"""Galleries to test with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from index.gallery import Gallery

MakeGallery = Callable[..., Gallery]

CLASSES = {"fer2013": ("angry", "happy", "sad"), "ferplus": ("neutral", "happy", "sad", "contempt")}


def random_unit_rows(n: int, dim: int, seed: int = 0) -> np.ndarray:
    """Returns `(n, dim)` float32 rows of unit length in random directions."""
    rows = np.random.default_rng(seed).standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def unit_rows() -> Callable[..., np.ndarray]:
    return random_unit_rows


@pytest.fixture
def make_gallery() -> MakeGallery:
    """Makes a random gallery; ids are neither sorted nor contiguous, so that no test mistakes them for rows."""

    def make(n: int, dim: int = 16, classes: dict[str, tuple[str, ...]] = CLASSES, seed: int = 0) -> Gallery:
        rng = np.random.default_rng(seed)
        return Gallery(
            random_unit_rows(n, dim, seed),
            rng.permutation(3 * n)[:n].astype(np.int64) + 10,
            {name: rng.integers(-1, len(names), n) for name, names in classes.items()},
            classes,
            np.array([f"happy/Träning_{number}.webp" for number in range(n)], dtype=np.str_),
            1.7e9 + rng.random(n),
        )

    return make
