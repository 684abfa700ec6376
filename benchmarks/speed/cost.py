"""Time a prediction, for 1 to 32 faces a call: encoder with mirror images, search in the gallery, ensemble.

    python -m benchmarks cost --bundle bundles/fer2013
    python -m benchmarks cost --bundle bundles/fer2013 --rounds 9 --json

Each round times every number of faces `--runs` times and takes the 50th and 95th percentile. Other work on the machine
only ever adds time, so the round with the smallest figure is nearest to what the code costs, and the median of the
rounds is what a person gets here; both are printed. Detector, crop, tracking and drawing are not part of it.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.classifier.bundle.bundle import ENCODER, FORMAT, VERSION, Bundle, load_bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.crops import SIZE
from moodspace.index.store.manifest import parse_manifest

BATCHES = (1, 4, 8, 16, 32)
WARM_UP = 20
PARTS = ("encoder", "search", "ensemble", "whole")
# Milliseconds a face on two cores, by number of faces.
AIMS = {1: 5.0, 8: 3.0}


class Stopwatch:
    """Notes how long each call of one method of one object takes.

    Args:
        owner: The object; its method is replaced by one that does the same and is timed.
        method: The method's name.
        clock: Returns seconds.
    """

    def __init__(self, owner: object, method: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds = 0.0
        timed = getattr(owner, method)

        def call(*args: Any, **kwargs: Any) -> Any:
            start = clock()
            try:
                return timed(*args, **kwargs)
            finally:
                self.seconds += clock() - start

        setattr(owner, method, call)

    def take(self) -> float:
        """Return the seconds since the last call, and start anew."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a call with a number of faces.

    Attributes:
        faces: How many.
        p50_ms: For each of `PARTS` the median of each round, `rounds` values.
        p95_ms: Likewise the 95th percentile.
    """

    faces: int
    p50_ms: dict[str, list[float]]
    p95_ms: dict[str, list[float]]

    def to_json(self) -> dict[str, Any]:
        """Return best and median round by part, in milliseconds a call, and the whole a face."""

        def over_rounds(values: Sequence[float]) -> dict[str, float]:
            return {"best": round(min(values), 3), "median": round(float(np.median(values)), 3)}

        return {
            "faces": self.faces,
            "p50_ms": {part: over_rounds(values) for part, values in self.p50_ms.items()},
            "p95_ms": {part: over_rounds(values) for part, values in self.p95_ms.items()},
            "whole_p50_ms_a_face": over_rounds([value / self.faces for value in self.p50_ms["whole"]]),
            "aim_ms_a_face": AIMS.get(self.faces),
        }


def measure(
    bundle: Bundle,
    labels: str | None = None,
    *,
    batches: Sequence[int] = BATCHES,
    rounds: int = 5,
    runs: int = 200,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Cost]:
    """Time `Recognizer.predict`; the ensemble is what encoder and search leave of the whole.

    Args:
        bundle: What predicts. Its encoder and index are timed from now on.
        labels: The label set; the bundle's default when None.
        batches: Numbers of faces.
        rounds: How often all of them are timed, in turn, so that a busy minute does not fall on one alone.
        runs: Calls a round.
        clock: Returns seconds.
    """
    recognizer = Recognizer(bundle, labels)
    watches = Stopwatch(bundle.encoder, "encode", clock), Stopwatch(bundle.index, "search", clock)
    crops = np.random.default_rng(0).integers(0, 256, (max(batches), SIZE, SIZE), np.uint8)
    costs = [Cost(n, {part: [] for part in PARTS}, {part: [] for part in PARTS}) for n in batches]

    def one_call(n: int) -> tuple[float, ...]:
        start = clock()
        recognizer.predict(crops[:n])
        whole = clock() - start
        encoder, search = (watch.take() for watch in watches)
        return encoder, search, whole - encoder - search, whole

    for _ in range(rounds):
        for cost in costs:
            for _ in range(min(WARM_UP, runs)):
                one_call(cost.faces)
            ms = 1000 * np.array([one_call(cost.faces) for _ in range(runs)])
            for target, share in ((cost.p50_ms, 50), (cost.p95_ms, 95)):
                for part, value in zip(PARTS, np.percentile(ms, share, axis=0), strict=True):
                    target[part].append(float(value))
    return costs


def describe(bundle: Bundle, threads: int) -> dict[str, Any]:
    """Return what the times depend on: machine, threads, encoder and gallery."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": cores,
        "encoder_threads": threads,
        "search_threads": bundle.index.threads,
        "flip": bundle.meta["flip"],
        "encoder_bytes": parse_manifest(bundle.path, FORMAT, VERSION).files[ENCODER].bytes,
        "gallery_faces": len(bundle.index),
    }


def table(costs: Sequence[Cost]) -> str:
    """Return the costs as a Markdown table, milliseconds, "best round / median round"."""
    lines = [
        "| faces | encoder | search | ensemble | whole, p50 | whole, p95 | a face, p50 | aim |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for cost in costs:
        shown = cost.to_json()
        found = [*(shown["p50_ms"][part] for part in PARTS), shown["p95_ms"]["whole"], shown["whole_p50_ms_a_face"]]
        cells = [f"{value['best']:.2f} / {value['median']:.2f}" for value in found]
        lines.append(f"| {cost.faces} | {' | '.join(cells)} | {shown['aim_ms_a_face'] or ''} |")
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="the bundle to time")
    parser.add_argument("--labels", help="the label set; the bundle's default when left out")
    parser.add_argument("--threads", type=int, default=2, help="threads of the encoder")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is timed")
    parser.add_argument("--runs", type=int, default=200, help="calls a round for each number of faces")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle, threads=arguments.threads)
    setting = describe(bundle, arguments.threads) | {"rounds": arguments.rounds, "runs": arguments.runs}
    costs = measure(bundle, arguments.labels, rounds=arguments.rounds, runs=arguments.runs)
    if arguments.json:
        print(json.dumps({**setting, "costs": [cost.to_json() for cost in costs]}, indent=2))
    else:
        print(", ".join(f"{name} {value}" for name, value in setting.items()) + "\n\n" + table(costs))


if __name__ == "__main__":
    main()
