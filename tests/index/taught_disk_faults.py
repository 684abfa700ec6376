"""A user's gallery on a disk that is full, limited or read-only: run as a process of its own by `test_taught_disk.py`.

Each command prints one JSON document: for each attempt to write, the error, and whether all was as before after it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.gallery import TaughtGallery
from tests.index.disk_faults import mount
from tests.index.taught_faults import change, killed_after, opened, random_faces

QUERY = random_faces(1, 99).embeddings


def everything(gallery: TaughtGallery) -> list[Any]:
    """Return all that can be seen of a gallery."""
    rows = [(part.ids.tolist(), part.labels, part.embeddings.tolist()) for part in gallery.rows()]
    neighbors = gallery.snapshot().search(QUERY, 5)
    seen = [gallery.generation, rows, neighbors.ids.tolist(), neighbors.similarities.tolist(), gallery.verify()]
    return json.loads(json.dumps(seen))


def attempt(gallery: TaughtGallery, write: Callable[[], Any]) -> dict[str, Any]:
    """Try to write; tells the error and whether the gallery is as it was, also to who opens it anew to read."""
    before, error, done = everything(gallery), None, None
    try:
        done = write()
    except StorageError as caught:
        error = str(caught)
    after = everything(gallery)
    with opened(gallery.folder, read_only=True) as reader:
        anew = everything(reader)
    # To remove nothing changes nothing.
    told = {"error": error, "same": after == before, "nothing": done == 0}
    return told | {"agrees": anew == after, "problems": after[-1]}


def filled(folder: Path) -> TaughtGallery:
    gallery = opened(folder)
    for number in range(1, 9):
        change(gallery, number)
    return gallery


def full_disk(disk: Path) -> dict[str, Any]:
    """Teach and forgets on a disk of its own that has ever more space left."""
    mount(disk, "tmpfs", "size=1m")
    outcomes = []
    with filled(disk / "gallery") as gallery:
        for pages in (0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64):
            free = os.statvfs(disk).f_bavail
            (disk / "filler").write_bytes(b"x" * (free - pages) * os.statvfs(disk).f_frsize)
            outcomes.append(attempt(gallery, lambda seed=pages: gallery.add(random_faces(150, 100 + seed))))
            outcomes.append(attempt(gallery, lambda: gallery.remove_label("happy")))
            (disk / "filler").unlink()
            outcomes.append(attempt(gallery, lambda: gallery.remove_label("happy")))
    return {"outcomes": outcomes}


def disk_full_from_the_start(disk: Path) -> dict[str, Any]:
    """Make a gallery on a full disk, and opens one there that is: to read it has to be possible."""
    mount(disk, "tmpfs", "size=1m")
    with filled(disk / "gallery") as gallery:
        before = everything(gallery)
    (disk / "filler").write_bytes(b"x" * os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize)
    with opened(disk / "gallery", read_only=True) as reader:
        read = everything(reader) == before
    errors = [refused(disk / "gallery"), refused(disk / "new")]
    (disk / "filler").unlink()
    return {"read": read, "errors": errors, "afterwards": [refused(disk / "gallery"), refused(disk / "new")]}


def refused(folder: Path) -> str | None:
    """Open a gallery and teaches it a face; return the error."""
    try:
        with opened(folder) as gallery:
            gallery.add(random_faces(1, 7))
    except StorageError as error:
        return str(error)
    return None


def limited_file_size(folder: Path) -> dict[str, Any]:
    """Teach under ever larger limits on the size of a file, as a disk quota would set them."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    outcomes = []
    with filled(folder) as gallery:
        sizes = [path.stat().st_size for path in folder.iterdir()]
        for more in (-1_000_000, 0, 4096, 30_000, 1_000_000):
            limit = max(0, max(sizes) + more)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            outcomes.append(attempt(gallery, lambda seed=more: gallery.add(random_faces(150, seed % 1000))))
    return {"outcomes": outcomes}


def read_only_disk(disk: Path) -> dict[str, Any]:
    """Open galleries on a read-only disk: one that was closed, one whose writer was killed, and none."""
    mount(disk, "tmpfs", "size=1m")
    filled(disk / "closed").close()

    def die(tell: Callable[[bytes], None]) -> None:
        with filled(disk / "killed"):
            tell(b"!")
            signal.pause()

    killed_after(0.5, die)
    mount(disk, "tmpfs", "remount,ro")
    outcomes = []
    for name in ("closed", "killed"):
        with opened(disk / name, read_only=True) as gallery:
            outcome = attempt(gallery, lambda gallery=gallery: gallery.add(random_faces(1, 7)))
            outcomes.append(outcome | {"generation": gallery.generation})
    log = (disk / "killed" / "gallery.sqlite-wal").stat().st_size
    errors = [refused(disk / name) for name in ("closed", "killed", "new")]
    return {"outcomes": outcomes, "errors": errors, "log": log}


if __name__ == "__main__":
    command, where = sys.argv[1:]
    print(json.dumps(globals()[command](Path(where))))
