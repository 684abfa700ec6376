"""A real window on a virtual display with real key presses: a taught class shows within a second."""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moodspace.embeddings.pictures import read_rgb

ROOT = Path(__file__).parents[3]
START_S, SOON_S = 120.0, 60.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("Xvfb") and shutil.which("xdotool")),
        reason="expected Xvfb and xdotool for a window with real keys, got none: apt-get install xvfb xdotool",
    ),
]


@pytest.fixture
def display() -> Iterator[str]:
    """Start a virtual display; yield its name."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as stream:
            number = stream.readline().strip()
        if not number:
            pytest.skip("expected a virtual display, Xvfb gave none")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(SOON_S)


class Session:
    """The process: its output, and key presses for it."""

    def __init__(self, display: str, bundle: Path, picture: Path, folder: Path) -> None:
        self.environment = {**os.environ, "DISPLAY": display, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, str(Path(__file__).with_name("watched_session.py")), bundle, picture, folder]
        self.process = subprocess.Popen(
            [str(part) for part in command],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.put(json.loads(line))

    def keys(self, *keys: str) -> float:
        """Press keys one by one; return when the last one was pressed."""
        for key in keys:
            time.sleep(0.25)  # OpenCV keeps only the last key between two polls, which a busy machine delays
            subprocess.run(["xdotool", "key", key], env=self.environment, check=True)
        return time.time()

    def hold(self, key: str, seconds: float) -> None:
        """Hold a key down; the display repeats it, as a keyboard's does."""
        subprocess.run(["xdotool", "keydown", key], env=self.environment, check=True)
        time.sleep(seconds)
        subprocess.run(["xdotool", "keyup", key], env=self.environment, check=True)

    def wait(self, key: str, value: str, seconds: float = SOON_S) -> dict[str, Any]:
        """Wait until the process prints this value."""
        ends = time.monotonic() + seconds
        while True:
            try:
                said = self.lines.get(timeout=max(ends - time.monotonic(), 0.01))
            except queue.Empty:
                pytest.fail(f"expected {key} {value!r} within {seconds} s, exit {self.process.poll()}")
            if said.get(key) == value:
                return said

    def said(self, seconds: float) -> list[dict[str, Any]]:
        """Return what the process has printed, and prints in the next seconds."""
        ends, said = time.monotonic() + seconds, []
        while True:
            try:
                said.append(self.lines.get(timeout=max(ends - time.monotonic(), 0.01)))
            except queue.Empty:
                return said

    def left(self) -> int:
        """Wait for the process to end; return its exit code."""
        return self.process.wait(SOON_S)


@pytest.fixture
def session(display: str, shipped: Path, astronaut: Path, tmp_path: Path) -> Iterator[Session]:
    session = Session(display, shipped, astronaut, tmp_path)
    try:
        yield session
    finally:
        session.process.kill()
        session.process.communicate(timeout=SOON_S)


def test_what_is_taught_by_key_shows_within_a_second(session: Session, tmp_path: Path) -> None:
    session.wait("shows", "happy", START_S)
    pressed = session.keys("3")
    assert session.wait("taught", "fear")["seconds"] < 0.05
    assert session.wait("shows", "fear")["at"] - pressed < 1.0

    session.keys("u")
    session.wait("shows", "happy")
    pressed = session.keys("n", *"quizzical", "Return")
    session.wait("taught", "quizzical")
    assert session.wait("shows", "quizzical")["at"] - pressed < 1.0

    session.keys("u")
    session.wait("shows", "happy")

    session.keys("e", "m", "h", "s")
    ends = time.monotonic() + SOON_S
    while not (snapshots := list(tmp_path.glob("*.png"))) and time.monotonic() < ends:
        time.sleep(0.05)
    assert read_rgb(snapshots[0]).shape == (512, 512, 3)
    session.keys("Escape", "q")
    assert session.left() == 0


def test_a_held_number_key_teaches_what_it_collected_as_one_lesson(session: Session, tmp_path: Path) -> None:
    session.wait("shows", "happy", START_S)
    # A window that is slow on a busy machine sees fewer repeats of the key, and may take it for single presses.
    lessons: list[int] = []
    while len(lessons) < 12 and max(lessons, default=0) <= 3:
        session.hold("3", 5.0)
        time.sleep(1.0)
        session.keys("BackSpace", "Return")
        said = session.said(4.0)
        lessons += [one["faces"] for one in said if "taught" in one]
    assert lessons[0] == 1, "the press itself"
    assert lessons[-1] > 3, "what was collected while the key was held"
    shows = [one["shows"] for one in said if "shows" in one]
    assert (shows[-1] if shows else session.wait("shows", "fear", START_S)["shows"]) == "fear"
    session.keys(*"u" * len(lessons))
    session.keys("u")
    session.wait("shows", "happy")
    session.keys("q")
    assert session.left() == 0


def test_ctrl_c_closes_the_window(session: Session) -> None:
    session.wait("shows", "happy", START_S)
    session.process.send_signal(2)
    assert session.left() not in (0, None)
    assert "KeyboardInterrupt" in (session.process.stderr.read() if session.process.stderr else "")
