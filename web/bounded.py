"""Limit the body of a request, with or without a stated length. Pure ASGI."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Where Streamlit takes files, and of a request what it has beyond the file.
UPLOADS, ALLOWANCE = "/_stcore/upload_file/", 2**20
_TOO_LARGE = 413, "expected a smaller file; the page states the limit"


class Bounded:
    """Answer one request, or refuse it as soon as its body is known to be too large.

    Args:
        app: What answers.
        most: Bytes that the body may have.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most
        self._received, self._answered, self._refused = 0, False, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; once it is refused, report the sender as disconnected."""

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

        if stated_length(scope) > self._most:
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
            await refuse(send, *_TOO_LARGE)


async def refuse(send: Send, status: int, word: str) -> None:
    """Answer a request without reading its body."""
    body = word.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def stated_length(scope: Scope) -> int:
    """Return the Content-Length that the sender stated, 0 for none."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
