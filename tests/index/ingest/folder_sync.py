"""Drawn faces in class folders, and syncs that are interrupted, for the tests of parallel reading."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from moodspace.embeddings.data.labels import FER2013_CLASSES
from moodspace.index.ingest.apply import EmbeddedFile, SyncReport, apply_sync
from moodspace.index.ingest.read_faces import embed_files
from moodspace.index.ingest.workers import ReadOptions
from moodspace.index.taught.gallery import TaughtGallery, open_taught
from moodspace.index.taught.sync_plan import plan_sync
from tests.hostile_pictures import face, saved

Parts = Iterable[Sequence[EmbeddedFile]]
Embed = Callable[[Sequence[str]], Parts]


def write_faces(folder: Path, n: int, first: int = 0) -> Path:
    """Write n drawn faces into class folders, numbered from `first`."""
    for number in range(first, first + n):
        path = folder / FER2013_CLASSES[number % len(FER2013_CLASSES)] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(saved(face(np.random.default_rng(number), "L", (48, 48)), "PNG"))
    return folder


def paths_in(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.rglob("*.png"))]


def embedded_here(paths: Sequence[str], reading: ReadOptions) -> list[EmbeddedFile]:
    """Return the results of one process."""
    return [file for part in embed_files(paths, *reading.open(threads=1)) for file in part]


def check_same(found: Sequence[EmbeddedFile], wanted: Sequence[EmbeddedFile]) -> None:
    assert [(one.path, one.digest, one.reason) for one in found] == [
        (one.path, one.digest, one.reason) for one in wanted
    ]
    for one, other in zip(found, wanted, strict=True):
        if other.embedding is None:
            assert one.embedding is None
        else:
            np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-5)


def taught_gallery(folder: Path, reading: ReadOptions) -> TaughtGallery:
    return open_taught(folder, encoder="any", dim=reading.open(threads=1)[1].dim)


def sync(gallery: TaughtGallery, folder: Path, embed: Embed) -> SyncReport:
    writer = gallery.synced(folder)
    plan = plan_sync(folder, writer.known(), writer.elsewhere())
    return apply_sync(writer, plan, embed([file.path for file in plan.to_embed]), gallery.dim)


def stopping(parts: Parts, after: int) -> Parts:
    """Pass on `after` parts, then raise KeyboardInterrupt."""
    for number, part in enumerate(parts):
        if number == after:
            raise KeyboardInterrupt
        yield part
