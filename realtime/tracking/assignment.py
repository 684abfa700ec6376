"""The Hungarian method: one row to one column, so that the whole is cheapest."""

import numpy as np
import numpy.typing as npt

from moodspace.arrays import DoubleArray, IntArray


def assign(cost: DoubleArray) -> IntArray:
    """Gives each row a column of its own so that the sum of the costs is least.

    `scipy.optimize.linear_sum_assignment` does the same, but importing it takes longer than everything else that live
    needs before its first frame.

    Args:
        cost: `(n, m)` float64, finite, n <= m.

    Returns:
        `(n,)` int64, the column of each row.

    Raises:
        ValueError: more rows than columns.

    Source:
        Kuhn, "The Hungarian Method for the Assignment Problem", Naval Research Logistics 1955; by shortest augmenting
        paths as in Jonker & Volgenant, Computing 1987.
    """
    n, m = cost.shape
    if n > m:
        raise ValueError(f"cost: expected at least as many columns as rows, received {n} rows and {m} columns")
    of_row, of_column = np.zeros(n), np.zeros(m)
    owner = np.full(m, -1, np.int64)
    for start in range(n):
        # Dijkstra over the reduced costs, from this row to the nearest free column.
        distance, came_from = np.full(m, np.inf), np.full(m, -1, np.int64)
        reached = np.zeros(m, np.bool_)
        row, column, so_far = start, -1, 0.0
        while row >= 0:
            through = so_far + cost[row] - of_row[row] - of_column
            nearer = ~reached & (through < distance)
            distance[nearer], came_from[nearer] = through[nearer], column
            column = int(np.where(reached, np.inf, distance).argmin())
            so_far, reached[column] = float(distance[column]), True
            row = int(owner[column])
        _reprice(of_row, of_column, owner, reached, distance, so_far, start)
        while column >= 0:
            previous = int(came_from[column])
            owner[column] = owner[previous] if previous >= 0 else start
            column = previous
    columns = np.full(n, -1, np.int64)
    columns[owner[owner >= 0]] = np.flatnonzero(owner >= 0)
    return columns


def _reprice(
    of_row: DoubleArray,
    of_column: DoubleArray,
    owner: IntArray,
    reached: npt.NDArray[np.bool_],
    distance: DoubleArray,
    so_far: float,
    start: int,
) -> None:
    """Keeps all reduced costs at 0 or above, and those on the path at 0."""
    nearer = np.flatnonzero(reached & (distance < so_far))
    gain = so_far - distance[nearer]
    of_column[nearer] -= gain
    of_row[start] += so_far
    held = owner[nearer]
    of_row[held] += gain
