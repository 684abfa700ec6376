"""How far a long job is: bars in a terminal, and a plain line now and then where stderr is a file or a pipe."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

Stage = Callable[[int, int], None]

# Seconds between two lines, and before the first: a short job says nothing.
EVERY = 10.0


class ProgressLines:
    """Tells of stages in plain lines, at most one in `every` seconds, and also while a stage takes long to go on.

    Args:
        out: Where the lines go.
        every: Seconds between two lines.
        clock: Seconds from any start.
    """

    def __init__(
        self, out: Callable[[str], None], every: float = EVERY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._out, self._every, self._clock = out, every, clock
        self._began = self._told = clock()
        self._lock = threading.Lock()
        self._stages: dict[str, tuple[int, int]] = {}
        self._latest = ""

    def start(self, stage: str) -> Stage:
        """Returns what is called as a stage goes on."""

        def step(done: int, total: int) -> None:
            with self._lock:
                self._stages[stage] = (done, total)
                self._latest = stage
            self.tell()

        with self._lock:
            # A stage that is only announced must not hide the one that is going on.
            self._stages.setdefault(stage, (0, 0))
            going_on = self._stages.get(self._latest, (0, 0))
            if not going_on[1] or going_on[0] >= going_on[1]:
                self._latest = stage
        return step

    def tell(self) -> None:
        """Prints where the latest stage is, if that has not been told for long enough."""
        with self._lock:
            now = self._clock()
            if not self._latest or now - self._told < self._every:
                return
            self._told = now
            done, total = self._stages[self._latest]
            share = f" {done:,} of {total:,} ({done / total:.0%})" if total else ""
            line = f"{self._latest}:{share or ' going on'}, {now - self._began:.0f} s"
        self._out(line)


@contextlib.contextmanager
def progress_bars(stream: TextIO, say: Callable[[str], None], every: float = EVERY) -> Iterator[Callable[[str], Stage]]:
    """Gives a function from a stage's name to what is called as it goes on.

    Args:
        stream: Where bars are drawn if it is a terminal.
        say: Prints a line where it is none.
        every: Seconds between two such lines.
    """
    if getattr(stream, "isatty", lambda: False)():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bars:

            def start(stage: str) -> Stage:
                task = bars.add_task(stage, total=None)

                def step(done: int, total: int) -> None:
                    # At 0 of some the bar moves to and fro, as one at 0 % would seem to stand still; 0 of 0 is done.
                    known = (done, total) if done else (0, None) if total else (1, 1)
                    bars.update(task, completed=known[0], total=known[1])

                return step

            yield start
        return
    lines, over = ProgressLines(say, every), threading.Event()

    def watch() -> None:
        while not over.wait(every):
            lines.tell()

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield lines.start
    finally:
        over.set()
        watcher.join()
