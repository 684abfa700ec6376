"""Measures many visitors at once: whether one starves, whether memory grows, how soon their places are free again.

    python -m benchmarks.visitors
    python -m benchmarks.visitors --visitors 8 --fps 5 --seconds 120 --json

Starts the server as `cli.py web` does, with as many places as there are visitors. Each has a cookie and a live session
of its own and sends the picture of a face at 640x480, whether the last one was answered or not. Then all leave at once,
and as many new ones ask for a place until each has one: `freed_s` is from the leaving to the last of them. The visitors
run on the same processors as the server. Exits with 1 where a target is missed. Linux only.
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

from benchmarks.web_server import WebServer, running_server
from moodspace.embeddings.pictures import read_rgb
from moodspace.realtime.demo import picture_path
from moodspace.web.live.socket import PATH

# At most: frames of the best served by those of the worst, growth of the memory, seconds.
TARGETS = {"fairness": 1.5, "growth": 0.05, "freed_s": 10.0}
_WARM_S = 30.0
_SIZE = 640, 480
_HEADER = struct.Struct("<Id")
_PROBE_S = 0.25
_PATIENCE_S = 30.0


@dataclass(slots=True)
class Visit:
    """What one visitor got: how old each answer was, in milliseconds, and how many frames were left out."""

    trips_ms: list[float] = field(default_factory=list)
    dropped: int = 0


def resident(pid: int) -> float:
    """Returns the resident memory of a process, MB."""
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def figures_of(visits: list[Visit], seconds: float, memory_mb: tuple[float, float], freed_s: float) -> dict[str, float]:
    """Returns what was measured.

    Args:
        visits: One of each visitor.
        seconds: How long they sent frames.
        memory_mb: Of the server when it was warm, and at the end.
        freed_s: From when they left to when all places were free.
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
    """Comes in as a new browser; returns its live session, None where there is no place."""
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
        raise SystemExit(f"expected the server to be ready, it said {first}")
    return live


async def _send(live: ClientConnection, jpeg: bytes, fps: float, until: float) -> None:
    begun = time.perf_counter()
    at = 0
    while (due := begun + at / fps) < until:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await live.send(_HEADER.pack(at, 1000 * time.perf_counter()) + jpeg)
        at += 1


async def _listen(live: ClientConnection, visit: Visit) -> None:
    async for text in live:
        answer = json.loads(text)
        if answer["type"] != "result" or len(answer["faces"]) != 1:
            raise SystemExit(f"expected a result with one face, received {str(text)[:200]}")
        visit.trips_ms.append(1000 * time.perf_counter() - answer["sent"])
        visit.dropped += answer["dropped"]


async def _visit_all(sessions: list[ClientConnection], visits: list[Visit], fps: float, seconds: float) -> None:
    jpeg, until = _picture(), time.perf_counter() + seconds
    listening = [asyncio.create_task(_listen(live, one)) for live, one in zip(sessions, visits, strict=True)]
    await asyncio.gather(*(_send(live, jpeg, fps, until) for live in sessions))
    await asyncio.gather(*(live.close() for live in sessions))
    await asyncio.gather(*listening)


async def _freed(server: WebServer, places: int) -> float:
    """Returns the seconds until so many new visitors have come in."""
    begun = time.perf_counter()
    entered: list[ClientConnection] = []
    while len(entered) < places:
        if time.perf_counter() - begun > _PATIENCE_S:
            raise SystemExit(f"expected {places} places to be free after {_PATIENCE_S:.0f} s, {len(entered)} were")
        live = await _enter(server)
        if live is None:
            await asyncio.sleep(_PROBE_S)
        else:
            entered.append(live)
    freed = time.perf_counter() - begun
    await asyncio.gather(*(live.close() for live in entered))
    return freed


async def measure(server: WebServer, visitors: int, fps: float, seconds: float) -> dict[str, float]:
    """Returns the figures of so many visitors on a server that has places for no more.

    Args:
        server: Which.
        visitors: How many.
        fps: Frames a second of each.
        seconds: How long.
    """
    sessions = [live for live in [await _enter(server) for _ in range(visitors)] if live is not None]
    if len(sessions) < visitors or await _enter(server) is not None:
        raise SystemExit(f"expected exactly {visitors} places")
    visits = [Visit() for _ in sessions]
    running = asyncio.create_task(_visit_all(sessions, visits, fps, seconds))
    await asyncio.sleep(min(_WARM_S, seconds / 4))
    warm = resident(server.pid)
    await running
    memory = warm, resident(server.pid)
    return figures_of(visits, seconds, memory, await _freed(server, visitors))


def _picture() -> bytes:
    picture = np.ascontiguousarray(read_rgb(picture_path())[:384, :512, ::-1])
    return cv2.imencode(".jpg", cv2.resize(picture, _SIZE), [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=8, help="how many at once")
    parser.add_argument("--fps", type=float, default=5.0, help="frames a second of each")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long they stay")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    options = parser.parse_args()
    with running_server("--visitors", str(options.visitors)) as server:
        figures = asyncio.run(measure(server, options.visitors, options.fps, options.seconds))
    if options.json:
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    else:
        for name, value in figures.items():
            print(f"{name:<20}{value:>10.2f}")
    if missed := [name for name, bound in TARGETS.items() if not figures[name] <= bound]:
        raise SystemExit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
