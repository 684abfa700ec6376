"""Change settings of the whole process within a `with` block, safely in several threads."""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class SharedSetting:
    """A setting of the process that stays changed while any thread is inside a `with` block of it.

    The first thread to enter changes the setting, the last one to leave restores it. If each thread saved and restored
    the setting itself, two overlapping blocks could leave it changed.

    Args:
        change: Changes the setting and returns a function that restores it.
    """

    def __init__(self, change: Callable[[], Callable[[], object]]) -> None:
        self._change = change
        self._lock = threading.Lock()
        self._users = 0
        self._restore: Callable[[], object] | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Change the setting until the block ends."""
        with self._lock:
            if not self._users:
                self._restore = self._change()
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users and self._restore is not None:
                    self._restore()


def _ignore_warnings() -> Callable[[], object]:
    block = warnings.catch_warnings()
    block.__enter__()
    warnings.simplefilter("ignore")
    return lambda: block.__exit__(None, None, None)


# Ignore Python's warnings in all threads until the block ends.
no_warnings = SharedSetting(_ignore_warnings)
