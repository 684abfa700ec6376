"""The live session of a visitor: frames in, what they show out, over one WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from index.storage import GalleryError, StorageError
from realtime.session_file import SessionError
from web.guard import VISITOR
from web.live_lane import LiveLane
from web.live_messages import FrameMessage, MessageError, read_frame, read_request, ready
from web.settings import Limits, current_settings
from web.teaching import TeachError
from web.visitors import VisitorsError, all_visitors

logger = logging.getLogger(__name__)

PATH = "/moodspace/live"
# A browser of ours sends none of these; a program that goes on sending them is sent away.
_MOST_BAD = 20
_POLICY, _TOO_LARGE, _TOO_MANY_BAD, _FULL = 1008, 1009, 4408, 4429
_TOLD = (TeachError, GalleryError, StorageError, SessionError)


def live_route() -> WebSocketRoute:
    """Returns the route, for the server's application."""
    return WebSocketRoute(PATH, _serve, name="live")


async def _serve(socket: WebSocket) -> None:
    key = socket.cookies.get(VISITOR, "")
    await socket.accept()
    if not key:
        await socket.close(_POLICY, "expected a visitor's cookie; open the app first")
        return
    try:
        visitor = await run_in_threadpool(lambda: all_visitors().visit(key))
    except VisitorsError as error:
        await socket.close(_FULL, str(error))
        return
    visitor.live += 1
    try:
        await _Connection(socket, LiveLane(visitor), current_settings().limits).run()
    finally:
        visitor.live -= 1


class _Connection:
    """One browser's socket."""

    def __init__(self, socket: WebSocket, lane: LiveLane, limits: Limits) -> None:
        self._socket, self._lane, self._limits = socket, lane, limits
        self._turns = lane.visitor.engine.turns.lane()
        self._loop = asyncio.get_running_loop()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._bad = self._dropped = 0
        self._credit, self._refilled = float(limits.frames_per_second), time.monotonic()

    async def run(self) -> None:
        """Answers until the browser leaves or is sent away."""
        self._answers.put_nowait(ready(self._lane.visitor.classes, self._limits))
        if (recording := self._lane.recording)["on"]:
            self._answers.put_nowait(recording)
        sender = asyncio.create_task(self._send())
        try:
            while self._socket.client_state.name == "CONNECTED":
                if (code := await self._receive()) is not None:
                    await self._socket.close(*code)
                    break
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await sender

    async def _send(self) -> None:
        while True:
            answer = await self._answers.get()
            await self._socket.send_text(json.dumps(answer, separators=(",", ":")))

    async def _receive(self) -> tuple[int, str] | None:
        """Takes one message; returns code and reason where the browser has to be sent away."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        data, text = message.get("bytes"), message.get("text")
        if len(data or b"") > self._limits.message_bytes or len(text or "") > self._limits.message_bytes:
            return _TOO_LARGE, f"expected messages of at most {self._limits.message_bytes} bytes"
        try:
            if data is not None:
                self._take(read_frame(data))
            else:
                await self._do(read_request(text or ""))
        except MessageError as error:
            return self._complain(str(error))
        return None

    def _complain(self, word: str) -> tuple[int, str] | None:
        self._bad += 1
        self._answers.put_nowait({"type": "error", "message": word})
        return (_TOO_MANY_BAD, "too many messages that are not understood") if self._bad >= _MOST_BAD else None

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
        """Runs in one of the engine's threads."""
        dropped, self._dropped = self._dropped, 0
        try:
            answer = self._lane.look(frame, now, dropped)
        except MessageError as error:
            self._loop.call_soon_threadsafe(self._complain, str(error))
            return
        with contextlib.suppress(RuntimeError):  # the server is ending
            self._loop.call_soon_threadsafe(self._answers.put_nowait, answer)

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
            answers = [{"type": "error", "message": str(error)}]
        for answer in answers:
            self._answers.put_nowait(answer)
