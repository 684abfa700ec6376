"""`cli.py web` as a process of its own on a free port of this machine, and what a browser would send to it."""

import io
import json
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from skimage.data import astronaut
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).parents[2]
LIVE = "/moodspace/live"
_START_S, _END_S = 120, 30


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def frame_jpeg(width: int = 320, height: int = 240) -> bytes:
    """One face."""
    buffer = io.BytesIO()
    Image.fromarray(astronaut()[:384]).resize((width, height)).save(buffer, "JPEG")
    return buffer.getvalue()


def frame(sequence: int, jpeg: bytes, sent: float = 0.0) -> bytes:
    return struct.pack("<Id", sequence, sent) + jpeg


@dataclass(frozen=True)
class Served:
    """A server that runs: its process, its port, and the file with what it says."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def get(self, path: str = "/", **headers: str) -> tuple[int, str]:
        """Return status and body."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def live(self, key: str = "", *, origin: str | None = None, path: str = LIVE, **more: str) -> ClientConnection:
        """Return a live session, for `with`."""
        origin = f"http://127.0.0.1:{self.port}" if origin is None else origin
        headers = {"Cookie": f"moodspace_visitor={key}"} if key else {}
        url = f"ws://127.0.0.1:{self.port}{path}"
        return connect(url, origin=origin, additional_headers=headers | more, max_size=None)

    def end(self, number: int = signal.SIGINT) -> tuple[int, float]:
        """Send a signal; return the exit code and the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(_END_S), time.monotonic() - began


def receive(connection: ClientConnection, kind: str, timeout: float = 10) -> dict:
    """Return the next message of a kind."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        message = json.loads(connection.recv(timeout=until - time.monotonic()))
        if message["type"] == kind:
            return message
    raise TimeoutError(kind)


@contextmanager
def served(log: Path, *options: object, folder: Path = ROOT) -> Iterator[Served]:
    """Starts the server in a folder, and ends it if it still runs."""
    port = free_port()
    command = [sys.executable, str(ROOT / "cli.py"), "web", "--port", str(port), *map(str, options)]
    with log.open("wb") as written:
        process = subprocess.Popen(command, cwd=folder, stdout=written, stderr=subprocess.STDOUT)
        server = Served(process, port, log)
        try:
            _wait(server)
            yield server
        finally:
            if process.poll() is None:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_END_S)
                process.kill()
                process.wait()


def _wait(server: Served) -> None:
    until = time.monotonic() + _START_S
    while server.process.poll() is None and time.monotonic() < until:
        with suppress(OSError):
            if server.get("/_stcore/health")[0] == 200:
                return
        time.sleep(0.1)
    pytest.fail(f"expected the server to answer within {_START_S} s, it said: {server.log.read_text()}")
