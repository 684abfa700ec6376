"""The progress of a long job: bars in a terminal, occasional plain lines if stderr is a file or a pipe."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

Stage = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class VideosProgress:
    """How far a table of videos is.

    Attributes:
        done: How many videos are finished or failed.
        videos: How many there are.
        share: The share of the bytes to read in this run that were read, in [0, 1].
        read_s: How many seconds of video were read in this run.
        elapsed_s: How many seconds this run has taken.
    """

    done: int
    videos: int
    share: float
    read_s: float
    elapsed_s: float

    @property
    def left_s(self) -> float | None:
        """About how many seconds are left; None while too little was read to tell."""
        if self.share < 0.01 or self.elapsed_s < 1:
            return None
        return self.elapsed_s * (1 - self.share) / self.share


# Seconds between two lines, and before the first one: a short job prints nothing.
EVERY = 10.0


class ProgressLines:
    """Print the progress of stages as plain lines, at most one every `every` seconds.

    Args:
        out: Prints a line.
        every: Seconds between two lines.
        clock: Returns seconds.
    """

    def __init__(
        self, out: Callable[[str], None], every: float = EVERY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._out, self._every, self._clock = out, every, clock
        self._started = self._printed = clock()
        self._lock = threading.Lock()
        self._stages: dict[str, tuple[int, int]] = {}
        self._latest = ""

    def start(self, stage: str) -> Stage:
        """Start a stage; return the function to call with the done and total numbers of steps."""

        def step(done: int, total: int) -> None:
            with self._lock:
                self._stages[stage] = (done, total)
                self._latest = stage
            self.report()

        with self._lock:
            # A stage that is only announced must not replace the one in progress.
            self._stages.setdefault(stage, (0, 0))
            done, total = self._stages.get(self._latest, (0, 0))
            if not total or done >= total:
                self._latest = stage
        return step

    def report(self) -> None:
        """Print the progress of the latest stage, if the last line is old enough."""
        with self._lock:
            now = self._clock()
            if not self._latest or now - self._printed < self._every:
                return
            self._printed = now
            done, total = self._stages[self._latest]
            share = f" {done:,} of {total:,} ({done / total:.0%})" if total else ""
            line = f"{self._latest}:{share or ' in progress'}, {now - self._started:.0f} s"
        self._out(line)


@contextlib.contextmanager
def progress_bars(stream: TextIO, say: Callable[[str], None], every: float = EVERY) -> Iterator[Callable[[str], Stage]]:
    """Show progress during the block; yield a function that starts a stage, as `ProgressLines.start` does.

    Args:
        stream: Bars are drawn if this is a terminal.
        say: Prints a line otherwise.
        every: Seconds between two lines.
    """
    if getattr(stream, "isatty", lambda: False)():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bars:

            def start(stage: str) -> Stage:
                task = bars.add_task(stage, total=None)

                def step(done: int, total: int) -> None:
                    # At 0 of n the bar pulses, because a bar at 0 % seems to hang; 0 of 0 is done.
                    known = (done, total) if done else (0, None) if total else (1, 1)
                    bars.update(task, completed=known[0], total=known[1])

                return step

            yield start
        return
    lines, ended = ProgressLines(say, every), threading.Event()

    def watch() -> None:
        while not ended.wait(every):
            lines.report()

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield lines.start
    finally:
        ended.set()
        watcher.join()


@contextlib.contextmanager
def videos_bar(
    stream: TextIO, say: Callable[[str], None], every: float = EVERY, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[VideosProgress], None]]:
    """Show the progress of a table of videos, and about how long it will take; yield the function to call with it.

    Args:
        stream: A bar is drawn if this is a terminal.
        say: Prints a line otherwise.
        every: Seconds between two lines, and before the first.
        clock: Return the time in seconds.
    """
    if getattr(stream, "isatty", lambda: False)():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[left]}"),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task("videos", total=1.0, left="")

            def draw(progress: VideosProgress) -> None:
                described, left = _videos_words(progress)
                bars.update(task, description=described, completed=progress.share, left=left)

            yield draw
        return
    told = clock()

    def line(progress: VideosProgress) -> None:
        nonlocal told
        if clock() - told >= every:
            told = clock()
            say(", ".join([*_videos_words(progress), f"{progress.elapsed_s:.0f} s so far"]))

    yield line


def _videos_words(progress: VideosProgress) -> tuple[str, str]:
    """Return how many videos are done, and how fast it goes."""
    speed = progress.read_s / max(progress.elapsed_s, 1e-6)
    left = "" if progress.left_s is None else f", about {duration(progress.left_s)} left"
    return f"{progress.done:,} of {progress.videos:,} videos", f"{speed:.1f} s of video a second{left}"


def duration(seconds: float) -> str:
    """Return a duration in words, to two digits or so: "40 s", "12 min", "3 h 20 min"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
