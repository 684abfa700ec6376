"""Find the faces most similar to one, in the bundle's gallery and in the user's."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.arrays import ByteArray, IntArray
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.pictures import PictureError
from moodspace.errors import MoodspaceError
from moodspace.index.ingest.read_faces import NO_FACE, Cropper, picture_bytes
from moodspace.index.search import Neighbors
from moodspace.index.taught.faces import TAUGHT


class QueryError(MoodspaceError):
    """A picture that cannot be searched with: it cannot be read or shows no face."""

    exit_code = 4


@dataclass(frozen=True, slots=True)
class Similar:
    """A face of a gallery that is similar to the query.

    Attributes:
        id: Its id in the gallery.
        label: Its class; None for an unlabeled face.
        similarity: The cosine similarity, in [-1, 1].
        source: Where it came from.
        taught: Whether the user taught it.
    """

    id: int
    label: str | None
    similarity: float
    source: str
    taught: bool

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self) | {"similarity": round(self.similarity, 6)}


def crop_of(picture: Path, cropper: Cropper) -> ByteArray:
    """Crop the face of the query picture.

    Args:
        picture: A file.
        cropper: Makes the crop.

    Returns:
        `(48, 48)` uint8 gray in [0, 255].

    Raises:
        QueryError: The file cannot be read, or it shows no face.
    """
    try:
        crop = cropper(picture_bytes(picture)).crop
    except OSError as error:
        raise QueryError(f"{picture}: expected a picture, got: {error.strerror}; name another file") from error
    except PictureError as error:
        raise QueryError(f"{picture}: {error}") from error
    if crop is None:
        raise QueryError(f"{picture}: {NO_FACE}")
    return crop


def similar_faces(recognizer: Recognizer, crop: ByteArray, k: int) -> list[Similar]:
    """Find the faces most similar to one.

    Args:
        recognizer: Its bundle and its taught faces are searched, and its view names the labels.
        crop: `(48, 48)` uint8 gray in [0, 255].
        k: How many faces to find.

    Returns:
        Up to k faces, most similar first.
    """
    embeddings = recognizer.bundle.encoder.encode(crop[None]).embeddings
    found = recognizer.bundle.index.search(embeddings, k)
    labels = recognizer.gallery_labels[recognizer.bundle.index.rows(found.ids[0])]
    faces = _with_labels(found, labels, recognizer.classes, taught=False)
    taught = recognizer.taught.current() if recognizer.taught else None
    if taught is not None and len(taught):
        own = taught.search(embeddings, k)
        faces += _with_labels(own, own.labels[TAUGHT][0], taught.classes, taught=True)
    return sorted(faces, key=lambda face: -face.similarity)[:k]


def _with_labels(found: Neighbors, labels: IntArray, classes: Sequence[str], *, taught: bool) -> list[Similar]:
    """Return the neighbors of the only query; `labels` are their columns in `classes`, -1 for none."""
    return [
        Similar(
            id=int(found.ids[0, at]),
            label=classes[labels[at]] if labels[at] >= 0 else None,
            similarity=float(found.similarities[0, at]),
            source=str(found.sources[0, at]),
            taught=taught,
        )
        for at in np.flatnonzero(found.valid[0])
    ]
