"""Places for what one visitor may keep for a while: in memory where the system has such folders; gone with the server.

All lie in one folder of this process, in which it holds a file locked. The lock goes with the process however it ends,
on every system, so that the next server knows, and removes, what one that was killed has left.
"""

import os
import shutil
import stat
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

# Where there is one, what is written there never reaches a disk.
_MEMORY = Path("/dev/shm")
_NAME = "moodspace-web-"
_LOCK = ".lock"
# A folder without a lock is one that is being made, or whose maker was killed at that; so long after it is the latter.
_MADE_WITHIN = 60.0
_MAKING = threading.Lock()
_held: list[tuple[Path, FileLock]] = []


def private_folder() -> Path:
    """Makes an empty folder that only this program's user may look into; who asked for it removes it."""
    with _MAKING:
        if not _held:
            _held.append(_make_home())
        return Path(tempfile.mkdtemp(dir=_held[0][0]))


def remove_home() -> None:
    """Removes all that this process keeps; what is asked for later gets a place of its own again."""
    with _MAKING:
        while _held:
            path, lock = _held.pop()
            lock.release()  # before: Windows removes no open file
            shutil.rmtree(path, ignore_errors=True)


def remove_left() -> int:
    """Removes what servers of this user have left that were killed; returns of how many."""
    left = [path for path in _root().glob(_NAME + "*") if _is_left(path)]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


def _make_home() -> tuple[Path, FileLock]:
    path = Path(tempfile.mkdtemp(prefix=f"{_NAME}{os.getpid()}-", dir=_root()))
    # Of the process: any thread may remove the folder.
    lock = FileLock(path / _LOCK, thread_local=False)
    lock.acquire(blocking=False)
    return path, lock


def _root() -> Path:
    return _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())


def _is_left(path: Path) -> bool:
    """Returns whether a folder is this user's, and no process holds it."""
    with suppress(OSError, NotImplementedError):
        info = path.lstat()
        if not stat.S_ISDIR(info.st_mode) or (hasattr(os, "getuid") and info.st_uid != os.getuid()):
            return False
        if not (path / _LOCK).exists():
            return time.time() - info.st_mtime > _MADE_WITHIN
        with FileLock(path / _LOCK).acquire(blocking=False):  # raises TimeoutError where it is held
            return True
    return False
