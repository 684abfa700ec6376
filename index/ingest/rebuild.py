"""Run `index`: sync the user's gallery with folders, create it if missing, rebuild it for another encoder."""

import itertools
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from moodspace.arrays import ByteArray
from moodspace.embeddings.data.labelled import DataError, Progress, Skipped
from moodspace.embeddings.encoder import Encoder, EncoderSpec
from moodspace.index.ingest.apply import SyncReport
from moodspace.index.ingest.folders import SyncRequest, sync_folders
from moodspace.index.ingest.read_faces import BATCH, Cropper, crop_digest, crop_whole_picture
from moodspace.index.ingest.source_crops import crop_from_source
from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.database import Database
from moodspace.index.taught.faces import IMPORTED, LIVE, NewFaces, TaughtFaces
from moodspace.index.taught.gallery import FILE, TaughtGallery, open_taught
from moodspace.index.taught.sync_plan import FACES, FORGOTTEN
from moodspace.index.taught.user_gallery import CROPS, open_gallery

# Folders beside the gallery: one that is being built, and a finished one that is about to replace the gallery.
_UNFINISHED, _FINISHED = ".unfinished", ".finished"
# The lock of the program that rebuilds it, and how many seconds another one waits for it.
_LOCK, _WAIT_S = ".making", 1.0


@dataclass(frozen=True, slots=True)
class IndexResult:
    """The result of `index_gallery`.

    Attributes:
        report: The result for the files.
        old: The new path of the previous encoder's gallery, if it was rebuilt.
    """

    report: SyncReport
    old: Path | None = None


def index_gallery(folder: Path, request: SyncRequest, progress: Progress | None = None) -> IndexResult:
    """Bring the user's gallery in line with folders of labeled pictures.

    Args:
        folder: The gallery. It is created if there are folders to sync, except in a dry run.
        request: What to do; with `full`, a gallery of another encoder is rebuilt.
        progress: Called with the number of files done and the total, for each folder.

    Raises:
        DataError: No folder is named or followed, or a named one cannot be synced.
        GalleryError, StorageError: The gallery cannot be read or written, or another encoder made it.
    """
    finish_swap(folder)
    if request.full and needs_rebuild(folder, request.reading.encoder):
        return IndexResult(*rebuild(folder, request, progress))
    if not (folder / FILE).is_file():
        # A dry run first, so that no gallery is created if there is nothing to index.
        planned = sync_folders(None, replace(request, dry_run=True))
        if request.dry_run:
            return IndexResult(planned)
    with open_gallery(folder, request.reading.encoder, create=True, read_only=request.dry_run) as gallery:
        report = sync_folders(gallery, request, progress)
        if not request.dry_run:
            gallery.prepare()
    return IndexResult(report)


def needs_rebuild(folder: Path, encoder: EncoderSpec) -> bool:
    """Return whether the folder holds a gallery that another encoder made.

    Raises:
        GalleryError: The gallery is damaged.
        StorageError: It cannot be opened.
    """
    return (folder / FILE).is_file() and _identity(folder) != (encoder.fingerprint, encoder.dim)


def rebuild(folder: Path, request: SyncRequest, progress: Progress | None = None) -> tuple[SyncReport, Path | None]:
    """Encode everything in a gallery again, with the encoder of the request.

    Folders are synced as before; single pictures are cropped as they were when they were taught. Live and imported
    faces have no picture: `failed` counts them, and they stay in the old gallery.

    Args:
        folder: The gallery. The folders that it follows are rebuilt, and those of the request are added.
        request: How to read and encode pictures, and whether to only report what would be done.
        progress: Called with the number of files done and the total, for each folder and for the single pictures.

    Returns:
        The result, in which single pictures count as added, and the new path of the old gallery, None for a dry run.

    Raises:
        DataError: A named folder cannot be synced.
        GalleryError, StorageError: A gallery cannot be read or written, or another program is rebuilding it.
    """
    folder = folder.resolve()
    made_by, dim = _identity(folder)
    with open_taught(folder, encoder=made_by, dim=dim, read_only=True) as old:
        if request.dry_run:
            return _Rebuild(old, None, request).run(progress), None
        with _locked(folder):
            unfinished = _unfinished_gallery(folder, request.reading.encoder)
            with open_gallery(unfinished, request.reading.encoder, create=True) as new:
                report = _Rebuild(old, new, request).run(progress)
                new.prepare()
            old.close()  # before it is renamed
            return report, _replace_gallery(folder, unfinished, made_by)


def finish_swap(folder: Path) -> None:
    """Finish replacing a gallery by its rebuilt one, if an earlier run was interrupted between the two renames.

    Raises:
        StorageError: Another program is rebuilding the gallery.
    """
    folder = folder.resolve()
    finished = _sibling(folder, _FINISHED)
    if finished.is_dir() and not folder.exists():
        with _locked(folder):
            if finished.is_dir() and not folder.exists():
                finished.rename(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other programs from rebuilding the same gallery at the same time."""
    from filelock import FileLock, Timeout

    place = _sibling(folder, _LOCK)
    lock = FileLock(place, timeout=_WAIT_S)
    try:
        lock.acquire()
    except Timeout as error:
        got = "another program that is rebuilding it"
        raise StorageError(f"{folder}: expected an unlocked gallery, got {got}; wait until it ends") from error
    except OSError as error:
        wanted = f"expected to write next to this folder, got: {error.strerror}"
        raise StorageError(f"{folder}: {wanted}; allow it or choose another place") from error
    try:
        yield
    finally:
        with suppress(OSError):
            place.unlink()
        lock.release()


@dataclass(frozen=True, slots=True)
class _Rebuild:
    """A rebuild from the old gallery to the new one, which is None for a dry run."""

    old: TaughtGallery
    new: TaughtGallery | None
    request: SyncRequest

    def run(self, progress: Progress | None) -> SyncReport:
        report = self._sync_all_folders(progress)
        known = (self.old.synced(root).known() for root in self.old.roots())
        synced = {path for files in known for path, state in files.items() if state.status == FACES}
        cropper, encoder = replace(self.request.reading, crops=False).open(threads=2)
        croppers = (cropper, crop_whole_picture)
        lost: Counter[str] = Counter()
        for faces in self.old.rows():
            kept = self.old.pictures(faces.ids)
            kinds = [
                "" if number in kept else _origin_without_picture(source)
                for number, source in zip(faces.ids.tolist(), faces.sources, strict=True)
            ]
            lost.update(kind for kind in kinds if kind)
            single = [row for row, kind in enumerate(kinds) if not kind and faces.sources[row] not in synced]
            for start in range(0, len(single), BATCH):
                self._add_single(faces, single[start : start + BATCH], croppers, encoder, report)
                if progress:
                    progress(min(start + BATCH, len(single)), len(single))
        for kind, count in lost.items():
            report.failed.append(Skipped(kind, f"{count} faces have no picture; they stay in the old gallery"))
        return report

    def _sync_all_folders(self, progress: Progress | None) -> SyncReport:
        report, roots = SyncReport(), self.old.roots()
        for root, options in roots.items():
            part = replace(self.request, folders=[root], crops=options == CROPS, full=False)
            self._copy_forgotten(root, options)
            try:
                report.join(sync_folders(self.new, part, progress))
            except DataError as error:
                report.failed.append(Skipped(str(root), f"{error}; its faces are in the old gallery only"))
        if added := [one for one in self.request.folders if one.resolve() not in roots]:
            report.join(sync_folders(self.new, replace(self.request, folders=added, full=False), progress))
        return report

    def _copy_forgotten(self, root: Path, options: str) -> None:
        """Record in the new gallery the files whose faces the user removed, so that they stay out."""
        if self.new is None:
            return
        part = self.new.synced(root, options=options)
        there, files = part.known(), self.old.synced(root).known().values()
        if out := [state for state in files if state.reason == FORGOTTEN and state.path not in there]:
            part.record(out, np.empty((0, self.new.dim), np.float32), [])

    def _add_single(
        self,
        faces: TaughtFaces,
        rows: Sequence[int],
        croppers: Sequence[Cropper],
        encoder: Encoder,
        report: SyncReport,
    ) -> None:
        """Add faces of single pictures, in one transaction, unless an earlier run did."""
        kept = self.old.pictures(faces.ids[list(rows)])
        found: dict[int, ByteArray | None] = {
            row: kept[number]
            if (number := int(faces.ids[row])) in kept
            else crop_from_source(faces.sources[row], faces.digests[row], croppers)
            for row in rows
        }
        crops = {row: crop for row, crop in found.items() if crop is not None}
        gone = [faces.sources[row] for row in rows if row not in crops]
        report.failed += [
            Skipped(source, "its picture is not available; the face is in the old gallery") for source in gone
        ]
        digests = {row: crop_digest(crop) for row, crop in crops.items()}
        known = self.new.known(digests.values()) if self.new is not None else {}
        fresh = [row for row in crops if known.get(digests[row]) != faces.labels[row]]
        report.added += len(fresh)
        if fresh and self.new is not None:
            embeddings = encoder.encode(np.stack([crops[row] for row in fresh])).embeddings
            labels, sources = ([column[row] for row in fresh] for column in (faces.labels, faces.sources))
            pictures = [kept.get(int(faces.ids[row])) for row in fresh]
            digest = [digests[row] for row in fresh]
            self.new.add(NewFaces(embeddings, labels, sources, digest, faces.added[fresh], pictures))


def _identity(folder: Path) -> tuple[str, int]:
    if not (folder / FILE).is_file():
        raise GalleryError(f"{folder}: expected a gallery, got none; teach it a face first")
    database = Database(folder / FILE, writable=False)
    try:
        return database.identity()
    finally:
        database.close()


def _origin_without_picture(source: str) -> str:
    """Return `LIVE` or the word for imported faces if a face has no picture on this machine, else an empty string."""
    return LIVE if source == LIVE else IMPORTED.rstrip(":") if source.startswith(IMPORTED) else ""


def _unfinished_gallery(folder: Path, encoder: EncoderSpec) -> Path:
    """Return the folder of the new gallery, with what an interrupted run left there for the same encoder."""
    unfinished, finished = _sibling(folder, _UNFINISHED), _sibling(folder, _FINISHED)
    if finished.is_dir() and not unfinished.exists():
        finished.rename(unfinished)
    if needs_rebuild(unfinished, encoder):
        shutil.rmtree(unfinished)
    return unfinished


def _replace_gallery(folder: Path, unfinished: Path, made_by: str) -> Path:
    """Replace the old gallery by the new one; return the old one's new path."""
    kept, finished = _unused_name(_sibling(folder, f".{made_by[:8]}")), _sibling(folder, _FINISHED)
    try:
        unfinished.rename(finished)
        folder.rename(kept)
        finished.rename(folder)
    except OSError as error:
        wanted = f"expected to replace this gallery by the new one, got: {error.strerror}"
        raise StorageError(
            f"{folder}: {wanted}; close programs that use it and run `moodspace index --full` again"
        ) from error
    return kept


def _sibling(folder: Path, ending: str) -> Path:
    return folder.with_name(folder.name + ending)


def _unused_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}-{number}" if number else path.name) for number in itertools.count())
    return next(one for one in names if not one.exists())
