"""The gallery: labeled faces as unit vectors with ids, labels and sources; reading and writing its columns."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from moodspace.arrays import DoubleArray, FloatArray, IntArray, StringArray
from moodspace.index.store.commit import GalleryError

# Rounding a unit vector to 16 bits changes its length by less than 2**-11 = 0.0005.
NORM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The columns of a gallery besides the embeddings.

    Attributes:
        ids: `(n,)` int64, unique, at least 0; a face keeps its id.
        labels: For each label set `(n,)` int64, the index of the face's class in `classes`, -1 for none.
        classes: For each label set the class names in column order.
        sources: `(n,)` NumPy strings, where each face came from.
        added: `(n,)` float64, when each face was added, seconds since 1970 (UTC).

    Raises:
        GalleryError: A column is invalid or the lengths differ.
    """

    ids: IntArray
    labels: Mapping[str, IntArray]
    classes: Mapping[str, tuple[str, ...]]
    sources: StringArray
    added: DoubleArray

    def __post_init__(self) -> None:
        """Validate every column."""
        _check_column("ids", self.ids, np.int64, None)
        _check_column("sources", self.sources, np.str_, len(self))
        _check_column("added", self.added, np.float64, len(self))
        if len(self) and self.ids.min() < 0:
            raise GalleryError(f"gallery ids: expected at least 0, got {self.ids.min()}; number the faces from 0")
        unique, counts = np.unique(self.ids, return_counts=True)
        if len(unique) < len(self):
            raise GalleryError(
                f"gallery ids: expected each once, got {unique[counts > 1][0]} again; give it another id"
            )
        if not np.isfinite(self.added).all():
            raise GalleryError("gallery added: expected finite seconds since 1970, got NaN or infinity; give a time")
        if self.labels.keys() != self.classes.keys():
            got = f"{sorted(self.labels)} and {sorted(self.classes)}"
            raise GalleryError(
                f"gallery labels: expected the label sets of the classes, got {got}; give both for each set"
            )
        for name, column in self.labels.items():
            _check_labels(name, column, self.classes[name], len(self))

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Labeled faces to compare with; may be empty.

    Attributes:
        embeddings: `(n, d)` float32, rows of unit length within `NORM_TOLERANCE`, finite.
        ids: As in `Columns`, and so are the fields below.
        labels: See `Columns`.
        classes: See `Columns`.
        sources: See `Columns`.
        added: See `Columns`.

    Raises:
        GalleryError: A field is invalid or the lengths differ.
    """

    embeddings: FloatArray
    ids: IntArray
    labels: Mapping[str, IntArray]
    classes: Mapping[str, tuple[str, ...]]
    sources: StringArray
    added: DoubleArray

    def __post_init__(self) -> None:
        """Validate every field."""
        n = len(self.columns)
        if problem := unit_rows_problem(self.embeddings):
            raise GalleryError(f"gallery embeddings: {problem}")
        if len(self.embeddings) != n:
            raise GalleryError(
                f"gallery embeddings: expected {n} rows as there are ids, got {len(self.embeddings)}; align them"
            )

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.ids)

    @property
    def columns(self) -> Columns:
        """All columns but the embeddings."""
        return Columns(self.ids, self.labels, self.classes, self.sources, self.added)

    @classmethod
    def empty(cls, dim: int, classes: Mapping[str, tuple[str, ...]]) -> Gallery:
        """Return an empty gallery for embeddings of length `dim` and the given label sets."""
        labels = {name: np.empty(0, np.int64) for name in classes}
        ids, sources, added = np.empty(0, np.int64), np.empty(0, np.str_), np.empty(0, np.float64)
        return cls(np.empty((0, dim), np.float32), ids, labels, classes, sources, added)

    def take(self, rows: IntArray | npt.NDArray[np.bool_]) -> Gallery:
        """Return the faces at `rows`: `(m,)` int64 positions without repeats, or an `(n,)` bool mask."""
        labels = {name: column[rows] for name, column in self.labels.items()}
        return Gallery(
            self.embeddings[rows], self.ids[rows], labels, self.classes, self.sources[rows], self.added[rows]
        )


def concatenate(galleries: Sequence[Gallery]) -> Gallery:
    """Concatenate galleries in order.

    Args:
        galleries: At least one; all with the same dimension and classes.

    Raises:
        GalleryError: There is none, they differ in dimension or classes, or they share an id.
    """
    if not galleries:
        raise GalleryError("galleries: expected at least one to join, got none; start from Gallery.empty")
    first = galleries[0]
    for other in galleries[1:]:
        if other.embeddings.shape[1] != first.embeddings.shape[1] or dict(other.classes) != dict(first.classes):
            wanted, got = (f"d = {one.embeddings.shape[1]}, {dict(one.classes)}" for one in (first, other))
            raise GalleryError(
                f"galleries to join: expected {wanted}, got {got}; index the faces with the same encoder"
            )
    return Gallery(
        np.concatenate([one.embeddings for one in galleries]),
        np.concatenate([one.ids for one in galleries]),
        {name: np.concatenate([one.labels[name] for one in galleries]) for name in first.classes},
        first.classes,
        np.concatenate([one.sources for one in galleries]),
        np.concatenate([one.added for one in galleries]),
    )


def unit_rows_problem(rows: FloatArray, dim: int | None = None) -> str | None:
    """Return why an array is not `(n, dim)` float32 with finite rows of unit length, or None if it is."""
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or not rows.shape[1] or dim not in (None, rows.shape[1]):
        return f"expected shape (n, {dim or 'd'}), got {np.shape(rows)}; pass the encoder's embeddings"
    if rows.dtype != np.float32:
        return f"expected float32, got {rows.dtype}; convert with astype"
    norms = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    if not np.isfinite(norms).all():
        return (
            f"expected finite rows, got NaN or infinity in row {np.flatnonzero(~np.isfinite(norms))[0]}; leave it out"
        )
    if (wrong := np.abs(norms - 1) > NORM_TOLERANCE).any():
        row = np.flatnonzero(wrong)[0]
        return f"expected rows of length 1, got {norms[row]:.4g} in row {row}; divide each row by its length"
    return None


def write_columns(path: Path, columns: Columns) -> None:
    """Write all columns but the class names to a compressed `.npz` file without pickled objects.

    Raises:
        OSError: Writing failed.
    """
    names = list(columns.labels)
    labels = np.array([columns.labels[name] for name in names], np.int64).reshape(len(names), len(columns))
    sets = np.array(names, np.str_)
    np.savez_compressed(
        path, ids=columns.ids, label_sets=sets, labels=labels, sources=columns.sources, added=columns.added
    )


def read_columns(path: Path, classes: Mapping[str, tuple[str, ...]]) -> Columns:
    """Read a file that `write_columns` wrote.

    Args:
        path: The `.npz` file.
        classes: For each label set the class names in column order.

    Raises:
        GalleryError: The file is damaged or something else, or its columns do not match `classes`.
    """
    try:
        # Opened here because NumPy leaves a damaged file open if it gets only the path.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            labels = dict(zip(stored["label_sets"].tolist(), stored["labels"], strict=True))
            return Columns(stored["ids"], labels, classes, stored["sources"], stored["added"])
    except GalleryError as error:
        raise GalleryError(f"{path}: {error}") from error
    except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        # NumPy's own message would advise allowing pickled objects.
        got = f"a missing, damaged or foreign file ({type(error).__name__})"
        raise GalleryError(f"{path}: expected the columns of a gallery, got {got}; build the gallery again") from error


def _check_column(name: str, column: object, kind: type[np.generic], length: int | None) -> None:
    got = type(column).__name__
    if isinstance(column, np.ndarray):
        got = f"{column.dtype} {column.shape}"
        if np.issubdtype(column.dtype, kind) and column.ndim == 1 and length in (None, len(column)):
            return
    wanted = f"{kind.__name__} of shape ({'n' if length is None else length},)"
    raise GalleryError(f"gallery {name}: expected {wanted}, got {got}; align it with the ids and convert it")


def _check_labels(name: str, column: IntArray, classes: tuple[str, ...], length: int) -> None:
    _check_column(f"labels {name!r}", column, np.int64, length)
    if len(set(classes)) < len(classes) or not all(isinstance(one, str) and one for one in classes):
        raise GalleryError(f"gallery classes {name!r}: expected different names, got {classes}; rename the classes")
    if length and not -1 <= column.min() <= column.max() < len(classes):
        got = f"{column.min()} to {column.max()}"
        raise GalleryError(
            f"gallery labels {name!r}: expected -1 to {len(classes) - 1}, got {got}; use columns of {classes}"
        )
