"""The pictures of the faces on a map, on sheets that a browser unpacks only when one of their faces is looked at."""

import base64
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from PIL import Image

from embeddings.crops import SIZE

ByteArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

# A sheet of so many faces across and down is unpacked in 5 ms.
SIDE = 16
# 290 bytes a face of FER2013: 28,709 of them are 11 MB of base64, and their expressions are as easy to see as before.
QUALITY = 32
_STRIPS = 40


def atlas_order(coordinates: FloatArray, picture: IntArray) -> IntArray:
    """Where each crop comes in the atlas: neighbours on the map lie on one sheet, as they are looked at together.

    Args:
        coordinates: `(n, 2)` float32, finite, where each face lies on the map.
        picture: `(n,)` int64, the row of each face in the crops, -1 for none.

    Returns:
        `(m,)` int64: the rows of the crops that some face shows, in the order of the atlas.
    """
    shown, first = np.unique(picture, return_index=True)
    shown, first = shown[shown >= 0], first[shown >= 0]
    x, y = coordinates[first].T
    strip = np.argsort(np.argsort(x, kind="stable"), kind="stable") * _STRIPS // max(1, len(x))
    # Up one strip and down the next, so that a sheet which holds the end of one holds its neighbour's beginning.
    return np.asarray(shown[np.lexsort((np.where(strip % 2, -y, y), strip))], np.int64)


def atlas_sheets(crops: ByteArray, order: IntArray) -> list[str]:
    """Sheets of `SIDE` x `SIDE` faces as `data:` addresses of WebP pictures.

    Args:
        crops: `(m, 48, 48)` uint8 in [0, 255], grey.
        order: `(k,)` int64, the row in `crops` of each face, row by row, sheet after sheet.
    """
    parts = [order[start : start + SIDE * SIDE] for start in range(0, len(order), SIDE * SIDE)]
    with ThreadPoolExecutor() as threads:  # Pillow packs WebP without holding the interpreter
        return list(threads.map(lambda part: _sheet(crops[part]), parts))


def _sheet(crops: ByteArray) -> str:
    rows = -(-len(crops) // SIDE)
    filled = np.zeros((rows * SIDE, SIZE, SIZE), np.uint8)
    filled[: len(crops)] = crops
    sheet = filled.reshape(rows, SIDE, SIZE, SIZE).swapaxes(1, 2).reshape(rows * SIZE, SIDE * SIZE)
    packed = io.BytesIO()
    Image.fromarray(sheet).save(packed, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode('ascii')}"
