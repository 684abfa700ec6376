"""Start a program, keep what it writes to stderr, and sample its memory, open files and threads. Linux only."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
_ENDING_S = 30.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What a program and the processes that it started held at one moment.

    Attributes:
        at: Seconds since the soak began.
        rss_mb: Resident memory in MB (2**20 bytes).
        pss_mb: The same with shared pages divided among those who share them.
        files: Number of open files and sockets.
        threads: Number of threads.
    """

    at: float
    rss_mb: float
    pss_mb: float
    files: int
    threads: int


def sample(pid: int, at: float) -> Sample | None:
    """Return what a process and its descendants hold; None if it has ended.

    Args:
        pid: The process.
        at: Seconds since the soak began.
    """
    found = [one for one in map(_held, family(pid)) if one is not None]
    if not found:
        return None
    rss, pss, files, threads = (sum(values) for values in zip(*found, strict=True))
    return Sample(round(at, 1), rss / 1024, pss / 1024, int(files), int(threads))


def family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for one in found:
        for tasks in _texts(Path(f"/proc/{one}/task").glob("*/children")):
            found += map(int, tasks.split())
    return found


def _texts(paths: Iterable[Path]) -> list[str]:
    texts = []
    try:
        for path in paths:
            texts.append(path.read_text())
    except OSError:  # the process has ended
        pass
    return texts


def _held(pid: int) -> tuple[int, int, int, int] | None:
    folder = Path(f"/proc/{pid}")
    try:
        lines = (folder / "smaps_rollup").read_text().splitlines()
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
        files, threads = len(os.listdir(folder / "fd")), len(os.listdir(folder / "task"))
    except (OSError, ValueError):  # the process has ended
        return None
    return kilobytes.get("Rss", 0), kilobytes.get("Pss", 0), files, threads


@dataclass(slots=True)
class Said:
    """The lines that a program wrote to stderr.

    Attributes:
        starting: Those until `settle` was called.
        running: Those from then on until it was told to stop. A program that runs well writes none.
        ending: Those after that.
    """

    starting: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    ending: list[str] = field(default_factory=list)


class Program:
    """A command of Moodspace in a process of its own; use it in a `with` block.

    Args:
        name: What the report calls it.
        command: The words after `moodspace`.
        environment: Variables besides those of this process.

    Attributes:
        name: What the report calls it.
        said: What it wrote to stderr.
        exit: Its exit status, after the `with` block.
        told_to_stop: Whether it was told to stop before it ended.
    """

    def __init__(self, name: str, *command: str, environment: dict[str, str] | None = None) -> None:
        self.name, self.said, self.exit, self.told_to_stop = name, Said(), 0, False
        self._command = [sys.executable, str(ROOT / "cli.py"), *command]
        self._environment = os.environ | (environment or {})
        self._current = self.said.starting

    def __enter__(self) -> Self:
        # A shell starts background jobs with SIGINT ignored, and the program has to hear it.
        hearing = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, text=True, start_new_session=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        finally:
            signal.signal(signal.SIGINT, hearing)
        self._readers = [
            threading.Thread(target=self._read_stderr, daemon=True),
            threading.Thread(target=self._read_stdout, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.told_to_stop = self.process.poll() is None
        self._current = self.said.ending
        if self.told_to_stop:
            self.process.send_signal(signal.SIGINT)
        try:
            self.exit = self.process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.exit = self.process.wait()
        for reader in self._readers:
            reader.join(_ENDING_S)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self.process.pid

    def settle(self) -> None:
        """Count what it writes from now on as said while it runs."""
        self._current = self.said.running

    def wait_for(self, ready: Callable[[], bool], patience_s: float) -> None:
        """Wait until it is ready.

        Raises:
            SystemExit: It ended, or was not ready in time.
        """
        ends = time.monotonic() + patience_s
        while not ready():
            if self.process.poll() is not None or time.monotonic() > ends:
                said = "; ".join(self.said.starting[-3:]) or "nothing"
                raise SystemExit(f"{self.name}: expected it to start within {patience_s:.0f} s, got: {said}")
            time.sleep(0.05)

    def _read_stderr(self) -> None:
        for line in self.process.stderr or ():
            if line.strip():
                self._current.append(line.rstrip())

    def _read_stdout(self) -> None:
        for _ in self.process.stdout or ():
            pass
