"""Makes the user's gallery anew for another encoder, from the pictures that its faces came from.

The new one grows in a folder beside the old one, so that an interrupted run goes on where it stopped, and takes the old
one's place at the end. The old one stays, under another name.
"""

import itertools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from classifier.bundle import Bundle
from embeddings.labelled import DataError, Progress, Skipped
from index.apply import SyncReport
from index.database import Database
from index.storage import GalleryError, StorageError
from index.taught import FILE, TaughtGallery, open_taught
from index.taught_faces import NewFaces, TaughtFaces
from realtime.collect import Cutter, cut_whole, digest_of
from realtime.similar import crop_at_hand
from realtime.sync_folders import CROPS, SyncRequest, sync_folders
from realtime.user_gallery import encoder_of, open_gallery

_UNFINISHED = ".unfinished"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What became of a gallery that was made anew.

    Attributes:
        report: What became of the files; single pictures that were taught count as added.
        old: Where the old gallery is now.
    """

    report: SyncReport
    old: Path


def made_for_another(folder: Path, bundle: Bundle) -> bool:
    """Tells whether there is a gallery and another encoder made it.

    Raises:
        GalleryError: it is damaged.
        StorageError: it cannot be opened.
    """
    return (folder / FILE).is_file() and _identity(folder) != (encoder_of(bundle), bundle.encoder.dim)


def rebuild(folder: Path, bundle: Bundle, asked: SyncRequest, progress: Progress | None = None) -> Rebuilt:
    """Embeds all that a gallery holds with another encoder.

    Folders are synced as before, single pictures are cropped as they were when they were taught. Faces of a live
    session and imported ones have no picture to go back to: `report.failed` counts them, and they stay in the old
    gallery.

    Args:
        folder: The gallery; its folders are those that are made anew, beside those in `asked`.
        bundle: Whose encoder to use.
        asked: How pictures are read.
        progress: Called with the number of files read and the total, for each folder.

    Raises:
        DataError: a named folder is none.
        GalleryError, StorageError: a gallery cannot be read or written.
    """
    identity = _identity(folder)
    unfinished = folder.with_name(folder.name + _UNFINISHED)
    if unfinished.exists() and made_for_another(unfinished, bundle):
        shutil.rmtree(unfinished)
    with (
        open_taught(folder, encoder=identity[0], dim=identity[1], read_only=True) as old,
        open_gallery(unfinished, bundle, create=True) as new,
    ):
        report = _sync_all(old, new, asked, progress)
        cutters = _cutters(asked)
        for faces in old.rows():
            _teach_again(faces, old, new, bundle, cutters, report)
    kept = _free_name(folder.with_name(f"{folder.name}.{identity[0][:8]}"))
    try:
        folder.rename(kept)
        unfinished.rename(folder)
    except OSError as error:
        wanted = f"expected to put {unfinished} in its place, got: {error.strerror}"
        raise StorageError(f"{folder}: {wanted}; the old gallery is {kept}, rename them by hand") from error
    return Rebuilt(report, kept)


def _identity(folder: Path) -> tuple[str, int]:
    if not (folder / FILE).is_file():
        raise GalleryError(f"{folder}: expected a gallery, got none; teach it a face first")
    database = Database(folder / FILE, writable=False)
    try:
        return database.identity()
    finally:
        database.close()


def _sync_all(old: TaughtGallery, new: TaughtGallery, asked: SyncRequest, progress: Progress | None) -> SyncReport:
    report = SyncReport()
    for root, options in old.roots().items():
        try:
            part = replace(asked, folders=[root], crops=options == CROPS, full=False)
            report.join(sync_folders(new, new.dim, part, progress))
        except DataError as error:
            report.failed.append(Skipped(str(root), f"{error}; its faces are in the old gallery alone"))
    if added := [one for one in asked.folders if one.resolve() not in old.roots()]:
        report.join(sync_folders(new, new.dim, replace(asked, folders=added, full=False), progress))
    return report


def _cutters(asked: SyncRequest) -> tuple[Cutter, ...]:
    detecting, _ = replace(asked.reading, crops=False).open(threads=1)
    return (detecting, cut_whole)


def _teach_again(
    faces: TaughtFaces,
    old: TaughtGallery,
    new: TaughtGallery,
    bundle: Bundle,
    cutters: Sequence[Cutter],
    report: SyncReport,
) -> None:
    """Teaches those faces again that were taught singly, in one transaction, unless an earlier run did."""
    roots = [str(root) for root in old.roots()]
    rows, crops = [], []
    for row, source in enumerate(faces.sources):
        if _below(source, roots):
            continue
        crop = crop_at_hand(source, faces.digests[row], cutters)
        if crop is None:
            report.failed.append(Skipped(source, "its picture is not at hand any more"))
        else:
            rows.append(row)
            crops.append(crop)
    known = new.known(digests := [digest_of(crop) for crop in crops])
    fresh = [at for at, row in enumerate(rows) if known.get(digests[at]) != faces.labels[row]]
    if fresh:
        embeddings = bundle.encoder.encode(np.stack([crops[at] for at in fresh])).embeddings
        labels, sources = ([column[rows[at]] for at in fresh] for column in (faces.labels, faces.sources))
        added = faces.added[[rows[at] for at in fresh]]
        new.add(NewFaces(embeddings, labels, sources, [digests[at] for at in fresh], added))
        report.added += len(fresh)


def _below(source: str, roots: Sequence[str]) -> bool:
    return any(source.startswith(root.rstrip("/\\") + end) for root in roots for end in "/\\")


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}-{number}" if number else path.name) for number in itertools.count())
    return next(one for one in names if not one.exists())
