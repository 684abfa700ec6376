"""The live session of a visitor: frames in, what they show out, over one WebSocket."""

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
from moodspace.web.components.teaching import TeachError, in_words
from moodspace.web.live.lane import LiveWorker
from moodspace.web.live.messages import FrameMessage, MessageError, read_frame, read_request, ready
from moodspace.web.server.settings import Limits, current_settings
from moodspace.web.server.visitors import VisitorsError, all_visitors

logger = logging.getLogger(__name__)

PATH = "/moodspace/live"
# A browser of ours sends none of these; a program that goes on sending them is sent away.
_MOST_BAD = 20
# Tabs of one visitor with a camera at work.
_MOST_LIVE = 4
# Answers that wait for a browser that does not read; then results are left out, and nothing more is read.
_MOST_WAITING = 8
_CLOSING_S = 2.0
_POLICY, _TOO_LARGE, _TOO_MANY_BAD, _FULL = 1008, 1009, 4408, 4429
_TOLD = (TeachError, GalleryError, StorageError, SessionError)
_GONE = (WebSocketDisconnect, RuntimeError)


def live_route() -> WebSocketRoute:
    """Return the route, for the server's application."""
    return WebSocketRoute(PATH, _serve, name="live")


async def _serve(socket: WebSocket) -> None:
    await socket.accept()
    visitors = await run_in_threadpool(all_visitors)
    key = visitors.key_of(socket)
    if not key:
        await socket.close(_POLICY, "expected a visitor's cookie; open the app first")
        return
    try:
        visitor = await run_in_threadpool(visitors.visit, key)
    except VisitorsError as error:
        await socket.close(_FULL, str(error))
        return
    if visitor.live >= _MOST_LIVE:
        await socket.close(_FULL, f"you have {_MOST_LIVE} live pages open; close one of them")
        return
    visitor.live += 1
    try:
        lane = await run_in_threadpool(LiveWorker, visitor)
        await _Connection(socket, lane, current_settings().limits).run()
    finally:
        visitor.live -= 1


class _Connection:
    """One browser's socket."""

    def __init__(self, socket: WebSocket, lane: LiveWorker, limits: Limits) -> None:
        self._socket, self._lane, self._limits = socket, lane, limits
        self._turns = lane.visitor.engine.turns.lane()
        self._loop = asyncio.get_running_loop()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_MOST_WAITING)
        self._sent_away: asyncio.Future[tuple[int, str]] = self._loop.create_future()
        self._bad = self._dropped = 0
        self._credit, self._refilled = float(limits.frames_per_second), time.monotonic()

    async def run(self) -> None:
        """Answer until the browser leaves or is sent away."""
        self._answers.put_nowait(ready(self._lane.visitor.classes, self._limits))
        if (recording := self._lane.recording)["on"]:
            self._answers.put_nowait(recording)
        tasks = [asyncio.create_task(self._send()), asyncio.create_task(self._receive())]
        ends: list[asyncio.Future[Any]] = [*tasks, self._sent_away]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception) and not isinstance(ended, _GONE):
                    logger.error("a live session could not go on", exc_info=ended)
        if self._sent_away.done():
            with contextlib.suppress(TimeoutError, *_GONE):
                await asyncio.wait_for(self._socket.close(*self._sent_away.result()), _CLOSING_S)

    async def _send(self) -> None:
        while True:
            answer = await self._answers.get()
            await self._socket.send_text(json.dumps(answer, separators=(",", ":")))

    async def _receive(self) -> None:
        while not self._sent_away.done():
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            await self._read(message.get("bytes"), message.get("text") or "")

    async def _read(self, data: bytes | None, text: str) -> None:
        most = self._limits.message_bytes
        if len(data or text) > most:
            self._send_away(_TOO_LARGE, f"expected messages of at most {most} bytes")
            return
        try:
            if data is not None:
                self._take(read_frame(data))
            else:
                await self._do(read_request(text))
        except MessageError as error:
            self._complain(str(error))

    def _complain(self, word: str) -> None:
        self._bad += 1
        if self._bad >= _MOST_BAD:
            self._send_away(_TOO_MANY_BAD, "too many messages that are not understood")
        else:
            self._tell(word)

    def _tell(self, word: str) -> None:
        if not self._answers.full():
            self._answers.put_nowait({"type": "error", "message": word})

    def _send_away(self, code: int, word: str) -> None:
        if not self._sent_away.done():
            self._sent_away.set_result((code, word))

    def _take(self, frame: FrameMessage) -> None:
        now = time.monotonic()
        rate = self._limits.frames_per_second
        self._credit = min(rate, self._credit + (now - self._refilled) * rate)
        self._refilled = now
        if self._credit < 1:
            self._dropped += 1
            return
        self._credit -= 1
        if self._turns.put(lambda: self._look(frame, now)):
            self._dropped += 1

    def _look(self, frame: FrameMessage, now: float) -> None:
        """Run in one of the engine's threads."""
        try:
            tell = partial(self._answer, self._lane.look(frame, now))
        except MessageError as error:
            tell = partial(self._complain, str(error))
        except Exception:
            logger.exception("a frame could not be analyzed")
            tell = partial(self._tell, "a frame could not be analyzed; the session goes on")
        with contextlib.suppress(RuntimeError):  # the server is ending
            self._loop.call_soon_threadsafe(tell)

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
                    answers = await run_in_threadpool(self._lane.teach, request["track"], request["label"])
                case "undo":
                    answers = await run_in_threadpool(self._lane.undo)
                case "record":
                    answers = await run_in_threadpool(self._lane.record, request["on"], request["min_group"])
                case _:
                    answers = []
                    await run_in_threadpool(self._lane.reset)
        except _TOLD as error:
            answers = [{"type": "error", "message": in_words(error)}]
        except Exception:
            logger.exception("a request of a live session failed")
            answers = [{"type": "error", "message": "this could not be done; try again"}]
        for answer in answers:
            await self._answers.put(answer)
