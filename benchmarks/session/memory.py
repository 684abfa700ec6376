"""Measure whether the memory of a live session grows, with a clip repeated at its own speed for twenty minutes.

    python -m benchmarks memory CLIP [--minutes 20] [--bundle bundles/fer2013]

Prints the resident memory in MB for each minute, and its growth from minute 2, when everything is loaded, to the end.
The target is under 2 %. Linux only.
"""

import argparse
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.session.watched import watch
from moodspace.arrays import ByteArray
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.capture.files import open_source
from moodspace.realtime.capture.source import Frame, Source

TARGET = 0.02
_FROM_MINUTE = 2


class LoopedClip(Source):
    """Repeat a clip at its own speed, as a camera would.

    Args:
        clip: The video.
        seconds: The duration.
        clock: Return the time in seconds.
        sleep: Wait for some seconds.
    """

    def __init__(
        self,
        clip: Path,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(live=True)
        self._clip, self._seconds, self._clock, self._sleep = clip, seconds, clock, sleep

    def __iter__(self) -> Iterator[Frame]:
        begun = self._clock()
        for index, frame in enumerate(itertools.chain.from_iterable(self._rounds())):
            due = index / (frame.fps or 25)
            if due >= self._seconds:
                return
            self._sleep(max(0.0, begun + due - self._clock()))
            yield Frame(frame.source, index, due, frame.bgr, frame.fps)

    def _rounds(self) -> Iterator[Source]:
        while True:
            with open_source(str(self._clip)) as source:
                yield source


class Memory:
    """Record the resident memory of the process over time.

    Args:
        measure: Return the memory in bytes.
        clock: Return the time in seconds.
        minute_s: The length of a minute in seconds; less than 60 for a quick trial.
    """

    def __init__(
        self, measure: Callable[[], int], clock: Callable[[], float] = time.monotonic, minute_s: float = 60.0
    ) -> None:
        self._measure, self._clock, self._begun, self._next = measure, clock, clock(), 0.0
        self._minute_s = minute_s
        self.minutes: list[list[int]] = []

    def look(self, picture_bgr: ByteArray) -> None:
        """Record the memory 60 times per minute; called with each shown picture."""
        passed = self._clock() - self._begun
        if passed < self._next:
            return
        self._next = passed + self._minute_s / 60
        while len(self.minutes) <= passed // self._minute_s:
            self.minutes.append([])
        self.minutes[-1].append(self._measure())


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(minutes: Sequence[Sequence[int]]) -> float:
    """Return the relative growth of the median memory from minute 2 (the third one) to the last minute.

    Args:
        minutes: The measurements of each minute in bytes.

    Raises:
        ValueError: There are no measurements after minute 3.
    """
    filled = [minute for minute in minutes if minute]
    if len(filled) <= _FROM_MINUTE + 1:
        raise ValueError(f"minutes: expected more than {_FROM_MINUTE + 1}, got {len(filled)}; run it longer")
    return statistics.median(filled[-1]) / statistics.median(filled[_FROM_MINUTE]) - 1


def main() -> None:
    """Read the arguments, measure and print; exit with 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, help="a video with faces")
    parser.add_argument("--minutes", type=float, default=20, help="how long to run")
    parser.add_argument("--minute-s", type=float, default=60, help="seconds per minute; less for a quick trial")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/fer2013"), help="the bundle")
    asked = parser.parse_args()
    if asked.minutes <= _FROM_MINUTE + 1:
        parser.error(f"--minutes: expected more than {_FROM_MINUTE + 1}, got {asked.minutes:g}")
    recognizer, memory = Recognizer(load_bundle(asked.bundle)), Memory(resident, minute_s=asked.minute_s)
    frames = watch(LoopedClip(asked.clip, asked.minute_s * asked.minutes), recognizer, memory.look, on_screen=False)
    share = growth(memory.minutes)
    by_minute = [round(statistics.median(minute) / 1e6, 1) for minute in memory.minutes if minute]
    found: dict[str, Any] = {"frames": frames, "megabytes": by_minute, "growth": round(share, 4)}
    print(json.dumps(found | {"met": share < TARGET}))
    raise SystemExit(share >= TARGET)


if __name__ == "__main__":
    main()
