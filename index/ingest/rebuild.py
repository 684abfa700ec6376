"""What `index` does: the user's gallery in line with folders, made where there is none, anew for another encoder."""

import itertools
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.similar import crop_from_source
from moodspace.classifier.user_gallery import CROPS, encoder_of, open_gallery
from moodspace.embeddings.data.labelled import DataError, Progress, Skipped
from moodspace.index.ingest.apply import SyncReport
from moodspace.index.ingest.folders import SyncRequest, sync_folders
from moodspace.index.ingest.read_faces import BATCH, Cropper, crop_whole_picture, digest_of
from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.database import Database
from moodspace.index.taught.faces import IMPORTED, LIVE, NewFaces, TaughtFaces
from moodspace.index.taught.gallery import FILE, TaughtGallery, open_taught
from moodspace.index.taught.sync_plan import FACES, FORGOTTEN

# Beside the gallery: one that is being made, and one that only waits for its place.
_UNFINISHED, _FINISHED = ".unfinished", ".finished"
# Who is making it, and how long another one waits, seconds.
_LOCK, _WAIT_S = ".making", 1.0


def needs_rebuild(folder: Path, bundle: Bundle) -> bool:
    """Tells whether there is a gallery and another encoder made it.

    Raises:
        GalleryError: it is damaged.
        StorageError: it cannot be opened.
    """
    return (folder / FILE).is_file() and _identity(folder) != (encoder_of(bundle), bundle.encoder.dim)


def rebuild(
    folder: Path, bundle: Bundle, asked: SyncRequest, progress: Progress | None = None
) -> tuple[SyncReport, Path | None]:
    """Embeds all that a gallery holds with another encoder.

    Folders are synced as before, single pictures are cropped as they were when they were taught. Faces of a live
    session and imported ones have no picture to go back to: `failed` counts them, and they stay in the old gallery.

    Args:
        folder: The gallery; its folders are those that are made anew, beside those in `asked`.
        bundle: Whose encoder to use.
        asked: How pictures are read, and whether only to say what would be.
        progress: Called with the number of files read and the total, for each folder and for the single pictures.

    Returns:
        What became of the files, single pictures among those that were added; and where the old gallery is now, None
        if nothing was done.

    Raises:
        DataError: a named folder is none.
        GalleryError, StorageError: a gallery cannot be read or written, or another program is making it anew.
    """
    folder = folder.resolve()
    made_by, dim = _identity(folder)
    with open_taught(folder, encoder=made_by, dim=dim, read_only=True) as old:
        if asked.dry_run:
            return _Rebuilding(old, None, bundle, asked).run(progress), None
        with _alone(folder):
            unfinished = _open_place(folder, bundle)
            with open_gallery(unfinished, bundle, create=True) as new:
                report = _Rebuilding(old, new, bundle, asked).run(progress)
                new.prepare()
            old.close()  # before it moves
            return report, _swap(folder, unfinished, made_by)


def finish_swap(folder: Path) -> None:
    """Puts a gallery that was made anew into its place, where that was interrupted at the worst of moments.

    Raises:
        StorageError: another program is doing so.
    """
    folder = folder.resolve()
    finished = _beside(folder, _FINISHED)
    if finished.is_dir() and not folder.exists():
        with _alone(folder):
            if finished.is_dir() and not folder.exists():
                finished.rename(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps other programs from making the same gallery anew at the same time."""
    from filelock import FileLock, Timeout

    place = _beside(folder, _LOCK)
    lock = FileLock(place, timeout=_WAIT_S)
    try:
        lock.acquire()
    except Timeout as error:
        got = "another program that is making it anew"
        raise StorageError(f"{folder}: expected the gallery to be free, got {got}; wait until it has ended") from error
    except OSError as error:
        wanted = f"expected to write beside this folder, got: {error.strerror}"
        raise StorageError(f"{folder}: {wanted}; allow it or choose another place") from error
    try:
        yield
    finally:
        with suppress(OSError):
            place.unlink()
        lock.release()


@dataclass(frozen=True, slots=True)
class _Rebuilding:
    """The old gallery and the new one, which is None where nothing is to be done."""

    old: TaughtGallery
    new: TaughtGallery | None
    bundle: Bundle
    asked: SyncRequest

    def run(self, progress: Progress | None) -> SyncReport:
        report = self._sync_all(progress)
        known = (self.old.synced(root).known() for root in self.old.roots())
        synced = {path for files in known for path, state in files.items() if state.status == FACES}
        cutters = (replace(self.asked.reading, crops=False).cutter(self.bundle), crop_whole_picture)
        lost: Counter[str] = Counter()
        for faces in self.old.rows():
            kinds = [_without_picture(source) for source in faces.sources]
            lost.update(kind for kind in kinds if kind)
            single = [row for row, kind in enumerate(kinds) if not kind and faces.sources[row] not in synced]
            for start in range(0, len(single), BATCH):
                self._teach_again(faces, single[start : start + BATCH], cutters, report)
                if progress:
                    progress(min(start + BATCH, len(single)), len(single))
        for kind, count in lost.items():
            report.failed.append(Skipped(kind, f"{count} faces came without a picture; they are in the old gallery"))
        return report

    def _sync_all(self, progress: Progress | None) -> SyncReport:
        report, roots, dim = SyncReport(), self.old.roots(), self.bundle.encoder.dim
        for root, options in roots.items():
            part = replace(self.asked, folders=[root], crops=options == CROPS, full=False)
            self._keep_forgotten(root, options)
            try:
                report.join(sync_folders(self.new, dim, part, progress))
            except DataError as error:
                report.failed.append(Skipped(str(root), f"{error}; its faces are in the old gallery alone"))
        if added := [one for one in self.asked.folders if one.resolve() not in roots]:
            report.join(sync_folders(self.new, dim, replace(self.asked, folders=added, full=False), progress))
        return report

    def _keep_forgotten(self, root: Path, options: str) -> None:
        """Notes in the new gallery which files' faces were forgotten, so that it does not learn them again."""
        if self.new is None:
            return
        part = self.new.synced(root, options=options)
        there, files = part.known(), self.old.synced(root).known().values()
        if out := [state for state in files if state.reason == FORGOTTEN and state.path not in there]:
            part.record(out, np.empty((0, self.bundle.encoder.dim), np.float32), [])

    def _teach_again(
        self, faces: TaughtFaces, rows: Sequence[int], cutters: Sequence[Cropper], report: SyncReport
    ) -> None:
        """Teaches faces again that were taught singly, in one transaction, unless an earlier run did."""
        found = {row: crop_from_source(faces.sources[row], faces.digests[row], cutters) for row in rows}
        crops = {row: crop for row, crop in found.items() if crop is not None}
        gone = [faces.sources[row] for row in rows if row not in crops]
        report.failed += [Skipped(source, "its picture is not at hand; it is in the old gallery") for source in gone]
        digests = {row: digest_of(crop) for row, crop in crops.items()}
        known = self.new.known(digests.values()) if self.new is not None else {}
        fresh = [row for row in crops if known.get(digests[row]) != faces.labels[row]]
        report.added += len(fresh)
        if fresh and self.new is not None:
            embeddings = self.bundle.encoder.encode(np.stack([crops[row] for row in fresh])).embeddings
            labels, sources = ([column[row] for row in fresh] for column in (faces.labels, faces.sources))
            self.new.add(NewFaces(embeddings, labels, sources, [digests[row] for row in fresh], faces.added[fresh]))


def _identity(folder: Path) -> tuple[str, int]:
    if not (folder / FILE).is_file():
        raise GalleryError(f"{folder}: expected a gallery, got none; teach it a face first")
    database = Database(folder / FILE, writable=False)
    try:
        return database.identity()
    finally:
        database.close()


def _without_picture(source: str) -> str:
    """Returns the kind of place that a face came from, if that is no picture of this machine's, else nothing."""
    return LIVE if source == LIVE else IMPORTED.rstrip(":") if source.startswith(IMPORTED) else ""


def _open_place(folder: Path, bundle: Bundle) -> Path:
    """Returns where the new gallery grows, with what an interrupted run left there for this encoder."""
    unfinished, finished = _beside(folder, _UNFINISHED), _beside(folder, _FINISHED)
    if finished.is_dir() and not unfinished.exists():
        finished.rename(unfinished)
    if needs_rebuild(unfinished, bundle):
        shutil.rmtree(unfinished)
    return unfinished


def _swap(folder: Path, unfinished: Path, made_by: str) -> Path:
    """Puts the new gallery in the place of the old one; returns where that is now."""
    kept, finished = _free_name(_beside(folder, f".{made_by[:8]}")), _beside(folder, _FINISHED)
    try:
        unfinished.rename(finished)
        folder.rename(kept)
        finished.rename(folder)
    except OSError as error:
        wanted = f"expected to put the new gallery in its place, got: {error.strerror}"
        raise StorageError(f"{folder}: {wanted}; end what has it open and run `cli.py index --full` again") from error
    return kept


def _beside(folder: Path, ending: str) -> Path:
    return folder.with_name(folder.name + ending)


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}-{number}" if number else path.name) for number in itertools.count())
    return next(one for one in names if not one.exists())


@dataclass(frozen=True, slots=True)
class Indexed:
    """What became of a gallery.

    Attributes:
        report: What became of the files.
        old: Where the gallery of another encoder is now, if this one took its place.
    """

    report: SyncReport
    old: Path | None = None


def index_gallery(folder: Path, bundle: Bundle, asked: SyncRequest, progress: Progress | None = None) -> Indexed:
    """Brings the user's gallery in line with folders of labelled pictures.

    Args:
        folder: The gallery. It is made when there are folders to sync, and not to say what would be.
        bundle: Whose encoder to use.
        asked: What to do; with `full` a gallery of another encoder is made anew.
        progress: Called with the number of files read and the total, for each folder.

    Raises:
        DataError: no folder is named or known, or a named one cannot be synced.
        GalleryError, StorageError: the gallery cannot be read or written, or another encoder made it.
    """
    finish_swap(folder)
    if asked.full and needs_rebuild(folder, bundle):
        return Indexed(*rebuild(folder, bundle, asked, progress))
    dim = bundle.encoder.dim
    if not (folder / FILE).is_file():
        # Also where it will be made: not before it is clear that there is something to index.
        planned = sync_folders(None, dim, replace(asked, dry_run=True))
        if asked.dry_run:
            return Indexed(planned)
    with open_gallery(folder, bundle, create=True, read_only=asked.dry_run) as gallery:
        report = sync_folders(gallery, dim, asked, progress)
        if not asked.dry_run:
            gallery.prepare()
    return Indexed(report)
