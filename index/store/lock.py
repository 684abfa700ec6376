"""Share a stored folder among threads and processes: one writer at a time, readers at any time."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from moodspace.index.store.manifest import MANIFEST, Manifest, read_manifest, storage_error

LOCK = ".lock"
# Seconds that a writer waits for another one; writing a bundle takes a few.
_TIMEOUT = 120.0
# How often a reader tries again at most, if writers keep replacing the state.
_ROUNDS = 100

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
_thread_locks = threading.local()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other writers, in threads and processes, until the block ends.

    The state read in the block is still current when the block commits. Blocks of one thread may be nested. The lock is
    released when the process ends, however it ends. A missing folder is not locked.

    Raises:
        StorageError: Another writer did not finish in time, or the folder cannot be written.
    """
    # Imported here so that programs that only read start faster.
    from filelock import FileLock, Timeout

    place = os.path.realpath(folder)
    mine: set[str] = vars(_thread_locks).setdefault("folders", set())
    if place in mine or not folder.is_dir():
        yield
        return
    lock = FileLock(os.path.join(place, LOCK), timeout=_TIMEOUT)
    try:
        lock.acquire(poll_interval=0.02)
    except Timeout as error:
        got = f"another writer that did not finish in {_TIMEOUT:.0f} s"
        raise storage_error(folder, "to write into this folder", got, "stop it or try again later") from error
    except OSError as error:
        got = error.strerror or str(error)
        raise storage_error(folder, "to write into this folder", got, "free some space or choose another") from error
    except NotImplementedError as error:  # a file system without locks
        _log.warning("%s: expected to lock this folder, got %s; run only one writing program at a time", folder, error)
    mine.add(place)
    try:
        yield
    finally:
        mine.discard(place)
        # Deleted while held: a waiting process notices and creates a new file. Windows keeps it.
        with contextlib.suppress(OSError):
            os.unlink(lock.lock_file)
        lock.release()


def read_stored(folder: Path, *, format: str, version: int, read: Callable[[Manifest], _T]) -> _T:
    """Read a folder's verified manifest and the files that it names, all from one state.

    If a writer replaces the state meanwhile, and thereby removes files, read the new state instead.

    Args:
        folder: The folder to read.
        format: The format the caller understands.
        version: The newest version of that format the caller understands.
        read: Opens what it needs, given the verified manifest.

    Raises:
        StorageError: As `read_manifest`. Errors of `read` propagate.
    """
    for _ in range(_ROUNDS):
        before = _manifest_bytes(folder)
        try:
            return read(read_manifest(folder, format=format, version=version))
        except (ValueError, OSError, RuntimeError):
            if _manifest_bytes(folder) == before:
                raise
    return read(read_manifest(folder, format=format, version=version))


def _manifest_bytes(folder: Path) -> bytes | None:
    try:
        return (folder / MANIFEST).read_bytes()
    except OSError:
        return None
