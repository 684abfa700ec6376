"""Teaches the user's gallery faces from single pictures, and forgets them by where they came from."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from moodspace.embeddings.data.labelled import Progress, Skipped
from moodspace.embeddings.data.layout import visible
from moodspace.index.ingest.apply import Embed, EmbeddedFile
from moodspace.index.taught.faces import IMPORTED, LIVE, NewFaces
from moodspace.index.taught.gallery import TaughtGallery


@dataclass(slots=True)
class TeachReport:
    """What became of pictures that were to be taught.

    Attributes:
        ids: Of the faces that came in.
        known: Pictures whose face was taught as the same before.
        failed: Pictures without a face that could be taught, and why.
        others: How many faces were left out beside the largest of their picture.
    """

    ids: list[int] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    failed: list[Skipped] = field(default_factory=list)
    others: int = 0


def picture_paths(names: Iterable[Path]) -> list[str]:
    """Returns the absolute paths of pictures, and of the files in folders that are named, each once."""
    paths = [path for name in names for path in (visible(name) if name.is_dir() else [name])]
    return list(dict.fromkeys(os.path.abspath(path) for path in paths))


def teach(
    gallery: TaughtGallery, label: str, paths: Sequence[str], embed: Embed, progress: Progress | None = None
) -> TeachReport:
    """Teaches what the faces in pictures show; all can be undone at once.

    A face that the gallery has under the same class is not taught twice, and one that it has under another class is not
    taught at all: one of the two is wrong, and only a person can say which.

    Args:
        gallery: What learns.
        label: The class, canonical.
        paths: The pictures, absolute.
        embed: Reads them and embeds the face in each.
        progress: Called with the number of pictures read and the total.

    Raises:
        GalleryError, StorageError: the gallery cannot be written.
    """
    report = TeachReport()
    fresh: dict[str, EmbeddedFile] = {}
    read = 0
    for part in embed(paths):
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
                    Skipped(one.path, f"expected a new face, received one taught as {before}; forget that one first")
                )
        read += len(part)
        if progress:
            progress(read, len(paths))
    if fresh:
        report.ids += gallery.add(_new_faces(list(fresh.values()), label)).ids
    return report


def forget_source(gallery: TaughtGallery, named: str) -> int:
    """Forgets the faces from one place; returns how many there were.

    Args:
        gallery: What forgets.
        named: A picture, a folder that faces came from somewhere below, `LIVE`, or a source that begins with
            `IMPORTED`.

    Raises:
        GalleryError, StorageError: the gallery cannot be written.
    """
    if named == LIVE or named.startswith(IMPORTED):
        return gallery.remove_source(named)
    # Folders are kept in sync under their real name, single pictures are taught under the one that they were given.
    return sum(gallery.remove_source(place) for place in {os.path.abspath(named), os.path.realpath(named)})


def _new_faces(files: Sequence[EmbeddedFile], label: str) -> NewFaces:
    return NewFaces(
        embeddings=np.stack([file.embedding for file in files if file.embedding is not None]),
        labels=[label] * len(files),
        sources=[file.path for file in files],
        digests=[file.digest for file in files],
    )
