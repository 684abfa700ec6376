"""Fixtures: galleries, faces, and scripts that run in separate processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodspace.index.gallery import Gallery
from moodspace.index.taught.faces import NewFaces

MakeGallery = Callable[..., Gallery]
MakeFaces = Callable[..., NewFaces]
PRIVATE_DISKS = ["unshare", "--mount", "--map-root-user"]
CANNOT_MOUNT = 77

CLASSES = {"fer2013": ("angry", "happy", "sad"), "ferplus": ("neutral", "happy", "sad", "contempt")}


def random_unit_rows(n: int, dim: int, seed: int = 0) -> np.ndarray:
    """Return `(n, dim)` float32 rows of unit length in random directions."""
    rows = np.random.default_rng(seed).standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def unit_rows() -> Callable[..., np.ndarray]:
    return random_unit_rows


@pytest.fixture
def make_gallery() -> MakeGallery:
    """Make a random gallery; ids are neither sorted nor contiguous, so that no test mistakes them for rows."""

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


@pytest.fixture
def make_faces() -> MakeFaces:
    """Make random faces to teach; every face has a digest of its own."""

    def make(n: int, label: str = "happy", seed: int = 0, source: str = "live", dim: int = 16) -> NewFaces:
        digests = [f"{seed:032x}{number:032x}" for number in range(n)]
        return NewFaces(random_unit_rows(n, dim, seed), [label] * n, [source] * n, digests)

    return make


@pytest.fixture
def run_faults() -> Callable[..., Any]:
    """Run a command of a script beside the tests as a process of its own, on private disks if need be."""

    def run(script: str, command: str, *arguments: object, private_disks: bool = False) -> Any:
        before = PRIVATE_DISKS if private_disks else []
        path = Path(__file__).with_name(script)
        words = [*before, sys.executable, str(path), command, *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": str(path.parents[2])}
        done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=600, check=False)
        if before and (done.returncode == CANNOT_MOUNT or "unshare" in done.stderr):
            pytest.skip("this system does not let a test mount a disk of its own")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
