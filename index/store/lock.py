"""How threads and processes share a stored folder: writers one after the other, readers at any time."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from moodspace.index.store.manifest import MANIFEST, Manifest, read_manifest, refusal

LOCK = ".lock"
# How long a writer waits for another one, seconds: to write a bundle takes a few.
_TIMEOUT = 120.0
# How often a reader starts again at most; each time another writer must have replaced the state.
_ROUNDS = 100

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
_held = threading.local()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other writers, threads and processes, out of a folder until the block ends.

    What is read in the block is still so when the block commits. Blocks of one thread may be nested. The lock goes with
    the process however it ends. A folder that does not exist is not locked.

    Raises:
        StorageError: Another writer did not finish in time, or the folder cannot be written.
    """
    # Only here: programs that only read start faster without.
    from filelock import FileLock, Timeout

    place = os.path.realpath(folder)
    mine: set[str] = vars(_held).setdefault("folders", set())
    if place in mine or not folder.is_dir():
        yield
        return
    lock = FileLock(os.path.join(place, LOCK), timeout=_TIMEOUT)
    try:
        lock.acquire(poll_interval=0.02)
    except Timeout as error:
        got = f"another writer, which has not finished in {_TIMEOUT:.0f} s"
        raise refusal(folder, "to write into this folder", got, "end that one or try again later") from error
    except OSError as error:
        got = error.strerror or str(error)
        raise refusal(folder, "to write into this folder", got, "free some space or choose another") from error
    except NotImplementedError as error:  # a file system without locks
        _log.warning("%s: expected to lock this folder, got %s; let one program at a time write", folder, error)
    mine.add(place)
    try:
        yield
    finally:
        mine.discard(place)
        # While it is held: who waits for it sees that it has gone and makes one anew. Windows keeps it.
        with contextlib.suppress(OSError):
            os.unlink(lock.lock_file)
        lock.release()


def read_stored(folder: Path, *, format: str, version: int, read: Callable[[Manifest], _T]) -> _T:
    """Reads a folder's manifest, verified as by `read_manifest`, and what it names.

    Where a writer replaced the state meanwhile and so removed files, it reads the new state: what is returned belongs
    to one state.

    Args:
        folder: The folder to read.
        format: The format the caller understands.
        version: The newest version of that format the caller understands.
        read: Opens all that it needs of a verified manifest.

    Raises:
        StorageError: As `read_manifest`; beside it whatever `read` raises.
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
