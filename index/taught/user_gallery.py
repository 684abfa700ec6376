"""The user's gallery beside an encoder: where it is kept, how it is opened, described, followed and taught live."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from moodspace.arrays import ByteArray, FloatArray
from moodspace.embeddings.data.labels import class_name
from moodspace.embeddings.encoder import EncoderSpec
from moodspace.index.taught.faces import LIVE, NewFaces, Summary, TaughtFaces
from moodspace.index.taught.gallery import FILE, TaughtGallery, open_taught
from moodspace.index.taught.search import TaughtIndex

logger = logging.getLogger(__name__)

# Seconds between two checks for faces that other processes taught.
_POLL_S = 0.2

# How the pictures of a synced folder are read: as the gallery stores it, and as people read it.
CROPS, DETECT = "crops", "detect"
_READ_AS = {CROPS: "whole pictures", DETECT: "faces found in pictures"}

# A map that shows more taught faces than about this many hides its own points.
MOST = 20_000


def default_gallery() -> Path:
    """Return the default folder of the user's gallery, in the system's folder for application data."""
    # Imported here because nothing else needs it and `--help` starts faster without it.
    from platformdirs import user_data_path

    return user_data_path("moodspace", appauthor=False) / "gallery"


def open_gallery(folder: Path, encoder: EncoderSpec, *, create: bool = False, read_only: bool = False) -> TaughtGallery:
    """Open the user's gallery for the embeddings of an encoder; see `open_taught`."""
    return open_taught(folder, encoder=encoder.fingerprint, dim=encoder.dim, create=create, read_only=read_only)


def newest_taught(folder: Path, encoder: EncoderSpec, most: int = MOST) -> TaughtFaces | None:
    """Read the newest faces of the user's gallery.

    Args:
        folder: The gallery's folder; it may be missing.
        encoder: The encoder of its embeddings.
        most: About how many faces to read; all of them where there are fewer.

    Returns:
        The faces, oldest first; None where there are none.

    Raises:
        GalleryError: The gallery is damaged or another encoder made it.
        StorageError: It cannot be read.
    """
    if not (folder / FILE).is_file():
        return None
    parts: deque[TaughtFaces] = deque()
    with open_gallery(folder, encoder, read_only=True) as gallery:
        for part in gallery.rows():
            parts.append(part)
            while sum(map(len, parts)) - len(parts[0]) >= most:
                parts.popleft()
    return TaughtFaces.joined(parts) if parts else None


def summary_document(folder: Path, summary: Summary) -> dict[str, Any]:
    """Describe a gallery in plain JSON values, times in seconds since 1970."""
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


def describe_gallery(folder: Path, summary: Summary, notes: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """Describe a gallery in lines of text, times in the local time zone.

    Args:
        folder: The gallery's folder.
        summary: Its counts.
        notes: What to say of a class, by name.
    """
    lines = [f"{folder}: {len(summary)} faces, {summary.bytes / 1e6:.1f} MB"]
    if summary.first is not None and summary.last is not None:
        first, last = (
            datetime.fromtimestamp(time_).strftime("%Y-%m-%d %H:%M") for time_ in (summary.first, summary.last)
        )
        lines.append(f"taught from {first} to {last}")
    lines += [f"  {name:<16}{count:>8}  {notes.get(name, '')}".rstrip() for name, count in summary.labels.items()]
    lines += [f"  from {source}: {count}" for source, count in summary.sources.items()]
    lines += [f"  kept in sync, {_READ_AS.get(options, options)}: {root}" for root, options in summary.roots.items()]
    return lines


class FollowedGallery:
    """The user's gallery in a session that sees what other processes teach meanwhile.

    Args:
        folder: The gallery's folder; it may be missing.
        encoder: The encoder of its embeddings.
        clock: Returns the time in seconds.

    Raises:
        GalleryError: The gallery is damaged or another encoder made it.
        StorageError: It cannot be read.
    """

    def __init__(self, folder: Path, encoder: EncoderSpec, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self._encoder, self._clock = folder, encoder, clock
        self._gallery: TaughtGallery | None = None
        self._found: TaughtIndex | None = None
        self._polled = clock()
        self._poll()

    def current(self) -> TaughtIndex | None:
        """Return the taught faces as of at most 0.2 s ago, or None where there is no gallery yet.

        If the gallery cannot be read at the moment, for example because it is being created, return the last state.
        """
        if self._clock() - self._polled >= _POLL_S:
            self._polled = self._clock()
            try:
                self._poll()
            except ValueError as error:
                logger.warning("%s", error)
        return self._found

    def pictures(self, ids: Sequence[int]) -> dict[int, ByteArray]:
        """Return the pictures of taught faces that were kept, `(48, 48)` uint8 gray, by id."""
        return self._gallery.pictures(ids) if self._gallery is not None else {}

    def _poll(self) -> None:
        if self._gallery is None and (self.folder / FILE).is_file():
            self._gallery = open_gallery(self.folder, self._encoder, read_only=True)
        if self._gallery is not None:
            self._found = self._gallery.snapshot()

    def close(self) -> None:
        """Close the file; what `current` returned can no longer be searched."""
        if self._gallery is not None:
            self._gallery.close()


class LiveTeacher:
    """Teaches the user's gallery faces from a live session; opens or creates the gallery at first use.

    Args:
        folder: The gallery's folder.
        encoder: The encoder of its embeddings.
        keep_pictures: Whether the gallery keeps the crops of taught faces, to show them as evidence.
    """

    def __init__(self, folder: Path, encoder: EncoderSpec, *, keep_pictures: bool = False) -> None:
        self.folder, self._encoder, self._keep_pictures = folder, encoder, keep_pictures
        self._gallery: TaughtGallery | None = None
        # The batches that this session taught and has not undone, newest last.
        self._batches: list[int] = []

    def teach(self, embeddings: FloatArray, label: str, crops: ByteArray | None = None) -> tuple[int, ...]:
        """Teach faces as one lesson, which one `undo` takes back; return their ids.

        Args:
            embeddings: `(n, d)` float32 rows of unit length; `(d,)` for one face.
            label: The class; any name.
            crops: `(n, 48, 48)` uint8 gray in [0, 255], which the gallery keeps if it keeps pictures.

        Raises:
            ClassNameError: The label is not a valid class name.
            GalleryError, StorageError: The gallery cannot be opened or written.
        """
        rows = np.atleast_2d(embeddings)
        n, name = len(rows), class_name(label)
        pictures = list(crops) if self._keep_pictures and crops is not None else None
        done = self._opened().add(NewFaces(rows, [name] * n, [LIVE] * n, [""] * n, pictures=pictures))
        self._batches.append(done.batch)
        return done.ids

    def undo(self) -> str:
        """Undo what this session taught last and return a message; faces that others taught stay.

        Raises:
            GalleryError, StorageError: The gallery cannot be opened or written.
        """
        undone = None
        # Skip batches whose faces another program has removed meanwhile.
        while undone is None and self._batches:
            undone = self._opened().undo(self._batches[-1])
            self._batches.pop()
        if undone is None:
            return "this session has taught nothing that could be undone"
        return f"undone: {undone.summary}"

    def close(self) -> None:
        """Close the file."""
        if self._gallery is not None:
            self._gallery.close()

    def _opened(self) -> TaughtGallery:
        if self._gallery is None:
            self._gallery = open_gallery(self.folder, self._encoder, create=True)
        return self._gallery
