"""What the adapters in Python share: reading the inputs, timing, and the answer on stdout. Needs NumPy alone."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (1, 8, 32)


def crops(inputs: Path) -> np.ndarray:
    """Return the labelled faces, `(n, 48, 48)` uint8, grey."""
    return np.fromfile(inputs / "crops.u8", np.uint8).reshape(-1, 48, 48)


def frames(inputs: Path) -> Iterator[np.ndarray]:
    """Yield the frames of the clip, `(h, w, 3)` uint8, RGB."""
    told = json.loads((inputs / "clip.json").read_text())
    size = told["width"] * told["height"] * 3
    with (inputs / "clip.rgb").open("rb") as file:
        for _ in range(told["frames"]):
            yield np.frombuffer(file.read(size), np.uint8).reshape(told["height"], told["width"], 3)


def timed_ms(call: Callable[[], Any]) -> float:
    """Return the median milliseconds of a call, of at least nine calls or two seconds."""
    for _ in range(3):
        call()
    times: list[float] = []
    end = time.perf_counter() + 2
    while len(times) < 9 or (time.perf_counter() < end and len(times) < 200):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
        if time.perf_counter() > end + 8:
            break
    return float(np.median(times))


def run(
    predict: Callable[[np.ndarray], np.ndarray],
    detect: Callable[[np.ndarray], int],
    classes: list[str],
    version: str,
) -> None:
    """Do the task that the command line names and print the answer.

    Args:
        predict: Returns `(n, 7)` probabilities of `(n, 48, 48)` uint8 crops.
        detect: Finds and labels the faces of an RGB frame; returns how many.
        classes: The columns of `predict`, in FER2013's names.
        version: The version of the package.
    """
    task, inputs = sys.argv[1], Path(sys.argv[2])
    answer: dict[str, Any] = {"version": version}
    if task == "cold":
        predict(crops(inputs)[:1])
    elif task == "faces":
        faces = crops(inputs)
        parts = [np.asarray(predict(faces[at : at + 32]), float) for at in range(0, len(faces), 32)]
        answer |= {"classes": classes, "proba": np.concatenate(parts).ravel().tolist()}
        many = np.resize(faces, (max(SIZES), 48, 48))
        answer["ms"] = {n: timed_ms(lambda n=n: predict(many[:n])) / n for n in SIZES}
    else:
        times, found = [], []
        for frame in frames(inputs):
            start = time.perf_counter()
            found.append(detect(frame))
            times.append(1000 * (time.perf_counter() - start))
        answer |= {"frame_ms": float(np.median(times[3:])), "faces_per_frame": float(np.mean(found))}
    print("\nANSWER", json.dumps(answer), flush=True)
