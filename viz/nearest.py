"""Each face's most similar other faces, found exactly."""

import numpy as np
import numpy.typing as npt

from index.gallery import FloatArray, IntArray
from index.vectors import nearest_rows


def nearest_others(rows: FloatArray, k: int, among: int | None = None) -> tuple[FloatArray, IntArray]:
    """Finds the k most similar other faces of each; copies of a face are others.

    Args:
        rows: `(n, d)` float32 unit rows; n = 0 is legal.
        k: How many, 1 or more.
        among: Only the first so many faces are looked among; all when None.

    Returns:
        Cosine similarities `(n, k)` float32, best first, -1 where there is no k-th; and row numbers `(n, k)` int64, -1
        where there is none.
    """
    candidates = rows[:among]
    similarities = np.full((len(rows), k + 1), -1, np.float32)
    found = np.full((len(rows), k + 1), -1, np.int64)
    if width := min(k + 1, len(candidates)):
        near, numbers = nearest_rows(np.ascontiguousarray(candidates), np.ascontiguousarray(rows), width)
        similarities[:, :width], found[:, :width] = near.clip(-1, 1), numbers
    # Among many copies, a face need not be in its own list: then the last is one too many.
    order = np.argsort(found == np.arange(len(rows))[:, None], axis=1, kind="stable")[:, :k]
    order = np.take_along_axis(order, np.argsort(np.take_along_axis(found, order, axis=1) < 0, kind="stable"), axis=1)
    return np.take_along_axis(similarities, order, axis=1), np.take_along_axis(found, order, axis=1)


def majority(votes: npt.NDArray[np.int64], classes: int) -> IntArray:
    """Returns the class with the most votes in each row, the first of several; -1 where nobody votes.

    Args:
        votes: `(n, k)` int64 in [-1, classes), -1 for no vote.
        classes: How many there are.
    """
    cells = np.arange(len(votes))[:, None] * classes + votes
    counts = np.bincount(cells[votes >= 0], minlength=len(votes) * classes).reshape(len(votes), classes)
    return np.where((votes >= 0).any(axis=1), counts.argmax(axis=1), -1) if classes else np.full(len(votes), -1)
