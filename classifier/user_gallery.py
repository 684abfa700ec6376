"""Where the user's gallery lies, and how it is opened beside a bundle, once or to be followed."""

import logging
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from moodspace.arrays import FloatArray
from moodspace.classifier.bundle.bundle import Bundle
from moodspace.embeddings.data.labels import class_name
from moodspace.index.store.commit import GalleryError
from moodspace.index.taught.exchange import export_faces, import_faces
from moodspace.index.taught.faces import LIVE, NewFaces, Summary, TaughtFaces
from moodspace.index.taught.gallery import FILE, TaughtGallery, open_taught
from moodspace.index.taught.search import TaughtIndex

logger = logging.getLogger(__name__)

# Seconds between two looks at what other processes taught.
_LOOK_EVERY = 0.2

# How the pictures of a synced folder are read, as the gallery notes it and as people say it.
CROPS, DETECT = "crops", "detect"
_WAYS = {CROPS: "whole pictures", DETECT: "faces found in pictures"}


def default_gallery() -> Path:
    """Returns where the user's gallery lies unless another place is named: in the system's folder for such data."""
    # Only here: nothing else asks for it, and `--help` starts faster without.
    from platformdirs import user_data_path

    return user_data_path("moodspace", appauthor=False) / "gallery"


def encoder_of(bundle: Bundle) -> str:
    """Returns the fingerprint of what makes a bundle's embeddings: the network, and whether it sees mirror images."""
    return ("flip-" if bundle.meta.get("flip") else "") + bundle.index.encoder


def open_gallery(folder: Path, bundle: Bundle, *, create: bool = False, read_only: bool = False) -> TaughtGallery:
    """Opens the user's gallery for a bundle's embeddings; see `index.taught.open_taught`."""
    return open_taught(folder, encoder=encoder_of(bundle), dim=bundle.encoder.dim, create=create, read_only=read_only)


def summary_document(folder: Path, summary: Summary) -> dict[str, Any]:
    """Describes a gallery in plain values, times as seconds since 1970."""
    return {
        "gallery": str(folder),
        "faces": len(summary),
        "classes": dict(summary.labels),
        "sources": dict(summary.sources),
        "folders": {str(root): options for root, options in summary.roots.items()},
        "first": summary.first,
        "last": summary.last,
        "bytes": summary.bytes,
        "encoder": summary.encoder,
    }


def describe_gallery(folder: Path, summary: Summary) -> list[str]:
    """Describes a gallery in lines for people, times in theirs."""
    lines = [f"{folder}: {len(summary)} faces, {summary.bytes / 1e6:.1f} MB"]
    if summary.first is not None and summary.last is not None:
        first, last = (
            datetime.fromtimestamp(time_).strftime("%Y-%m-%d %H:%M") for time_ in (summary.first, summary.last)
        )
        lines.append(f"taught from {first} to {last}")
    lines += [f"  {name:<16}{count:>8}" for name, count in summary.labels.items()]
    lines += [f"  from {source}: {count}" for source, count in summary.sources.items()]
    lines += [f"  kept in sync, {_WAYS.get(options, options)}: {root}" for root, options in summary.roots.items()]
    return lines


def export_gallery(gallery: TaughtGallery, path: Path) -> int:
    """Writes all faces to a parquet file; returns how many. See `index.exchange`.

    Raises:
        GalleryError: pyarrow is not installed, or there is nothing to write.
        OSError: the file cannot be written; says so in words.
    """
    parts = list(gallery.rows())
    if not parts:
        raise GalleryError(f"{gallery.folder}: expected faces to export, got none; teach it some first")
    try:
        export_faces(path, TaughtFaces.joined(parts), gallery.encoder)
    except OSError as error:
        got = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(f"{path}: expected to write this file, got: {got}; choose another place") from error
    return len(gallery)


def import_gallery(gallery: TaughtGallery, path: Path, *, most: int | None = None) -> tuple[int, int]:
    """Adds the faces of an exported gallery; returns how many came in and how many were there under that class before.

    To import a file again changes nothing.

    Args:
        gallery: What learns.
        path: The file.
        most: How many faces the file and then the gallery may hold, where a stranger made the file; see
            `index.exchange.import_faces`.

    Raises:
        GalleryError: pyarrow is not installed, or the file is none that was exported from this encoder's gallery.
        StorageError: the gallery cannot be written.
    """
    faces = import_faces(path, gallery.encoder, gallery.dim, most=most)
    added = len(gallery.add_missing(faces, most=most).ids)
    return added, len(faces) - added


class FollowedGallery:
    """The user's gallery as other processes teach it, for a session that goes on meanwhile.

    Args:
        folder: Where it lies; there need not be one yet.
        bundle: Whose embeddings it holds.
        clock: Seconds.

    Raises:
        GalleryError: there is a gallery, and it is damaged or of another encoder.
        StorageError: it cannot be read.
    """

    def __init__(self, folder: Path, bundle: Bundle, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self._bundle, self._clock = folder, bundle, clock
        self._gallery: TaughtGallery | None = None
        self._found: TaughtIndex | None = None
        self._looked = clock()
        self._look()

    def current(self) -> TaughtIndex | None:
        """Returns what is taught, not older than a fifth of a second; None where there is no gallery yet.

        A gallery that cannot be read for once, as while it is written for the first time, stays as it was.
        """
        if self._clock() - self._looked >= _LOOK_EVERY:
            self._looked = self._clock()
            try:
                self._look()
            except ValueError as error:
                logger.warning("%s", error)
        return self._found

    def _look(self) -> None:
        if self._gallery is None and (self.folder / FILE).is_file():
            self._gallery = open_gallery(self.folder, self._bundle, read_only=True)
        if self._gallery is not None:
            self._found = self._gallery.snapshot()

    def close(self) -> None:
        """Closes the file; what `current` returned can be searched no more."""
        if self._gallery is not None:
            self._gallery.close()


class LiveTeacher:
    """Teaches the user's gallery the faces that a session points at; opens or makes it when first used.

    Args:
        folder: Where it lies.
        bundle: Whose embeddings it holds.
    """

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.folder, self._bundle = folder, bundle
        self._gallery: TaughtGallery | None = None
        # What this session taught and has not taken back, the last at the end.
        self._batches: list[int] = []

    def teach(self, embedding: FloatArray, label: str) -> int:
        """Teaches a face and returns its id.

        Args:
            embedding: `(d,)` float32 of unit length.
            label: What it shows; any name.

        Raises:
            ClassNameError: no class may have that name.
            GalleryError, StorageError: the gallery cannot be opened or written.
        """
        faces = NewFaces(embedding[None], [class_name(label)], [LIVE], [""])
        done = self._opened().add(faces)
        self._batches.append(done.batch)
        return done.ids[0]

    def undo(self) -> str:
        """Takes back what this session taught last, and says what that was; what others taught stays.

        Raises:
            GalleryError, StorageError: the gallery cannot be opened or written.
        """
        undone = None
        # What was forgotten meanwhile, by another program, needs no undoing.
        while undone is None and self._batches:
            undone = self._opened().undo(self._batches[-1])
            self._batches.pop()
        if undone is None:
            return "this session has taught nothing that could be undone"
        return "undone: " + ", ".join(f"{n} {name}" for name, n in undone.labels.items())

    def close(self) -> None:
        """Closes the file."""
        if self._gallery is not None:
            self._gallery.close()

    def _opened(self) -> TaughtGallery:
        if self._gallery is None:
            self._gallery = open_gallery(self.folder, self._bundle, create=True)
        return self._gallery
