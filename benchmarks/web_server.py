"""The web app as `cli.py web` serves it, in a process of its own, for the benchmarks that visit it."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class WebServer:
    """A server that answers.

    Attributes:
        url: Its start page.
        pid: Its process.
        started: When the process was started, seconds of `time.perf_counter`.
    """

    url: str
    pid: int
    started: float


@contextmanager
def running_server(*options: str) -> Iterator[WebServer]:
    """Starts a server on a free port and ends it; `options` are those of `cli.py web`.

    Raises:
        SystemExit: it does not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "cli.py", "web", "--port", str(port), *options]
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            # It prints its address once it answers.
            said = process.stdout.readline() if process.stdout else b""
            if not said:
                raise SystemExit("expected the server to start, it did not; try `python cli.py web`")
            yield WebServer(f"http://localhost:{port}/", process.pid, started)
        finally:
            process.terminate()
