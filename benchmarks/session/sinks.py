"""Measure the latency that each sink of `--to` adds, and what a dead receiver costs the session.

    python -m benchmarks sinks [--seconds 20] [--fps 25] [--individuals] [--sink ws ...] [--json]

A session recognizes six faces in pictures of 960x640 at this rate, and sends the values to a receiver in a process of
its own on this machine, sink after sink: `ws`, `osc`, `mqtt` (starts mosquitto; left out where there is none), `lsl`,
`jsonl` (a file that is read at once), and `dead`: a WebSocket client that reads nothing, a broker and an OSC receiver
that are not there, all at once. Printed are the milliseconds from the moment when a frame's result is there until the
receiver has the document, the milliseconds that the session itself spends on it, waiting for a processor included and
without (CPU), and the documents sent and dropped. The bar is 5 ms at the 95th percentile. On a busy machine, most of
the time is spent waiting for a processor: `bare` is a control, one datagram from the session's own thread, and on
Linux `chrt -r 1` before the command lets it run first.
"""

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from moodspace.api import load
from moodspace.arrays import ByteArray
from moodspace.embeddings.pictures import read_bgr
from moodspace.realtime.capture.source import Frame
from moodspace.realtime.demo import picture_path
from moodspace.realtime.documents import live_document
from moodspace.realtime.pipeline import LivePipeline, LiveResult
from moodspace.realtime.sinks.destination import SinkOptions
from moodspace.realtime.sinks.hub import Sinks
from moodspace.realtime.sinks.outbox import Tally

SINKS = ("bare", "ws", "osc", "mqtt", "lsl", "jsonl", "dead")
BAR_MS = 5.0
_STARTING_S = 30.0
# The first documents are not counted: connections and caches are new.
_WARM_UP = 10


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="How long each sink is measured.")
    parser.add_argument("--fps", type=float, default=25.0, help="Frames per second.")
    parser.add_argument("--individuals", action="store_true", help="Send each face too.")
    parser.add_argument("--sink", choices=SINKS, action="append", help="Measure this one; all when left out.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    parser.add_argument("--receive", nargs=2, metavar=("SINK", "ADDRESS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.receive:
        receive(*arguments.receive)
        return
    with load() as model:
        figures = {
            sink: measured(sink, model.live(), arguments.seconds, arguments.fps, arguments.individuals)
            for sink in arguments.sink or SINKS
            if sink != "mqtt" or broker_path()
        }
    if arguments.json:
        print(json.dumps({"load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None, "sinks": figures}))
        return
    print(f"load of the machine: {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "")
    print(f"{'sink':<7}{'p50 ms':>8}{'p95 ms':>8}{'max ms':>8}", end="")
    print(f"{'session p95 ms':>16}{'CPU p95 ms':>12}{'sent':>7}{'dropped':>9}")
    for sink, one in figures.items():
        latency = [f"{one[name]:8.2f}" if one.get(name) is not None else f"{'':8}" for name in ("p50", "p95", "max")]
        print(
            f"{sink:<7}{''.join(latency)}{one['session_p95']:16.3f}{one['session_cpu_p95']:12.3f}{one['sent']:7}{one['dropped']:9}"
        )


def measured(sink: str, pipeline: LivePipeline, seconds: float, fps: float, individuals: bool) -> dict[str, Any]:
    """Return the figures of one sink: milliseconds and counts."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        to, address = destinations(sink, folder, stack)
        options = SinkOptions(individuals=individuals)
        sinks: Sinks | Bare = Bare(address, options)
        if sink != "bare":
            sinks = stack.enter_context(Sinks(to, options, classes=pipeline.recognizer.classes))
        receiver = None if sink == "dead" else stack.enter_context(receiving(sink, address))
        if sink == "dead":
            stack.enter_context(connected(to[0]))
        done, spent, cpu = run(sinks, pipeline, seconds, fps)
        arrived: dict[int, float] = {}
        if receiver is not None:
            # The sinks end first, so that the last documents are on their way.
            sinks.__exit__(None, None, None)
            time.sleep(0.5)
            receiver.terminate()
            out, _ = receiver.communicate(timeout=_STARTING_S)
            arrived = {int(number): float(at) for number, at in (line.split() for line in out.splitlines())}
    late = [1000 * (arrived[number] - at) for number, at in done.items() if number in arrived and number >= _WARM_UP]
    figures: dict[str, Any] = {"received": len(arrived)}
    if late:
        figures |= {f"p{q}": round(float(np.percentile(late, q)), 3) for q in (50, 95)} | {"max": round(max(late), 3)}
    counted = np.array(spent[_WARM_UP:] or spent)
    figures |= {"session_cpu_p95": round(float(np.percentile(cpu[_WARM_UP:] or cpu, 95)), 3)}
    figures |= {"session_p95": round(float(np.percentile(counted, 95)), 3), "session_max": round(counted.max(), 3)}
    tallies = sinks.tallies.values()
    return figures | {"sent": sum(one.sent for one in tallies), "dropped": sum(one.dropped for one in tallies)}


def run(
    sinks: "Sinks | Bare", pipeline: LivePipeline, seconds: float, fps: float
) -> tuple[dict[int, float], list[float], list[float]]:
    """Run a session; return when each frame's result was there, unix seconds, and the milliseconds of each `add`.

    The milliseconds come twice: of the clock and of the processor.
    """
    picture = six_faces()
    done: dict[int, float] = {}
    spent: list[float] = []
    cpu: list[float] = []
    begun = time.perf_counter()
    for number in range(max(round(seconds * fps), 1)):
        time.sleep(max(0.0, begun + number / fps - time.perf_counter()))
        frame = Frame("benchmark", number, number / fps, np.roll(picture, number % 8, axis=1), fps)
        result = pipeline.process(frame.bgr, frame.time)
        done[number] = time.time()
        before, before_cpu = time.perf_counter(), time.thread_time()
        sinks.add(frame, result)
        cpu.append(1000 * (time.thread_time() - before_cpu))
        spent.append(1000 * (time.perf_counter() - before))
    return done, spent, cpu


class Bare:
    """The control: send each document as one datagram, from the thread of the session."""

    def __init__(self, port: str, options: SinkOptions) -> None:
        self._port, self._options = port, options
        self.tallies = {"bare": Tally(0, 0)}

    def add(self, frame: Frame, result: LiveResult) -> None:
        """Send a frame."""
        options = self._options
        document = live_document(frame, result, individuals=options.individuals, min_group=options.min_group)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(json.dumps(document).encode(), ("127.0.0.1", int(self._port)))
        self.tallies = {"bare": Tally(self.tallies["bare"].sent + 1, 0)}

    def __exit__(self, *_: object) -> None:
        """Do nothing; `Sinks` stops here."""


def six_faces() -> ByteArray:
    """Return a picture of 960x640 with six faces, `(640, 960, 3)` uint8 BGR."""
    face = cv2.resize(read_bgr(picture_path())[:480, :480], (320, 320), interpolation=cv2.INTER_AREA)
    return np.tile(np.asarray(face, np.uint8), (2, 3, 1))


def destinations(sink: str, folder: Path, stack: contextlib.ExitStack) -> tuple[list[str], str]:
    """Return where the session sends to, and where the receiver gets it; start a broker if need be."""
    port = free_port()
    match sink:
        case "jsonl":
            return [str(folder / "values.jsonl")], str(folder / "values.jsonl")
        case "lsl":
            name = f"benchmark-{os.getpid()}"
            return [f"lsl:{name}"], name
        case "mqtt":
            stack.enter_context(broker(port))
            return [f"mqtt://127.0.0.1:{port}/benchmark"], str(port)
        case "dead":
            return [f"ws://127.0.0.1:{port}", "mqtt://127.0.0.1:9/benchmark", "osc://127.0.0.1:9"], ""
        case _:
            return [f"{sink}://127.0.0.1:{port}"], str(port)


def free_port() -> int:
    """Return a port that is free now, for TCP and UDP."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def broker_path() -> str | None:
    """Return where mosquitto is; None where it is not installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def broker(port: int) -> Iterator[None]:
    """Run mosquitto on a port of this machine."""
    command = [str(broker_path()), "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _retry(lambda: socket.create_connection(("127.0.0.1", port), timeout=1).close())
            yield
        finally:
            process.terminate()


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect a WebSocket client that reads nothing, with a raw socket."""
    host, _, port = address.removeprefix("ws://").partition(":")
    request = (
        f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        client.sendall(request.encode())
        yield


@contextlib.contextmanager
def receiving(sink: str, address: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a receiver in a process of its own; it prints the number of each frame and when it came."""
    command = [sys.executable, "-m", "benchmarks.session.sinks", "--receive", sink, address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise RuntimeError(f"expected a receiver for {sink}, got none")
            yield process
        finally:
            process.kill()


def receive(sink: str, address: str) -> None:
    """Receive documents until the process is terminated; print each frame's number and time of arrival."""
    documents = {
        "bare": _from_udp,
        "ws": _from_ws,
        "osc": _from_osc,
        "mqtt": _from_mqtt,
        "lsl": _from_lsl,
        "jsonl": _from_file,
    }
    documents[sink](address, lambda number: print(number, time.time(), flush=True))


def _ready() -> None:
    print("ready", flush=True)


def _retry(connect: Callable[[], Any]) -> Any:
    ends = time.monotonic() + _STARTING_S
    while True:
        try:
            return connect()
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)


Told = Callable[[int], None]


def _from_ws(port: str, tell: Told) -> None:
    from websockets.sync.client import connect

    with _retry(lambda: connect(f"ws://127.0.0.1:{port}")) as client:
        _ready()
        for text in client:
            tell(json.loads(text)["frame"])
    time.sleep(_STARTING_S)


def _from_udp(port: str, tell: Told) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", int(port)))
        _ready()
        while True:
            tell(json.loads(receiver.recv(1 << 16))["frame"])


def _from_osc(port: str, tell: Told) -> None:
    from pythonosc.dispatcher import Dispatcher
    from pythonosc.osc_server import BlockingOSCUDPServer

    dispatcher = Dispatcher()
    dispatcher.map("/moodspace/frame", lambda _, number: tell(number))
    with BlockingOSCUDPServer(("127.0.0.1", int(port)), dispatcher) as server:
        _ready()
        server.serve_forever()


def _from_mqtt(port: str, tell: Told) -> None:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _, __, message: tell(json.loads(message.payload)["frame"])
    client.on_connect = lambda *_: _subscribe(client)
    client.on_subscribe = lambda *_: _ready()
    client.connect("127.0.0.1", int(port))
    client.loop_forever()


def _subscribe(client: Any) -> None:
    client.subscribe("benchmark")


def _from_lsl(name: str, tell: Told) -> None:
    from moodspace.realtime.sinks.lsl import load_pylsl

    pylsl = load_pylsl(network=False)
    inlet = pylsl.StreamInlet(pylsl.resolve_byprop("name", f"{name}-json", 1, _STARTING_S)[0])
    inlet.open_stream(_STARTING_S)
    _ready()
    while True:
        sample, _ = inlet.pull_sample(_STARTING_S)
        if sample:
            tell(json.loads(sample[0])["frame"])


def _from_file(path: str, tell: Told) -> None:
    with open(path, encoding="utf-8") as file:
        _ready()
        begun = ""
        while True:
            begun += file.readline()
            if begun.endswith("\n"):
                tell(json.loads(begun)["frame"])
                begun = ""
            else:
                time.sleep(0.0005)


if __name__ == "__main__":
    main()
