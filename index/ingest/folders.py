"""Brings the user's gallery in line with folders of labelled pictures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from moodspace.classifier.user_gallery import CROPS, DETECT
from moodspace.embeddings.data.labelled import DataError, Progress, Skipped
from moodspace.index.ingest.apply import Embed, EmbeddedFile, SyncReport, apply_sync, planned
from moodspace.index.ingest.ray_workers import embed_on_ray
from moodspace.index.ingest.read_faces import BATCH, embed_files
from moodspace.index.ingest.workers import ReadOptions, embed_in_processes
from moodspace.index.taught.gallery import TaughtGallery
from moodspace.index.taught.sync_plan import FORGOTTEN, plan_sync

# Up to so many files, starting processes takes longer than it saves.
_FEW = 4 * BATCH


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What is to be synced, and how.

    Attributes:
        folders: Which; those that the gallery knows where there is none.
        reading: How pictures are read, but for `reading.crops`.
        crops: Whether each picture is one face, already cut out; None for as before, which is not in new folders.
        full: Whether every file is to be read again.
        workers: How many processes embed.
        ray: Whether a Ray cluster embeds instead.
        ray_address: Of the cluster; None for one on this machine alone.
        dry_run: Whether nothing is to be done.
    """

    folders: Sequence[Path]
    reading: ReadOptions
    crops: bool | None = None
    full: bool = False
    workers: int = 1
    ray: bool = False
    ray_address: str | None = None
    dry_run: bool = False


def sync_folders(
    gallery: TaughtGallery | None, dim: int, asked: SyncRequest, progress: Progress | None = None
) -> SyncReport:
    """Brings the gallery in line with folders; what it did can be undone at once.

    Args:
        gallery: The gallery; None where there is none yet and nothing is to be done.
        dim: How many numbers an embedding has.
        asked: What to do.
        progress: Called with the number of files read and the total, for each folder.

    Returns:
        What became of the files. Of a folder that the gallery knows and that is gone, `failed` says so, and its faces
        stay: the disk it lies on may be back tomorrow.

    Raises:
        DataError: no folder is named or known, a named one is none or has no class folders, or shares files with
            another.
        GalleryError, StorageError: the gallery cannot be read or written.
    """
    known = gallery.roots() if gallery is not None else {}
    named = [folder.resolve() for folder in asked.folders]
    if not named and not known:
        raise DataError("index: expected a folder, received none, and the gallery knows none yet; name one")
    _check_apart(named, known)
    report, batch = SyncReport(), None
    for root in named or known:
        try:
            part, batch = _sync_folder(gallery, root, dim, asked, batch, progress)
            report.join(part)
        except DataError as error:
            if root in named:
                raise
            report.failed.append(Skipped(str(root), f"{error}; or forget it: cli.py forget --source"))
    return report


def _sync_folder(
    gallery: TaughtGallery | None,
    root: Path,
    dim: int,
    asked: SyncRequest,
    batch: int | None,
    progress: Progress | None,
) -> tuple[SyncReport, int | None]:
    """Syncs one folder; returns what became of its files, and the batch to undo it with."""
    before = gallery.roots().get(root) if gallery is not None else None
    crops = before == CROPS if asked.crops is None else asked.crops
    options = CROPS if crops else DETECT
    part = gallery.synced(root, options=options, batch=batch) if gallery is not None else None
    known = part.known() if part else {}
    other_way = before is not None and before != options
    # What was forgotten stays so, in whatever way pictures are read.
    out = {path: state for path, state in known.items() if state.reason == FORGOTTEN}
    plan = plan_sync(root, out if other_way else known, part.elsewhere() if part else (), again=asked.full)
    if asked.dry_run or part is None:
        return planned(plan), batch
    if other_way:
        # First of all, so that a run that is interrupted leaves no faces that were cut out in the old way.
        part.drop([path for path in known if path not in out])
    report = apply_sync(part, plan, embedder(asked, crops), dim, progress)
    return report, part.batch


def embedder(asked: SyncRequest, crops: bool) -> Embed:
    """Returns what reads and embeds files, in processes of their own or on a cluster where there are many."""
    reading = replace(asked.reading, crops=crops)

    def embed(paths: Sequence[str]) -> Iterable[Sequence[EmbeddedFile]]:
        if not paths:
            return []
        if asked.ray:
            return embed_on_ray(paths, reading, address=asked.ray_address)
        if asked.workers > 1 and len(paths) > _FEW:
            return embed_in_processes(paths, reading, asked.workers)
        return embed_files(paths, *reading.open(threads=2))

    return embed


def _check_apart(named: Sequence[Path], known: Iterable[Path]) -> None:
    """Refuses a folder inside of another: its files would belong to both."""
    for one in named:
        for other in (*named, *known):
            if one != other and (one in other.parents or other in one.parents):
                raise DataError(
                    f"{one}: expected a folder apart from those in the gallery, received one that shares files with "
                    f"{other}; index that one, or forget it first: cli.py forget --source {other}"
                )
