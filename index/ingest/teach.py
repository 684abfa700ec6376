"""Teach the user's gallery faces from single pictures, and remove faces by source."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from moodspace.embeddings.data.labelled import Progress, Skipped
from moodspace.embeddings.data.layout import visible
from moodspace.index.ingest.apply import EmbeddedBatches, EmbeddedFile
from moodspace.index.taught.faces import IMPORTED, LIVE, NewFaces
from moodspace.index.taught.gallery import TaughtGallery


@dataclass(slots=True)
class TeachReport:
    """The result of teaching pictures.

    Attributes:
        ids: The ids of the new faces.
        known: Pictures whose face was already taught as the same class.
        failed: Pictures without a face that could be taught, and why.
        others: How many faces were left out because their picture shows a larger one.
    """

    ids: list[int] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    failed: list[Skipped] = field(default_factory=list)
    others: int = 0


def picture_paths(names: Iterable[Path]) -> list[str]:
    """Return the absolute paths of the named pictures and of the files in the named folders, without repeats."""
    paths = [path for name in names for path in (visible(name) if name.is_dir() else [name])]
    return list(dict.fromkeys(os.path.abspath(path) for path in paths))


def teach(
    gallery: TaughtGallery,
    label: str,
    embedded: EmbeddedBatches,
    *,
    total: int = 0,
    progress: Progress | None = None,
    keep_pictures: bool = False,
) -> TeachReport:
    """Add the faces of pictures to a class, as one batch that can be undone.

    A face that is already taught as this class is not added again. One that is taught as another class is refused,
    because only the user can say which of the two is right.

    Args:
        gallery: The gallery to add to.
        label: The class, in canonical form.
        embedded: The results of the pictures, a few at a time.
        total: How many pictures there are, for `progress`.
        progress: Called with the number of pictures read and the total.
        keep_pictures: Whether to keep the crops of the faces in the gallery.

    Raises:
        GalleryError, StorageError: The gallery cannot be written.
    """
    report = TeachReport()
    fresh: dict[str, EmbeddedFile] = {}
    read = 0
    for part in embedded:
        taught = gallery.known(one.digest for one in part)
        for one in part:
            before = label if one.digest in fresh else taught.get(one.digest)
            if one.embedding is None:
                report.failed.append(Skipped(one.path, one.reason))
            elif before is None:
                fresh[one.digest] = one
                report.others += one.others
            elif before == label:
                report.known.append(one.path)
            else:
                report.failed.append(
                    Skipped(one.path, f"expected a new face, got one taught as {before}; forget that one first")
                )
        read += len(part)
        if progress:
            progress(read, total)
    if fresh:
        report.ids += gallery.add(_new_faces(list(fresh.values()), label, keep_pictures=keep_pictures)).ids
    return report


def forget_source(gallery: TaughtGallery, named: str) -> int:
    """Remove the faces of one source; return how many there were.

    Args:
        gallery: The gallery to remove from.
        named: A picture, a folder with pictures at any depth, `LIVE`, or a source that begins with `IMPORTED`.

    Raises:
        GalleryError, StorageError: The gallery cannot be written.
    """
    if named == LIVE or named.startswith(IMPORTED):
        return gallery.remove_source(named)
    # Synced folders are stored under their real path, single pictures under the path that was typed.
    return sum(gallery.remove_source(place) for place in {os.path.abspath(named), os.path.realpath(named)})


def _new_faces(files: Sequence[EmbeddedFile], label: str, *, keep_pictures: bool) -> NewFaces:
    return NewFaces(
        embeddings=np.stack([file.embedding for file in files if file.embedding is not None]),
        labels=[label] * len(files),
        sources=[file.path for file in files],
        digests=[file.digest for file in files],
        pictures=[file.crop for file in files] if keep_pictures else None,
    )
