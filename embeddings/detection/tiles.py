"""Find small faces in large pictures: look at the picture in tiles, at several scales, and join what they show.

A detector sees a face that is at least about 23 pixels tall in its input. A large picture, shrunk until it fits that
input, hides smaller faces. So the picture is shrunk only so far that the smallest wanted face keeps 23 pixels, cut into
tiles, and each tile is looked at alone. Coarser levels with fewer tiles follow, because a tile shows no face that is
larger than the overlap of two tiles whole. No copy of the whole picture is made.
"""

import itertools
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from moodspace.arrays import ByteArray, DoubleArray, FloatArray, IntArray
from moodspace.embeddings.detection.faces import Faces

# Pixels of the detector's input. Of 243 copies of a face before noise and bricks, CenterFace finds 243 at 23 pixels,
# with a threshold of 0.4, and 229 at 20.
LEAST_SEEN = 23
# The longest side of a tile: a larger one takes more memory, 100 MB at 640x640 and 290 MB at 1280x960.
TILE = 576
# What two tiles share. A face that is cut by the edge of one tile and no larger than `_LARGEST` is whole in the next.
OVERLAP = 96
_LARGEST = 88
# A box that comes this near to an edge that is not the picture's may belong to a face that is cut.
_SEAM = 3
# From one level to the next coarser one: a face of `_LARGEST` pixels is then one of 22.
_STEP = 4
# A level this little finer than the coarser one below it shows nothing new.
_LEAST_GAIN = 1.15

# Two boxes that share more than this of their union are one face.
LARGEST_OVERLAP = 0.3
# And so are two of which the larger holds this much of the smaller, a part of a face, unless the smaller one is so
# small that it is a face of its own: a person before a poster.
_CONTAINED, _LEAST_PART = 0.7, 0.1

_SHRINKING = cv2.INTER_AREA

Look = Callable[[ByteArray], Faces]


def shrinks(longest: int, coarsest: float, least_face: float) -> list[float]:
    """Return how many times smaller the levels are than the picture, the finest first; none for a small picture.

    Args:
        longest: The longer side of the picture, pixels.
        coarsest: The scale at which the whole picture is looked at anyway, such as 0.2.
        least_face: The height of the smallest face to find, pixels of the picture.
    """
    shrink = max(1.0, least_face / LEAST_SEEN)
    found: list[float] = []
    while shrink * coarsest * _LEAST_GAIN < 1 and longest > shrink:
        found.append(shrink)
        shrink *= _STEP
    return found


def look_in_tiles(frame_bgr: ByteArray, look: Look, shrink: float) -> Iterator[Faces]:
    """Look at one level of a picture, tile by tile.

    Args:
        frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
        look: Finds the faces of a tile. Its positions are pixels of the tile, with the corner of the first at (0, 0).
        shrink: How many times smaller the level is than the picture, >= 1.

    Yields:
        For each tile the faces that are whole in it. Positions are pixels of the frame.
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
    """Bring faces from a tile to the frame, and landmarks from pixels' corners to their centers."""
    xywh = faces.xywh * np.tile(step, 2) + np.concatenate([corner, [0, 0]])
    landmarks = faces.landmarks * step + corner - 0.5
    return Faces(xywh.astype(np.float32), landmarks.astype(np.float32), faces.confidence)


def spans(side: int) -> list[tuple[int, int]]:
    """Return where the tiles of a side of this many pixels begin and end: the fewest, and equally long."""
    if side <= TILE:
        return [(0, side)]
    count = -(-(side - OVERLAP) // (TILE - OVERLAP))
    length = -(-(side - OVERLAP) // count) + OVERLAP
    starts = np.linspace(0, side - length, count).round().astype(int).tolist()
    return [(start, start + length) for start in starts]


def once_each(faces: Faces) -> Faces:
    """Keep each face of several passes once, most confident first."""
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
    """Return whether a box is a part of a larger one."""
    shared, area, areas = _shared(xywh[row], xywh)
    return bool(((shared > _CONTAINED * area) & (area < areas) & (area > _LEAST_PART * areas)).any())


def _shared(one: FloatArray, others: FloatArray) -> tuple[FloatArray, float, FloatArray]:
    """Return the areas that a box shares with others, its own area and theirs."""
    first = np.maximum(one[:2], others[:, :2])
    last = np.minimum(one[:2] + one[2:], others[:, :2] + others[:, 2:])
    return np.maximum(last - first, 0).prod(axis=1), float(one[2:].prod()), others[:, 2:].prod(axis=1)
