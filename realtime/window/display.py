"""Whether a window can be opened: Qt ends the whole process where it cannot, so this is tried before Qt starts."""

import ctypes
import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread

import cv2

from moodspace.errors import MoodspaceError

# A display behind a dead network link neither answers nor refuses.
_PATIENCE_S = 5.0
# Displays that have answered. Their connections stay open: a server that has no other client, as a virtual one, starts
# anew when the last one goes, which takes longer than everything else here and would turn away Qt meanwhile.
_connected: set[str] = set()

_ADVICE = "run without a window (--headless)"


class WindowError(MoodspaceError):
    """A window that cannot be opened."""


def require_display() -> None:
    """Check that a window can be opened.

    Loads what Qt loads next anyway, and connects once; only that takes time on top, a few milliseconds.

    Raises:
        WindowError: there is no display, it does not answer, or OpenCV lacks what it needs to show a window.
    """
    framework = cv2.currentUIFramework()
    if not framework:
        raise WindowError(f"window: this OpenCV has none; install opencv-python, not the headless one, or {_ADVICE}")
    if not sys.platform.startswith("linux"):
        return
    if framework.startswith("QT"):
        _require_qt(os.environ)
    elif not (_answers_wayland(os.environ) or _answers_x(_system_xcb(), os.environ)):
        raise _no_display(os.environ)


def _require_qt(environment: Mapping[str, str]) -> None:
    """Check the platform plugins that Qt will try, in its order."""
    folders = _plugin_folders(environment)
    names = [part.partition(":")[0] for part in environment.get("QT_QPA_PLATFORM", "").split(";") if part] or ["xcb"]
    found = [path for name in names for folder in folders if (path := folder / f"libq{name}.so").is_file()]
    if not found:
        had = sorted({path.name[4:-3] for folder in folders for path in folder.glob("libq*.so")})
        raise WindowError(
            f"window: expected the Qt platform plugin {' or '.join(names)}, got {', '.join(had) or 'none'}; "
            f"check QT_QPA_PLATFORM, reinstall opencv-python, or {_ADVICE}"
        )
    failures = [failure for path in found if (failure := _failure(path, environment)) is not None]
    if len(failures) == len(found):
        raise failures[0]


def _failure(plugin: Path, environment: Mapping[str, str]) -> WindowError | None:
    """Return why a platform plugin cannot be used; None where it can."""
    try:
        library = ctypes.CDLL(str(plugin))
    except OSError as error:
        missing = str(error).partition(": ")[0]
        return WindowError(
            f"window: expected the library {missing} for the Qt platform plugin {plugin.name[4:-3]}, it cannot be "
            f"loaded; install it (Debian and Ubuntu: apt-get install libxcb1 libx11-6 libgl1), or {_ADVICE}"
        )
    needs_x = plugin.name == "libqxcb.so"
    return _no_display(environment) if needs_x and not _answers_x(library, environment) else None


def _plugin_folders(environment: Mapping[str, str]) -> list[Path]:
    """Return the folders in which Qt looks for platform plugins. Importing cv2 sets the first variable."""
    paths = [Path(path) for path in (environment.get("QT_QPA_PLATFORM_PLUGIN_PATH"),) if path]
    plugins = [Path(path) for path in environment.get("QT_PLUGIN_PATH", "").split(os.pathsep) if path]
    return [*paths, *(path / "platforms" for path in (*paths, *plugins))]


def _no_display(environment: Mapping[str, str]) -> WindowError:
    name = environment.get("DISPLAY")
    if name:
        return WindowError(f"window: expected the display {name!r} to answer, it does not; set DISPLAY, or {_ADVICE}")
    besides = " for X (DISPLAY), got one for Wayland alone; start Xwayland" if "WAYLAND_DISPLAY" in environment else ""
    return WindowError(f"window: expected a display{besides or ', found none'}; {_ADVICE}")


def _system_xcb() -> ctypes.CDLL | None:
    with suppress(OSError):
        return ctypes.CDLL("libxcb.so.1")
    return None


def _answers_x(library: ctypes.CDLL | None, environment: Mapping[str, str]) -> bool:
    """Return whether an X server lets us in.

    Args:
        library: libxcb, or what is linked against it; without it nothing can be said, and True is returned where
            DISPLAY names a server.
        environment: Has DISPLAY, as XAUTHORITY and HOME, which libxcb reads itself.
    """
    if not environment.get("DISPLAY"):
        return False
    if library is None:
        return True
    library.xcb_connect.restype = ctypes.c_void_p
    for name in ("xcb_connection_has_error", "xcb_disconnect"):
        getattr(library, name).argtypes = [ctypes.c_void_p]

    def connect() -> bool:
        connection = library.xcb_connect(None, None)
        works: bool = library.xcb_connection_has_error(connection) == 0
        if not works:
            library.xcb_disconnect(connection)
        return works

    if environment["DISPLAY"] not in _connected and within(_PATIENCE_S, connect):
        _connected.add(environment["DISPLAY"])
    return environment["DISPLAY"] in _connected


def _answers_wayland(environment: Mapping[str, str]) -> bool:
    """Return whether a Wayland compositor listens."""
    name = environment.get("WAYLAND_DISPLAY")
    if not name:
        return False
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE_S)
        connection.connect(str(Path(environment.get("XDG_RUNTIME_DIR", "")) / name))
        return True
    return False


def within(seconds: float, check: Callable[[], bool]) -> bool:
    """Return what a check says, or False where it takes longer; it then goes on in a thread that ends with us."""
    answers: list[bool] = []
    thread = Thread(target=lambda: answers.append(check()), daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(answers and answers[0])
