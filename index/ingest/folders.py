"""Sync the user's gallery with folders of labeled pictures: plan, embed, apply."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from moodspace.embeddings.data.labelled import DataError, Progress, Skipped
from moodspace.index.ingest.apply import EmbeddedFile, SyncReport, apply_sync, planned
from moodspace.index.ingest.ray_workers import embed_on_ray
from moodspace.index.ingest.read_faces import BATCH, embed_files
from moodspace.index.ingest.workers import ReadOptions, embed_in_processes
from moodspace.index.taught.gallery import TaughtGallery
from moodspace.index.taught.sync_plan import FORGOTTEN, plan_sync
from moodspace.index.taught.user_gallery import CROPS, DETECT

# Up to this many files, starting worker processes takes longer than it saves.
_FEW = 4 * BATCH


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What to sync, and how.

    Attributes:
        folders: The folders; if empty, those that the gallery already follows.
        reading: How pictures are read and encoded; `crops` below replaces `reading.crops`.
        crops: Whether each picture is one cropped face; None keeps the folder's setting, False for a new folder.
        full: Whether to read every file again.
        workers: How many processes read pictures.
        ray: Whether to read pictures on a Ray cluster instead.
        ray_address: The address of the cluster; None starts one on this machine.
        dry_run: Whether to only report what would be done.
        keep_pictures: Whether the gallery keeps the crops of the faces that are read.
    """

    folders: Sequence[Path]
    reading: ReadOptions
    crops: bool | None = None
    full: bool = False
    workers: int = 1
    ray: bool = False
    ray_address: str | None = None
    dry_run: bool = False
    keep_pictures: bool = False


def sync_folders(gallery: TaughtGallery | None, request: SyncRequest, progress: Progress | None = None) -> SyncReport:
    """Bring the gallery in line with folders, as one batch that can be undone.

    Args:
        gallery: The gallery; None for a dry run where there is no gallery yet.
        request: What to do.
        progress: Called with the number of files done and the total, for each folder.

    Returns:
        The result. A folder that the gallery follows and that is missing is listed in `failed`, and its faces stay,
        because its disk may only be unmounted.

    Raises:
        DataError: No folder is named or followed; or a named one is missing, has no class folders, or shares files
            with another.
        GalleryError, StorageError: The gallery cannot be read or written.
    """
    known = gallery.roots() if gallery is not None else {}
    named = [folder.resolve() for folder in request.folders]
    if not named and not known:
        raise DataError("index: expected a folder, got none, and the gallery knows none yet; name one")
    _check_apart(named, known)
    report, batch = SyncReport(), None
    for root in named or known:
        try:
            part, batch = _sync_folder(gallery, root, request, batch, progress)
            report.join(part)
        except DataError as error:
            if root in named:
                raise
            report.failed.append(Skipped(str(root), f"{error}; or forget it: moodspace forget --source"))
    return report


def _check_apart(named: Sequence[Path], known: Iterable[Path]) -> None:
    """Refuse a folder inside another one, whose files would belong to both."""
    for one in named:
        for other in (*named, *known):
            if one != other and (one in other.parents or other in one.parents):
                raise DataError(
                    f"{one}: expected a folder apart from those in the gallery, got one that shares files with "
                    f"{other}; index that one, or forget it first: moodspace forget --source {other}"
                )


def _sync_folder(
    gallery: TaughtGallery | None, root: Path, request: SyncRequest, batch: int | None, progress: Progress | None
) -> tuple[SyncReport, int | None]:
    """Sync one folder; return the result and the batch that undoes it."""
    before = gallery.roots().get(root) if gallery is not None else None
    crops = before == CROPS if request.crops is None else request.crops
    options = CROPS if crops else DETECT
    part = gallery.synced(root, options=options, batch=batch) if gallery is not None else None
    known = part.known() if part else {}
    read_differently = before is not None and before != options
    # Faces that the user removed stay out, however pictures are read.
    out = {path: state for path, state in known.items() if state.reason == FORGOTTEN}
    plan = plan_sync(root, out if read_differently else known, part.elsewhere() if part else (), again=request.full)
    if request.dry_run or part is None:
        return planned(plan), batch
    if read_differently:
        # Done first, so that an interrupted run leaves no faces that were read in the other way.
        part.drop([path for path in known if path not in out])
    with closing(embed_pictures([file.path for file in plan.to_embed], request, crops=crops)) as embedded:
        report = apply_sync(
            part, plan, embedded, request.reading.encoder.dim, progress, keep_pictures=request.keep_pictures
        )
    return report, part.batch


def embed_pictures(
    paths: Sequence[str], request: SyncRequest, *, crops: bool
) -> Generator[Sequence[EmbeddedFile], None, None]:
    """Read pictures and encode the face in each: in this process, in worker processes if many, or on a Ray cluster.

    Args:
        paths: The files, absolute.
        request: Where and how to read them.
        crops: Whether each picture is one cropped face.

    Yields:
        The results of the next files, in order.

    Raises:
        WorkerError: A worker or the cluster failed.
        EncoderError: The encoder cannot be opened.
    """
    reading = replace(request.reading, crops=crops)
    if not paths:
        return
    if request.ray:
        yield from embed_on_ray(paths, reading, address=request.ray_address)
    elif request.workers > 1 and len(paths) > _FEW:
        yield from embed_in_processes(paths, reading, request.workers)
    else:
        yield from embed_files(paths, *reading.open(threads=2))
