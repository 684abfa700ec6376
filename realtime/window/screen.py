"""A window on the screen, through OpenCV, and the check that one can be opened at all."""

import ctypes
import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

import cv2

from moodspace.arrays import ByteArray
from moodspace.errors import MoodspaceError

TITLE = "Moodspace"

_NO_KEY = -1
# GTK sets flags for keys such as num lock above these bits.
_KEY = 0xFFFF

_FONTS = Path("/usr/share/fonts")

_ADVICE = "run without a window (--headless)"

# Displays that have answered. Their connections stay open: an X server without any other client, such as a virtual
# one, resets when the last one closes, and would turn Qt away meanwhile.
_connected: set[str] = set()


class WindowError(MoodspaceError):
    """A window cannot be opened."""


class Window:
    """A window that shows pictures; use it in a `with` block.

    Raises:
        WindowError: There is no display, or OpenCV cannot open a window on it.
    """

    def __init__(self, title: str = TITLE) -> None:
        self._title = title
        self._size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the picture in pixels, as resized by the user; None before `open_at`."""
        if self._size is None:
            return None
        try:
            _, _, width, height = cv2.getWindowImageRect(self._title)
        except cv2.error:  # the window was closed
            return self._size
        return (width, height) if width > 0 and height > 0 else self._size

    def open_at(self, size: tuple[int, int]) -> None:
        """Set the window's width and height in pixels."""
        cv2.resizeWindow(self._title, *size)
        self._size = size

    def show(self, picture_bgr: ByteArray) -> None:
        """Show a picture, `(h, w, 3)` uint8 in [0, 255], BGR."""
        cv2.imshow(self._title, picture_bgr)

    def key(self, wait: float) -> int | None:
        """Return OpenCV's code of the pressed key, or None if none is pressed within `wait` seconds."""
        key = cv2.waitKeyEx(max(1, round(1000 * wait)))
        return None if key == _NO_KEY else key & _KEY

    @property
    def is_closed(self) -> bool:
        """Whether the user has closed the window."""
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:  # how Qt reports that the last window was closed
            return True

    def __enter__(self) -> Self:
        require_display()
        if sys.platform.startswith("linux"):
            # OpenCV's package points Qt to a fonts folder that does not exist, so Qt warns at every start.
            if _FONTS.is_dir():
                os.environ["QT_QPA_FONTDIR"] = str(_FONTS)
        try:
            # Pictures are drawn in the window's size. Without the last flag Qt adds a toolbar.
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_FREERATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as error:
            raise WindowError(f"window: expected OpenCV to open one, it could not ({_first_line(error)})") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cv2.destroyAllWindows()


def _first_line(error: cv2.error) -> str:
    return " ".join(str(error).split("\n")[0].split())


def require_display(timeout: float = 5.0) -> None:
    """Check that a window can be opened, because Qt ends the whole process if it cannot.

    Loads the libraries that Qt loads next anyway and connects once, which takes a few milliseconds.

    Args:
        timeout: Seconds to wait for the display; one behind a dead network link neither answers nor refuses.

    Raises:
        WindowError: There is no display, it does not answer, or OpenCV lacks what it needs to show a window.
    """
    framework = cv2.currentUIFramework()
    if not framework:
        raise WindowError(f"window: expected OpenCV with windows, got it headless; install opencv-python, or {_ADVICE}")
    if not sys.platform.startswith("linux"):
        return
    if framework.startswith("QT"):
        _require_qt(os.environ, timeout)
    elif not (_answers_wayland(os.environ, timeout) or _answers_x(_system_xcb(), os.environ, timeout)):
        raise _no_display(os.environ)


def _require_qt(environment: Mapping[str, str], timeout: float) -> None:
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
    failures = [failure for path in found if (failure := _failure(path, environment, timeout)) is not None]
    if len(failures) == len(found):
        raise failures[0]


def _failure(plugin: Path, environment: Mapping[str, str], timeout: float) -> WindowError | None:
    """Return why a platform plugin cannot be used; None if it can."""
    try:
        library = ctypes.CDLL(str(plugin))
    except OSError as error:
        missing = str(error).partition(": ")[0]
        return WindowError(
            f"window: expected the library {missing} for the Qt platform plugin {plugin.name[4:-3]}, it cannot be "
            f"loaded; install it (Debian and Ubuntu: apt-get install libxcb1 libx11-6 libgl1), or {_ADVICE}"
        )
    needs_x = plugin.name == "libqxcb.so"
    return _no_display(environment) if needs_x and not _answers_x(library, environment, timeout) else None


def _plugin_folders(environment: Mapping[str, str]) -> list[Path]:
    """Return the folders in which Qt looks for platform plugins. Importing cv2 sets the first variable."""
    paths = [Path(path) for path in (environment.get("QT_QPA_PLATFORM_PLUGIN_PATH"),) if path]
    plugins = [Path(path) for path in environment.get("QT_PLUGIN_PATH", "").split(os.pathsep) if path]
    return [*paths, *(path / "platforms" for path in (*paths, *plugins))]


def _no_display(environment: Mapping[str, str]) -> WindowError:
    name = environment.get("DISPLAY")
    if name:
        return WindowError(f"window: expected the display {name!r} to answer, it does not; set DISPLAY, or {_ADVICE}")
    wayland = " for X (DISPLAY), got one for Wayland only; start Xwayland" if "WAYLAND_DISPLAY" in environment else ""
    return WindowError(f"window: expected a display{wayland or ', got none'}; {_ADVICE}")


def _system_xcb() -> ctypes.CDLL | None:
    with suppress(OSError):
        return ctypes.CDLL("libxcb.so.1")
    return None


def _answers_x(library: ctypes.CDLL | None, environment: Mapping[str, str], timeout: float) -> bool:
    """Return whether an X server accepts a connection.

    Args:
        library: libxcb, or a library linked against it; without one, a DISPLAY counts as an answer.
        environment: Has DISPLAY, and XAUTHORITY and HOME, which libxcb reads itself.
        timeout: Seconds to wait for an answer.
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

    if environment["DISPLAY"] not in _connected and _within(timeout, connect):
        _connected.add(environment["DISPLAY"])
    return environment["DISPLAY"] in _connected


def _answers_wayland(environment: Mapping[str, str], timeout: float) -> bool:
    """Return whether a Wayland compositor listens."""
    name = environment.get("WAYLAND_DISPLAY")
    if not name:
        return False
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(str(Path(environment.get("XDG_RUNTIME_DIR", "")) / name))
        return True
    return False


def _within(seconds: float, check: Callable[[], bool]) -> bool:
    """Return the result of a check, or False if it takes longer; it then goes on in a daemon thread."""
    answers: list[bool] = []
    thread = Thread(target=lambda: answers.append(check()), daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(answers and answers[0])
