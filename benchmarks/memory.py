"""Whether the live session's memory grows: a clip over and over, at its own speed, for twenty minutes.

    python -m benchmarks.memory CLIP [--minutes 20] [--bundle bundles/fer2013]

Prints the resident memory by the minute, MB, and its growth from minute 2, when everything is loaded and warm, to the
end. The target is under 2 %. Linux only.
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

from benchmarks.watched import watch
from moodspace.arrays import ByteArray
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.capture.files import open_source
from moodspace.realtime.capture.source import Frame, Source

TARGET = 0.02
_FROM_MINUTE = 2


class LoopedClip(Source):
    """A clip over and over, at its own speed, as from a camera.

    Args:
        clip: The video.
        seconds: How long.
        clock: Seconds.
        sleep: Waits.
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
    """Notes the process's resident memory as time goes by.

    Args:
        measure: Returns it, bytes.
        clock: Returns seconds.
        minute_s: Length of a minute, seconds; less than 60 is for trying this program out.
    """

    def __init__(
        self, measure: Callable[[], int], clock: Callable[[], float] = time.monotonic, minute_s: float = 60.0
    ) -> None:
        self._measure, self._clock, self._begun, self._next = measure, clock, clock(), 0.0
        self._minute_s = minute_s
        self.minutes: list[list[int]] = []

    def look(self, picture_bgr: ByteArray) -> None:
        """Note the memory, 60 times a minute; called with each picture shown."""
        passed = self._clock() - self._begun
        if passed < self._next:
            return
        self._next = passed + self._minute_s / 60
        while len(self.minutes) <= passed // self._minute_s:
            self.minutes.append([])
        self.minutes[-1].append(self._measure())


def resident() -> int:
    """Returns this process's resident memory, bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(minutes: Sequence[Sequence[int]]) -> float:
    """Returns by which share the median memory of the last minute is above that of the third one, minute 2 to 3.

    Args:
        minutes: Bytes, minute by minute.

    Raises:
        ValueError: there is nothing after minute 3.
    """
    filled = [minute for minute in minutes if minute]
    if len(filled) <= _FROM_MINUTE + 1:
        raise ValueError(f"minutes: expected more than {_FROM_MINUTE + 1}, received {len(filled)}; watch for longer")
    return statistics.median(filled[-1]) / statistics.median(filled[_FROM_MINUTE]) - 1


def main() -> None:
    """Reads the arguments, measures, prints; exits with 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, help="a video with faces")
    parser.add_argument("--minutes", type=float, default=20, help="how long to watch")
    parser.add_argument("--minute-s", type=float, default=60, help="seconds of a minute; less is to try this out")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/fer2013"), help="the bundle to recognise with")
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
