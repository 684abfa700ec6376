"""The progress of a long job: bars in a terminal, occasional plain lines if stderr is a file or a pipe."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

Stage = Callable[[int, int], None]

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
