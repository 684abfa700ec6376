"""ASGI middleware that adds to Streamlit's document what shows a page when its pieces are in place."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_END_OF_HEAD = b"</head>"
# By this, Streamlit's document differs from the app's own documents, such as the map.
_STREAMLIT = b'<div id="root"></div>'
ADDED = (files("moodspace.web") / "static" / "first_load.html").read_bytes()


class FirstLoadMiddleware:
    """Add `static/first_load.html` to the head of Streamlit's document; pass on everything else as it is.

    Args:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        head: Message | None = None
        body = b""

        async def send_with_addition(message: Message) -> None:
            nonlocal head, body
            if message["type"] == "http.response.start":
                if not _is_plain_html(message):
                    await send(message)
                else:
                    head = message
            elif head is None:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    await _send_document(send, head, body)

        await self.app(_uncompressed(scope), receive, send_with_addition)


def _uncompressed(scope: Scope) -> Scope:
    """Return the request without the compression that the browser takes, if it asks for a document."""
    headers = {name.lower(): value for name, value in scope["headers"]}
    if b"text/html" not in headers.get(b"accept", b""):
        return scope
    return {**scope, "headers": [pair for pair in scope["headers"] if pair[0].lower() != b"accept-encoding"]}


def _is_plain_html(start: Message) -> bool:
    headers = {name.lower(): value for name, value in start["headers"]}
    whole = start["status"] == 200 and b"content-encoding" not in headers
    return whole and headers.get(b"content-type", b"").startswith(b"text/html")


async def _send_document(send: Send, head: Message, body: bytes) -> None:
    if _STREAMLIT in body:
        body = body.replace(_END_OF_HEAD, ADDED + _END_OF_HEAD, 1)
        # The tag is that of Streamlit's own document.
        other = [
            pair for pair in head["headers"] if pair[0].lower() not in (b"content-length", b"etag", b"last-modified")
        ]
        head["headers"] = [*other, (b"content-length", str(len(body)).encode())]
    await send(head)
    await send({"type": "http.response.body", "body": body})
