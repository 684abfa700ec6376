"""What the user taught, as it comes on the map: the newest faces, and those pictures that still lie where they did."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from classifier.bundle import Bundle
from embeddings.crops import SIZE
from embeddings.labelled import Progress, reporting
from index.taught import FILE
from index.taught_faces import IMPORTED, LIVE, TaughtFaces
from realtime.collect import Cutter, digest_of
from realtime.faces import ByteArray
from realtime.similar import crop_at_hand
from realtime.user_gallery import open_gallery

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
    faces: TaughtFaces, cutters: Sequence[Cutter], progress: Progress | None = None
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
        crop = crop_at_hand(faces.sources[row], faces.digests[row], cutters)
        if crop is not None and digest_of(crop) == faces.digests[row]:
            picture[row] = len(crops)
            crops.append(crop)
    return np.array(crops, np.uint8).reshape(-1, SIZE, SIZE), picture
