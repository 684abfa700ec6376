"""Match detected faces with tracked ones by position, size and appearance."""

import cv2
import numpy as np

from moodspace.arrays import BoolArray, ByteArray, DoubleArray, FloatArray, IntArray

# A face's appearance is its crop, blurred and shrunk to 8x8. In a clip of four faces, two of them alike, the most
# similar appearance one second later is the same face's in 98 % of cases. Embeddings, which describe the expression and
# not the person, reach 73 %.
_SIDE, _BLUR_SIGMA = 8, 5.0
# Lowest cosine of two appearances of one face; one second apart it is 0.86 or more in 99 % of cases.
_LEAST_LIKENESS = 0.2
# A face that may be partly hidden may look different if it is within this share of the search radius.
_NEAR = 0.5
# The search radius in face sizes: 1, plus 2 for each second since the last detection, at most 4.
_RADIUS, _RADIUS_PER_SECOND, _LARGEST_RADIUS = 1.0, 2.0, 4.0
# The smaller of two boxes is at least this share of the larger.
_LEAST_SIZE_RATIO = 0.5
# The cost of leaving a tracked face without a match; every possible pair costs less.
_NO_PAIR = 3.0


def appearances(crops: ByteArray) -> FloatArray:
    """Return vectors that tell faces apart over a few seconds, at any brightness.

    Args:
        crops: `(n, 48, 48)` uint8 gray in [0, 255].

    Returns:
        `(n, 64)` float32 rows of length 1; zeros for a crop of a single gray level.
    """
    blurred = [cv2.GaussianBlur(crop, (0, 0), _BLUR_SIGMA) for crop in crops]
    small = [cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for crop in blurred]
    rows = np.array(small, np.float32).reshape(len(crops), _SIDE**2)
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def associate(
    expected: FloatArray,
    known: FloatArray,
    undetected: DoubleArray,
    found: FloatArray,
    seen: FloatArray,
    whole: BoolArray,
) -> list[tuple[int, int]]:
    """Match tracked with detected faces so that the pairs are nearest and most alike in total.

    Args:
        expected: `(t, 4)` float32, the tracked faces' expected boxes: left, top, width and height in pixels.
        known: `(t, 64)` float32, their appearances.
        undetected: `(t,)` float64, seconds since each was last detected.
        found: `(n, 4)` float32, the detected faces' boxes.
        seen: `(n, 64)` float32, their appearances.
        whole: `(n,)` bool, False where another face may cover a part, so that the appearance is unreliable.

    Returns:
        Pairs of a tracked face's row and a detected face's row; each row at most once.
    """
    if not len(expected) or not len(found):
        return []
    sizes, found_sizes = expected[:, None, 2:].max(axis=2), found[None, :, 2:].max(axis=2)
    middles, found_middles = expected[:, :2] + expected[:, 2:] / 2, found[:, :2] + found[:, 2:] / 2
    distance = np.linalg.norm(middles[:, None] - found_middles[None], axis=2)
    radius = np.minimum(_RADIUS + _RADIUS_PER_SECOND * undetected[:, None], _LARGEST_RADIUS) * sizes
    closeness = 1 - distance / np.maximum(radius, 1e-6)
    likeness = known @ seen.T
    ratio = np.minimum(sizes, found_sizes) / np.maximum(np.maximum(sizes, found_sizes), 1e-6)
    alike = (likeness >= _LEAST_LIKENESS) | (~whole & (closeness >= _NEAR))
    possible = (closeness > 0) & alike & (ratio >= _LEAST_SIZE_RATIO)
    # Each tracked face has a column of its own for staying without a match.
    alone = np.full((len(expected), len(expected)), _NO_PAIR)
    columns = assign(np.hstack([np.where(possible, 2 - closeness - likeness, _NO_PAIR), alone]))
    pairs = [(row, int(column)) for row, column in enumerate(columns) if column < len(found)]
    return [(row, column) for row, column in pairs if possible[row, column]]


def overlaps(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the intersection over union, `(a, b)` float32, of boxes `(a, 4)` and `(b, 4)`."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum((first[:, :2] + first[:, 2:])[:, None], (second[:, :2] + second[:, 2:])[None])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = first[:, 2:].prod(axis=1)[:, None] + second[:, 2:].prod(axis=1)[None] - shared
    return np.asarray(shared / np.maximum(areas, 1e-6), np.float32)


def assign(cost: DoubleArray) -> IntArray:
    """Assign each row its own column so that the total cost is least (the Hungarian method).

    `scipy.optimize.linear_sum_assignment` does the same, but SciPy takes longer to import than everything else that
    `live` needs before its first frame.

    Args:
        cost: `(n, m)` float64, finite, n <= m.

    Returns:
        `(n,)` int64, the column of each row.

    Raises:
        ValueError: There are more rows than columns.

    Source:
        Kuhn, "The Hungarian Method for the Assignment Problem", Naval Research Logistics 1955; by shortest augmenting
        paths as in Jonker & Volgenant, Computing 1987.
    """
    n, m = cost.shape
    if n > m:
        raise ValueError(f"cost: expected at least as many columns as rows, got {n} rows and {m} columns")
    row_potential, column_potential = np.zeros(n), np.zeros(m)
    owner = np.full(m, -1, np.int64)
    for start in range(n):
        # Dijkstra's algorithm over the reduced costs, from this row to the nearest free column.
        distance, came_from = np.full(m, np.inf), np.full(m, -1, np.int64)
        reached = np.zeros(m, np.bool_)
        row, column, so_far = start, -1, 0.0
        while row >= 0:
            through = so_far + cost[row] - row_potential[row] - column_potential
            nearer = ~reached & (through < distance)
            distance[nearer], came_from[nearer] = through[nearer], column
            column = int(np.where(reached, np.inf, distance).argmin())
            so_far, reached[column] = float(distance[column]), True
            row = int(owner[column])
        _update_potentials(row_potential, column_potential, owner, reached, distance, so_far, start)
        while column >= 0:
            previous = int(came_from[column])
            owner[column] = owner[previous] if previous >= 0 else start
            column = previous
    columns = np.full(n, -1, np.int64)
    columns[owner[owner >= 0]] = np.flatnonzero(owner >= 0)
    return columns


def _update_potentials(
    row_potential: DoubleArray,
    column_potential: DoubleArray,
    owner: IntArray,
    reached: BoolArray,
    distance: DoubleArray,
    so_far: float,
    start: int,
) -> None:
    """Keep all reduced costs >= 0, and those on the path at 0."""
    nearer = np.flatnonzero(reached & (distance < so_far))
    gain = so_far - distance[nearer]
    column_potential[nearer] -= gain
    row_potential[start] += so_far
    held = owner[nearer]
    row_potential[held] += gain
