"""Bounds the body of a request, whether its sender said how long it is or not. Pure ASGI."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_WORD = b"expected a smaller file; the page says how large one may be"
_REFUSAL = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", str(len(_WORD)).encode()),
    (b"connection", b"close"),  # the rest of the body is not waited for
]


class Bounded:
    """Answers one request, or refuses it as soon as its body is known to be too large.

    Args:
        app: What answers.
        most: Bytes that the body may have.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most
        self._received, self._answered, self._refused = 0, False, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, its sender gone once it is refused."""

        async def bounded() -> Message:
            if self._refused:
                return {"type": "http.disconnect"}
            message = await receive()
            self._received += len(message.get("body", b""))
            if self._received > self._most:
                await self._refuse(send)
                return {"type": "http.disconnect"}
            return message

        async def until_refused(message: Message) -> None:
            if not self._refused:
                self._answered = True
                await send(message)

        if _stated(scope) > self._most:
            await self._refuse(send)
            return
        try:
            await self._app(scope, bounded, until_refused)
        except Exception:
            if not self._refused:  # else it is only that the sender has gone
                raise

    async def _refuse(self, send: Send) -> None:
        self._refused = True
        if not self._answered:
            await send({"type": "http.response.start", "status": 413, "headers": list(_REFUSAL)})
            await send({"type": "http.response.body", "body": _WORD})


def _stated(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
