"""Measure a user's gallery of a million faces: build, open, search, teach, remove, and memory.

    python -m benchmarks gallery_scale
    python -m benchmarks gallery_scale --faces 100000 --json

The faces are synthetic and seeded: unit vectors of 128 values around 2,000 cluster centers, which lie around 8 classes.
Queries are new faces of the same distribution, one at a time on one thread, in a separate process that does nothing
else; the reported memory is the peak resident memory of that process, in which mapped files count where they were
touched. Recall is measured against exact search over all 16-bit embeddings. Prints a Markdown table or one JSON
document; a million faces take two to three minutes and 1.2 GB of disk.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.index.taught.faces import NewFaces
from moodspace.index.taught.gallery import TaughtGallery, open_taught
from moodspace.index.taught.ivf import IVFIndex

DIM, K = 128, 10
ENCODER = "synthetic"
CLASSES = ("angry", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")
_CENTERS, _CHUNK, _QUERIES, _EXACT = 2000, 20_000, 2000, 500
# Targets for a million faces: the value, and whether larger is better.
TARGETS = {
    "build_s": (30.0, False),
    "recall_at_10": (0.97, True),
    "median_query_ms": (0.5, False),
    "resident_mb": (300.0, False),
    "open_s": (1.0, False),
    "teach_one_ms": (50.0, False),
    "teach_one_of_100_ms": (50.0, False),
    "teach_one_of_100000_ms": (50.0, False),
}


@dataclass(frozen=True, slots=True)
class Crowd:
    """The distribution of synthetic faces; `faces` draws a sample.

    Attributes:
        centers: `(2000, d)` float64, the cluster centers.
        classes: `(2000,)` int64, the class of each center.
    """

    centers: Any
    classes: IntArray

    @classmethod
    def make(cls, seed: int) -> "Crowd":
        """Draw the centers."""
        rng = np.random.default_rng(seed)
        classes = rng.integers(0, len(CLASSES), _CENTERS)
        anchors = _unit(rng.standard_normal((len(CLASSES), DIM)))
        return cls(anchors[classes] + 0.6 * rng.standard_normal((_CENTERS, DIM)) / DIM**0.5, classes)

    def faces(self, n: int, seed: int) -> tuple[FloatArray, IntArray]:
        """Draw n faces, `(n, d)` float32 unit rows, and their classes `(n,)`."""
        rng = np.random.default_rng(seed)
        at = rng.integers(0, _CENTERS, n)
        rows = self.centers[at] + 0.8 * rng.standard_normal((n, DIM)) / DIM**0.5
        return _unit(rows).astype(np.float32), self.classes[at]


def _unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _new(rows: FloatArray, classes: IntArray, first: int) -> NewFaces:
    sources = [f"/home/user/pictures/faces/{CLASSES[one]}/{first + at:08d}.jpg" for at, one in enumerate(classes)]
    digests = [f"{(first + at) * 0x9E3779B97F4A7C15 % 2**64:016x}" * 4 for at in range(len(classes))]
    return NewFaces(rows, [CLASSES[one] for one in classes], sources, digests)


def fill(gallery: TaughtGallery, crowd: Crowd, n: int, queries: FloatArray) -> FloatArray:
    """Teach n faces and returns the similarities `(q, 10)` of the nearest to each query, found by looking at all."""
    best = np.full((len(queries), K), -2, np.float32)
    for first in range(0, n, _CHUNK):
        rows, classes = crowd.faces(min(_CHUNK, n - first), seed=1000 + first)
        gallery.add(_new(rows, classes, first))
        stored = rows.astype(np.float16).astype(np.float32)
        best = np.sort(np.concatenate([best, queries @ stored.T], axis=1), axis=1)[:, : -K - 1 : -1]
    return best


def measure(folder: Path, n: int, seed: int) -> dict[str, Any]:
    """Build a gallery of n faces in `folder` and returns the figures.

    Args:
        folder: An empty one.
        n: How many faces.
        seed: Of all draws.
    """
    crowd = Crowd.make(seed)
    queries, _ = crowd.faces(_QUERIES, seed=1)
    found: dict[str, Any] = {"faces": n, "dim": DIM}
    with _opened(folder) as gallery:
        start = time.perf_counter()
        exact = fill(gallery, crowd, n, queries[:_EXACT])
        found["teach_all_and_compare_s"] = time.perf_counter() - start
        start = time.perf_counter()
        gallery.prepare()
        found["build_s"] = time.perf_counter() - start
    np.savez(folder / "queries.npz", queries=queries, exact=exact)
    command = [sys.executable, "-m", "benchmarks.growth.gallery_scale", "--search", str(folder)]
    found |= json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    with _opened(folder) as gallery:
        found |= _changes(gallery, crowd)
        found["disk_mb"] = gallery.summary().bytes / 1e6
    return found


def search(folder: Path) -> dict[str, Any]:
    """Open a gallery to read only, searches it, and return the figures."""
    with np.load(folder / "queries.npz") as stored:
        queries, exact = stored["queries"], stored["exact"]
    start = time.perf_counter()
    with open_taught(folder, encoder=ENCODER, dim=DIM, read_only=True) as gallery:
        snapshot = gallery.snapshot()
        opened = time.perf_counter() - start
        similarities = snapshot.search(queries[: len(exact)], K).similarities
        times = []
        for at in range(len(queries)):
            start = time.perf_counter()
            snapshot.search(queries[at : at + 1], K)
            times.append(1e3 * (time.perf_counter() - start))
        figures: dict[str, Any] = {
            "open_s": opened,
            # Of faces that are equally near any will do.
            "recall_at_10": float((similarities >= exact[:, -1:] - 1e-6).mean()),
            "median_query_ms": float(np.median(times)),
            "p95_query_ms": float(np.percentile(times, 95)),
            "resident_mb": _resident_mb(),
        }
        if isinstance(snapshot.base, IVFIndex):
            figures |= {"cells": int(snapshot.base.vectors.nlist), "probes": snapshot.base.nprobe}
            figures["recall_measured_at_build"] = snapshot.base.recall
        return figures


def _changes(gallery: TaughtGallery, crowd: Crowd) -> dict[str, Any]:
    rows, classes = crowd.faces(21, seed=2)
    gallery.snapshot()
    taught: list[float] = []
    ids: list[int] = []
    for at in range(20):
        start = time.perf_counter()
        ids += gallery.add(_new(rows[at : at + 1], classes[at : at + 1], 10**7 + at)).ids
        neighbors = gallery.snapshot().search(rows[at : at + 1], 1)
        taught.append(1e3 * (time.perf_counter() - start))
        if neighbors.ids[0, 0] != ids[-1]:
            raise RuntimeError(f"expected to find the face just taught, {ids[-1]}, got {neighbors.ids[0, 0]}")
    start = time.perf_counter()
    gallery.remove(ids)
    left = gallery.snapshot().search(rows, K).ids
    forgot = 1e3 * (time.perf_counter() - start)
    if np.isin(left, ids).any():
        raise RuntimeError("expected removed faces to be missing, got some of them")
    return {"teach_one_ms": float(np.median(taught)), "teach_one_worst_ms": max(taught), "forget_20_ms": forgot}


def _resident_mb() -> float:
    """Return the most memory this process had resident, in MB of 10^6 bytes; mapped files count where touched."""
    import resource

    # Prefer Linux's own peak: `getrusage` starts from the peak of the parent process.
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size * (1 if sys.platform == "darwin" else 1024) / 1e6


def _opened(folder: Path) -> TaughtGallery:
    return open_taught(folder, encoder=ENCODER, dim=DIM)


def small(folder: Path, n: int, seed: int) -> float:
    """Return the median time, in ms, to teach a face and find it in a gallery of n others."""
    crowd = Crowd.make(seed)
    with _opened(folder) as gallery:
        fill(gallery, crowd, n, np.zeros((1, DIM), np.float32))
        return float(_changes(gallery, crowd)["teach_one_ms"])


def table(found: dict[str, Any]) -> str:
    """Return the figures as a Markdown table."""
    lines = [f"{found['faces']:,} faces of {found['dim']} numbers\n", "| figure | measured | target |", "|---|---|---|"]
    for name, value in found.items():
        if name in ("faces", "dim"):
            continue
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        target, larger = TARGETS.get(name, (None, False))
        wanted = "" if target is None else f"{'>=' if larger else '<='} {target:g}"
        lines.append(f"| {name} | {shown} | {wanted} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--faces",
        type=int,
        default=1_000_000,
        help="number of faces in the large gallery; an upper limit for the smaller ones",
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.search:
        print(json.dumps(search(options.search)))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder) / "large", options.faces, options.seed)
        for n in (size for size in (100, 100_000) if size <= options.faces):
            found[f"teach_one_of_{n}_ms"] = small(Path(folder) / str(n), n, options.seed)
    print(json.dumps(found) if options.json else table(found))


if __name__ == "__main__":
    main()
