"""What the user taught, as it comes on the map: the newest faces, and those pictures that still lie where they did."""

from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.arrays import ByteArray, IntArray
from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.classifier.user_gallery import open_gallery
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.data.labelled import Progress, reporting
from moodspace.embeddings.pictures import PictureError
from moodspace.index.ingest.read_faces import NO_FACE, Cropper, content_of, digest_of
from moodspace.index.search import Neighbors
from moodspace.index.taught.faces import IMPORTED, LIVE, TAUGHT, TaughtFaces
from moodspace.index.taught.gallery import FILE
from moodspace.realtime.capture.source import SourceError


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


def crop_of(picture: Path, cutter: Cropper) -> ByteArray:
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


def crop_from_source(source: str, digest: str, cutters: Sequence[Cropper]) -> ByteArray | None:
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


# About so many: more would hide the map below them.
MOST = 20_000
# To find the face in one picture takes a twentieth of a second.
_MOST_PICTURES = 500


def newest_taught(folder: Path, bundle: Bundle, most: int = MOST) -> TaughtFaces | None:
    """Reads the newest of the user's faces.

    Args:
        folder: Where the gallery lies; there need not be one.
        bundle: Whose embeddings it holds.
        most: About how many; all when there are fewer.

    Returns:
        The faces; None for none.

    Raises:
        GalleryError: the gallery is damaged or of another encoder.
        StorageError: it cannot be read.
    """
    if not (folder / FILE).is_file():
        return None
    parts: deque[TaughtFaces] = deque()
    with open_gallery(folder, bundle, read_only=True) as gallery:
        for part in gallery.rows():
            parts.append(part)
            while sum(map(len, parts)) - len(parts[0]) >= most:
                parts.popleft()
    return TaughtFaces.joined(parts) if parts else None


def pictures_of(
    faces: TaughtFaces, cutters: Sequence[Cropper], progress: Progress | None = None
) -> tuple[ByteArray, npt.NDArray[np.int64]]:
    """Cuts taught faces out of their pictures again, the newest ones, where those have not changed.

    Args:
        faces: The faces, the newest last.
        cutters: The ways in which they may have been cut out.
        progress: Called with the pictures looked at so far and their number.

    Returns:
        Crops `(m, 48, 48)` uint8 in [0, 255], grey; and `(n,)` int64, the row of each face among them, -1 for none.
    """
    crops: list[ByteArray] = []
    picture = np.full(len(faces), -1)
    files = [row for row, source in enumerate(faces.sources) if source != LIVE and not source.startswith(IMPORTED)]
    newest = files[-_MOST_PICTURES:]
    for row in reporting(newest, len(newest), progress):
        crop = crop_from_source(faces.sources[row], faces.digests[row], cutters)
        if crop is not None and digest_of(crop) == faces.digests[row]:
            picture[row] = len(crops)
            crops.append(crop)
    return np.array(crops, np.uint8).reshape(-1, SIZE, SIZE), picture
