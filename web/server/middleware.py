"""ASGI middleware that checks each request first: token, cookie, origin, host, and the size of what it sends."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.requests import cookie_parser

from moodspace.web.server.identity import VISITOR_COOKIE, is_key, new_key
from moodspace.web.server.marks import PATH as MARK_PATH
from moodspace.web.server.settings import WebSettings, current_settings, is_loopback
from moodspace.web.server.visitors import Visitors, all_visitors

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_COOKIE = "moodspace_token"
# Where Streamlit receives files.
UPLOAD_PATH = "/_stcore/upload_file/"
# Bytes that a request may have besides the file.
ALLOWANCE = 2**20

_YEAR_S = 365 * 24 * 3600
# Streamlit's health check reveals nothing, and a container requests it without a token.
_OPEN_PATHS = frozenset({"/_stcore/health"})
_SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", b"frame-ancestors 'self'"),
]
_NOT_A_VISITOR = 403, "expected an open page, got none; reload the page and try again"
_NO_ROOM = 413, "expected fewer or smaller files at once; remove some files first"
_TOO_LARGE = 413, "expected a smaller file; the page states the limit"


class AuthMiddleware:
    """Let in requests with the right token, host and origin, and give each browser a visitor's cookie.

    Args:
        app: The application behind it.
        settings: The operator's settings; the published ones when None.
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
            await _refuse_access(scope, receive, send, *refused)
        elif scope["type"] == "websocket" or scope["path"] in _OPEN_PATHS or _has_own_token(scope):
            await self.app(scope, receive, send)
        elif settings.token and (rest := _without_token(scope)) is not None:
            secure = _is_secure(scope, headers)
            await _redirect(send, rest, _cookie(TOKEN_COOKIE, settings.token, None, secure))
        else:
            await self._pass(scope, receive, send, settings, headers, cookies)

    async def _pass(
        self, scope: Scope, receive: Receive, send: Send, settings: WebSettings, headers: dict[str, str],
        cookies: dict[str, str],
    ) -> None:  # fmt: skip
        extra = list(_SECURITY_HEADERS)
        if not is_key(cookies.get(VISITOR_COOKIE, "")):
            max_age = _YEAR_S if settings.gallery else None
            extra.append((b"set-cookie", _cookie(VISITOR_COOKIE, new_key(), max_age, _is_secure(scope, headers))))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] += [pair for pair in extra if pair[0] not in given or pair[0] == b"set-cookie"]
            await send(message)

        limits, upload = settings.limits, scope["path"].startswith(UPLOAD_PATH)
        most = ALLOWANCE + (max(limits.upload_bytes, limits.video_bytes) if upload else 0)
        await BodyLimitMiddleware(self.app, most)(scope, receive, send_with_headers)


class UploadQuotaMiddleware:
    """Accept files only from pages of known visitors, up to the number of bytes that a visitor may hold.

    Args:
        app: The application behind it.
        visitors: Returns the visitors.
        held: Returns how many bytes of files some Streamlit sessions, given by their ids, hold.
    """

    def __init__(
        self,
        app: ASGIApp,
        visitors: Callable[[], Visitors] = all_visitors,
        held: Callable[[Iterable[str]], int] | None = None,
    ) -> None:
        self.app, self._visitors, self._held = app, visitors, held or held_by_streamlit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse its file."""
        if scope["type"] == "http" and scope["method"] == "PUT" and scope["path"].startswith(UPLOAD_PATH):
            await self._accept(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _accept(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitors = self._visitors()
        limits = visitors.settings.limits
        visitor = visitors.with_script(scope["path"].removeprefix(UPLOAD_PATH).partition("/")[0])
        if visitor is None:
            await refuse(send, *_NOT_A_VISITOR)
            return
        most = max(limits.upload_bytes, limits.video_bytes) + ALLOWANCE
        asked = min(content_length(scope) or most, most)
        if self._held(visitor.scripts) + visitor.uploading + asked > limits.held_bytes:
            await refuse(send, *_NO_ROOM)
            return
        visitor.uploading += asked
        try:
            await BodyLimitMiddleware(self.app, asked)(scope, receive, send)
        finally:
            visitor.uploading -= asked


def held_by_streamlit(sessions: Iterable[str]) -> int:
    """Return how many bytes of files Streamlit holds for some of its sessions."""
    from streamlit import runtime
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

    manager = runtime.get_instance().uploaded_file_mgr
    if not isinstance(manager, MemoryUploadedFileManager):
        return 0
    held = [file for one in sessions for file in list(manager.file_storage.get(one, {}).values())]
    return sum(len(file.data) for file in held)


class BodyLimitMiddleware:
    """Pass one request on, or refuse it as soon as its body is known to be too large.

    Args:
        app: The application behind it.
        most: Maximum bytes of the body.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most
        self._received, self._answered, self._refused = 0, False, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; once it is refused, report the sender as disconnected."""

        async def receive_limited() -> Message:
            if self._refused:
                return {"type": "http.disconnect"}
            message = await receive()
            self._received += len(message.get("body", b""))
            if self._received > self._most:
                await self._refuse(send)
                return {"type": "http.disconnect"}
            return message

        async def send_unless_refused(message: Message) -> None:
            if not self._refused:
                self._answered = True
                await send(message)

        if content_length(scope) > self._most:
            await self._refuse(send)
            return
        try:
            await self._app(scope, receive_limited, send_unless_refused)
        except Exception:
            if not self._refused:  # else the application only reports that the sender disconnected
                raise

    async def _refuse(self, send: Send) -> None:
        self._refused = True
        if not self._answered:
            await refuse(send, *_TOO_LARGE)


def content_length(scope: Scope) -> int:
    """Return the Content-Length that the sender stated, 0 for none."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


async def refuse(send: Send, status: int, text: str) -> None:
    """Answer a request without reading its body."""
    await _send_text(send, status, text, [(b"connection", b"close")])


def _refusal(
    scope: Scope, headers: dict[str, str], cookies: dict[str, str], settings: WebSettings
) -> tuple[int, str] | None:
    """Return the status and the message for a request that is refused, or None."""
    host = headers.get("host", "")
    if is_loopback(settings.host) and not _is_own_name(_host_name(host), settings):
        return (
            400,
            f"expected this machine's own address, got {host[:80]!r}; open http://localhost:{settings.port}",
        )
    if scope["type"] == "websocket" and not _is_own_origin(headers.get("origin"), host, settings):
        return 403, "expected a page of this server, got another origin"
    if settings.token is None or scope["path"] in _OPEN_PATHS:
        return None
    if _has_own_token(scope):
        return None
    given = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("token", "") if scope["type"] == "http" else ""
    candidates = (cookies.get(TOKEN_COOKIE, ""), given)
    if any(hmac.compare_digest(one.encode(), settings.token.encode()) for one in candidates):
        return None
    return 403, "expected the token; open the address that the operator gave you, with ?token=... in it"


def _has_own_token(scope: Scope) -> bool:
    """Return whether a request comes from a program without cookies, whose token the route itself checks."""
    return scope["type"] == "http" and scope["path"] == MARK_PATH and scope["method"] == "POST"


def _is_own_name(name: str, settings: WebSettings) -> bool:
    """Return whether a name belongs to this machine or a proxy on it; any other may be a DNS rebinding attack."""
    return is_loopback(name) or any(name == urlsplit(origin).hostname for origin in settings.origins)


def _is_own_origin(origin: str | None, host: str, settings: WebSettings) -> bool:
    if origin is None:
        return False
    if origin in settings.origins:
        return True
    scheme, _, netloc = origin.partition("://")
    return scheme in ("http", "https") and netloc.lower() == host.lower()


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_secure(scope: Scope, headers: dict[str, str]) -> bool:
    return scope.get("scheme") == "https" or headers.get("x-forwarded-proto", "").split(",")[0].strip() == "https"


def _without_token(scope: Scope) -> str | None:
    """Return the address without the token in it, or None if it has no token."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    rest = [(name, value) for name, value in pairs if name != "token"]
    if len(rest) == len(pairs):
        return None
    # Two leading slashes would be the address of another server; quoting keeps line breaks out of the header.
    return "/" + quote(scope["path"].lstrip("/")) + ("?" + urlencode(rest) if rest else "")


def _cookie(name: str, value: str, max_age: int | None, secure: bool) -> bytes:
    parts = [f"{name}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
    parts += [f"Max-Age={max_age}"] if max_age else []
    parts += ["Secure"] if secure else []
    return "; ".join(parts).encode("latin-1")


async def _refuse_access(scope: Scope, receive: Receive, send: Send, status: int, text: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": text[:120]})  # before accept: HTTP 403
    else:
        await _send_text(send, status, text, _SECURITY_HEADERS)


async def _redirect(send: Send, location: str, cookie: bytes) -> None:
    own = [(b"location", location.encode("latin-1")), (b"set-cookie", cookie), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 303, "headers": [*own, *_SECURITY_HEADERS]})
    await send({"type": "http.response.body", "body": b""})


async def _send_text(send: Send, status: int, text: str, extra: list[tuple[bytes, bytes]]) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
