"""Teaching: check class names, add faces to the visitor's gallery, export and import that gallery."""

import logging
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moodspace.arrays import ByteArray, FloatArray
from moodspace.embeddings.data.labels import ClassNameError, canonical
from moodspace.embeddings.data.labels import class_name as checked_class_name
from moodspace.errors import MoodspaceError
from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.exchange import export_gallery, import_gallery
from moodspace.index.taught.faces import NewFaces
from moodspace.index.taught.gallery import TaughtGallery
from moodspace.realtime.session.file import SessionError

logger = logging.getLogger(__name__)

_LONGEST_NAME = 40
# Maximum faces of a visitor's gallery: enough for a hundred classes, and searched in under 1 ms.
MOST_FACES = 2000
# Maximum size of an exported gallery: twice the size of a full one.
MOST_BYTES = 4 * 2**20


class TeachError(MoodspaceError):
    """Something that cannot be taught; says in one line what was expected, what it got, and what to do."""


def public_message(error: Exception) -> str:
    """Return the message of an error for the visitor, in one line; a message that names a folder goes to the log."""
    if isinstance(error, GalleryError | StorageError):
        logger.warning("a visitor's gallery: %s", error)
        return "your gallery cannot be read or changed right now; try again in a moment"
    if isinstance(error, SessionError) and os.sep in str(error):
        logger.warning("a visitor's recording: %s", error)
        return "nothing can be recorded right now; try again in a moment"
    return str(error)


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A face that a visitor chose to teach.

    Attributes:
        embedding: `(d,)` float32, unit length.
        digest: SHA-256 of its crop.
        source: The name of its picture, to show.
        crop: `(48, 48)` uint8 gray in [0, 255].
    """

    embedding: FloatArray
    digest: str
    source: str
    crop: ByteArray


@dataclass(frozen=True, slots=True)
class Lesson:
    """The result of teaching some examples.

    Attributes:
        taught: Number of faces added.
        known: Number of faces already known under the same class.
        others: Number of faces skipped because they are known under another class.
    """

    taught: int
    known: int
    others: int

    @property
    def summary(self) -> str:
        """The result in one line of plain text."""
        parts = [f"{self.taught} {'face' if self.taught == 1 else 'faces'} taught"]
        parts += [f"{self.known} already known"] if self.known else []
        parts += (
            [f"{self.others} skipped: already taught as another class, forget that class first"] if self.others else []
        )
        return ", ".join(parts)


def class_name(typed: str) -> str:
    """Return the name of a class in the form that the gallery stores.

    Raises:
        TeachError: The name is empty, too long, or has invisible characters.
    """
    name = canonical(typed)
    if not name:
        raise TeachError("expected the name of a class, got none; choose a class or type a new one")
    if len(name) > _LONGEST_NAME:
        raise TeachError(f"expected a name of at most {_LONGEST_NAME} characters, got {len(name)}; shorten it")
    try:
        return checked_class_name(typed)
    except ClassNameError as error:
        raise TeachError(str(error)) from error


def teach(
    gallery: TaughtGallery,
    label: str,
    examples: Sequence[Example],
    *,
    keep_pictures: bool = False,
    most: int = MOST_FACES,
) -> Lesson:
    """Teach faces as one lesson that can be undone; no face is taught twice or under two classes.

    Args:
        gallery: The visitor's gallery.
        label: A class name, as `class_name` returns it.
        examples: The faces.
        keep_pictures: Whether to keep their crops in the gallery.
        most: Maximum faces of the gallery.

    Raises:
        TeachError: The gallery would hold too many faces.
        GalleryError, StorageError: The gallery cannot be written.
    """
    before = gallery.known(one.digest for one in examples)
    fresh = {one.digest: one for one in examples if one.digest not in before}
    check_room(gallery, len(fresh), most=most)
    if fresh:
        gallery.add(
            NewFaces(
                embeddings=np.stack([one.embedding for one in fresh.values()]),
                labels=[label] * len(fresh),
                sources=[one.source for one in fresh.values()],
                digests=list(fresh),
                pictures=[one.crop for one in fresh.values()] if keep_pictures else None,
            )
        )
    others = sum(before.get(one.digest, label) != label for one in examples)
    return Lesson(len(fresh), len(examples) - len(fresh) - others, others)


def exported(gallery: TaughtGallery) -> bytes:
    """Return the visitor's gallery as a parquet file.

    Raises:
        GalleryError: The gallery is empty.
    """
    with tempfile.TemporaryDirectory(prefix="moodspace-") as folder:
        path = Path(folder) / "moodspace.parquet"
        export_gallery(gallery, path)
        return path.read_bytes()


def imported(gallery: TaughtGallery, content: bytes, *, most: int = MOST_FACES) -> tuple[int, int]:
    """Add the faces of an exported gallery; return how many were added and how many were already known.

    Raises:
        TeachError: The file was not exported from a gallery of this encoder, or holds too many faces.
    """
    if len(content) > MOST_BYTES:
        raise TeachError(f"expected a file of at most {MOST_BYTES / 2**20:.0f} MB, got a larger one")
    with tempfile.TemporaryDirectory(prefix="moodspace-") as folder:
        path = Path(folder) / "moodspace.parquet"
        path.write_bytes(content)
        try:
            return import_gallery(gallery, path, most=most)
        except GalleryError as error:
            # The visitor does not know the name of the temporary file.
            raise TeachError(str(error).removeprefix(f"{path}: ")) from error


def check_room(gallery: TaughtGallery, faces: int, *, most: int = MOST_FACES) -> None:
    """Raise `TeachError` if the gallery has no room for this many more faces."""
    if len(gallery) + faces > most:
        raise TeachError(f"expected at most {most:,} taught faces, got {len(gallery) + faces:,}; forget a class first")
