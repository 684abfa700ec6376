"""Places for what one visitor may keep for a while: in memory where the system has such folders; gone with the server.

All lie in one folder of this process, which it holds locked. The lock goes with the process however it ends, so that
the next server knows, and removes, what one that was killed has left.
"""

import os
import shutil
import stat
import sys
import tempfile
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path

# Where there is one, what is written there never reaches a disk.
_MEMORY = Path("/dev/shm")
_NAME = "moodspace-web-"
_MAKING = threading.Lock()


def private_folder() -> Path:
    """Makes an empty folder that only this program's user may look into; who asked for it removes it."""
    with _MAKING:
        home = _home()
    return Path(tempfile.mkdtemp(dir=home))


def remove_home() -> None:
    """Removes all that this process keeps; what is asked for later gets a place of its own again."""
    if _home.cache_info().currsize:
        shutil.rmtree(_home(), ignore_errors=True)
        _home.cache_clear()


def remove_left() -> int:
    """Removes what servers of this user have left that were killed; returns of how many."""
    left = [path for path in _root().glob(_NAME + "*") if _is_left(path)]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


@cache
def _home() -> Path:
    path = Path(tempfile.mkdtemp(prefix=".moodspace-", dir=_root()))
    _lock(path)
    # It gets the name that others look for once it is locked, so that nobody takes it for one that was left.
    return path.rename(path.with_name(f"{_NAME}{os.getpid()}{path.name.removeprefix('.moodspace')}"))


def _root() -> Path:
    return _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())


def _is_left(path: Path) -> bool:
    """Returns whether a folder is this user's, and no process holds it."""
    if sys.platform == "win32":
        return False
    with suppress(OSError):
        info = path.lstat()
        if stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid():
            os.close(_lock(path))
            return True
    return False


def _lock(path: Path) -> int:
    """Locks a folder for as long as the descriptor that it returns is open.

    Raises:
        OSError: another process holds it.
    """
    if sys.platform == "win32":
        return -1
    import fcntl

    held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise
    return held
