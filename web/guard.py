"""Check every request first: token, visitor's cookie, origin, host, sizes and headers. Pure ASGI."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.requests import cookie_parser

from web.bounded import ALLOWANCE, UPLOADS, Bounded
from web.settings import WebSettings, current_settings, is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

VISITOR, TOKEN = "moodspace_visitor", "moodspace_token"
_YEAR = 365 * 24 * 3600
# Streamlit's health check tells nothing, and a container asks it without a token.
_OPEN = frozenset({"/_stcore/health"})
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", b"frame-ancestors 'self'"),
]


class Guard:
    """ASGI middleware that lets in who may come in.

    Args:
        app: What is guarded.
        settings: The operator's; those that were published when None.
    """

    def __init__(self, app: ASGIApp, settings: WebSettings | None = None) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        settings = self.settings or current_settings()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        cookies = cookie_parser(headers.get("cookie", ""))
        if refused := _refusal(scope, headers, cookies, settings):
            await _answer(scope, receive, send, *refused)
        elif scope["type"] == "websocket" or scope["path"] in _OPEN:
            await self.app(scope, receive, send)
        elif settings.token and (rest := _without_token(scope)) is not None:
            secure = _is_secure(scope, headers)
            await _redirect(send, rest, _cookie(TOKEN, settings.token, None, secure))
        else:
            await self._pass(scope, receive, send, settings, headers, cookies)

    async def _pass(
        self, scope: Scope, receive: Receive, send: Send, settings: WebSettings, headers: dict[str, str],
        cookies: dict[str, str],
    ) -> None:  # fmt: skip
        extra = list(_HEADERS)
        if not is_key(cookies.get(VISITOR, "")):
            key, lasting = secrets.token_urlsafe(32), _YEAR if settings.gallery else None
            extra.append((b"set-cookie", _cookie(VISITOR, key, lasting, _is_secure(scope, headers))))

        async def send_dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] += [pair for pair in extra if pair[0] not in given or pair[0] == b"set-cookie"]
            await send(message)

        limits, upload = settings.limits, scope["path"].startswith(UPLOADS)
        most = ALLOWANCE + (max(limits.upload_bytes, limits.video_bytes) if upload else 0)
        await Bounded(self.app, most)(scope, receive, send_dressed)


def _refusal(
    scope: Scope, headers: dict[str, str], cookies: dict[str, str], settings: WebSettings
) -> tuple[int, str] | None:
    """Return the status and the message for a request that is refused, or None."""
    host = headers.get("host", "")
    if is_loopback(settings.host) and not _own_name(_name(host), settings):
        return (
            400,
            f"expected this machine's own address, got {host[:80]!r}; open http://localhost:{settings.port}",
        )
    if scope["type"] == "websocket" and not _own_origin(headers.get("origin"), host, settings):
        return 403, "expected a page of this server, got another origin"
    if settings.token is None or scope["path"] in _OPEN:
        return None
    given = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("token", "") if scope["type"] == "http" else ""
    if any(hmac.compare_digest(one.encode(), settings.token.encode()) for one in (cookies.get(TOKEN, ""), given)):
        return None
    return 403, "expected the token; open the address that the operator gave you, with ?token=... in it"


def _own_name(name: str, settings: WebSettings) -> bool:
    """Return whether a name belongs to this machine or a proxy on it; any other may be a DNS rebinding attack."""
    return is_loopback(name) or any(name == urlsplit(origin).hostname for origin in settings.origins)


def _own_origin(origin: str | None, host: str, settings: WebSettings) -> bool:
    if origin is None:
        return False
    if origin in settings.origins:
        return True
    scheme, _, netloc = origin.partition("://")
    return scheme in ("http", "https") and netloc.lower() == host.lower()


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_secure(scope: Scope, headers: dict[str, str]) -> bool:
    return scope.get("scheme") == "https" or headers.get("x-forwarded-proto", "").split(",")[0].strip() == "https"


def is_key(value: str) -> bool:
    """Return whether a value has the form of a visitor's key."""
    return len(value) == 43 and value.replace("-", "a").replace("_", "a").isalnum() and value.isascii()


def _without_token(scope: Scope) -> str | None:
    """Return the address without the token in it, None where there is none."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    rest = [(name, value) for name, value in pairs if name != "token"]
    if len(rest) == len(pairs):
        return None
    # Two slashes would be another server's address; and what is sent as an address may be no header.
    return "/" + quote(scope["path"].lstrip("/")) + ("?" + urlencode(rest) if rest else "")


def _cookie(name: str, value: str, lasting: int | None, secure: bool) -> bytes:
    parts = [f"{name}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
    parts += [f"Max-Age={lasting}"] if lasting else []
    parts += ["Secure"] if secure else []
    return "; ".join(parts).encode("latin-1")


async def _answer(scope: Scope, receive: Receive, send: Send, status: int, word: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": word[:120]})  # before accept: HTTP 403
    else:
        await _say(send, status, word)


async def _say(send: Send, status: int, word: str) -> None:
    body = word.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *_HEADERS]})
    await send({"type": "http.response.body", "body": body})


async def _redirect(send: Send, where: str, cookie: bytes) -> None:
    headers = [(b"location", where.encode("latin-1")), (b"set-cookie", cookie), (b"content-length", b"0"), *_HEADERS]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
