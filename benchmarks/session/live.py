"""Measure the speed of the live pipeline on clips, and how steady its labels and ids are.

    python -m benchmarks live CLIP... [--bundle bundles/fer2013] [--rounds 3] [--json]

Each clip is processed and drawn as fast as possible, without a window. Printed are frames per second and, for each
stage, the 50th and 95th percentile over the frames in which it ran (the detector does not run in every frame) and the
mean over all frames. Then the same for 16 faces at 1280x720: copies of the clip side by side, each shifted in time. All
figures are medians of the rounds. The time from the command to the first labeled frame is that of
`cli.py live --headless --json`.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.results import ROOT
from benchmarks.session.steadiness import histories, steadiness
from moodspace.arrays import ByteArray
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.detectors import open_detector
from moodspace.embeddings.detection.faces import Detector
from moodspace.realtime.capture.files import open_source
from moodspace.realtime.pipeline import STAGES, LivePipeline, LiveResult
from moodspace.realtime.window.draw import draw_live

PARTS = ("capture", *STAGES, "draw")
MONTAGE_SIZE = 1280, 720
MONTAGE_FACES = 16
_CLI = ROOT / "cli.py"

Timed = Iterator[tuple[float, ByteArray]]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One run over a clip.

    Attributes:
        results: The result of each frame.
        ms: For each of `PARTS` the milliseconds of each frame, `(frames,)` float64.
        seconds: The total time.
    """

    results: list[LiveResult]
    ms: dict[str, npt.NDArray[np.float64]]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return frames per second, faces, ids and the milliseconds of the stages."""
        faces = [len(result.faces) for result in self.results]
        return {
            "frames": len(faces),
            "faces": {"median": float(np.median(faces)), "most": max(faces)},
            "ids": len({int(one) for result in self.results for one in result.track_ids}),
            "frames_a_second": round(len(faces) / self.seconds, 1),
            "stages_ms": {part: _summary(values) for part, values in self.ms.items()},
        }


def _summary(values: npt.NDArray[np.float64]) -> dict[str, float]:
    ran = values[values > 0] if (values > 0).any() else values
    p50, p95 = np.percentile(ran, (50, 95))
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2), "mean": round(float(values.mean()), 2)}


def run(
    frames: Timed, detector: Detector, recognizer: Recognizer, clock: Callable[[], float] = time.perf_counter
) -> Run:
    """Process frames, each with its time in seconds, with a new pipeline, and draw the results."""
    pipeline = LivePipeline(detector, recognizer, clock=clock)
    results: list[LiveResult] = []
    ms: dict[str, list[float]] = {part: [] for part in PARTS}
    start = mark = clock()
    for now, frame in frames:
        captured = clock()
        result = pipeline.process(frame, now)
        processed = clock()
        draw_live(frame, result)
        drawn = clock()
        spent = {"capture": 1000 * (captured - mark), **result.timings_ms, "draw": 1000 * (drawn - processed)}
        for part, value in spent.items():
            ms[part].append(value)
        results.append(result)
        mark = drawn
    return Run(results, {part: np.array(values) for part, values in ms.items()}, mark - start)


def clip_frames(clip: Path) -> Timed:
    """Yield the frames of a clip, each with its time in seconds."""
    with open_source(str(clip)) as source:
        for frame in source:
            yield frame.time, frame.bgr


def montage(clip: Path, faces_in_clip: int) -> Callable[[], Timed]:
    """Arrange copies of a clip, each shifted in time, to frames of about 16 faces at 1280x720.

    Args:
        clip: The clip; its frames are kept in memory, shrunk.
        faces_in_clip: How many faces a frame of it has; one gives 4x4 copies, four give 2x2.

    Returns:
        A function that yields the frames, each with its time in seconds; it can be called repeatedly.
    """
    side = max(1, round(math.sqrt(MONTAGE_FACES / max(1, faces_in_clip))))
    size = MONTAGE_SIZE[0] // side, MONTAGE_SIZE[1] // side
    times, tiles = [], []
    for now, frame in clip_frames(clip):
        times.append(now)
        tiles.append(cast(ByteArray, cv2.resize(frame, size, interpolation=cv2.INTER_AREA)))
    shifts = [len(tiles) * number // side**2 for number in range(side**2)]

    def frames() -> Timed:
        for index, now in enumerate(times):
            chosen = [tiles[(index + shift) % len(tiles)] for shift in shifts]
            rows = [np.hstack(chosen[at : at + side]) for at in range(0, side**2, side)]
            yield now, np.vstack(rows)

    return frames


def first_labelled_s(clip: Path, bundle: Path, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds from the start of `cli.py live` to its first line with a face.

    Raises:
        RuntimeError: It ended without one.
    """
    command = [sys.executable, str(_CLI), "live", "--source", str(clip), "--headless", "--json"]
    start = clock()
    with subprocess.Popen([*command, "--bundle", str(bundle)], stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout or ():
                if json.loads(line).get("faces"):
                    return clock() - start
        finally:
            process.kill()
    raise RuntimeError(f"{clip}: expected a frame with a face from cli.py live, got none")


def median(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Merge documents of the same structure: return the median of each number."""
    first = runs[0]
    return {
        key: median([one[key] for one in runs])
        if isinstance(value, dict)
        else round(float(np.median([one[key] for one in runs])), 2)
        for key, value in first.items()
    }


def measure(clip: Path, detector: Detector, recognizer: Recognizer, rounds: int) -> dict[str, Any]:
    """Measure a clip and its montage; label changes once, as they are the same in each round."""
    runs = [run(clip_frames(clip), detector, recognizer) for _ in range(rounds)]
    found: dict[str, Any] = {"clip": clip.name, **median([one.to_json() for one in runs])}
    found["labels"] = steadiness(histories(runs[0].results)).to_json()
    faces = round(found["faces"]["median"])
    if faces:
        found["first_labelled_s"] = round(
            float(np.median([first_labelled_s(clip, recognizer.bundle.path) for _ in range(rounds)])), 2
        )
        frames = montage(clip, faces)
        montages = [run(frames(), detector, recognizer).to_json() for _ in range(rounds)]
        found["montage"] = median(montages)
    return found


def table(found: dict[str, Any]) -> str:
    """Return the figures of a clip as Markdown."""
    blocks = {found["clip"]: found}
    if "montage" in found:
        blocks["16 faces at 1280x720"] = found["montage"]
    lines = [f"| ms: p50 / p95 (mean) | {' | '.join(PARTS)} | frames per second | faces | ids |", "|---" * 12 + "|"]
    for name, block in blocks.items():
        cells = ["{p50:.1f} / {p95:.1f} ({mean:.1f})".format(**block["stages_ms"][part]) for part in PARTS]
        counts = f"{block['frames_a_second']:.1f} | {block['faces']['median']:.0f} | {block['ids']:.0f}"
        lines.append(f"| {name} | {' | '.join(cells)} | {counts} |")
    if "first_labelled_s" in found:
        lines.append(f"\nfirst labeled frame after {found['first_labelled_s']} s")
    lines.append("labels: " + ", ".join(f"{name} {value}" for name, value in found["labels"].items()))
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+", help="videos")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/fer2013"), help="the bundle")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    detector, recognizer = open_detector(), Recognizer(load_bundle(arguments.bundle))
    found = [measure(clip, detector, recognizer, arguments.rounds) for clip in arguments.clips]
    print(json.dumps(found, indent=2) if arguments.json else "\n\n".join(table(one) for one in found))


if __name__ == "__main__":
    main()
