"""Crop the faces of a gallery again from the pictures that they came from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from moodspace.arrays import ByteArray
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.data.labelled import Progress, reporting
from moodspace.embeddings.pictures import PictureError
from moodspace.index.ingest.read_faces import Cropper, crop_digest, picture_bytes
from moodspace.index.taught.faces import IMPORTED, LIVE, TaughtFaces

# Finding the face in one picture takes about 50 ms.
_MOST_PICTURES = 500


def crop_from_source(source: str, digest: str, croppers: Sequence[Cropper]) -> ByteArray | None:
    """Crop a gallery's face again.

    Args:
        source: The face's source: the path of a picture, or anything else, which gives None.
        digest: The SHA-256 of the crop; empty if it is not known.
        croppers: The ways in which the face may have been cropped, tried in order.

    Returns:
        `(48, 48)` uint8 gray in [0, 255]: the crop with this digest, else the first crop that succeeds; None if the
        picture is not available.
    """
    if source == LIVE:
        return None
    try:
        content = picture_bytes(Path(source))
    except (OSError, ValueError):  # PictureError is a ValueError
        return None
    crops = []
    for cropper in croppers:
        try:
            crop = cropper(content).crop
        except PictureError:
            return None
        if crop is not None and crop_digest(crop) == digest:
            return crop
        crops.append(crop)
    return next((crop for crop in crops if crop is not None), None)


def crops_from_sources(
    faces: TaughtFaces,
    croppers: Sequence[Cropper],
    progress: Progress | None = None,
    kept: Mapping[int, ByteArray] = MappingProxyType({}),
) -> tuple[ByteArray, npt.NDArray[np.int64]]:
    """Crop the newest taught faces again, where their pictures have not changed.

    Args:
        faces: The faces, newest last.
        croppers: The ways in which they may have been cropped.
        progress: Called with the number of pictures read and the total.
        kept: The crops that the gallery kept, by id of their face; these are not read again.

    Returns:
        Crops `(m, 48, 48)` uint8 gray in [0, 255], and for each face its row among them, `(n,)` int64, -1 for none.
    """
    held = [row for row, number in enumerate(faces.ids.tolist()) if number in kept]
    crops = [kept[int(faces.ids[row])] for row in held]
    picture = np.full(len(faces), -1)
    picture[held] = np.arange(len(held))
    files = [
        row
        for row, source in enumerate(faces.sources)
        if picture[row] < 0 and source != LIVE and not source.startswith(IMPORTED)
    ]
    newest = files[-_MOST_PICTURES:]
    for row in reporting(newest, len(newest), progress):
        crop = crop_from_source(faces.sources[row], faces.digests[row], croppers)
        if crop is not None and crop_digest(crop) == faces.digests[row]:
            picture[row] = len(crops)
            crops.append(crop)
    return np.array(crops, np.uint8).reshape(-1, SIZE, SIZE), picture
