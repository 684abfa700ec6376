"""Let many clients stall, send half or hostile messages, flood and vanish, while two visitors use the live server.

The visitors must get answers all the time, nothing of one may reach the other or a stranger, the server must say no
traceback, and its memory and open files must come back. All traffic is on 127.0.0.1.
"""

import asyncio
import contextlib
import json
import random
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from benchmarks.faults.mutate import JSON, TEXT, mutate
from benchmarks.faults.outcome import Amount, Outcome
from benchmarks.web.visitors import resident
from moodspace.web.live.socket import PATH
from moodspace.web.server.identity import new_key
from tests.web.hostile import JPEG, fuzzed
from tests.web.served import Served, frame, served

# What one visitor taught and marked; nobody else may read it.
_SECRETS = ("zeta-taught-by-anna", "zeta-marked-by-anna", "zeta-taught-by-ben")
_RETURN_S = 30.0
# Shares of memory that stay with the allocator, and open files that the server keeps for itself.
_MORE_MEMORY, _MORE_FILES = 0.30, 12
_LONGEST_WAIT_S = 60.0
_PATHS = ("/", "/photo", "/map", "/mark", "/_stcore/health", "/moodspace/faces/1000000000", "/../../etc/passwd", "/%00")


@dataclass(slots=True)
class _Seen:
    """What came to clients: counts, and all texts that hold a secret of somebody else."""

    answers: int = 0
    messages: int = 0
    refused: int = 0
    longest: float = 0.0
    leaks: list[str] = field(default_factory=list)

    def look(self, text: str, own: tuple[str, ...] = ()) -> None:
        self.leaks += [f"{one} in {text[:120]}" for one in _SECRETS if one in text and one not in own]


def crowd_the_server(amount: Amount, folder: Path) -> list[Outcome]:
    """Start the server and let visitors and clients at it."""
    outcome, began = Outcome(f"server under {amount.clients} clients"), time.perf_counter()
    messages = Outcome("hostile messages to the server")
    with served(folder / "log.txt", "--visitors", 16) as server:
        asyncio.run(_crowd(server, amount, outcome, messages))
        code, _ = server.end()
    log = (folder / "log.txt").read_text(errors="replace")
    if tracebacks := log.count("Traceback"):
        last = re.sub(r"\s+", " ", log[log.rindex("Traceback") :][-500:])
        outcome.fault(f"{tracebacks} tracebacks in what the server says, at last: {last}")
    if code not in (0, 130):
        outcome.fault(f"expected exit 0 or 130 after an interrupt, got {code}")
    outcome.seconds = time.perf_counter() - began
    return [outcome, messages]


async def _crowd(server: Served, amount: Amount, outcome: Outcome, messages: Outcome) -> None:
    anna, ben, strangers = _Seen(), _Seen(), _Seen()
    ready, stop = asyncio.Event(), asyncio.Event()
    visitors = [
        asyncio.create_task(_visit(server, anna, _SECRETS[:2], ready, stop)),
        asyncio.create_task(_visit(server, ben, _SECRETS[2:], asyncio.Event(), stop)),
    ]
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ready.wait(), 60)
    await asyncio.sleep(2)
    before = resident(server.process.pid), _open_files(server)
    until = time.monotonic() + amount.seconds
    clients = [
        asyncio.create_task(_misbehave(server, number, amount.seed, until, strangers))
        for number in range(amount.clients)
    ]
    ended = await asyncio.gather(*clients, return_exceptions=True)
    for problem in ended:
        if isinstance(problem, Exception):
            outcome.fault(f"a client: {type(problem).__name__}: {problem}")
    answers = anna.answers, ben.answers
    calm = time.monotonic() + _RETURN_S
    while time.monotonic() < calm and not (anna.answers > answers[0] and ben.answers > answers[1]):
        await asyncio.sleep(0.2)
    for name, seen, count in (("anna", anna, answers[0]), ("ben", ben, answers[1])):
        if not count or seen.answers <= count or seen.longest > _LONGEST_WAIT_S:
            outcome.fault(f"{name} got {count} answers, {seen.answers - count} later, waited {seen.longest:.1f} s")
    after = await _back(server, before)
    stop.set()
    for visit, told in zip(("anna", "ben"), await asyncio.gather(*visitors, return_exceptions=True), strict=True):
        if isinstance(told, BaseException):
            outcome.fault(f"{visit}: {type(told).__name__}: {told}")
    if after[0] > before[0] * (1 + _MORE_MEMORY):
        outcome.fault(f"memory went from {before[0]:.0f} to {after[0]:.0f} MB")
    if after[1] > before[1] + _MORE_FILES:
        outcome.fault(f"open files went from {before[1]} to {after[1]}")
    outcome.tried, outcome.landed = len(clients), strangers.refused
    outcome.counts = {
        "answers to visitors": sum(answers), "longest wait ms": round(1000 * max(anna.longest, ben.longest)),
        "MB before": round(before[0]), "MB after": round(after[0]), "open files before": before[1],
        "open files after": after[1],
    }  # fmt: skip
    leaks = anna.leaks + ben.leaks + strangers.leaks
    messages.tried, messages.landed = strangers.messages, strangers.answers
    messages.counts["leaks"] = len(leaks)
    for one in leaks:
        messages.fault(f"leak: {one}")


def _open_files(server: Served) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


async def _back(server: Served, before: tuple[float, int]) -> tuple[float, int]:
    """Return memory and open files once they are back, or after a while."""
    until = time.monotonic() + _RETURN_S
    while True:
        now = resident(server.process.pid), _open_files(server)
        if now[1] <= before[1] + _MORE_FILES or time.monotonic() > until:
            return now
        await asyncio.sleep(0.5)


def _live(server: Served, key: str) -> connect:
    origin = f"http://127.0.0.1:{server.port}"
    return connect(
        f"ws://127.0.0.1:{server.port}{PATH}", origin=origin,  # type: ignore[arg-type]
        additional_headers={"Cookie": f"moodspace_visitor={key}"}, max_size=None, open_timeout=30,
    )  # fmt: skip


async def _visit(server: Served, seen: _Seen, own: tuple[str, ...], ready: asyncio.Event, stop: asyncio.Event) -> None:
    """Teach a class, record and mark, and go on with frames; wait for each answer."""
    async with _live(server, new_key()) as live:
        number, taught = 0, False
        while not stop.is_set():
            await live.send(frame(number, JPEG))
            sent = time.monotonic()
            while True:
                text = str(await asyncio.wait_for(live.recv(), 60))
                seen.look(text, own)
                answer = json.loads(text)
                if answer["type"] == "result":
                    break
            seen.answers, number = seen.answers + 1, number + 1
            seen.longest = max(seen.longest, time.monotonic() - sent)
            if not taught and answer["faces"]:
                taught = True
                await live.send(json.dumps({"type": "teach", "track": answer["faces"][0]["id"], "label": own[0]}))
                await live.send(json.dumps({"type": "record", "on": True, "min_group": 1}))
                if len(own) > 1:
                    await live.send(json.dumps({"type": "mark", "name": own[1], "ago": 0}))
                ready.set()
            await asyncio.sleep(0.1)


async def _misbehave(server: Served, number: int, seed: int, until: float, seen: _Seen) -> None:
    rng = random.Random(f"{seed}-{number}")
    ways = (_stall, _half, _flood, _talk, _ask, _ask)
    while time.monotonic() < until:
        try:
            await asyncio.wait_for(ways[number % len(ways)](server, rng, until, seen), 30)
        except (OSError, TimeoutError, WebSocketException, EOFError):
            seen.refused += 1
            await asyncio.sleep(0.05)


async def _stall(server: Served, rng: random.Random, until: float, seen: _Seen) -> None:
    """Connect and say nothing, or the beginning of a request."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: "[: rng.randrange(44)])
    await asyncio.sleep(max(0.0, min(until - time.monotonic(), rng.random() * 4)))
    writer.transport.abort()


async def _half(server: Served, rng: random.Random, until: float, seen: _Seen) -> None:
    """Send half of an upload or of a WebSocket frame, and vanish."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    body = rng.randbytes(rng.randrange(4000))
    head = rng.choice((
        f"POST /mark HTTP/1.1\r\nHost: localhost:{server.port}\r\nContent-Length: {len(body) * 2 + 1}\r\n\r\n",
        f"PUT /_stcore/upload_file/a/b HTTP/1.1\r\nHost: localhost:{server.port}\r\nContent-Length: 99999\r\n\r\n",
        f"GET {PATH} HTTP/1.1\r\nHost: localhost:{server.port}\r\nOrigin: http://localhost:{server.port}\r\n"
        f"Cookie: moodspace_visitor={new_key()}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    ))  # fmt: skip
    writer.write(head.encode() + body)
    seen.messages += 1
    with contextlib.suppress(TimeoutError):
        seen.look((await asyncio.wait_for(reader.read(4000), rng.random() * 2)).decode("latin-1"))
    writer.transport.abort()


async def _flood(server: Served, rng: random.Random, until: float, seen: _Seen) -> None:
    """Send frames without reading an answer, and vanish."""
    async with _live(server, new_key()) as live:
        for number in range(200):
            await live.send(frame(number, JPEG))
            seen.messages += 1
            if time.monotonic() > until:
                break
        live.transport.abort()


async def _talk(server: Served, rng: random.Random, until: float, seen: _Seen) -> None:
    """Send changed messages and read what comes."""
    async with _live(server, new_key()) as live:
        listening = asyncio.create_task(_listen(live, seen))
        try:
            for known in fuzzed(60, rng.randrange(10**6)):
                message = known
                if isinstance(known, str) and rng.random() < 0.5 and known:
                    message = mutate(known.encode("utf-8", "replace"), JSON, rng).decode("utf-8", "replace")
                await live.send(message)
                seen.messages += 1
                await asyncio.sleep(0.01)
                if time.monotonic() > until:
                    break
        finally:
            await asyncio.sleep(0.2)
            listening.cancel()


async def _listen(live: ClientConnection, seen: _Seen) -> None:
    with contextlib.suppress(WebSocketException, OSError):
        async for text in live:
            seen.answers += 1
            seen.look(str(text))


async def _ask(server: Served, rng: random.Random, until: float, seen: _Seen) -> None:
    """Send whole requests with changed heads and bodies."""
    path, body = rng.choice(_PATHS), b""
    method = rng.choice(("GET", "GET", "HEAD", "POST", "PUT", "DELETE", "FOO"))
    if path == "/mark":
        method, body = "POST", mutate(b'{"name": "go", "time": 1790000000}', JSON, rng)
    cookie = rng.choice((f"moodspace_visitor={new_key()}", "moodspace_visitor=" + "a" * rng.randrange(3000), ""))
    head: dict[str, Any] = {"Host": f"localhost:{server.port}", "Cookie": cookie, "Content-Length": len(body)}
    head |= {"Authorization": f"Bearer {'x' * rng.randrange(40)}", "Connection": "close"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    request = f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode()
    request = mutate(request, TEXT, rng) if rng.random() < 0.6 else request
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request + body)
    seen.messages += 1
    with contextlib.suppress(TimeoutError):
        answer = (await asyncio.wait_for(reader.read(200_000), 3)).decode("latin-1")
        seen.answers += bool(answer)
        seen.look(answer)
        status = answer.partition(" ")[2][:3]
        if status.startswith("5"):
            seen.leaks.append(f"status {status} for {request[:200]!r}")
    writer.transport.abort()
