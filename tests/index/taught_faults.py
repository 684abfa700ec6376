"""Writers of a user's gallery that are killed: run as a process of its own by `test_taught_crashes.py`.

Each command prints one JSON document; a gallery that is neither in the old state nor in the new one raises.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.index.taught.faces import NewFaces
from moodspace.index.taught.gallery import TaughtGallery, open_taught
from moodspace.index.taught.sync_plan import FACES, FileState
from tests.index.disk_faults import forked

DIM, FIRST = 8, 1_000_000_000
ROOT = Path("/pictures")
FILES = [f"{ROOT}/sad/{number}.png" for number in range(4)]
State = dict[int, tuple[int, str, str]]  # batch, label and source of each face by id


def opened(folder: Path, **options: Any) -> TaughtGallery:
    return open_taught(folder, encoder="encoder", dim=DIM, **options)


def random_faces(n: int, seed: int, label: str = "happy") -> NewFaces:
    rows = np.random.default_rng(seed).standard_normal((n, DIM))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return NewFaces(rows, [label] * n, ["live"] * n, [f"{seed:032x}{at:032x}" for at in range(n)])


def change(gallery: TaughtGallery, number: int) -> None:
    """Make state `number` of the gallery out of the one before, in one transaction."""
    kind = number % 5
    if kind in (1, 2):
        gallery.add(random_faces(6, number, f"class {number}"))
    elif kind == 3:
        files = [FileState(path, number, number, f"{number:064x}", FACES) for path in FILES]
        faces = random_faces(len(files), number)
        gallery.synced(ROOT).record(files, faces.embeddings, faces.digests)
    elif kind == 4:
        gallery.remove_label(f"class {number - 3}")
    else:
        gallery.undo()


def changed(state: State, last: int, number: int) -> tuple[State, int]:
    """Do to a model of the gallery what `change` does to the gallery; `last` is the largest id ever given."""
    kind = number % 5
    if kind in (1, 2):
        new = [(number, f"class {number}", "live")] * 6
    elif kind == 3:
        state = {key: face for key, face in state.items() if face[2] not in FILES}
        new = [(number, "sad", path) for path in FILES]
    elif kind == 4:
        return {key: face for key, face in state.items() if face[1] != f"class {number - 3}"}, last
    else:
        newest = max(batch for batch, _, _ in state.values())
        return {key: face for key, face in state.items() if face[0] != newest}, last
    return state | {last + 1 + at: face for at, face in enumerate(new)}, last + len(new)


def found(folder: Path) -> tuple[int, State]:
    """Return the generation and the faces of a gallery after looking whether it is sound."""
    with opened(folder) as gallery:
        if problems := gallery.verify():
            raise AssertionError(problems)
        state: State = {}
        for part in gallery.rows():
            fields = (part.batches.tolist(), part.labels, part.sources)
            state |= dict(zip(part.ids.tolist(), zip(*fields, strict=True), strict=True))
        return gallery.generation, state


def killed_after(seconds: float, work: Callable[[Callable[[bytes], None]], None]) -> bytes:
    """Kill a process that does `work`; return what that told until then."""
    read_end, write_end = os.pipe()
    child = forked(lambda: work(lambda told: os.write(write_end, told)))
    os.close(write_end)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(read_end, "rb") as pipe:
        return pipe.read()


def kill_at_random(folder: Path, times: int, seed: int) -> dict[str, Any]:
    """Kill a writer that changes the gallery without pause, at random instants, and compares with the model."""
    instants, state, last, generation, hit = random.Random(seed), {}, FIRST - 1, 0, 0
    opened(folder).close()
    longest = 0.03
    for _ in range(times):

        def work(tell: Callable[[bytes], None], first: int = generation + 1) -> None:
            with opened(folder) as gallery:
                for number in range(first, first + 100_000):
                    tell(b"<")
                    change(gallery, number)
                    tell(b">")

        told = killed_after(instants.uniform(0.001, longest), work)
        longest *= 1 if b">" in told else 1.05  # on a busy machine a change takes longer
        acknowledged = generation + told.count(b">")
        now, faces = found(folder)
        if now not in (acknowledged, acknowledged + told.endswith(b"<")):
            raise AssertionError(f"state {now} after {acknowledged} was acknowledged")
        for number in range(generation + 1, now + 1):
            state, last = changed(state, last, number)
        if faces != state:
            raise AssertionError(f"expected {len(state)} faces in state {now}, got {len(faces)} or others")
        generation, hit = now, hit + told.endswith(b"<")
    return {"hit": hit, "generations": generation, "faces": len(state)}


def kill_makers(folder: Path, times: int, seed: int) -> dict[str, Any]:
    """Kill processes that make a gallery; the next one must find none, or an empty one, and go on."""
    instants, made = random.Random(seed), 0
    for at in range(times):
        place = folder / str(at)
        killed_after(instants.uniform(0, 0.012), lambda tell, place=place: opened(place).close())
        made += (place / "gallery.sqlite").exists()
        generation, state = found(place)
        if generation or state:
            raise AssertionError(f"expected an empty gallery, got {len(state)} faces")
        with opened(place) as gallery:
            gallery.add(random_faces(1, 0))
    return {"made": made}


def kill_builders(folder: Path, times: int, seed: int) -> dict[str, Any]:
    """Kill processes that build the cells of a gallery; the next one must find old ones, new ones, or build them."""
    instants, hit = random.Random(seed), 0
    with opened(folder) as gallery:
        faces = random_faces(3000, 0)
        gallery.add(faces)

    def work(tell: Callable[[bytes], None]) -> None:
        with opened(folder, flat_limit=1000) as gallery:
            tell(b"<")
            gallery.prepare()
            tell(b">")

    for at in range(times):
        with opened(folder) as gallery:
            gallery.remove(gallery.add(random_faces(1500, 1 + at)).ids)  # so much that new cells are due
        hit += killed_after(instants.uniform(0.002, 0.15), work).endswith(b"<")
    with opened(folder, flat_limit=1000) as gallery:
        nearest = gallery.snapshot().search(faces.embeddings[:100], 1)
        right = float((nearest.ids[:, 0] == FIRST + np.arange(100)).mean())
    return {"hit": hit, "right": right, "left": sorted(path.name for path in (folder / "cells").iterdir())}


def two_writers(folder: Path, times: int) -> dict[str, Any]:
    """Let two processes teach at once, three faces at a time."""
    opened(folder).close()

    def teach(writer: int) -> None:
        with opened(folder, timeout=30) as gallery:
            for at in range(times):
                gallery.add(random_faces(3, writer * times + at, f"writer {writer}"))
                time.sleep(0.003)  # SQLite lets those who wait sleep, so that without a pause one would have all turns

    join([forked(lambda writer=writer: teach(writer)) for writer in (0, 1)])
    with opened(folder) as gallery:
        faces = [face for part in gallery.rows() for face in zip(part.ids.tolist(), part.labels, strict=True)]
        labels = [label for _, label in faces]
        return {
            "labels": dict(gallery.summary().labels), "generation": gallery.generation, "problems": gallery.verify(),
            "ids": len({number for number, _ in faces}),
            "turns": sum(one != other for one, other in itertools.pairwise(labels)),
        }  # fmt: skip


def several_makers(folder: Path, times: int) -> dict[str, Any]:
    """Let four processes make a gallery at once and teach it a face each."""

    def make(place: Path, seed: int) -> None:
        with opened(place, timeout=30) as gallery:
            gallery.add(random_faces(1, seed))

    counts = []
    for at in range(times):
        place = folder / str(at)
        join([forked(lambda place=place, seed=seed: make(place, seed)) for seed in range(4)])
        counts.append(len(found(place)[1]))
    return {"faces": counts}


def join(children: list[int]) -> None:
    for child in children:
        os.waitpid(child, 0)


def updated(folder: Path, changes: int) -> dict[str, Any]:
    """Compare the snapshots of a gallery that another process changes with a search through all its faces."""
    opened(folder).close()
    read_end, write_end = os.pipe()

    def work() -> None:
        with opened(folder) as gallery:
            for number in range(1, changes + 1):
                os.read(read_end, 1)
                change(gallery, number)

    child = forked(work)
    queries, wrong, states = random_faces(5, 10**6).embeddings, 0, 0
    with opened(folder, read_only=True) as gallery:
        for number in range(1, changes + 1):
            os.write(write_end, b"!")
            deadline = time.monotonic() + 10
            while gallery.generation < number and time.monotonic() < deadline:
                time.sleep(0.0005)
            snapshot = gallery.snapshot()
            states += snapshot.generation == number
            parts = list(gallery.rows())
            ids = np.concatenate([part.ids for part in parts])
            similarities = queries @ np.concatenate([part.embeddings for part in parts]).T
            nearest = ids[np.argsort(-similarities, axis=1, kind="stable")[:, :3]]
            wrong += not np.array_equal(snapshot.search(queries, 3).ids, nearest)
    join([child])
    return {"wrong": int(wrong), "states": int(states)}


if __name__ == "__main__":
    command, where, *numbers = sys.argv[1:]
    print(json.dumps(globals()[command](Path(where), *map(int, numbers))))
