"""Measure the map of a bundle: seconds and memory to draw it, milliseconds to place new faces, page size, quality.

    python -m benchmarks map fer2013/train.parquet

Drawing is measured for a whole process, as a user waits for it: cold computes the layout, warm reads the coordinates
that the bundle stores. Files are written to a temporary folder only.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.results import ROOT
from moodspace.arrays import FloatArray
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.classifier.map_positions import MAP_NEIGHBORS, map_positions
from moodspace.classifier.recognizer import Recognizer
from moodspace.viz.map.quality import measure_quality

NEW = 100
REPEATS = 20


def measure_drawing(out: Path, bundle: Path, *arguments: str) -> tuple[float, float, float]:
    """Run `cli.py visualize` in its own process; return seconds, processor seconds and peak MiB."""
    line = [sys.executable, str(ROOT / "cli.py"), "visualize", *arguments]
    started = time.perf_counter()
    process = subprocess.Popen(
        [*line, "--bundle", str(bundle), "--out", str(out), "--no-taught"], stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    return time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def placing_ms(bundle: Path) -> list[float]:
    """Place `NEW` faces that are not in the gallery, several times; return the milliseconds of each run."""
    loaded = load_bundle(bundle)
    coordinates = loaded.map_coordinates
    if coordinates is None:
        raise SystemExit(f"{bundle}: expected a bundle with a map, got none; run `visualize`")
    queries = _perturbed(loaded.index.gallery.embeddings[:NEW])
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        neighbors = loaded.index.search(queries, MAP_NEIGHBORS)
        map_positions(neighbors, loaded.index.rows(neighbors.ids), coordinates)
        times.append(1000 * (time.perf_counter() - started))
    return times


def _perturbed(rows: FloatArray) -> FloatArray:
    moved = rows + np.random.default_rng(0).normal(scale=0.02, size=rows.shape)
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)


def quality_lines(bundle: Path) -> list[str]:
    """Return a line on the map's quality for each view of the bundle."""
    lines = []
    loaded = load_bundle(bundle)
    for view in loaded.views:
        recognizer = Recognizer(loaded, view)
        rows, places = loaded.index.gallery.embeddings, loaded.map_coordinates
        if places is not None:
            found = measure_quality(rows, places, recognizer.gallery_labels, seed=0)
            lines.append(
                f"{view}: trustworthiness {found.trustworthiness:.4f} at k = {found.k}, k-NN accuracy "
                f"{found.knn_accuracy_map:.4f} on the map, {found.knn_accuracy_space:.4f} in {found.dim} dimensions"
            )
    return lines


def same_files(one: Path, other: Path) -> bool:
    """Return whether two folders hold the same files, byte for byte."""
    names = [
        sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()) for folder in (one, other)
    ]
    return names[0] == names[1] and all((one / name).read_bytes() == (other / name).read_bytes() for name in names[0])


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="the data that the gallery was made from, for a page with images")
    parser.add_argument("--bundle", type=Path, default=ROOT / "bundles" / "fer2013")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = shutil.copytree(options.bundle, folder / "bundle")
        runs = [("cold", ["--refit"]), ("cold again", ["--refit"]), ("warm", []), ("warm again", [])]
        runs += [("warm, with images", [options.data])] if options.data else []
        for what, arguments in runs:
            seconds, processor, memory = measure_drawing(folder / what, bundle, *arguments)
            page = (folder / what / "map.html").stat().st_size / 1e6
            print(f"{what}: {seconds:.1f} s, {processor:.1f} processor seconds, {memory:.0f} MiB, page {page:.1f} MB")
        print(f"cold runs write the same files: {same_files(folder / 'cold', folder / 'cold again')}")
        print(f"cold and warm runs write the same files: {same_files(folder / 'cold', folder / 'warm')}")
        times = placing_ms(bundle)
        print(f"placing {NEW} new faces: median {np.median(times):.1f} ms, slowest of {REPEATS} {max(times):.1f} ms")
        print("\n".join(quality_lines(bundle)))


if __name__ == "__main__":
    main()
