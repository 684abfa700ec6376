"""Give changed files to the commands: the right exit status, one line for each problem, and never a traceback."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.faults.fuzz import watch
from benchmarks.faults.mutate import mutate
from benchmarks.faults.outcome import Amount, Outcome
from benchmarks.faults.targets import TARGETS, work_folder
from benchmarks.results import ROOT

# One command for so many changed inputs: each loads a bundle.
_EVERY = 25
# Commands by name: the fuzz target that has whole inputs for it, the file's name, the words, the exit statuses.
_COMMANDS: dict[str, tuple[str, str, list[str], set[int]]] = {
    "predict a picture": ("picture", "a.png", ["predict", "{file}", "--json"], {0, 1, 4}),
    "predict a video": ("video", "a.mp4", ["predict", "{file}", "--every", "3"], {0, 1, 4}),
    "predict into a table": ("video", "a.mp4", ["predict", "{folder}", "--out", "{folder}/t.csv"], {0, 1, 4}),
    "live": ("video", "a.mp4", ["live", "--headless", "--source", "{file}"], {0, 1, 4}),
    "teach": ("picture", "a.png", ["teach", "--label", "tired", "{file}", "--gallery", "{folder}/g"], {0, 1}),
    "explore": ("parquet_faces", "train.parquet", ["explore", "{file}", "--out", "{folder}/e"], {0, 1}),
    "report": ("session_json", "session.json", ["report", "{file}"], {0, 3}),
    "report a recording": ("session_file", "session.sqlite", ["report", "{folder}"], {0, 3}),
    "report with marks": ("marks_csv", "marks.csv", ["report", "{session}", "--marks", "{file}"], {0, 1, 2}),
    "gallery verify": ("gallery_file", "gallery.sqlite", ["gallery", "verify", "--gallery", "{folder}"], {0, 1, 3}),
    "gallery import": ("faces_json", "f.json", ["gallery", "import", "{file}", "--gallery", "{folder}/g"], {0, 1, 3}),
    "predict with a bundle": (
        "bundle_manifest", "manifest.json", ["predict", "{picture}", "--bundle", "{folder}"], {0, 3}
    ),
    "curves": ("training_log", "log.csv", ["curves", "{file}", "--out", "{folder}/c.png"], {0, 1}),
}  # fmt: skip


def read_files(amount: Amount) -> Outcome:
    """Give the same changed files to all entry points for files; the checks are those of `tests/test_mutants.py`."""
    outcome, began = Outcome("changed files through all entry points"), time.perf_counter()
    count = max(30, amount.mutants // 10)
    environment = os.environ | {"MOODSPACE_MUTANTS": str(count), "MOODSPACE_SEED": str(amount.seed)}
    words = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", "tests/test_mutants.py"]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    outcome.tried = outcome.landed = count
    if done.returncode:
        outcome.fault(done.stdout[-500:])
    outcome.seconds = time.perf_counter() - began
    return outcome


def run_commands(amount: Amount, folder: Path) -> list[Outcome]:
    """Run each command with changed files in turn, and read many files."""
    outcome, began = Outcome("commands on changed files"), time.perf_counter()
    count = max(len(_COMMANDS), amount.mutants // _EVERY)

    def work(first: int, tell: Callable[[dict[str, Any]], None]) -> None:
        for number in range(first, count):
            tell({"begins": number})
            name = list(_COMMANDS)[number % len(_COMMANDS)]
            place = folder / str(number)
            place.mkdir()
            try:
                tell({"number": number, "read": _run(name, number, amount.seed, place) == 0})
            except Exception as error:
                tell({"number": number, "fault": f"{name}: {type(error).__name__}: {error}"})

    watch(work, count, outcome)
    outcome.seconds = time.perf_counter() - began
    # `make test` reads 60 of them each time.
    return [outcome, *([read_files(amount)] if amount.is_full else [])]


def _run(name: str, number: int, seed: int, folder: Path) -> int:
    from typer.testing import CliRunner

    from moodspace.classifier.bundle import bundle as bundles
    from moodspace.cli import app
    from moodspace.embeddings.encoder import LiteRTEncoder
    from moodspace.realtime.demo import picture_path

    target, file, words, right = _COMMANDS[name]
    seeds, rng = TARGETS[target].seeds(), random.Random(f"{seed}-{name}-{number}")
    bundles.LiteRTEncoder = LiteRTEncoder  # type: ignore[misc]  # other checks put a stand-in there
    (folder / file).write_bytes(mutate(seeds[number % len(seeds)], TARGETS[target].kind, rng))
    if "{session}" in words:
        TARGETS["session_file"].seeds()
    places = {
        "file": folder / file, "folder": folder, "session": work_folder() / "session", "picture": picture_path(),
    }  # fmt: skip
    done = CliRunner().invoke(app, [word.format(**places) for word in words])
    told = f"exit {done.exit_code}, {done.output[-300:]!r}"
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise AssertionError(f"{type(done.exception).__name__}: {done.exception}")
    if "Traceback" in done.output or "a fault of Moodspace" in done.output or done.exit_code not in right:
        raise AssertionError(told)
    if done.exit_code and not any(word in done.output for word in ("expected", "skipped", "problem", "no face")):
        raise AssertionError(f"no reason: {told}")
    return done.exit_code
