"""The examples of docs/examples run against a real session's streams; only PsychoPy's window and ROS are stand-ins."""

import csv
import json
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"

# PsychoPy shows windows; here they show nothing.
_PSYCHOPY = {
    "psychopy/__init__.py": "",
    "psychopy/core.py": "import time\ndef wait(seconds):\n    time.sleep(seconds)\n",
    "psychopy/visual.py": (
        "class Window:\n    def __init__(self, color): pass\n    def flip(self): pass\n    def close(self): pass\n"
        "class TextStim:\n    def __init__(self, window, text): self.text = text\n    def draw(self): pass\n"
    ),
}
# ROS without its network: what a node publishes is printed.
_ROS = {
    "rclpy/__init__.py": (
        "import time\ndef init(): pass\ndef spin(node):\n    while len(published) < 9: time.sleep(0.01)\n"
        "    raise KeyboardInterrupt\npublished = []\n"
    ),
    "rclpy/node.py": (
        "import json, os, rclpy\nfrom types import SimpleNamespace\n"
        "class Publisher:\n    def __init__(self, kind, topic): self.kind, self.topic = kind, topic\n"
        "    def publish(self, message):\n        assert isinstance(message, self.kind)\n"
        "        rclpy.published.append(self.topic)\n"
        "        print(json.dumps([self.topic, message.data]), flush=True)\n"
        "class Node:\n    def __init__(self, name): assert name == 'moodspace'\n"
        "    def declare_parameter(self, name, default): return SimpleNamespace(value=os.environ['ADDRESS'])\n"
        "    def create_publisher(self, kind, topic, depth): return Publisher(kind, topic)\n"
        "    def get_logger(self): return SimpleNamespace(warning=lambda text: None)\n"
        "    def destroy_node(self): pass\n"
    ),
    "std_msgs/__init__.py": "",
    "std_msgs/msg.py": (
        "from dataclasses import dataclass\n@dataclass\nclass String:\n    data: str\n"
        "@dataclass\nclass Float32:\n    data: float\n"
    ),
}


def environment(folder: Path, stand_ins: dict[str, str], **more: str) -> dict[str, str]:
    for name, text in stand_ins.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return os.environ | {"PYTHONPATH": str(folder)} | more


def document(shares: dict[str, float], number: int) -> dict[str, object]:
    group = {"min_group": 1, "faces": 1, "readable": 1, "unsure": 0, "shares": shares, "withheld": None}
    return {
        "kind": "frame", "version": 1, "source": "camera 0", "frame": number, "time": number / 50,
        "captured": time.time(), "size": [80, 60], "group": group, "faces": None, "timings_ms": {},
    }  # fmt: skip


@contextmanager
def session(to: str, shares: dict[str, float]) -> Iterator[None]:
    """Send a document every 20 ms, as a session does."""
    from moodspace.realtime.sinks.hub import Sinks

    ending = threading.Event()
    with Sinks([to], classes=list(shares)) as sinks:

        def send() -> None:
            number = 0
            while not ending.wait(0.02):
                sinks.submit(document(shares, number))
                number += 1

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()


def test_the_ros_node_publishes_documents_and_shares(tmp_path: Path) -> None:
    pytest.importorskip("websockets", reason="needs the extra sinks")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    env = environment(tmp_path, _ROS, ADDRESS=f"ws://127.0.0.1:{port}")
    # The node begins first, and waits for the session.
    with (
        subprocess.Popen(
            [sys.executable, str(EXAMPLES / "ros2_node.py")], env=env, stdout=subprocess.PIPE, text=True
        ) as node,
        session(f"ws://127.0.0.1:{port}", {"happy": 0.75, "very sad": 0.25}),
    ):
        out, _ = node.communicate(timeout=120)
    published = [json.loads(line) for line in out.splitlines()]
    assert node.returncode == 0
    assert [topic for topic, _ in published[:3]] == [
        "moodspace/document", "moodspace/share/happy", "moodspace/share/very_sad",
    ]  # fmt: skip
    assert json.loads(published[0][1])["kind"] == "frame" and [value for _, value in published[1:3]] == [0.75, 0.25]


def test_the_psychopy_script_marks_and_measures(tmp_path: Path) -> None:
    pytest.importorskip("pylsl", reason="needs the extra sinks, and liblsl", exc_type=(ImportError, RuntimeError))
    script = (EXAMPLES / "psychopy_markers.py").read_text()
    assert "SHOWN_S, PAUSE_S = 2.0, 1.0" in script
    fast = tmp_path / "psychopy_markers.py"
    # Streams are the whole machine's: another test may run beside this one.
    name = f"moodspace-{uuid.uuid4()}"
    script = script.replace("SHOWN_S, PAUSE_S = 2.0, 1.0", "SHOWN_S, PAUSE_S = 0.5, 0.1")
    fast.write_text(script.replace('name: str = "moodspace"', f'name: str = "{name}"'))
    results = tmp_path / "results.csv"
    with session(f"lsl:{name}", {"happy": 0.75, "sad": 0.25}):
        done = subprocess.run(
            [sys.executable, str(fast), str(results)], env=environment(tmp_path / "stand-ins", _PSYCHOPY),
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    header, *rows = csv.reader(results.read_text().splitlines())
    assert header == ["stimulus", "onset", "frame", "faces", "readable", "unsure", "share_happy", "share_sad"]
    assert [row[0] for row in rows] == ["a puppy", "a spider", "a chair"]
    onsets = [float(row[1]) for row in rows]
    assert onsets == sorted(onsets) and onsets[1] - onsets[0] >= 0.6
    for row in rows:
        assert [float(value) for value in row[3:]] == pytest.approx([1, 1, 0, 0.75, 0.25])
