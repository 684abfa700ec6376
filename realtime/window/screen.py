"""A window on the screen, through OpenCV."""

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2

from moodspace.arrays import ByteArray
from moodspace.realtime.window.display import WindowError, require_display

__all__ = ["TITLE", "Window", "WindowError"]

TITLE = "Moodspace"

_NO_KEY = -1
# GTK adds flags for keys such as num lock above these bits.
_KEY = 0xFFFF

_FONTS = Path("/usr/share/fonts")


class Window:
    """A window to look at pictures in, to be used in a `with` block.

    Raises:
        WindowError: there is no display, or OpenCV cannot open a window on it.
    """

    def __init__(self, title: str = TITLE) -> None:
        self._title = title
        self._size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the picture's place, pixels, as the user has made it; None before `open_at`."""
        if self._size is None:
            return None
        try:
            _, _, width, height = cv2.getWindowImageRect(self._title)
        except cv2.error:  # closed meanwhile
            return self._size
        return (width, height) if width > 0 and height > 0 else self._size

    def open_at(self, size: tuple[int, int]) -> None:
        """Gives the window this width and height, pixels."""
        cv2.resizeWindow(self._title, *size)
        self._size = size

    def show(self, picture_bgr: ByteArray) -> None:
        """Shows a picture, `(h, w, 3)` uint8 in [0, 255], BGR."""
        cv2.imshow(self._title, picture_bgr)

    def key(self, wait: float) -> int | None:
        """Returns the key that was pressed, as OpenCV reports it, waiting at most so many seconds; None without one."""
        key = cv2.waitKeyEx(max(1, round(1000 * wait)))
        return None if key == _NO_KEY else key & _KEY

    @property
    def is_closed(self) -> bool:
        """Whether the user has closed the window."""
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:  # Qt's way to say that the last window was closed
            return True

    def __enter__(self) -> Self:
        require_display()
        if sys.platform.startswith("linux"):
            # OpenCV's package points Qt to a folder of fonts that it does not have; Qt then warns at every start.
            if _FONTS.is_dir():
                os.environ["QT_QPA_FONTDIR"] = str(_FONTS)
        try:
            # Pictures are drawn at the window's own size. Without the last flag Qt adds a toolbar.
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
