"""The WebSocket of a live session: frames in, predictions out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError
from moodspace.realtime.session.file import SessionError
from moodspace.web.components.teaching import TeachError, public_message
from moodspace.web.live.messages import FrameMessage, MessageError, read_frame, read_request, ready
from moodspace.web.live.worker import LiveWorker
from moodspace.web.server.settings import Limits, current_settings
from moodspace.web.server.visitors import VisitorsError, all_visitors

logger = logging.getLogger(__name__)

PATH = "/moodspace/live"
# Our page sends no invalid messages; a program that sends this many is disconnected.
_MAX_INVALID = 20
# Maximum number of live pages per visitor.
_MAX_LIVE = 4
# Maximum number of answers waiting for a browser that does not read; beyond it results are dropped, and nothing more
# is read.
_MAX_WAITING = 8
_CLOSING_S = 2.0
# WebSocket close codes; static/live/link.js handles them.
_POLICY, _TOO_LARGE, _TOO_MANY_INVALID, _FULL = 1008, 1009, 4408, 4429
_REPORTED = (TeachError, GalleryError, StorageError, SessionError)
_DISCONNECTED = (WebSocketDisconnect, RuntimeError)


def live_route() -> WebSocketRoute:
    """Return the route for the web app."""
    return WebSocketRoute(PATH, _serve, name="live")


async def _serve(socket: WebSocket) -> None:
    try:
        await socket.accept()
    except _DISCONNECTED:
        return
    visitors = await run_in_threadpool(all_visitors)
    key = visitors.key_of(socket)
    if not key:
        await _close(socket, _POLICY, "expected a visitor's cookie; open the app first")
        return
    try:
        visitor = await run_in_threadpool(visitors.visit, key)
    except VisitorsError as error:
        await _close(socket, _FULL, str(error))
        return
    if visitor.live >= _MAX_LIVE:
        await _close(socket, _FULL, f"you have {_MAX_LIVE} live pages open; close one of them")
        return
    visitor.live += 1
    try:
        worker = await run_in_threadpool(LiveWorker, visitor)
        await _Connection(socket, worker, current_settings().limits).run()
    finally:
        visitor.live -= 1


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    with contextlib.suppress(*_DISCONNECTED):  # the browser may be gone already
        await socket.close(code, reason)


class _Connection:
    """One browser's WebSocket."""

    def __init__(self, socket: WebSocket, worker: LiveWorker, limits: Limits) -> None:
        self._socket, self._worker, self._limits = socket, worker, limits
        self._queue = worker.visitor.engine.pool.new_queue(worker.visitor.share)
        self._loop = asyncio.get_running_loop()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_MAX_WAITING)
        self._closing: asyncio.Future[tuple[int, str]] = self._loop.create_future()
        self._invalid = self._dropped = 0
        self._ended = False
        self._credit, self._refilled = float(limits.frames_per_second), time.monotonic()

    async def run(self) -> None:
        """Answer until the browser disconnects or the connection is closed."""
        self._answers.put_nowait(ready(self._worker.visitor.classes, self._limits))
        if (recording := self._worker.recording)["on"]:
            self._answers.put_nowait(recording)
        tasks = [asyncio.create_task(self._send()), asyncio.create_task(self._receive())]
        ends: list[asyncio.Future[Any]] = [*tasks, self._closing]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._ended = True
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception) and not isinstance(ended, _DISCONNECTED):
                    logger.error("a live session could not go on", exc_info=ended)
        if self._closing.done():
            with contextlib.suppress(TimeoutError, *_DISCONNECTED):
                await asyncio.wait_for(self._socket.close(*self._closing.result()), _CLOSING_S)

    async def _send(self) -> None:
        while True:
            answer = await self._answers.get()
            await self._socket.send_text(json.dumps(answer, separators=(",", ":")))

    async def _receive(self) -> None:
        while not self._closing.done():
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            await self._handle(message.get("bytes"), message.get("text") or "")

    async def _handle(self, data: bytes | None, text: str) -> None:
        most = self._limits.message_bytes
        if len(data or text) > most:
            self._close(_TOO_LARGE, f"expected messages of at most {most} bytes")
            return
        try:
            if data is not None:
                self._enqueue(read_frame(data))
            else:
                await self._do(read_request(text))
        except MessageError as error:
            self._report_invalid(str(error))

    def _report_invalid(self, text: str) -> None:
        self._invalid += 1
        if self._invalid >= _MAX_INVALID:
            self._close(_TOO_MANY_INVALID, "too many invalid messages")
        else:
            self._report(text)

    def _report(self, text: str) -> None:
        if not self._answers.full():
            self._answers.put_nowait({"type": "error", "message": text})

    def _close(self, code: int, reason: str) -> None:
        if not self._closing.done():
            self._closing.set_result((code, reason))

    def _enqueue(self, frame: FrameMessage) -> None:
        now = time.monotonic()
        rate = self._limits.frames_per_second
        self._credit = min(rate, self._credit + (now - self._refilled) * rate)
        self._refilled = now
        if self._credit < 1:
            self._dropped += 1
            return
        self._credit -= 1
        if self._queue.put(lambda: self._analyze(frame, now)):
            self._dropped += 1

    def _analyze(self, frame: FrameMessage, now: float) -> None:
        """Analyze a frame in one of the engine's threads, unless the visitor has left while it waited."""
        if self._ended:
            return
        try:
            with self._worker.visitor.in_use():
                answer = partial(self._answer, self._worker.analyze(frame, now))
        except VisitorsError:  # on a busy machine a frame may wait until its browser has long left
            return
        except MessageError as error:
            answer = partial(self._report_invalid, str(error))
        except Exception:
            logger.exception("a frame could not be analyzed")
            answer = partial(self._report, "a frame could not be analyzed; the session goes on")
        with contextlib.suppress(RuntimeError):  # the server is stopping
            self._loop.call_soon_threadsafe(answer)

    def _answer(self, result: dict[str, Any]) -> None:
        if self._answers.full():
            self._dropped += 1
            return
        dropped, self._dropped = self._dropped, 0
        self._answers.put_nowait(result | {"dropped": dropped})

    async def _do(self, request: dict[str, Any]) -> None:
        try:
            match request["type"]:
                case "teach":
                    answers = await run_in_threadpool(self._worker.teach, request["track"], request["label"])
                case "collect" | "drop" | "lesson" | "discard":
                    answers = await run_in_threadpool(self._worker.hold, request)
                case "undo":
                    answers = await run_in_threadpool(self._worker.undo)
                case "baseline":
                    answers = await run_in_threadpool(self._worker.toggle_baseline, request["track"])
                case "record":
                    answers = await run_in_threadpool(self._worker.record, request["on"], request["min_group"])
                case "mark":
                    answers = await run_in_threadpool(self._worker.mark, request["name"], request["ago"])
                case _:
                    answers = []
                    await run_in_threadpool(self._worker.reset)
        except _REPORTED as error:
            answers = [{"type": "error", "message": public_message(error)}]
        except Exception:
            logger.exception("a request of a live session failed")
            answers = [{"type": "error", "message": "this could not be done; try again"}]
        for answer in answers:
            await self._answers.put(answer)
