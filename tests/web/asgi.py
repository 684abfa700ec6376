"""Requests to ASGI applications, without a server."""

import asyncio
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    """What was sent back."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    close: int | None = None

    def all(self, name: str) -> list[str]:
        return [value for one, value in self.headers if one == name]


def ask(
    app: Any, path: str = "/", *, query: str = "", kind: str = "http", method: str = "GET",
    body: tuple[bytes, ...] = (b"",), **headers,
):  # fmt: skip
    """Ask once; underscores in names of headers stand for hyphens."""
    given = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": kind, "method": method, "path": path, "query_string": query.encode("latin-1"), "headers": given}
    parts = [{"type": "http.request", "body": part, "more_body": at < len(body) - 1} for at, part in enumerate(body)]
    coming = iter([{"type": "websocket.connect"}] if kind == "websocket" else parts)
    answer = Answer()

    async def receive():
        return next(coming, {"type": "http.disconnect"})

    async def send(message):
        match message["type"]:
            case "http.response.start":
                answer.status = message["status"]
                answer.headers += [(name.decode(), value.decode()) for name, value in message["headers"]]
            case "http.response.body":
                answer.body += message.get("body", b"")
            case "websocket.close":
                answer.close = message["code"]

    asyncio.run(app(scope, receive, send))
    return answer
