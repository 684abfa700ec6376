"""One of the two versions that `compare` measures. It runs in the version's own checkout, in a process of its own.

It reads one job a line and answers each with one line of JSON. Only what all versions have in common is used: the
functions of the benchmark `live`, and `Recognizer.predict`.
"""

import importlib
import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

# In older versions the benchmarks do not lie in folders.
live = importlib.import_module(
    "benchmarks.session.live" if importlib.util.find_spec("benchmarks.session") else "benchmarks.live"
)

# Calls to time for one crop.
CROPS = 200


def timed(frames: list[Any], detector: Any, recognizer: Any) -> dict[str, Any]:
    """Take frames through a new pipeline; return the time, the processor time of all threads, and the stages."""
    wall, cpu = time.perf_counter(), time.process_time()
    done = live.run(iter(frames), detector, recognizer)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "frames": len(frames),
        "seconds": wall,
        "cpu_s": cpu,
        "stages_ms": {stage: float(values.mean()) for stage, values in done.ms.items()},
    }


def decisions(frames: list[Any], detector: Any, recognizer: Any) -> list[dict[str, Any]]:
    """Return what is found in each frame."""
    return [
        {
            "ids": result.track_ids.tolist(),
            "boxes": result.faces.xywh.round(2).tolist(),
            "labels": np.where(result.prediction.unknown, -1, result.prediction.labels).tolist(),
            "shown": result.shown.tolist(),
            "smoothed": result.smoothed.round(4).tolist(),
        }
        for result in live.run(iter(frames), detector, recognizer).results
    ]


def one_crop(recognizer: Any) -> dict[str, Any]:
    """Time the way from one crop to its label."""
    crop = np.random.default_rng(0).integers(0, 256, (1, 48, 48), np.uint8)
    for _ in range(CROPS // 10):
        recognizer.predict(crop)
    wall, cpu, taken = 0.0, time.process_time(), []
    for _ in range(CROPS):
        wall = time.perf_counter()
        recognizer.predict(crop)
        taken.append(time.perf_counter() - wall)
    return {"ms": 1000 * float(np.median(taken)), "cpu_ms": 1000 * (time.process_time() - cpu) / CROPS}


def main() -> None:
    """Do the jobs."""
    clip, bundle, faces, most = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    detector, recognizer = live.open_detector(), live.Recognizer(live.load_bundle(bundle))
    scenes = {"clip": list(live.clip_frames(clip))[:most], "montage": list(live.montage(clip, faces)())[:most]}
    for line in sys.stdin:
        job = line.strip()
        if job == "crop":
            answer: Any = one_crop(recognizer)
        elif job.startswith("decide "):
            answer = decisions(scenes[job.removeprefix("decide ")], detector, recognizer)
        else:
            answer = timed(scenes[job], detector, recognizer)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
