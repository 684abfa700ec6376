"""Run `moodspace web` in a process of its own, for the benchmarks of the web app."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.results import ROOT


@dataclass(frozen=True, slots=True)
class WebServer:
    """A running server.

    Attributes:
        url: The address of the start page.
        pid: The id of its process.
        started: When the process was started, in seconds of `time.perf_counter`.
    """

    url: str
    pid: int
    started: float


@contextmanager
def running_server(*options: str) -> Iterator[WebServer]:
    """Start a server on a free port, and stop it at the end.

    Args:
        options: Options of `moodspace web`.

    Raises:
        SystemExit: The server does not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "cli.py", "web", "--port", str(port), *options]
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            # The server prints its address when it answers.
            said = process.stdout.readline() if process.stdout else b""
            if not said:
                raise SystemExit("expected the server to start, got no address; try `python cli.py web`")
            yield WebServer(f"http://localhost:{port}/", process.pid, started)
        finally:
            process.terminate()
