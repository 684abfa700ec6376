"""Find the labeled faces most similar to a query by exact cosine search; save and load the searchable gallery."""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from moodspace.arrays import FloatArray, IntArray, StringArray
from moodspace.index.gallery import Gallery, read_columns, unit_rows_problem, write_columns
from moodspace.index.store.commit import GalleryError, Writer, commit
from moodspace.index.store.lock import read_stored
from moodspace.index.store.manifest import Manifest
from moodspace.index.vectors import build_vectors, decode, nearest, read_vectors, write_vectors

if TYPE_CHECKING:
    import faiss

GALLERY_FORMAT = "moodspace-gallery"
GALLERY_VERSION = 1
_VECTORS, _COLUMNS = "gallery.faiss", "gallery.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Neighbors:
    """The k gallery faces most similar to each of n queries, most similar first.

    Attributes:
        ids: `(n, k)` int64 gallery ids, -1 where the gallery has fewer than k faces.
        labels: For each label set `(n, k)` int64 class columns, -1 for none.
        similarities: `(n, k)` float32 cosines in [-1, 1], largest first; -1 where missing.
        valid: `(n, k)` bool, False where missing; a missing neighbor never votes.
        sources: `(n, k)` numpy strings, empty where missing.
    """

    ids: IntArray
    labels: Mapping[str, IntArray]
    similarities: FloatArray
    valid: npt.NDArray[np.bool_]
    sources: StringArray

    def __len__(self) -> int:
        """Return the number of queries."""
        return len(self.ids)


class GalleryIndex:
    """A searchable gallery: exact search over vectors stored as 16-bit floats (cosines within 0.0005).

    Attributes:
        encoder: The fingerprint of the encoder that made the embeddings; empty when unknown.
        threads: How many threads a search may use.
    """

    def __init__(
        self, gallery: Gallery, *, encoder: str = "", threads: int = 1, vectors: faiss.IndexIDMap2 | None = None
    ) -> None:
        """Index a gallery in memory.

        Args:
            gallery: The faces to search among.
            encoder: The fingerprint of the encoder that made the embeddings; saved with the gallery, so that
                loading it for another encoder fails.
            threads: How many threads a search may use; 1 is fastest for the few faces of a live frame.
            vectors: The index of the gallery's embeddings, if it was read from disk; built when None.

        Raises:
            ValueError: `threads` is less than 1.
        """
        if threads < 1:
            raise ValueError(f"threads: expected at least 1, got {threads}; 1 is best for live video")
        self.encoder = encoder
        self.threads = threads
        self._columns = gallery.columns
        self._vectors = build_vectors(gallery.embeddings, gallery.ids) if vectors is None else vectors
        self._order = np.argsort(gallery.ids)
        self._sorted_ids = gallery.ids[self._order]

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self._columns)

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self._vectors.d)

    @property
    def classes(self) -> Mapping[str, tuple[str, ...]]:
        """For each label set its class names in column order."""
        return self._columns.classes

    @property
    def gallery(self) -> Gallery:
        """The faces in their original order; each access decodes the embeddings from 16 bits."""
        own = self._columns
        return Gallery(decode(self._vectors), own.ids, own.labels, own.classes, own.sources, own.added)

    def rows(self, ids: IntArray) -> IntArray:
        """Return the gallery rows of `ids`, int64 of any shape; -1 for unknown ids."""
        if not len(self):
            return np.full(np.shape(ids), -1, np.int64)
        places = np.searchsorted(self._sorted_ids, ids).clip(max=len(self) - 1)
        return np.where(self._sorted_ids[places] == ids, self._order[places], -1)

    def search(self, queries: FloatArray, k: int, *, exclude: IntArray | None = None) -> Neighbors:
        """Find the faces most similar to each query; ties go to the lower id.

        Args:
            queries: `(n, d)` float32, rows of unit length, finite; n = 0 is legal.
            k: How many neighbors to return; columns beyond the size of the gallery have none.
            exclude: `(n,)` int64, an id to leave out for each query, for example its own; -1 for none.

        Raises:
            ValueError: `queries` or `exclude` are invalid, or k is less than 1.
        """
        if problem := unit_rows_problem(queries, self.dim):
            raise ValueError(f"queries: {problem}")
        if (k := operator.index(k)) < 1:
            raise ValueError(f"k: expected at least 1, got {k}; ask for one neighbor or more")
        if exclude is not None and np.shape(exclude) != (len(queries),):
            raise ValueError(
                f"exclude: expected shape ({len(queries)},), got {np.shape(exclude)}; give each query one id"
            )
        width = k if exclude is None else k + 1
        ids = np.full((len(queries), width), -1, np.int64)
        similarities = np.full((len(queries), width), -1, np.float32)
        if found := min(width, len(self)):
            similarities[:, :found], ids[:, :found] = nearest(self._vectors, queries, found, self.threads)
        if exclude is not None:
            left = np.argsort(ids == exclude[:, None], axis=1, kind="stable")[:, :k]
            ids, similarities = np.take_along_axis(ids, left, axis=1), np.take_along_axis(similarities, left, axis=1)
        return self._neighbors(ids, similarities)

    def _neighbors(self, ids: IntArray, similarities: FloatArray) -> Neighbors:
        valid = ids >= 0
        rows = self.rows(ids[valid])
        labels = {}
        for name, column in self._columns.labels.items():
            labels[name] = np.full(ids.shape, -1, np.int64)
            labels[name][valid] = column[rows]
        sources = np.zeros(ids.shape, self._columns.sources.dtype)
        sources[valid] = self._columns.sources[rows]
        return Neighbors(
            ids, labels, similarities.clip(-1, 1), valid, sources
        )  # rounding to 16 bits may give a cosine above 1

    def save(self, path: Path) -> None:
        """Write the gallery to the folder `path` in one step; a crash leaves the previous state.

        Raises:
            StorageError: The folder holds something else, or writing failed.
        """
        commit(path, gallery_writers(self), gallery_meta(self), format=GALLERY_FORMAT, version=GALLERY_VERSION)

    @classmethod
    def load(cls, path: Path, *, encoder: str | None = None, threads: int = 1) -> GalleryIndex:
        """Read a saved gallery; see `load_gallery` for the arguments.

        Raises:
            StorageError: There is no such folder, it holds something else, or a file is damaged.
            GalleryError: The files are inconsistent, or another encoder made the gallery.
        """
        read = partial(load_gallery, encoder=encoder, threads=threads)
        return read_stored(path, format=GALLERY_FORMAT, version=GALLERY_VERSION, read=read)


def gallery_writers(index: GalleryIndex) -> dict[str, Writer]:
    """Return a writer for each file of a gallery, so that a bundle can commit them in one step with its own."""
    return {
        _VECTORS: lambda path: write_vectors(path, index._vectors),
        _COLUMNS: lambda path: write_columns(path, index._columns),
    }


def gallery_meta(index: GalleryIndex) -> dict[str, Any]:
    """Return the gallery's part of the manifest's meta: `{"gallery": {encoder, dim, count, classes}}`."""
    classes = {name: list(names) for name, names in index.classes.items()}
    return {"gallery": {"encoder": index.encoder, "dim": index.dim, "count": len(index), "classes": classes}}


def load_gallery(manifest: Manifest, *, encoder: str | None = None, threads: int = 1) -> GalleryIndex:
    """Read the gallery of a verified manifest, which may be a bundle's.

    Args:
        manifest: The result of `read_manifest`.
        encoder: The fingerprint of the encoder in use; a gallery of another encoder is refused. None accepts any.
        threads: How many threads a search may use.

    Raises:
        StorageError: The manifest names no gallery files.
        GalleryError: Index, columns and manifest are inconsistent, or another encoder made the gallery.
    """
    made_by, dim, count, classes = _gallery_meta(manifest)
    if encoder not in (None, made_by):
        got = made_by or "an unknown encoder"
        raise GalleryError(
            f"{manifest.folder}: expected a gallery of encoder {encoder}, got {got}; index the faces again"
        )
    vectors, ids = read_vectors(manifest.path(_VECTORS))
    columns = read_columns(manifest.path(_COLUMNS), classes)
    if (vectors.d, len(ids), len(columns)) != (dim, count, count) or not np.array_equal(ids, columns.ids):
        got = f"{len(ids)} of dimension {vectors.d} and {len(columns)} in columns, or other ids"
        raise GalleryError(
            f"{manifest.folder}: expected {count} faces of dimension {dim}, got {got}; build the gallery again"
        )
    try:
        gallery = Gallery(decode(vectors), columns.ids, columns.labels, columns.classes, columns.sources, columns.added)
    except GalleryError as error:
        raise GalleryError(f"{manifest.folder}: {error}") from error
    return GalleryIndex(gallery, encoder=made_by, threads=threads, vectors=vectors)


def _gallery_meta(manifest: Manifest) -> tuple[str, int, int, dict[str, tuple[str, ...]]]:
    """Return the encoder, dimension, count and classes of the gallery in a manifest."""
    stated = manifest.meta.get("gallery")
    if isinstance(stated, dict) and stated.keys() >= {"encoder", "dim", "count", "classes"}:
        encoder, dim, count, classes = (stated[key] for key in ("encoder", "dim", "count", "classes"))
        if isinstance(classes, dict) and all(isinstance(names, list) for names in classes.values()):
            return encoder, dim, count, {name: tuple(names) for name, names in classes.items()}
    wanted, got = "a gallery with encoder, dim, count and classes", reprlib.repr(stated)
    raise GalleryError(f"{manifest.folder}: expected {wanted} in the manifest, got {got}; build the gallery again")
