"""The user's gallery at one moment, in memory, so that a long job and its processes all use the same faces."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.embeddings.encoder import EncoderSpec
from moodspace.index.taught.faces import TaughtFaces
from moodspace.index.taught.gallery import FILE, TaughtGallery
from moodspace.index.taught.ivf import Revision
from moodspace.index.taught.search import FlatIndex, FoundFaces, TaughtIndex
from moodspace.index.taught.user_gallery import open_gallery


@dataclass(frozen=True, slots=True, eq=False)
class FrozenFaces:
    """The faces of a gallery at one moment; small enough to send to other processes.

    Attributes:
        ids: `(n,)` int64, increasing, n >= 1.
        embeddings: `(n, d)` float32 unit rows.
        labels: n class names.
        sources: Where the n faces came from.
    """

    ids: IntArray
    embeddings: FloatArray
    labels: tuple[str, ...]
    sources: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.ids)

    @property
    def sha256(self) -> str:
        """The SHA-256 of everything that a prediction depends on, 64 hexadecimal digits."""
        digest = hashlib.sha256(self.ids.tobytes() + self.embeddings.tobytes())
        digest.update("\0".join(self.labels).encode())
        return digest.hexdigest()

    def index(self) -> TaughtIndex:
        """Return a searchable index of these faces."""
        return TaughtIndex(
            FlatIndex.build(self.embeddings, self.ids),
            FlatIndex.build(self.embeddings[:0], self.ids[:0]),
            np.empty(0, np.int64),
            revision=Revision(0, "", int(self.ids[-1])),
            classes=tuple(sorted(set(self.labels))),
            look_up=self._look_up,
            newest=self._newest,
        )

    def _look_up(self, ids: IntArray) -> FoundFaces:
        rows = np.flatnonzero(np.isin(self.ids, ids))
        labels, sources = ([column[row] for row in rows] for column in (self.labels, self.sources))
        return FoundFaces(self.ids[rows], tuple(labels), tuple(sources), self.embeddings[rows])

    def _newest(self, name: str, limit: int) -> FloatArray:
        rows = [row for row, label in enumerate(self.labels) if label == name]
        return self.embeddings[rows[::-1][:limit]]


class FrozenGallery:
    """A recognizer's taught faces that never change.

    Args:
        faces: The faces; None for none.
    """

    def __init__(self, faces: FrozenFaces | None) -> None:
        self._index = faces.index() if faces is not None else None

    def current(self) -> TaughtIndex | None:
        """Return the index, always the same; None if there are no faces."""
        return self._index


def freeze(gallery: TaughtGallery) -> FrozenFaces | None:
    """Return the faces that are in a gallery now; None if there are none.

    Raises:
        GalleryError: The gallery is damaged.
        StorageError: It cannot be read.
    """
    parts = list(gallery.rows())
    if not parts:
        return None
    faces = TaughtFaces.joined(parts)
    return FrozenFaces(faces.ids, faces.embeddings, faces.labels, faces.sources)


def freeze_folder(folder: Path, encoder: EncoderSpec) -> FrozenFaces | None:
    """Return the faces that are in the gallery of a folder now; None if there are none, or no gallery.

    Raises:
        GalleryError: The gallery is damaged or another encoder made it.
        StorageError: It cannot be read.
    """
    if not (folder / FILE).is_file():
        return None
    with open_gallery(folder, encoder, read_only=True) as gallery:
        return freeze(gallery)
