"""Check every request first: token, visitor's cookie, origin, host, sizes and headers. Pure ASGI."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from moodspace.web.server.visitors import Visitors, all_visitors

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send
import hmac
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.requests import cookie_parser

from moodspace.web.server.settings import WebSettings, current_settings, is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


# Where Streamlit takes files, and of a request what it has beyond the file.
UPLOADS, ALLOWANCE = "/_stcore/upload_file/", 2**20
_TOO_LARGE = 413, "expected a smaller file; the page states the limit"


class BodyLimitMiddleware:
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


_NO_VISIT = 403, "expected an open page, got none; reload the page and try again"
_NO_ROOM = 413, "expected fewer or smaller files at once; remove some files first"


class UploadQuotaMiddleware:
    """ASGI middleware that takes files from pages of visitors who are there, as long as these have room for them.

    Args:
        app: What keeps them.
        visitors: Says who is there.
        held: How many bytes of files are kept for some Streamlit sessions, by their ids.
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
        if scope["type"] == "http" and scope["method"] == "PUT" and scope["path"].startswith(UPLOADS):
            await self._take(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        all_ = self._visitors()
        limits = all_.settings.limits
        visitor = all_.with_script(scope["path"].removeprefix(UPLOADS).partition("/")[0])
        if visitor is None:
            await refuse(send, *_NO_VISIT)
            return
        most = max(limits.upload_bytes, limits.video_bytes) + ALLOWANCE
        asked = min(stated_length(scope) or most, most)
        if self._held(visitor.scripts) + visitor.uploading + asked > limits.held_bytes:
            await refuse(send, *_NO_ROOM)
            return
        visitor.uploading += asked
        try:
            await BodyLimitMiddleware(self.app, asked)(scope, receive, send)
        finally:
            visitor.uploading -= asked


def held_by_streamlit(sessions: Iterable[str]) -> int:
    """Return how many bytes of files Streamlit keeps for some of its sessions."""
    from streamlit import runtime
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

    manager = runtime.get_instance().uploaded_file_mgr
    if not isinstance(manager, MemoryUploadedFileManager):
        return 0
    kept = [file for one in sessions for file in list(manager.file_storage.get(one, {}).values())]
    return sum(len(file.data) for file in kept)


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


class AuthMiddleware:
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
        await BodyLimitMiddleware(self.app, most)(scope, receive, send_dressed)


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
