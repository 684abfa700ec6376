"""Pictures of known faces, shown as evidence: the gallery's from a data set, taught faces' where they were kept.

A bundle has no pictures, because they may not be passed on; whoever has the data set can name it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from moodspace.arrays import ByteArray, IntArray
from moodspace.classifier.bundle.bundle import Bundle
from moodspace.embeddings.data.labelled import DataError, LabelledFaces
from moodspace.embeddings.data.readers import read_labelled_faces

Pictures = Callable[[Sequence[int]], Mapping[int, ByteArray]]

_SAMPLE = 64
# Minimum cosine. 0.9997 was observed, due to the gallery's 16-bit rounding and to different processors; other faces are
# far below.
_SAME = 0.99


def no_pictures(ids: Sequence[int]) -> Mapping[int, ByteArray]:
    """Return no pictures, whichever faces are asked for."""
    return {}


class FacePictures:
    """The pictures of known faces by id.

    Args:
        crops: `(m, 48, 48)` uint8 gray in [0, 255], pictures of the bundle's faces.
        ids: `(m,)` int64, the ids of these faces in the bundle's gallery.
        taught: Returns the pictures of taught faces that were kept.
    """

    def __init__(self, crops: ByteArray, ids: IntArray, taught: Pictures = no_pictures) -> None:
        order = np.argsort(ids, kind="stable")
        self._ids, self._crops, self._taught = ids[order], crops[order], taught

    @classmethod
    def read(cls, path: Path, bundle: Bundle) -> Self:
        """Read the pictures of the bundle's faces from labelled faces, such as `fer2013/train.parquet`.

        Raises:
            DataError: The file cannot be read, or it does not hold the faces of this bundle's gallery.
        """
        faces = read_labelled_faces(path)
        rows = gallery_rows(bundle, faces)
        held = np.flatnonzero(rows >= 0)
        if not len(held):
            raise DataError(
                f"{path}: expected the faces of the bundle's gallery, got others; name the data that the bundle was "
                "built from"
            )
        return cls(faces.crops[held], bundle.index.gallery.ids[rows[held]])

    @classmethod
    def none(cls) -> Self:
        """Return no pictures of the bundle's faces."""
        return cls(np.empty((0, 48, 48), np.uint8), np.empty(0, np.int64))

    def with_taught(self, taught: Pictures) -> "FacePictures":
        """Return the same pictures of the bundle's faces, with others of taught faces."""
        return FacePictures(self._crops, self._ids, taught)

    def __len__(self) -> int:
        """Return the number of pictures of the bundle's faces."""
        return len(self._ids)

    def of(self, ids: Sequence[int]) -> dict[int, ByteArray]:
        """Return the pictures of the faces that have one, `(48, 48)` uint8 gray, by id."""
        numbers = np.asarray(ids, np.int64)
        places = np.searchsorted(self._ids, numbers)
        held = np.append(self._ids, -1)[places] == numbers
        found = {int(number): self._crops[place] for number, place in zip(numbers[held], places[held], strict=True)}
        rest = numbers[~held].tolist()
        return {**found, **self._taught(rest)} if rest else found

    def rows(self, ids: IntArray) -> IntArray:
        """Return the row of each face, `(n,)` int64, in `crops`; -1 where the bundle's face has no picture."""
        places = np.searchsorted(self._ids, ids)
        return np.where(np.append(self._ids, -1)[places] == ids, places, -1)

    @property
    def crops(self) -> ByteArray:
        """The pictures of the bundle's faces, `(m, 48, 48)` uint8 gray."""
        return self._crops


def gallery_rows(bundle: Bundle, faces: LabelledFaces) -> IntArray:
    """Return `(n,)` int64, the gallery row of each face, -1 where the gallery does not hold it.

    A face counts as a gallery face if its source has the same name. A sample of these faces is encoded again: if any
    embedding differs, the names refer to other images and no face counts as a gallery face.
    """
    gallery = bundle.index.gallery
    place = {source: row for row, source in enumerate(_numbered(gallery.sources.tolist()))}
    rows = np.array([place.get(source, -1) for source in _numbered(faces.sources)], np.int64)
    if (rows >= 0).any():
        sample = np.random.default_rng(0).permutation(np.flatnonzero(rows >= 0))[:_SAMPLE]
        anew = bundle.encoder.encode(faces.crops[sample]).embeddings
        if (np.einsum("nd,nd->n", anew, gallery.embeddings[rows[sample]]) < _SAME).any():
            rows[:] = -1
    return rows


def _numbered(sources: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Number sources of the same name in order: two pairs of FER2013's training faces share one name."""
    seen: Counter[str] = Counter()
    for source in sources:
        seen[source] += 1
        yield source, seen[source]
