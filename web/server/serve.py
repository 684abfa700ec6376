"""Run the web app's server in this process until it is stopped."""

import contextlib
import importlib.util
import os
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

from moodspace.classifier.recognizer import Recognizer
from moodspace.errors import MoodspaceError, install_command
from moodspace.realtime.sinks.destination import SinkOptions
from moodspace.web.server.settings import WebSettings

_PACKAGE = Path(__file__).parents[1]
# Seconds that requests get to finish when the server stops.
_SHUTDOWN_S = 2
# Bytes of a WebSocket message besides its payload.
_HEADER_BYTES = 4096


class ServeError(MoodspaceError):
    """The server cannot be started; says in one line what was expected, what it got, and what to do."""


def address(settings: WebSettings) -> str:
    """Return the address to open in a browser, with the token if there is one."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    shown = {"127.0.0.1": "localhost", "0.0.0.0": "localhost", "[::]": "localhost", "[::1]": "localhost"}.get(
        host, host
    )
    return f"http://{shown}:{settings.port}/" + (f"?token={settings.token}" if settings.token else "")


def serve(
    settings: WebSettings,
    *,
    ready: Callable[[], None],
    open_browser: bool = False,
    options: SinkOptions | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Serve the app until Ctrl-C.

    Args:
        settings: The operator's settings.
        ready: Called once, when the server answers.
        open_browser: Whether to open the address in a browser on this machine when the server answers.
        options: How `settings.to` is sent; by default with the secrets of the environment.
        tell: Called with one-line messages about what is sent, in any thread.

    Raises:
        SinkError: A destination of `settings.to` cannot be used.
        ServeError: Streamlit is not installed, the port is in use, or the host is not an address of this machine.
        BundleError, ValueError: The bundle or its labels cannot be used.
        KeyboardInterrupt: The server was stopped.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise ServeError(f"expected the extra 'web', got no streamlit; {install_command('web')}")
    with _listen(settings) as listening:
        _run(settings, listening, ready, open_browser, options, tell)


def _run(
    settings: WebSettings,
    listening: socket.socket,
    ready: Callable[[], None],
    open_browser: bool,
    options: SinkOptions | None,
    tell: Callable[[str], None],
) -> None:
    import uvicorn

    settings.publish()
    # Streamlit also reads `.streamlit/config.toml` from the current folder, where it belongs to another app.
    os.chdir(_PACKAGE)
    from moodspace.web.server.visitors import all_visitors

    engine = all_visitors().engine
    config = uvicorn.Config(
        "moodspace.web.app:create_app",
        factory=True,
        log_config=None,
        log_level="warning",
        ws_max_size=settings.limits.message_bytes + _HEADER_BYTES,
        timeout_graceful_shutdown=_SHUTDOWN_S,
        server_header=False,
    )
    config.load()

    class AnnouncingServer(uvicorn.Server):
        """Announces that it is ready once it answers."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()
            if open_browser:
                # In a thread: a browser in the terminal returns only when the person closes it.
                threading.Thread(target=webbrowser.open, args=(address(settings),), daemon=True).start()

    server = AnnouncingServer(config)
    with contextlib.ExitStack() as stack:
        if settings.to:
            from moodspace.web.server.sending import sending

            options = options or SinkOptions.from_environment(min_group=settings.min_group)
            stack.enter_context(sending(settings, options, Recognizer(engine.bundle, engine.labels), tell))
        server.run(sockets=[listening])
    if server.started:
        raise KeyboardInterrupt  # asyncio caught it


def _listen(settings: WebSettings) -> socket.socket:
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((settings.host, settings.port))
            listening.listen()  # no other server can take the port now; early connections wait for the start
        except BaseException:
            listening.close()
            raise
    except (OSError, OverflowError) as error:
        got = getattr(error, "strerror", None) or str(error)
        where = f"{settings.host}, port {settings.port}"
        raise ServeError(f"{where}: expected to listen there, got: {got}; choose another --port or --host") from error
    return listening
