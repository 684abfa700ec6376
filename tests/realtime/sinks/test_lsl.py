"""Inlets of Lab Streaming Layer on this machine find the streams and get numbers, documents and marks.

Each test runs in a process of its own: the settings of liblsl hold for a whole process.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.realtime.sinks.made_documents import check

ROOT = Path(__file__).parents[3]

_BEGIN = """
import json, time, uuid
import numpy as np
from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.documents import live_document
from moodspace.realtime.sinks.destination import SinkOptions
from moodspace.realtime.sinks.hub import Sinks
from moodspace.realtime.sinks.lsl import load_pylsl
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle
from tests.realtime.sinks.made_documents import frame, group_of
pylsl = load_pylsl(network=False)
name = f"moodspace-{uuid.uuid4()}"
def inlet(name):
    (found,) = pylsl.resolve_byprop("name", name, 1, 20)
    opened = pylsl.StreamInlet(found)
    opened.open_stream(20)
    return opened
recognizer = Recognizer(fake_bundle(drawn_faces(35, seed=1)))
"""


@pytest.fixture(scope="module", autouse=True)
def _liblsl() -> None:
    pytest.importorskip("pylsl", reason="needs the extra sinks, and liblsl", exc_type=(ImportError, RuntimeError))


def run(code: str) -> tuple[dict[str, Any], str]:
    """Run code in a process of its own; return the JSON that it printed last, and its stderr."""
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return printed, done.stderr


def test_an_inlet_gets_numbers_documents_and_marks() -> None:
    told, errors = run("""
with Sinks([f"lsl:{name}"], classes=recognizer.classes) as sinks:
    group, documents, marks = inlet(name), inlet(f"{name}-json"), inlet(f"{name}-marks")
    channels, channel = [], group.info(20).desc().child("channels").child("channel")
    while not channel.empty():
        channels.append(channel.child_value("label"))
        channel = channel.next_sibling("channel")
    now = time.time()
    result = group_of(recognizer, 5)
    from dataclasses import replace
    shown = replace(frame(7), captured=now - 0.5)
    sinks.add(shown, result)
    sinks.add(frame(8), group_of(recognizer, 4))
    sinks.mark("stimulus", now, by="key")
    samples = [group.pull_sample(20), group.pull_sample(20)]
    document, mark = documents.pull_sample(20), marks.pull_sample(20)
    ages = [pylsl.local_clock() - (time.time() - now) - stamp for stamp in (samples[0][1], document[1], mark[1])]
print(json.dumps({"channels": channels, "samples": [[None if v != v else v for v in s[0]] for s in samples],
    "document": json.loads(document[0][0]), "mark": mark[0], "ages": ages, "type": group.info().type(),
    "expected": live_document(shown, result, individuals=False), "sent": list(sinks.tallies.values())[0][0]}))
""")
    assert told["channels"][:4] == ["frame", "faces", "readable", "unsure"] and told["type"] == "Expression"
    assert told["channels"][4:] == [f"share_{name}" for name in told["expected"]["group"]["shares"]]
    assert told["samples"][0][:4] == [7, 5, 5, 0]
    assert told["samples"][0][4:] == pytest.approx(list(told["expected"]["group"]["shares"].values()))
    assert told["samples"][1] == [8, *[None] * (len(told["channels"]) - 1)]
    assert check(told["document"]) == told["expected"] and told["mark"] == ["stimulus"]
    # The stamps are those of capture: half a second ago, and now.
    assert told["ages"] == pytest.approx([0.5, 0.5, 0], abs=0.01)
    assert told["sent"] == 3 and "INFO" not in errors


def test_streams_of_this_machine_answer_no_other() -> None:
    told, _ = run("""
import os, pathlib
with Sinks([f"lsl:{name}"], classes=recognizer.classes):
    listening = []
    for kind in ("udp", "udp6"):
        path = pathlib.Path("/proc/net") / kind
        fds = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
        own = {os.readlink(fd) for fd in fds if os.path.islink(fd)}
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            if f"socket:[{fields[9]}]" in own:
                listening.append(fields[1])
print(json.dumps({"listening": listening, "linux": pathlib.Path("/proc/net/udp").exists()}))
""")
    if not told["linux"]:
        pytest.skip("needs /proc/net")
    # Port 16571, where programs of other machines ask for streams, is open on 127.0.0.1 alone.
    discovery = [address for address in told["listening"] if address.endswith(":40BB")]
    assert discovery and set(discovery) == {"0100007F:40BB"}


def test_the_reach_is_chosen_once() -> None:
    told, _ = run("""
from moodspace.realtime.sinks.destination import SinkError
try:
    load_pylsl(network=True)
except SinkError as error:
    print(json.dumps({"error": str(error)}))
""")
    assert "this machine only" in told["error"]


def test_a_missing_pylsl_is_told_with_its_extra() -> None:
    told, _ = run("""
import sys
from moodspace.realtime.sinks.destination import SinkError
sys.modules["pylsl"] = None
try:
    Sinks(["lsl:a"], classes=["happy"]).__enter__()
except SinkError as error:
    print(json.dumps({"error": str(error)}))
""")
    assert told["error"].startswith("lsl:a: expected the package pylsl, got none; install it: ")
