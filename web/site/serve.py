"""Serve a static site, as any web host could: right types, a strict policy, and threads where they are asked for."""

import gzip
import http.server
import json
import mimetypes
import threading
import webbrowser
from collections.abc import Callable
from functools import lru_cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from moodspace.web.site.write import FORMAT, SiteError

# As in `browser/static/index.html`; a header can also forbid frames.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob: mediastream:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".webmanifest": "application/manifest+json; charset=utf-8",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".bin": "application/octet-stream",
}
_LOCAL = ("127.0.0.1", "::1")
# Pictures are compressed already.
_PLAIN = {".png", ".webp"}
_FOREVER, _CHECK = "public, max-age=31536000, immutable", "no-cache"


class SiteServer(http.server.ThreadingHTTPServer):
    """Serves a site until it is stopped.

    Args:
        folder: The site.
        host: The address to listen on.
        port: The port; 0 chooses a free one.
        isolated: Send the headers of cross-origin isolation, with which the networks may use several threads.
        path: The path of the site's address, such as "/faces/".

    Raises:
        SiteError: The folder is no site, or the address cannot be used.
    """

    daemon_threads = True

    def __init__(
        self, folder: Path, host: str = "127.0.0.1", port: int = 0, *, isolated: bool = False, path: str = "/"
    ) -> None:
        check_site(folder)
        handler = partial(_Handler, folder=folder.resolve(), isolated=isolated, prefix=path)
        try:
            super().__init__((host, port), handler)
        except OSError as error:
            reason = error.strerror or str(error)
            raise SiteError(f"--port {port}: expected a free port of {host}, got: {reason}; choose another") from error
        except OverflowError as error:
            raise SiteError(f"--port {port}: expected a port from 1 to 65535; choose another") from error
        shown = {"127.0.0.1": "localhost", "0.0.0.0": "localhost", "::1": "localhost"}.get(host, host)
        self.address = f"http://{shown}:{self.server_address[1]}{path}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that closes a page breaks off its requests."""


def check_site(folder: Path) -> None:
    """Check that a folder holds a site.

    Raises:
        SiteError: It does not.
    """
    try:
        found = json.loads((folder / "site.json").read_text("utf-8"))["format"]
    except (OSError, ValueError, KeyError, TypeError):
        found = None
    if found != FORMAT:
        raise SiteError(f"{folder}: expected a site, got none; write it: moodspace web --static {folder}")


def serve_site(server: SiteServer, *, ready: Callable[[], None], open_browser: bool = False) -> None:
    """Serve until Ctrl-C.

    Args:
        server: The server.
        ready: Called once, before the first request.
        open_browser: Whether to open the address in a browser on this machine.
    """
    with server:
        ready()
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(server.address,), daemon=True).start()
        server.serve_forever()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A connection that sends nothing for this many seconds is closed.
    timeout = 60

    def __init__(self, *args: Any, folder: Path, isolated: bool, prefix: str) -> None:
        self.folder, self.isolated, self.prefix = folder, isolated, prefix
        super().__init__(*args)

    def version_string(self) -> str:
        return "moodspace"

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        path = self._file()
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            stat = path.stat()
            # On this machine, compressing takes longer than sending.
            local = self.client_address[0] in _LOCAL
            compress = "gzip" in self.headers.get("Accept-Encoding", "") and not local and path.suffix not in _PLAIN
            content = _compressed(path, stat.st_mtime_ns) if compress else path.read_bytes()
        except OSError:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.send_response(HTTPStatus.OK)
        kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if compress:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Vary", "Accept-Encoding")
        hashed = path.parent != self.folder
        self.send_header("Cache-Control", _FOREVER if hashed else _CHECK)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        if self.isolated:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        super().end_headers()

    def _file(self) -> Path | None:
        """Return the file that is asked for, if it is one of the site's."""
        asked = unquote(urlsplit(self.path).path)
        if not asked.startswith(self.prefix) or "\0" in asked:
            return None
        name = asked[len(self.prefix) :] or "index.html"
        if name.endswith("/"):
            name += "index.html"
        path = (self.folder / name).resolve()
        return path if path.is_relative_to(self.folder) and path.is_file() else None

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: visits are private."""


@lru_cache(maxsize=64)
def _compressed(path: Path, modified: int) -> bytes:
    del modified  # only so that a changed file is compressed again
    return gzip.compress(path.read_bytes(), 6)
