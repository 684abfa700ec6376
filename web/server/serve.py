"""Runs the web app in this process until it is told to stop."""

import importlib.util
import os
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

from moodspace.errors import MoodspaceError
from moodspace.web.server.settings import WebSettings

_ROOT = Path(__file__).parents[2]
# What is still being answered when the server ends gets so long, seconds.
_GRACE = 2
# The rest of a message beside what it carries.
_HEAD = 4096


class ServeError(MoodspaceError):
    """The server cannot be started; says in one line what was expected, what came, and what to do."""


def address(settings: WebSettings) -> str:
    """Returns what to open in a browser, with the token where there is one."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    shown = {"127.0.0.1": "localhost", "0.0.0.0": "localhost", "[::]": "localhost", "[::1]": "localhost"}.get(
        host, host
    )
    return f"http://{shown}:{settings.port}/" + (f"?token={settings.token}" if settings.token else "")


def serve(settings: WebSettings, *, ready: Callable[[], None], open_browser: bool = False) -> None:
    """Serves the app until Ctrl-C.

    Args:
        settings: The operator's.
        ready: Called once, when the server answers.
        open_browser: Whether to open the address in a browser here, once the server answers.

    Raises:
        ServeError: the port is in use, or the host is none of this machine's.
        BundleError, ValueError: the bundle or its labels cannot be used.
        KeyboardInterrupt: it was stopped.
    """
    if importlib.util.find_spec("streamlit") is None:
        remedy = "pip install -r requirements/web.txt"
        raise ServeError(f"expected what the web app needs, found no streamlit; {remedy}")
    with _listen(settings) as listening:
        _run(settings, listening, ready, open_browser=open_browser)


def _run(settings: WebSettings, listening: socket.socket, ready: Callable[[], None], *, open_browser: bool) -> None:
    import uvicorn

    settings.publish()
    os.chdir(_ROOT)  # where Streamlit looks for its configuration
    from moodspace.web.server.visitors import all_visitors

    all_visitors()
    config = uvicorn.Config(
        "streamlit_app:app",
        log_config=None,
        log_level="warning",
        ws_max_size=settings.limits.message_bytes + _HEAD,
        timeout_graceful_shutdown=_GRACE,
        server_header=False,
    )
    config.load()

    class Announced(uvicorn.Server):
        """Says that it is ready after it began to answer, not before."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()
            if open_browser:
                # In a thread: a browser in the terminal returns only when the person closes it.
                threading.Thread(target=webbrowser.open, args=(address(settings),), daemon=True).start()

    server = Announced(config)
    server.run(sockets=[listening])
    if server.started:
        raise KeyboardInterrupt  # which asyncio has swallowed


def _listen(settings: WebSettings) -> socket.socket:
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((settings.host, settings.port))
            listening.listen()  # from here on no other server gets this port; who connects now waits for the start
        except BaseException:
            listening.close()
            raise
    except (OSError, OverflowError) as error:
        got = getattr(error, "strerror", None) or str(error)
        where = f"{settings.host}, port {settings.port}"
        raise ServeError(f"{where}: expected to listen there, got: {got}; choose another --port or --host") from error
    return listening
