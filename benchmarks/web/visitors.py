"""Measure many concurrent visitors: fairness, memory growth, and how soon their places are free again.

    python -m benchmarks visitors
    python -m benchmarks visitors --visitors 8 --fps 5 --seconds 120 --json
    python -m benchmarks visitors --heavy 1

Start the server as `moodspace web` does, with as many places as visitors. Each visitor has its own cookie and live
session and sends the picture of a face at 640x480 without waiting for answers. Then all leave at once, and the same
number of new visitors request places until each has one; `freed_s` is the time for that. The visitors run on the same
processors as the server. `--heavy` adds visitors who send 16 faces at 1280x960 30 times a second; the figures are those
of the others, and `heavy_frames` is how many frames the luckiest of them got. Exit with 1 if a target is missed. Linux
only.
"""

import argparse
import asyncio
import json
import math
import statistics
import struct
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.web.web_server import WebServer, running_server
from moodspace.embeddings.pictures import read_rgb
from moodspace.realtime.demo import picture_path
from moodspace.web.live.socket import PATH

# Upper bounds: most frames of a visitor divided by fewest, memory growth as a share, seconds.
TARGETS = {"fairness": 1.3, "growth": 0.05, "freed_s": 10.0}
_WARM_S = 30.0
_SIZE = 640, 480
_HEAVY_TILES, _HEAVY_FPS = 4, 30.0
_HEADER = struct.Struct("<Id")
_PROBE_S = 0.25
_PATIENCE_S = 30.0


@dataclass(slots=True)
class Visit:
    """What one visitor sends and gets.

    Attributes:
        trips_ms: The round trip of each answer, in milliseconds.
        dropped: The number of dropped frames.
        jpeg: The picture that it sends.
        fps: How many it sends a second.
        faces: How many faces each answer must have; None for any number.
    """

    trips_ms: list[float] = field(default_factory=list)
    dropped: int = 0
    jpeg: bytes = b""
    fps: float = 5.0
    faces: int | None = 1


def resident(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def figures_of(visits: list[Visit], seconds: float, memory_mb: tuple[float, float], freed_s: float) -> dict[str, float]:
    """Return the figures by name.

    Args:
        visits: The visits, one per visitor.
        seconds: How long the visitors sent frames.
        memory_mb: The server's resident memory after the warm-up, and at the end.
        freed_s: Seconds until all places were free again.
    """
    counts = [len(one.trips_ms) for one in visits]
    trips = sorted(trip for one in visits for trip in one.trips_ms) or [math.nan]
    return {
        "frames_least": min(counts),
        "frames_most": max(counts),
        "fairness": max(counts) / min(counts) if min(counts) else math.inf,
        "frames_per_second": sum(counts) / seconds,
        "dropped": sum(one.dropped for one in visits),
        "round_trip_ms": statistics.median(trips),
        "round_trip_p95_ms": trips[int(0.95 * len(trips))],
        "memory_warm_mb": memory_mb[0],
        "memory_end_mb": memory_mb[1],
        "growth": memory_mb[1] / memory_mb[0] - 1,
        "freed_s": freed_s,
    }


async def _enter(server: WebServer) -> ClientConnection | None:
    """Connect as a new browser; return its live session, or None if the server is full."""
    with await asyncio.to_thread(urllib.request.urlopen, server.url) as page:
        cookie = page.headers["set-cookie"].partition(";")[0]
    url = server.url.replace("http", "ws", 1).rstrip("/") + PATH
    origin = server.url.rstrip("/")
    live = await connect(url, origin=origin, additional_headers={"Cookie": cookie})  # type: ignore[arg-type]
    try:
        first = json.loads(await live.recv())
    except ConnectionClosed:
        return None
    if first["type"] != "ready":
        raise SystemExit(f"expected the message ready, got {first}")
    return live


async def _send(live: ClientConnection, visit: Visit, until: float) -> None:
    begun = time.perf_counter()
    at = 0
    while (due := begun + at / visit.fps) < until:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await live.send(_HEADER.pack(at, 1000 * time.perf_counter()) + visit.jpeg)
        at += 1


async def _listen(live: ClientConnection, visit: Visit) -> None:
    async for text in live:
        answer = json.loads(text)
        if answer["type"] != "result" or visit.faces not in (None, len(answer["faces"])):
            raise SystemExit(f"expected a result with {visit.faces or 'any'} faces, got {str(text)[:200]}")
        visit.trips_ms.append(1000 * time.perf_counter() - answer["sent"])
        visit.dropped += answer["dropped"]


async def _visit_all(sessions: list[ClientConnection], visits: list[Visit], seconds: float) -> None:
    until = time.perf_counter() + seconds
    listening = [asyncio.create_task(_listen(live, one)) for live, one in zip(sessions, visits, strict=True)]
    await asyncio.gather(*(_send(live, one, until) for live, one in zip(sessions, visits, strict=True)))
    await asyncio.gather(*(live.close() for live in sessions))
    await asyncio.gather(*listening)


async def _freed(server: WebServer, places: int) -> float:
    """Return the seconds until `places` new visitors have connected."""
    begun = time.perf_counter()
    entered: list[ClientConnection] = []
    while len(entered) < places:
        if time.perf_counter() - begun > _PATIENCE_S:
            raise SystemExit(f"expected {places} free places after {_PATIENCE_S:.0f} s, got {len(entered)}")
        live = await _enter(server)
        if live is None:
            await asyncio.sleep(_PROBE_S)
        else:
            entered.append(live)
    freed = time.perf_counter() - begun
    await asyncio.gather(*(live.close() for live in entered))
    return freed


async def measure(server: WebServer, visitors: int, fps: float, seconds: float, *, heavy: int = 0) -> dict[str, float]:
    """Return the figures for a server with exactly `visitors` and `heavy` places.

    Args:
        server: The server.
        visitors: Number of visitors.
        fps: Frames per second of each visitor.
        seconds: How long they send frames.
        heavy: Number of further visitors who send large pictures of many faces.
    """
    places = visitors + heavy
    sessions = [live for live in [await _enter(server) for _ in range(places)] if live is not None]
    if len(sessions) < places or await _enter(server) is not None:
        raise SystemExit(f"expected exactly {places} places")
    one, many = _picture(1), _picture(_HEAVY_TILES)
    visits = [Visit(jpeg=one, fps=fps) for _ in range(visitors)]
    heavies = [Visit(jpeg=many, fps=_HEAVY_FPS, faces=None) for _ in range(heavy)]
    running = asyncio.create_task(_visit_all(sessions, [*visits, *heavies], seconds))
    await asyncio.sleep(min(_WARM_S, seconds / 4))
    warm = resident(server.pid)
    await running
    memory = warm, resident(server.pid)
    figures = figures_of(visits, seconds, memory, await _freed(server, places))
    return figures | ({"heavy_frames": max(len(one.trips_ms) for one in heavies)} if heavies else {})


def _picture(tiles: int) -> bytes:
    """Return a picture with `tiles` times `tiles` faces: 640x480, and from 2 on twice as large."""
    picture = np.ascontiguousarray(read_rgb(picture_path())[:384, :512, ::-1])
    width, height = (side * min(tiles, 2) // tiles for side in _SIZE)
    whole = np.tile(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), (tiles, tiles, 1))
    return cv2.imencode(".jpg", whole, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=8, help="number of visitors")
    parser.add_argument("--heavy", type=int, default=0, help="number of further visitors with many faces")
    parser.add_argument("--fps", type=float, default=5.0, help="frames per second of each visitor")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long they send frames")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    options = parser.parse_args()
    with running_server("--visitors", str(options.visitors + options.heavy)) as server:
        figures = asyncio.run(measure(server, options.visitors, options.fps, options.seconds, heavy=options.heavy))
    if options.json:
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    else:
        for name, value in figures.items():
            print(f"{name:<20}{value:>10.2f}")
    if missed := [name for name, bound in TARGETS.items() if not figures[name] <= bound]:
        raise SystemExit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
