"""Measure the age of the shown picture when the camera is faster than the pipeline, by time codes in the pixels.

    python -m benchmarks latency --seconds 300 --fps 120            # against a stand-in that takes 25 to 50 ms
    python -m benchmarks latency --seconds 300 --fps 120 --real     # against the live session, without a screen
    python -m benchmarks latency --seconds 300 --fps 120 --window   # the same, in a window

A source yields pictures of 640x480 of a person who moves from side to side, with the picture's number drawn into it.
The age of a picture is the time from when it was due, as a camera would take it, until it is shown. With --real and
--window the number is read from the window's picture, which is scaled and drawn on. The target is 100 ms and one frame.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.session.time_code import CodedSource, moving
from benchmarks.session.watched import frame_in_window, watch
from moodspace.arrays import ByteArray
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.pictures import read_bgr
from moodspace.realtime.capture.newest import NewestFrames
from moodspace.realtime.demo import picture_path

WIDTH, HEIGHT = 640, 480
TARGET_S = 0.1
# The pictures of one movement from side to side and back, which takes one or two seconds.
_STEPS = 120


class Ages:
    """Collect the ages of the pictures shown.

    Args:
        source: The source of the pictures.
        warm_up_s: Pictures of the first seconds are not counted, because much is loaded at first use.
        clock: Return the time in seconds.
    """

    def __init__(self, source: CodedSource, warm_up_s: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._source, self._warm_up_s, self._clock = source, warm_up_s, clock
        self._begun = clock()
        self.seconds: list[float] = []
        self.unread = 0

    def look(self, frame_bgr: ByteArray) -> None:
        """Add a picture that is shown now, `(480, 640, 3)` uint8 BGR."""
        age = self._source.age(frame_bgr)
        if self._clock() - self._begun < self._warm_up_s:
            return
        if age is None:
            self.unread += 1
        else:
            self.seconds.append(age)


def summary(ages: Sequence[float], unread: int, fps: float) -> dict[str, Any]:
    """Return the percentiles of the ages in milliseconds, and whether all meet the target.

    Args:
        ages: Seconds, one per shown picture.
        unread: The number of pictures whose code could not be read.
        fps: Frames per second of the source.
    """
    limit = TARGET_S + 1 / fps
    found: dict[str, Any] = {"shown": len(ages), "unread": unread, "target_ms": round(1000 * limit, 1)}
    if ages:
        p50, p95, p99 = 1000 * np.percentile(ages, (50, 95, 99))
        found |= {"median_ms": round(p50, 1), "p95_ms": round(p95, 1), "p99_ms": round(p99, 1)}
        found |= {"max_ms": round(1000 * max(ages), 1), "late": sum(age > limit for age in ages)}
    return found | {"met": bool(ages) and not unread and max(ages) <= limit}


def against_stand_in(source: CodedSource, warm_up_s: float, slow_ms: Sequence[float]) -> Ages:
    """Show the newest frames, each after a random time within two limits."""
    ages, draw = Ages(source, warm_up_s), random.Random(0)
    with NewestFrames(source) as frames:
        for frame in frames:
            time.sleep(draw.uniform(slow_ms[0], slow_ms[1]) / 1000)
            ages.look(frame.bgr)
    return ages


def against_session(source: CodedSource, bundle: Path, warm_up_s: float, *, on_screen: bool) -> Ages:
    """Show the pictures of a live session."""
    recognizer = Recognizer(load_bundle(bundle))
    ages = Ages(source, warm_up_s)
    watch(
        source,
        recognizer,
        lambda picture: ages.look(frame_in_window(picture, WIDTH, HEIGHT)),
        on_screen=on_screen,
    )
    return ages


def person() -> ByteArray:
    """Return the portrait of Eileen Collins that ships with Moodspace, `(512, 512, 3)` uint8 BGR; public domain."""
    return read_bgr(picture_path())


def main() -> None:
    """Read the arguments, measure and print; exit with 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300, help="how long to watch")
    parser.add_argument("--fps", type=float, default=120, help="frames per second of the source")
    parser.add_argument("--real", action="store_true", help="the live session, without a screen")
    parser.add_argument("--window", action="store_true", help="the live session, in a window")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/fer2013"), help="the bundle")
    parser.add_argument("--warm-up", type=float, default=2, help="seconds before the first picture that counts")
    parser.add_argument("--slow", type=float, nargs=2, default=(25, 50), help="limits of the stand-in's time, ms")
    asked = parser.parse_args()
    source = CodedSource(moving(person(), WIDTH, HEIGHT, _STEPS), asked.fps, asked.seconds + asked.warm_up)
    if asked.real or asked.window:
        ages = against_session(source, asked.bundle, asked.warm_up, on_screen=asked.window)
    else:
        ages = against_stand_in(source, asked.warm_up, asked.slow)
    found = summary(ages.seconds, ages.unread, asked.fps)
    print(json.dumps(found))
    raise SystemExit(not found["met"])


if __name__ == "__main__":
    main()
