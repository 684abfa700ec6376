"""What the adapters in Python share: reading the inputs, timing, and the answer on stdout. Needs NumPy alone."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (1, 8, 32)
# Frames at the start of a clip that are not timed.
WARM_UP = 3

Detect = Callable[[np.ndarray], int]


def crops(inputs: Path) -> np.ndarray:
    """Return the labelled faces, `(n, 48, 48)` uint8, grey."""
    return np.fromfile(inputs / "crops.u8", np.uint8).reshape(-1, 48, 48)


def clips(inputs: Path) -> list[dict[str, Any]]:
    """Return name, height, width and number of frames of each clip."""
    told: list[dict[str, Any]] = json.loads((inputs / "clips.json").read_text())
    return told


def frames(inputs: Path, number: int) -> Iterator[np.ndarray]:
    """Yield the frames of a clip, `(h, w, 3)` uint8, RGB, read one at a time, so that memory is the package's."""
    told = clips(inputs)[number]
    shape = told["height"], told["width"], 3
    with (inputs / f"clip{number}.rgb").open("rb") as file:
        for _ in range(told["frames"]):
            yield np.frombuffer(file.read(int(np.prod(shape))), np.uint8).reshape(shape)


def timed_ms(call: Callable[[], Any], seconds: float = 1.0) -> float:
    """Return the median milliseconds of a call; make at least five calls, for at least `seconds`."""
    for _ in range(2):
        call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))


def frame_times(detect: Detect, frames: Iterable[np.ndarray]) -> tuple[list[float], float]:
    """Return the milliseconds of each frame after the warm-up and the mean number of faces that were found."""
    times, found = [], []
    for frame in frames:
        start = time.perf_counter()
        found.append(detect(frame))
        times.append(1000 * (time.perf_counter() - start))
    return times[WARM_UP:] or times, float(np.mean(found))


def run(
    predict: Callable[[np.ndarray], np.ndarray],
    detect: Detect,
    classes: list[str],
    version: str,
    live: Callable[[], Detect] | None = None,
) -> None:
    """Do the task that the command line names and print the answer.

    Args:
        predict: Returns `(n, 7)` probabilities of `(n, 48, 48)` uint8 crops.
        detect: Finds and labels the faces of an RGB frame on its own; returns how many.
        classes: The columns of `predict`, in FER2013's names.
        version: The version of the package.
        live: Begins a session of the package's own mode for video; returns what `detect` is there. None without one.
    """
    task, inputs = sys.argv[1], Path(sys.argv[2])
    faces = crops(inputs)
    answer: dict[str, Any] = {"version": version}
    if task == "cold":
        predict(faces[:1])
    elif task == "label":
        parts = [np.asarray(predict(faces[at : at + 32]), float) for at in range(0, len(faces), 32)]
        answer |= {"classes": classes, "proba": np.concatenate(parts).ravel().tolist()}
    else:
        many = np.resize(faces, (max(SIZES), 48, 48))
        answer["ms"] = {n: timed_ms(lambda n=n: predict(many[:n])) / n for n in SIZES}
        answer["clips"] = {}
        for number, told in enumerate(clips(inputs)):
            times, found = frame_times(detect, frames(inputs, number))
            one = {"frame_ms": float(np.median(times)), "faces": found}
            if live:
                # The mean, because the frames of a session cost unlike amounts: not every frame is searched for faces.
                times, found = frame_times(live(), frames(inputs, number))
                one |= {"live_ms": float(np.mean(times)), "live_faces": found}
            answer["clips"][told["name"]] = one
    finish(answer)


def finish(answer: dict[str, Any]) -> None:
    """Print the answer, with the largest resident memory of this process so far in MB."""
    print("\nANSWER", json.dumps(answer | {"peak_mb": peak_mb()}), flush=True)


def peak_mb() -> float:
    """Return the largest resident memory of this process so far in MB."""
    # The maximum of `getrusage` counts the memory of the process from which this one was forked.
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        import resource

        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return largest / (1e6 if sys.platform == "darwin" else 1e3)
    return int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0]) * 1024 / 1e6
