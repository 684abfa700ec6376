"""Private folders for what one visitor keeps for a while: in memory where the system allows, deleted with the server.

All lie in one home folder of this process, which holds a lock file in it. The system releases the lock when the process
ends, in whatever way, so the next server recognizes and removes the homes of servers that were killed.
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

# Files here never reach a disk.
_MEMORY = Path("/dev/shm")
_PREFIX = "moodspace-web-"
_LOCK = ".lock"
# Seconds within which a new home gets its lock; an older home without one belongs to a killed server.
_CREATION_S = 60.0
_creating = threading.Lock()
_held: list[tuple[Path, FileLock]] = []


def private_folder() -> Path:
    """Create an empty folder that only this user may read; the caller removes it."""
    with _creating:
        if not _held:
            _held.append(_create_home())
        return Path(tempfile.mkdtemp(dir=_held[0][0]))


def remove_home() -> None:
    """Remove all folders of this process; a later `private_folder` creates a new home."""
    with _creating:
        while _held:
            path, lock = _held.pop()
            lock.release()  # first, because Windows removes no open file
            shutil.rmtree(path, ignore_errors=True)


def remove_abandoned() -> int:
    """Remove folders left behind by killed servers of this user; return how many."""
    abandoned = [path for path in _root().glob(_PREFIX + "*") if _is_abandoned(path)]
    for path in abandoned:
        shutil.rmtree(path, ignore_errors=True)
    return len(abandoned)


def _create_home() -> tuple[Path, FileLock]:
    path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_root()))
    # The lock belongs to the process, not to a thread: any thread may remove the folder.
    lock = FileLock(path / _LOCK, thread_local=False)
    lock.acquire(blocking=False)
    return path, lock


def _root() -> Path:
    return _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())


def _is_abandoned(path: Path) -> bool:
    """Return whether a folder belongs to this user and no process holds it."""
    with suppress(OSError, NotImplementedError):
        info = path.lstat()
        if not stat.S_ISDIR(info.st_mode) or (hasattr(os, "getuid") and info.st_uid != os.getuid()):
            return False
        if not (path / _LOCK).exists():
            return time.time() - info.st_mtime > _CREATION_S
        with FileLock(path / _LOCK).acquire(blocking=False):  # raises TimeoutError if a process holds it
            return True
    return False
