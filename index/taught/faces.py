"""Data types of the user's gallery: faces to add, stored faces, results of changes, and a summary."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.arrays import ByteArray, DoubleArray, FloatArray, IntArray
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.data.labels import ClassNameError, check_name
from moodspace.index.gallery import unit_rows_problem
from moodspace.index.store.commit import GalleryError

# The label set of taught faces in `Neighbors.labels`.
TAUGHT = "taught"
LIVE = "live"
IMPORTED = "import:"
_ARRAYS, _TEXTS = ("ids", "embeddings", "added", "batches"), ("labels", "sources", "digests")
_DIGEST = re.compile(r"([0-9a-f]{64})?")


@dataclass(frozen=True, slots=True, eq=False)
class NewFaces:
    """Faces to add.

    Attributes:
        embeddings: `(n, d)` float32, finite rows of unit length.
        labels: n canonical class names.
        sources: Where the n faces came from: an absolute path, `LIVE`, or `IMPORTED` and a name.
        digests: The SHA-256 of the n crops, 64 hexadecimal digits each; empty if unknown.
        added: `(n,)` float64, when each was taught, seconds since 1970 (UTC); None means now.
        pictures: The crops to keep in the gallery, `(48, 48)` uint8 gray in [0, 255] each; None keeps none, of all
            faces or of one.

    Raises:
        GalleryError: A field is invalid or the lengths differ.
    """

    embeddings: FloatArray
    labels: Sequence[str]
    sources: Sequence[str]
    digests: Sequence[str]
    added: DoubleArray | None = None
    pictures: Sequence[ByteArray | None] | None = None

    def __post_init__(self) -> None:
        """Validate every field."""
        if problem := unit_rows_problem(self.embeddings):
            raise GalleryError(f"faces to teach, embeddings: {problem}")
        n = len(self.embeddings)
        lengths = {len(self.labels), len(self.sources), len(self.digests), n if self.added is None else len(self.added)}
        if lengths != {n}:
            raise GalleryError(f"faces to teach: expected {n} of everything, got {sorted(lengths)}; align the fields")
        for label in dict.fromkeys(self.labels):
            _check_label(label)
        if wrong := [digest for digest in self.digests if not _DIGEST.fullmatch(digest)]:
            got = f"expected SHA-256 as 64 hexadecimal digits, got {wrong[0]!r}"
            raise GalleryError(f"faces to teach: {got}; hash the crop")
        if self.added is not None and not np.isfinite(self.added).all():
            raise GalleryError("faces to teach: expected finite seconds since 1970, got NaN or infinity; give a time")
        if self.pictures is not None:
            if len(self.pictures) != n:
                raise GalleryError(
                    f"faces to teach, pictures: expected {n}, got {len(self.pictures)}; align the fields"
                )
            for one in self.pictures:
                if one is not None and (one.dtype != np.uint8 or one.shape != (SIZE, SIZE)):
                    got = f"expected uint8 of shape ({SIZE}, {SIZE}), got {one.dtype} of {one.shape}"
                    raise GalleryError(f"faces to teach, pictures: {got}; pass the crop")

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.embeddings)

    def take(self, rows: Sequence[int]) -> NewFaces:
        """Return the faces at these rows."""
        labels, sources, digests = (
            [column[row] for row in rows] for column in (self.labels, self.sources, self.digests)
        )
        added = None if self.added is None else self.added[list(rows)]
        pictures = None if self.pictures is None else [self.pictures[row] for row in rows]
        return NewFaces(self.embeddings[list(rows)], labels, sources, digests, added, pictures)

    @classmethod
    def none(cls, dim: int) -> NewFaces:
        """Return no faces, for embeddings of length `dim`."""
        return cls(np.empty((0, dim), np.float32), (), (), ())


def _check_label(label: object) -> None:
    try:
        if not isinstance(label, str):
            raise ClassNameError(f"expected a class name, got {label!r}; name the class")
        check_name(label)
    except ClassNameError as error:
        raise GalleryError(f"faces to teach: {error}") from error


@dataclass(frozen=True, slots=True, eq=False)
class TaughtFaces:
    """Faces of the user's gallery, in order of id.

    Attributes:
        ids: `(n,)` int64, at least `database.FIRST_ID`; never reused.
        embeddings: `(n, d)` float32 unit rows, rounded to 16 bits.
        labels: n canonical class names.
        sources: Where the n faces came from.
        digests: The SHA-256 of the n crops; empty if unknown.
        added: `(n,)` float64, when each was taught, seconds since 1970 (UTC).
        batches: `(n,)` int64, the same for faces taught together.
    """

    ids: IntArray
    embeddings: FloatArray
    labels: tuple[str, ...]
    sources: tuple[str, ...]
    digests: tuple[str, ...]
    added: DoubleArray
    batches: IntArray

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.ids)

    @classmethod
    def joined(cls, parts: Sequence[TaughtFaces]) -> TaughtFaces:
        """Return the concatenation of one or more parts."""
        columns = {name: [getattr(part, name) for part in parts] for name in _ARRAYS + _TEXTS}
        joined: dict[str, Any] = {name: np.concatenate(columns[name]) for name in _ARRAYS}
        return cls(**joined | {name: tuple(chain.from_iterable(columns[name])) for name in _TEXTS})


@dataclass(frozen=True, slots=True)
class AddedBatch:
    """The result of adding faces.

    Attributes:
        batch: The batch number, for `undo` and for adding more faces to the same batch.
        ids: The ids of the new faces, in order.
        removed: How many faces were removed.
    """

    batch: int
    ids: tuple[int, ...]
    removed: int


@dataclass(frozen=True, slots=True)
class UndoneBatch:
    """A batch that was undone.

    Attributes:
        batch: Its number.
        added: When its first face was taught, seconds since 1970 (UTC).
        labels: How many faces of each class were removed.
        restored: How many faces have their earlier class again, by that class.
    """

    batch: int
    added: float
    labels: Mapping[str, int]
    restored: Mapping[str, int] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The result in a few words of plain text."""
        words = ", ".join(f"{n} {name}" for name, n in self.labels.items())
        again = ", ".join(f"{n} {'is' if n == 1 else 'are'} {name} again" for name, n in self.restored.items())
        return f"{words}; {again}" if again else words


@dataclass(frozen=True, slots=True)
class Summary:
    """Count of the user's gallery.

    Attributes:
        labels: Number of faces by class, sorted by name.
        sources: Number of faces by origin: a synced folder, "live", "import:..." or "pictures".
        roots: The synced folders, and how their pictures are read.
        first, last: When the oldest and the newest face were taught, seconds since 1970; None without faces.
        bytes: The size of the gallery on disk.
        encoder: The fingerprint of the encoder that made the embeddings.
        dim: Length of an embedding.
    """

    labels: Mapping[str, int]
    sources: Mapping[str, int]
    roots: Mapping[Path, str]
    first: float | None
    last: float | None
    bytes: int
    encoder: str
    dim: int

    def __len__(self) -> int:
        """Return the number of faces."""
        return sum(self.labels.values())
