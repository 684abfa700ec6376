"""Find small faces in large pictures: run the detector on tiles at several scales and merge the results.

A detector finds faces that are at least about 23 pixels tall in its input. A large picture that is shrunk to that input
loses smaller faces. So it is shrunk only until the smallest wanted face has 23 pixels, cut into tiles, and each tile is
searched. Coarser levels with fewer tiles follow, because a face that is larger than the overlap of two tiles may not be
whole in any tile. The whole picture is never copied.
"""

import itertools
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from moodspace.arrays import ByteArray, DoubleArray, FloatArray, IntArray
from moodspace.embeddings.detection.faces import Faces

# Pixels of the detector's input. Of 243 copies of a face in front of noise and bricks, CenterFace finds all 243 at 23
# pixels with a threshold of 0.4, and 229 at 20 pixels.
LEAST_SEEN = 23
# Longest side of a tile. Larger ones take more memory: 100 MB at 640x640 and 290 MB at 1280x960.
TILE = 576
# Overlap of two tiles. A face of at most `_LARGEST` pixels that the edge of a tile cuts is whole in the next one.
OVERLAP = 96
_LARGEST = 88
# A box this close to the edge of a tile, unless it is the picture's edge, may belong to a cut face.
_SEAM = 3
# Scale between two levels: a face of `_LARGEST` pixels has 22 pixels in the next one.
_STEP = 4
# A level must be this much finer than the coarser one to find more faces.
_LEAST_GAIN = 1.15

# Boxes with a larger intersection over union are one face.
LARGEST_OVERLAP = 0.3
# So are two boxes if the larger one covers this share of the smaller one, unless the smaller one has less than this
# share of the larger one's area: it may be a person in front of a poster.
_CONTAINED, _LEAST_PART = 0.7, 0.1

_SHRINKING = cv2.INTER_AREA

Look = Callable[[ByteArray], Faces]


def level_scales(longest: int, coarsest: float, least_face: float) -> list[float]:
    """Return the factors by which the levels are smaller than the picture, the finest first; [] for a small picture.

    Args:
        longest: The longer side of the picture, pixels.
        coarsest: The scale at which the whole picture is searched anyway, such as 0.2.
        least_face: The height of the smallest face to find, pixels of the picture.
    """
    shrink = max(1.0, least_face / LEAST_SEEN)
    found: list[float] = []
    while shrink * coarsest * _LEAST_GAIN < 1 and longest > shrink:
        found.append(shrink)
        shrink *= _STEP
    return found


def look_in_tiles(frame_bgr: ByteArray, look: Look, shrink: float) -> Iterator[Faces]:
    """Search one level of a picture, tile by tile.

    Args:
        frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
        look: Finds the faces of a tile, in pixels of the tile with the corner of the first pixel at (0, 0).
        shrink: Factor by which the level is smaller than the picture, >= 1.

    Yields:
        For each tile the faces that are whole in it, in pixels of the frame.
    """
    height, width = (max(1, round(side / shrink)) for side in frame_bgr.shape[:2])
    for (top, bottom), (left, right) in itertools.product(spans(height), spans(width)):
        size = np.array([right - left, bottom - top])
        first, last = np.array([left, top]), np.array([right, bottom])
        x, y = np.round(first * shrink).astype(int)
        end_x, end_y = np.maximum(np.round(last * shrink).astype(int), (x + 1, y + 1))
        part = frame_bgr[y:end_y, x:end_x]
        tile = part if part.shape[1::-1] == tuple(size) else cv2.resize(part, size.tolist(), interpolation=_SHRINKING)
        faces = look(np.asarray(tile, np.uint8))
        begins, ends = faces.xywh[:, :2], faces.xywh[:, :2] + faces.xywh[:, 2:]
        whole = faces.xywh[:, 2:].max(axis=1, initial=0) <= _LARGEST
        whole &= ((begins >= _SEAM) | (first == 0)).all(axis=1)
        whole &= ((ends <= size - _SEAM) | (last == (width, height))).all(axis=1)
        yield _placed(faces.take(whole), np.array([x, y]), np.array(part.shape[1::-1]) / size)


def _placed(faces: Faces, corner: IntArray, step: DoubleArray) -> Faces:
    """Convert positions from tile to frame, and those of landmarks from pixel corners to pixel centers."""
    xywh = faces.xywh * np.tile(step, 2) + np.concatenate([corner, [0, 0]])
    landmarks = faces.landmarks * step + corner - 0.5
    return Faces(xywh.astype(np.float32), landmarks.astype(np.float32), faces.confidence)


def spans(side: int) -> list[tuple[int, int]]:
    """Return start and end of the tiles along a side of this many pixels: as few as possible, of equal length."""
    if side <= TILE:
        return [(0, side)]
    count = -(-(side - OVERLAP) // (TILE - OVERLAP))
    length = -(-(side - OVERLAP) // count) + OVERLAP
    starts = np.linspace(0, side - length, count).round().astype(int).tolist()
    return [(start, start + length) for start in starts]


def without_duplicates(faces: Faces) -> Faces:
    """Remove duplicates from the faces of several passes; most confident first."""
    faces = faces.take(np.argsort(-faces.confidence, kind="stable"))
    kept: list[int] = []
    waiting = np.arange(len(faces))
    while len(waiting):
        best, waiting = int(waiting[0]), waiting[1:]
        kept.append(best)
        shared, area, areas = _shared(faces.xywh[best], faces.xywh[waiting])
        waiting = waiting[shared <= LARGEST_OVERLAP * (area + areas - shared)]
    faces = faces.take(kept)
    return faces.take([row for row in range(len(faces)) if not _is_part(faces.xywh, row)])


def _is_part(xywh: FloatArray, row: int) -> bool:
    """Return whether a box is a part of the face of a larger box."""
    shared, area, areas = _shared(xywh[row], xywh)
    return bool(((shared > _CONTAINED * area) & (area < areas) & (area > _LEAST_PART * areas)).any())


def _shared(one: FloatArray, others: FloatArray) -> tuple[FloatArray, float, FloatArray]:
    """Return the areas of intersection of a box with others, its own area and theirs."""
    first = np.maximum(one[:2], others[:, :2])
    last = np.minimum(one[:2] + one[2:], others[:, :2] + others[:, 2:])
    return np.maximum(last - first, 0).prod(axis=1), float(one[2:].prod()), others[:, 2:].prod(axis=1)
