"""The faces most similar to one, among those of the bundle and those that the user taught, and their crops."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classifier.recognizer import Recognizer
from embeddings.pictures import PictureError
from index.gallery import IntArray
from index.search import Neighbors
from index.taught_faces import LIVE, TAUGHT
from realtime.collect import NO_FACE, Cutter, content_of, digest_of
from realtime.faces import ByteArray
from realtime.sources import SourceError


@dataclass(frozen=True, slots=True)
class Similar:
    """A face of a gallery beside another.

    Attributes:
        id: Its number in the gallery.
        label: What it is labelled as; None where it has no label.
        similarity: A cosine, in [-1, 1].
        source: Where it came from.
        taught: Whether the user taught it.
    """

    id: int
    label: str | None
    similarity: float
    source: str
    taught: bool

    def to_json(self) -> dict[str, Any]:
        """Returns the fields by name."""
        return asdict(self) | {"similarity": round(self.similarity, 6)}


def crop_of(picture: Path, cutter: Cutter) -> ByteArray:
    """Cuts the face that is asked about out of a picture.

    Args:
        picture: A file.
        cutter: Makes the crop.

    Returns:
        `(48, 48)` uint8 in [0, 255], grey.

    Raises:
        SourceError: the file cannot be read, or it shows no face.
    """
    try:
        crop = cutter(content_of(picture)).crop
    except OSError as error:
        raise SourceError(f"{picture}: expected a picture, got: {error.strerror}; name another file") from error
    except PictureError as error:
        raise SourceError(f"{picture}: {error}") from error
    if crop is None:
        raise SourceError(f"{picture}: {NO_FACE}")
    return crop


def similar_faces(recognizer: Recognizer, crop: ByteArray, k: int) -> list[Similar]:
    """Finds the faces most similar to one, of the bundle and of those that the user taught.

    Args:
        recognizer: Whose galleries to look in, and whose view names the labels.
        crop: `(48, 48)` uint8 in [0, 255], grey.
        k: How many.

    Returns:
        The faces, best first.
    """
    embeddings = recognizer.bundle.encoder.encode(crop[None]).embeddings
    found = recognizer.bundle.index.search(embeddings, k)
    labels = recognizer.gallery_labels[recognizer.bundle.index.rows(found.ids[0])]
    faces = _named(found, labels, recognizer.classes, taught=False)
    taught = recognizer.taught.current() if recognizer.taught else None
    if taught is not None and len(taught):
        own = taught.search(embeddings, k)
        faces += _named(own, own.labels[TAUGHT][0], taught.classes, taught=True)
    return sorted(faces, key=lambda face: -face.similarity)[:k]


def _named(found: Neighbors, labels: IntArray, classes: Sequence[str], *, taught: bool) -> list[Similar]:
    """Returns the neighbours of the one query, with what `labels` calls them."""
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


def crop_at_hand(source: str, digest: str, cutters: Sequence[Cutter]) -> ByteArray | None:
    """Cuts a gallery's face out of its picture again.

    Args:
        source: Where the picture lies, if it is one.
        digest: The SHA-256 of the crop, if it is known.
        cutters: The ways in which it may have been cut out.

    Returns:
        `(48, 48)` uint8 in [0, 255], grey: the crop with that digest, else the first that there is; None where the
        picture is not at hand any more.
    """
    if source == LIVE:
        return None
    try:
        content = content_of(Path(source))
    except (OSError, ValueError):  # a PictureError is one
        return None
    crops = []
    for cutter in cutters:
        try:
            crop = cutter(content).crop
        except PictureError:
            return None
        if crop is not None and digest_of(crop) == digest:
            return crop
        crops.append(crop)
    return next((crop for crop in crops if crop is not None), None)
