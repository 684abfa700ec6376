"""Measure `index`: faces per second on a folder of new crops, and the time to find ten new files among the others.

    python -m benchmarks sync --files 30000 --workers 2

The crops are noise, written to a temporary folder as PNG: the network takes the same time for any picture. Each figure
is the time of a whole process, from its start to its end, as a person waits for it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.results import ROOT
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.data.labels import FER2013_CLASSES

NEW = 10


def write_crops(folder: Path, start: int, stop: int) -> None:
    """Write crops of noise into class folders, one for each number from `start` to before `stop`."""
    for number in range(start, stop):
        path = folder / FER2013_CLASSES[number % len(FER2013_CLASSES)] / f"{number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (SIZE, SIZE), np.uint8)
        Image.fromarray(pixels).save(path, compress_level=1)


def timed_index(*arguments: str) -> tuple[float, dict[str, Any]]:
    """Run `cli.py index` in a process of its own; return its seconds and what it told."""
    line = [sys.executable, str(ROOT / "cli.py"), "index", *arguments, "--json"]
    started = time.perf_counter()
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - started, json.loads(done.stdout)


def main() -> None:
    """Print both figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=30_000, help="crops in the folder")
    parser.add_argument("--workers", type=int, default=2, help="processes that embed")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, gallery = Path(name) / "crops", ["--gallery", str(Path(name) / "gallery")]
        write_crops(folder, 0, asked.files)
        seconds, told = timed_index(str(folder), "--crops", "--workers", str(asked.workers), *gallery)
        rate = told["added"] / seconds
        print(f"new folder: {told['added']} faces in {seconds:.1f} s, {rate:.0f} a second, {asked.workers} workers")
        seconds, told = timed_index(*gallery)
        print(f"nothing new: {told['unchanged']} unchanged in {seconds:.2f} s")
        write_crops(folder, asked.files, asked.files + NEW)
        seconds, told = timed_index(*gallery)
        print(f"{NEW} new: {told['added']} added, {told['unchanged']} unchanged in {seconds:.2f} s")


if __name__ == "__main__":
    main()
