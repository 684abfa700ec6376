"""A WebSocket server: each program that connects gets every document as one text message of JSON.

The same address serves `overlay.html`, a page for OBS and browsers.
"""

import asyncio
import contextlib
import hmac
import http
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from moodspace.realtime.sinks.destination import Destination, SinkError, SinkOptions, is_loopback
from moodspace.realtime.sinks.outbox import ROOM, Message, Tally, Waiting

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

_MOST_CLIENTS = 32
# Clients send nothing that is read.
_LONGEST_MESSAGE = 1024
# Bytes that the system keeps for a client that does not read; more would be old values.
_SEND_BUFFER = 1 << 16
_ENDING_S = 1.0
# What programs built on browsers send for their files. Browsers send "null", as a page of any site can make them do, so
# that is refused.
_FILE_ORIGIN = "file://"


class _Client:
    """One connected program, and what waits for it."""

    def __init__(self, connection: "ServerConnection") -> None:
        self.connection = connection
        self.waiting, self.changed = Waiting(ROOM), asyncio.Event()
        self.idle = True


class WebSocketServer:
    """Serve documents to the programs that connect.

    Without a token, only programs of this machine and pages of this machine can connect: a browser would let any page
    that somebody visits read along.

    Args:
        destination: The address to listen on.
        options: The certificate and the token.
        on_event: Called with a one-line message.

    Attributes:
        port: The port that it listens on, once started.
    """

    def __init__(self, destination: Destination, options: SinkOptions, on_event: Callable[[str], None]) -> None:
        self.name, self.port = destination.text, destination.port
        self._at, self._options, self._tell = destination, options, on_event
        self._lock = threading.Lock()
        self._waiting, self._scheduled, self._stopped = Waiting(ROOM), False, False
        # Counted by the threads that submit, and by the loop.
        self._missed = self._sent = self._dropped = 0
        self._clients: set[_Client] = set()
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"to {self.name}", daemon=True)

    def start(self) -> None:
        """Listen, and say which address to open.

        Raises:
            SinkError: The port is taken, or the certificate cannot be used.
            ImportError: The package websockets is missing.
        """
        import websockets.asyncio.server  # noqa: F401

        self._tls = self._tls_context()
        self._listening = self._listen()
        self.port = int(self._listening.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        # Where every address is listened on, this machine's own is one that a browser can open.
        host = {"0.0.0.0": "localhost", "::": "localhost"}.get(self._at.host, self._at.host)
        host = f"[{host}]" if ":" in host else host
        page = f"{'https' if self._tls else 'http'}://{host}:{self.port}/"
        token = f"?token={self._options.token}" if self._options.token else ""
        self._tell(f"{self.name}: waiting for programs; a page for OBS and browsers: {page}{token}")

    def submit(self, message: Message) -> None:
        """Take a document to send. Never wait for a client."""
        with self._lock:
            if self._stopped or not self._clients:
                return
            self._missed += self._waiting.add(message)
            if self._scheduled:
                return
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._publish)

    def stop(self) -> Tally:
        """Send what waits, disconnect all clients, and return what became of all documents."""
        with self._lock:
            self._stopped = True
        if self._thread.ident is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join(4 * _ENDING_S)
        return Tally(self._sent, self._missed + self._dropped)

    def discard(self) -> None:
        """End without anything sent; see `Outbox.discard`."""
        self.stop()

    def _tls_context(self) -> ssl.SSLContext | None:
        options = self._options
        if self._at.kind != "wss" or options.cert is None or options.key is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # An encrypted key would ask on the terminal.
            context.load_cert_chain(options.cert, options.key, password="")
        except (OSError, ValueError) as error:
            told = getattr(error, "strerror", None) or str(error)
            raise SinkError(f"{options.cert}: expected a certificate and its key, unencrypted, got: {told}") from error
        return context

    def _listen(self) -> socket.socket:
        at = self._at
        try:
            family = socket.getaddrinfo(at.host, at.port, type=socket.SOCK_STREAM)[0][0]
            listening = socket.socket(family, socket.SOCK_STREAM)
            try:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
                listening.bind((at.host, at.port))
                listening.listen()
            except BaseException:
                listening.close()
                raise
        except (OSError, OverflowError) as error:
            got = getattr(error, "strerror", None) or str(error)
            raise SinkError(f"{self.name}: expected to listen there, got: {got}; choose another port") from error
        return listening

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        from websockets.asyncio.server import serve

        # What strangers send is no error of ours.
        quiet = logging.getLogger("moodspace.realtime.sinks.websocket.connections")
        quiet.setLevel(logging.CRITICAL)
        async with serve(
            self._serve_client, sock=self._listening, ssl=self._tls, process_request=self._admit, compression=None,
            max_size=_LONGEST_MESSAGE, logger=quiet, server_header=None, close_timeout=_ENDING_S,
        ):  # fmt: skip
            await self._ending.wait()
            self._publish()
            await self._flush()

    async def _flush(self) -> None:
        """Give the clients a moment for what waits; do not wait for those that read nothing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENDING_S):
                while not all(client.idle for client in self._clients):
                    await asyncio.sleep(0.01)
        for client in self._clients:
            if not client.idle:
                client.connection.transport.abort()

    def _publish(self) -> None:
        """Hand the documents that wait to each client; runs in the loop."""
        with self._lock:
            self._scheduled = False
            messages = [self._waiting.take() for _ in range(len(self._waiting))]
        for client in self._clients:
            for message in messages:
                self._dropped += client.waiting.add(message)
                client.idle = False
            client.changed.set()

    async def _serve_client(self, connection: "ServerConnection") -> None:
        if len(self._clients) >= _MOST_CLIENTS:
            await connection.close(1013, f"expected at most {_MOST_CLIENTS} programs")
            return
        client = _Client(connection)
        with self._lock:
            self._clients.add(client)
        sending = asyncio.create_task(self._send(client))
        try:
            async for _ in connection:
                pass
        finally:
            with self._lock:
                self._clients.discard(client)
                self._dropped += client.waiting.clear()
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await sending

    async def _send(self, client: _Client) -> None:
        while True:
            await client.changed.wait()
            client.changed.clear()
            while len(client.waiting):
                # Dropped unless it gets through: the client may leave meanwhile.
                self._dropped += 1
                await client.connection.send(client.waiting.take().text)
                self._dropped, self._sent = self._dropped - 1, self._sent + 1
            client.idle = True

    def _admit(self, connection: "ServerConnection", request: "Request") -> "Response | None":
        """Answer requests that are no WebSocket's, and those that must not read along."""
        path = urlsplit(request.path)
        if "websocket" not in request.headers.get("Upgrade", "").lower():
            if path.path != "/":
                return connection.respond(http.HTTPStatus.NOT_FOUND, "expected /, got another path\n")
            return _page(connection)
        token = self._options.token
        if token is not None:
            given = _bearer(request.headers) or "".join(parse_qs(path.query).get("token", [])[:1])
            if not hmac.compare_digest(given.encode(), token.encode()):
                return connection.respond(http.HTTPStatus.UNAUTHORIZED, "expected the token, as in ws://...?token=\n")
        elif not _is_own(request.headers.get("Origin")):
            told = "expected a page of this machine; others need a token, see MOODSPACE_TO_TOKEN\n"
            return connection.respond(http.HTTPStatus.FORBIDDEN, told)
        return None


def _page(connection: "ServerConnection") -> "Response":
    page = files("moodspace.realtime.sinks").joinpath("overlay.html").read_text(encoding="utf-8")
    response = connection.respond(http.HTTPStatus.OK, page)
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "text/html; charset=utf-8"
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self' ws: wss:"
    )
    response.headers["Cache-Control"] = "no-store"
    return response


def _bearer(headers: Any) -> str:
    kind, _, token = (headers.get("Authorization") or "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _is_own(origin: str | None) -> bool:
    """Return whether a request comes from a program or a page of this machine."""
    if origin is None or origin == _FILE_ORIGIN:
        return True
    try:
        return is_loopback(urlsplit(origin).hostname or "")
    except ValueError:
        return False
