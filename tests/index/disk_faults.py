"""Writers that are killed, starved of space or locked out: run as a process of its own by `test_commit_faults.py`.

Each command prints one JSON document. Whatever happened, the folder must hold one whole state; `_state` raises if not.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from moodspace.index.store.commit import commit
from moodspace.index.store.lock import read_stored
from moodspace.index.store.manifest import MANIFEST, Manifest, StorageError, read_manifest

FORMAT: Any = {"format": "test-format", "version": 1}
SIZE = 20_000


def _write(folder: Path, generation: int) -> None:
    """Commit a state whose every part tells its generation, and keeps one artifact of the first state."""
    content = f"{generation:08d}".encode()
    files: dict[str, Callable[[Path], Any]] = {
        "small.bin": lambda path: path.write_bytes(content),
        "large.weights.h5": lambda path: path.write_bytes(content * (SIZE // 8)),
    }
    if not (folder / MANIFEST).exists():
        commit(
            folder, files | {"kept.bin": lambda path: path.write_bytes(b"kept")}, {"generation": generation}, **FORMAT
        )
    else:
        commit(folder, files, {"generation": generation}, keep=["kept.bin"], **FORMAT)


def _state(folder: Path) -> int:
    """Return the generation of a folder after checking that all its parts agree."""
    return _checked(read_manifest(folder, **FORMAT))


def _checked(manifest: Manifest) -> int:
    content = f"{manifest.meta['generation']:08d}".encode()
    expected = {"small.bin": content, "large.weights.h5": content * (SIZE // 8), "kept.bin": b"kept"}
    found = {name: manifest.path(name).read_bytes() for name in manifest.files}
    if found != expected:
        raise AssertionError(
            f"mixed state in {manifest.folder}: {[(name, value[:8]) for name, value in found.items()]}"
        )
    return int(manifest.meta["generation"])


def _tidy(folder: Path) -> bool:
    manifest = read_manifest(folder, **FORMAT)
    named = {"manifest.json", *(entry.path for entry in manifest.files.values())}
    return {path.name for path in folder.iterdir()} == named


def forked(work: Callable[[], None]) -> int:
    """Start a child process that does `work` and returns its id."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def kill_at_random(folder: Path, times: int, seed: int) -> dict[str, Any]:
    """Kill a writer that commits without pause; acknowledged states must survive."""
    _write(folder, 0)
    instants, interrupted, generation, longest = random.Random(seed), 0, 0, 0.03
    for _ in range(times):
        read_end, write_end = os.pipe()

        def work(first: int = generation + 1, pipe: int = write_end) -> None:
            for current in range(first, first + 100_000):
                _write(folder, current)
                os.write(pipe, b".")

        child = forked(work)
        os.close(write_end)
        time.sleep(instants.uniform(0.001, longest))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(read_end, "rb") as pipe:
            acknowledged = generation + len(pipe.read())
        longest *= 1 if acknowledged > generation else 1.2  # on a busy machine a commit takes longer
        generation = _state(folder)
        if generation not in (acknowledged, acknowledged + 1):
            raise AssertionError(f"state {generation} after {acknowledged} was acknowledged")
        interrupted += not _tidy(folder)
    _write(folder, generation + 1)
    return {"interrupted": interrupted, "generations": generation, "tidy": _tidy(folder)}


def two_writers(folder: Path, times: int, seed: int) -> dict[str, Any]:
    """Kill one of two writers that commit without pause; who reads meanwhile finds one whole state each time."""
    instants = random.Random(seed)
    _write(folder, 0)
    reads = left = 0
    for trial in range(times):
        first = 1 + 1_000_000 * trial
        children = [forked(partial(_write_many, folder, first + 500_000 * writer)) for writer in range(2)]
        end = time.monotonic() + instants.uniform(0.03, 0.1)
        while time.monotonic() < end:
            read_stored(folder, **FORMAT, read=_checked)
            reads += 1
        os.kill(children[0], signal.SIGKILL)
        os.waitpid(children[0], 0)
        _state_meanwhile(folder)
        os.kill(children[1], signal.SIGKILL)
        os.waitpid(children[1], 0)
        _state(folder)
        left += not _tidy(folder)
    _write(folder, 999)
    return {"reads": reads, "left": left, "generation": _state(folder), "tidy": _tidy(folder)}


def concurrent_commits(folder: Path, times: int) -> dict[str, Any]:
    """Let two processes commit once each at the same time, also to a folder that is still to be made."""
    for trial in range(times):
        place = folder / str(trial % 4)
        children = [forked(partial(_write, place, 2 * trial + writer)) for writer in range(2)]
        statuses = [os.waitpid(child, 0)[1] for child in children]
        if any(statuses) or _state(place) not in (2 * trial, 2 * trial + 1) or not _tidy(place):
            raise AssertionError(f"trial {trial}: {statuses}, {sorted(place.iterdir())}")
    return {"trials": times}


def _write_many(folder: Path, first: int) -> None:
    for generation in range(first, first + 100_000):
        _write(folder, generation)


def _state_meanwhile(folder: Path) -> int:
    return read_stored(folder, **FORMAT, read=_checked)


def kill_at_every_line(folder: Path) -> dict[str, Any]:
    """Kill a commit before each line of the storage code that it executes, one line after the other."""
    pristine, states = folder / "pristine", []
    _write(pristine, 1)
    _write(pristine, 2)
    for line in range(10_000):
        place = folder / "crashed"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(pristine, place)
        _, status = os.waitpid(forked(partial(_write_until, place, line)), 0)
        states.append(_state(place))
        if os.WIFEXITED(status):
            break
        if line % 3 == 0:  # not at each line, to save time
            _write(place, 4)
            if _state(place) != 4 or not _tidy(place):
                raise AssertionError(f"not tidy after a crash at line {line}: {sorted(place.iterdir())}")
    return {"states": states}


def _write_until(folder: Path, lines: int) -> None:
    left = lines

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if Path(frame.f_code.co_filename).parent.name != "store":
            return None
        left -= event == "line"
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    _write(folder, 3)


def limited_file_size(folder: Path) -> dict[str, Any]:
    """Commit under ever larger limits on the size of a file, as a disk quota would set them."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _write(folder, 1)
    outcomes = []
    for limit in (0, 4, 100, 500, SIZE // 2, SIZE - 1, SIZE, 2 * SIZE):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        outcomes.append(attempt(folder, lambda: _write(folder, _state(folder) + 1), lambda: _state(folder)))
    return {"outcomes": outcomes}


def full_disk(disk: Path) -> dict[str, Any]:
    """Save a gallery on a disk of its own that has ever more space left."""
    import numpy as np

    from moodspace.index.gallery import Gallery
    from moodspace.index.search import GalleryIndex

    n, dim, outcomes = 300, 32, []
    rows = np.random.default_rng(0).standard_normal((n, dim))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    sources = np.array([f"{value:016x}" for value in np.random.default_rng(1).integers(0, 2**60, n)])
    mount(disk, "tmpfs", "size=256k")
    folder = disk / "gallery"

    def save(added: float) -> None:
        gallery = Gallery(rows, np.arange(n), {}, {}, sources, np.full(n, float(added)))
        GalleryIndex(gallery).save(folder)

    def state() -> float:
        return float(GalleryIndex.load(folder).gallery.added[0])

    save(0)
    for pages in range(14):
        free = os.statvfs(disk).f_bavail
        (disk / "filler").write_bytes(b"x" * (free - pages) * os.statvfs(disk).f_frsize)
        outcomes.append(attempt(folder, partial(save, pages + 1), state))
        (disk / "filler").unlink()
    return {"outcomes": outcomes}


def read_only_disk(disk: Path) -> dict[str, Any]:
    """Commit to a disk that is mounted read-only, to a folder that is there and to one that is not."""
    mount(disk, "tmpfs", "size=256k")
    folder = disk / "state"
    _write(folder, 1)
    mount(disk, "tmpfs", "remount,ro")
    present = attempt(folder, lambda: _write(folder, 2), lambda: _state(folder))
    absent = attempt(disk / "new", lambda: _write(disk / "new", 2), lambda: (disk / "new").exists())
    return {"outcomes": [present, absent]}


def attempt(folder: Path, write: Callable[[], None], state: Callable[[], Any]) -> dict[str, Any]:
    """Try to write; tells the error, the states before and after, and whether a failure left files behind."""
    before = (state(), sorted(folder.iterdir()) if folder.exists() else [])
    error = None
    try:
        write()
    except StorageError as caught:
        error = str(caught)
    after = (state(), sorted(folder.iterdir()) if folder.exists() else [])
    return {"error": error, "before": before[0], "after": after[0], "clean": error is None or before == after}


def mount(disk: Path, kind: str, options: str) -> None:
    """Mount a disk in this process's own mount namespace; exits with 77 where that is not allowed."""
    if subprocess.run(
        ["mount", "-t", kind, "-o", options, kind, str(disk)], capture_output=True, check=False
    ).returncode:
        sys.exit(77)


if __name__ == "__main__":
    command, where, *numbers = sys.argv[1:]
    print(json.dumps(globals()[command](Path(where), *map(int, numbers))))
