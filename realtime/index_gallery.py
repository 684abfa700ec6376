"""What `index` does: the user's gallery in line with folders, made where there is none, anew for another encoder."""

from dataclasses import dataclass, replace
from pathlib import Path

from classifier.bundle import Bundle
from embeddings.labelled import Progress
from index.apply import SyncReport
from index.taught import FILE
from realtime.rebuild_gallery import finish_swap, made_for_another, rebuild
from realtime.sync_folders import SyncRequest, sync_folders
from realtime.user_gallery import open_gallery


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
    if asked.full and made_for_another(folder, bundle):
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
