"""Small maps for the tests."""

from collections.abc import Callable

import numpy as np
import pytest

from moodspace.viz.map.face_map import FaceMap


@pytest.fixture
def make_map() -> Callable[..., FaceMap]:
    def make(n: int = 90, classes: tuple[str, ...] = ("happy", "sad", "confused"), **changes: object) -> FaceMap:
        rng = np.random.default_rng(1)
        labels = np.arange(n) % len(classes)
        angle = 2 * np.pi * labels / len(classes)
        columns = {
            "coordinates": (5 * np.c_[np.cos(angle), np.sin(angle)] + rng.normal(size=(n, 2))).astype(np.float32),
            "labels": labels,
            "classes": classes,
            "ids": np.arange(n) + 2**60,
            "sources": np.array([f"train/{i}.png" for i in range(n)], dtype=str),
            "note": "UMAP, seed 7",
        }
        return FaceMap.plain(**(columns | changes))  # type: ignore[arg-type]

    return make
