"""What a soak has around the product: a camera, visitors of the web app, and receivers of live values."""

import asyncio
import json
import random
import struct
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_in_thread

from moodspace.arrays import ByteArray
from moodspace.embeddings.pictures import read_bgr
from moodspace.realtime.capture.files import open_source
from moodspace.realtime.demo import picture_path
from moodspace.web.live.socket import PATH

# The clip is kept in memory as JPEG.
_MOST_PICTURES = 500
_HEADER = struct.Struct("<Id")
# A visitor stays this long, in seconds, and then a new one takes the place; a receiver reconnects as often.
_STAY_S = 30.0, 90.0
_KEEP_LATENCIES = 200_000


@dataclass(slots=True)
class Count:
    """What one visitor or receiver got.

    Attributes:
        name: What the report calls it.
        got: The number of answers or documents.
        dropped: The number of frames that were left out.
        latencies_ms: `(time, ms)`: when each came, seconds of `time.monotonic`, and after how many milliseconds.
        errors: What went wrong, a line each.
        connections: How often it connected.
    """

    name: str
    got: int = 0
    dropped: int = 0
    latencies_ms: list[tuple[float, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    connections: int = 0

    def add(self, latency_ms: float | None = None) -> None:
        """Count an answer; of very many, a random part keeps its latency."""
        self.got += 1
        if latency_ms is None:
            return
        one = time.monotonic(), latency_ms
        if len(self.latencies_ms) < _KEEP_LATENCIES:
            self.latencies_ms.append(one)
        elif (place := random.randrange(self.got)) < _KEEP_LATENCIES:
            self.latencies_ms[place] = one


def clip_pictures(clip: Path | None) -> list[bytes]:
    """Return the frames of a clip as JPEG; without a clip, four moving faces at 640x480."""
    return [
        cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
        for bgr in (_moving_faces() if clip is None else _frames(clip))
    ]


def _frames(clip: Path) -> Iterator[ByteArray]:
    with open_source(str(clip), files_only=True) as source:
        for number, frame in enumerate(source):
            if number == _MOST_PICTURES:
                return
            yield frame.bgr


def _moving_faces() -> Iterator[ByteArray]:
    face = cv2.resize(read_bgr(picture_path())[:480, :480], (240, 240), interpolation=cv2.INTER_AREA)
    still = np.zeros((480, 640, 3), np.uint8)
    still[:, 80:560] = np.tile(np.asarray(face, np.uint8), (2, 2, 1))
    for step in range(64):
        yield np.roll(still, round(30 * np.sin(step / 64 * 2 * np.pi)), axis=1)


class _Camera(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, pictures: Sequence[bytes], fps: float) -> None:
        super().__init__(("127.0.0.1", 0), _CameraHandler)
        self.pictures, self.fps, self.ending = pictures, fps, threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # the reader has left


class _CameraHandler(BaseHTTPRequestHandler):
    server: _Camera

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        begun, number = time.monotonic(), 0
        while not self.server.ending.wait(max(0.0, begun + number / self.server.fps - time.monotonic())):
            body = self.server.pictures[number % len(self.server.pictures)]
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body + b"\r\n")
            number += 1

    def log_message(self, *about: object) -> None:
        pass


@contextmanager
def camera(pictures: Sequence[bytes], fps: float) -> Iterator[str]:
    """Serve pictures in a loop as a network camera does, MJPEG over HTTP; yield its address."""
    server = _Camera(pictures, fps)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/video"
    finally:
        server.ending.set()
        server.shutdown()
        server.server_close()


class Visitors:
    """Browsers that have the Live page open, each in turn for a minute or so; the first one stays all the time.

    Each has a page script of Streamlit running beside its live session, records, teaches one face and marks an event.

    Args:
        url: The address of the web app.
        number: How many are there at once.
        fps: Frames per second of each.
        picture: What they send, JPEG with one face at least.

    Attributes:
        visits: What each place got.
        pages: How many page scripts ran to their end.
    """

    def __init__(self, url: str, number: int, fps: float, picture: bytes) -> None:
        self._url, self._fps, self._picture = url, fps, picture
        self.pages = Count("page scripts")
        self.visits = [Count(f"visitor {place + 1}") for place in range(number)]
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> "Visitors":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let all leave."""
        self._ending.set()
        self._thread.join(30)

    async def _run(self) -> None:
        await asyncio.gather(*(self._stay(place, count) for place, count in enumerate(self.visits)))

    async def _stay(self, place: int, count: Count) -> None:
        turn = random.Random(place)
        while not self._ending.is_set():
            seconds = float("inf") if place == 0 else turn.uniform(*_STAY_S)
            try:
                await self._visit(count, seconds)
            except Exception as error:
                count.errors.append(f"{count.name}: {type(error).__name__}: {error}")
                await asyncio.sleep(1)

    async def _visit(self, count: Count, seconds: float) -> None:
        with await asyncio.to_thread(urllib.request.urlopen, self._url, None, 30) as page:
            cookie = page.headers["set-cookie"].partition(";")[0]
        address = self._url.replace("http", "ws", 1).rstrip("/")
        origin: Any = self._url.rstrip("/")
        headers = {"Cookie": cookie}
        async with (
            connect(
                f"{address}/_stcore/stream", origin=origin, additional_headers=headers, max_size=None,
                subprotocols=["streamlit"],  # type: ignore[list-item]
            ) as script,
            connect(address + PATH, origin=origin, additional_headers=headers) as live,
        ):  # fmt: skip
            count.connections += 1
            await script.send(_run_script())
            first = json.loads(await live.recv())
            if first["type"] != "ready":
                count.errors.append(f"{count.name}: expected the message ready, got {str(first)[:200]}")
                return
            await live.send(json.dumps({"type": "record", "on": True, "min_group": 1}))
            listening = [
                asyncio.create_task(_listen(live, count)),
                asyncio.create_task(_read_script(script, self.pages)),
            ]
            try:
                await self._send(live, time.monotonic() + seconds)
            finally:
                await live.close()
                await script.close()
                await asyncio.gather(*listening, return_exceptions=True)

    async def _send(self, live: Any, until: float) -> None:
        begun, at = time.monotonic(), 0
        while (due := begun + at / self._fps) < until and not self._ending.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await live.send(_HEADER.pack(at % 2**32, 1000 * time.perf_counter()) + self._picture)
            at += 1
            if at % 20 == 10:
                await live.send(json.dumps({"type": "mark", "name": "soak", "ago": 0.5}))


def _run_script() -> bytes:
    from streamlit.proto.BackMsg_pb2 import BackMsg

    message = BackMsg()
    message.rerun_script.query_string = ""
    return message.SerializeToString()


async def _read_script(script: Any, count: Count) -> None:
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    try:
        async for data in script:
            message = ForwardMsg()
            message.ParseFromString(data)
            if message.WhichOneof("type") == "script_finished":
                count.add()
            if message.delta.new_element.HasField("exception"):
                text = message.delta.new_element.exception.message
                count.errors.append(f"{count.name}: the page shows: {text[:200]}")
    except ConnectionClosed:
        pass


async def _listen(live: Any, count: Count) -> None:
    taught = False
    try:
        async for text in live:
            answer = json.loads(text)
            match answer["type"]:
                case "result":
                    count.add(1000 * time.perf_counter() - answer["sent"])
                    count.dropped += answer["dropped"]
                    if not taught and answer["faces"]:
                        taught = True
                        await live.send(
                            json.dumps({"type": "teach", "track": answer["faces"][0]["id"], "label": "soaked"})
                        )
                case "error":
                    count.errors.append(f"{count.name}: {answer['message']}")
    except ConnectionClosed:
        pass


class Receivers:
    """Programs that receive the live values: two by WebSocket, of which one reconnects, one by OSC, one by MQTT.

    Args:
        websocket: The port of the live session's WebSocket server.
        osc: The port to listen on for OSC.
        mqtt: The broker's port; None for no broker.

    Attributes:
        counts: What each got.
    """

    def __init__(self, websocket: int, osc: int, mqtt: int | None) -> None:
        self._ports = websocket, osc, mqtt
        self.counts = [Count("ws"), Count("ws, reconnecting"), Count("osc"), *([Count("mqtt")] if mqtt else [])]
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._broker: Any = None
        self._osc: Any = None

    def __enter__(self) -> "Receivers":
        self._osc = _osc_server(self._ports[1], self.counts[2])
        self._threads = [
            threading.Thread(target=self._from_ws, args=(self.counts[0], False), daemon=True),
            threading.Thread(target=self._from_ws, args=(self.counts[1], True), daemon=True),
            threading.Thread(target=self._osc.serve_forever, args=(0.1,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        if self._ports[2] is not None:
            self._broker = _mqtt_client(self._ports[2], self.counts[3])
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Disconnect all."""
        self._ending.set()
        self._osc.shutdown()
        for thread in self._threads:
            thread.join(10)
        self._osc.server_close()
        if self._broker is not None:
            self._broker.disconnect()
            self._broker.loop_stop()
            self._broker = None

    def _from_ws(self, count: Count, reconnecting: bool) -> None:
        """Receive until the end; that nothing listens yet is no error before the first connection."""
        while not self._ending.is_set():
            leave = time.monotonic() + (random.uniform(*_STAY_S) if reconnecting else float("inf"))
            try:
                with connect_in_thread(f"ws://127.0.0.1:{self._ports[0]}") as client:
                    count.connections += 1
                    while time.monotonic() < leave and not self._ending.is_set():
                        try:
                            text = client.recv(timeout=0.5)
                        except TimeoutError:
                            continue
                        count.add(_late_ms(json.loads(text)))
            except (OSError, ConnectionClosed, ValueError, KeyError) as error:
                if count.connections and not self._ending.is_set():
                    count.errors.append(f"{count.name}: {type(error).__name__}: {error}")
                self._ending.wait(0.2)


def _late_ms(document: dict[str, Any]) -> float:
    return float(1000 * (time.time() - document["captured"]))


def _osc_server(port: int, count: Count) -> Any:
    from pythonosc.dispatcher import Dispatcher
    from pythonosc.osc_server import BlockingOSCUDPServer

    dispatcher = Dispatcher()
    dispatcher.map("/moodspace/frame", lambda _, number: count.add())
    return BlockingOSCUDPServer(("127.0.0.1", port), dispatcher)


def _mqtt_client(port: int, count: Count) -> Any:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    def connected(client: Any, *_: object) -> None:
        count.connections += 1
        client.subscribe("soak/#")

    def received(client: Any, data: object, message: Any) -> None:
        try:
            count.add(_late_ms(json.loads(message.payload)))
        except (ValueError, KeyError) as error:
            count.errors.append(f"mqtt: {type(error).__name__}: {error}")

    client = Client(CallbackAPIVersion.VERSION2)
    client.on_connect, client.on_message = connected, received
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client
