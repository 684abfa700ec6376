"""How well an embedding finds faces that show the same: recall@k and MAP@R among the faces of one data set."""

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from index.gallery import FloatArray, IntArray

_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Each face asks for those most similar to it among all others of the data set.

    Attributes:
        recall_at_1: share of faces whose nearest other face has their label, in [0, 1]; NaN without any face.
        recall_at_5: share with at least one such face among the 5 nearest.
        map_at_r: mean average precision at R, where R is how many other faces have the label: the mean over the first R
            places of the precision up to each place that holds such a face (Musgrave, Belongie and Lim, "A Metric
            Learning Reality Check", ECCV 2020).
    """

    recall_at_1: float
    recall_at_5: float
    map_at_r: float

    def to_json(self) -> dict[str, float | None]:
        """Returns the figures by name, None where there is none."""
        return {name: None if np.isnan(value) else value for name, value in asdict(self).items()}


def retrieval(embeddings: FloatArray, labels: IntArray) -> Retrieval:
    """Measures retrieval by cosine, each face left out of its own search.

    Faces whose label nobody else has cannot be found; they stay among the others and ask for none.

    Args:
        embeddings: `(n, d)` float32 unit rows.
        labels: `(n,)` int64.
    """
    counts = np.bincount(labels, minlength=1)[labels] - 1 if len(labels) else np.zeros(0, np.int64)
    asking = np.flatnonzero(counts > 0)
    if not len(asking):
        return Retrieval(np.nan, np.nan, np.nan)
    parts = [
        _hits(embeddings, labels, counts, asking[start : start + _CHUNK]) for start in range(0, len(asking), _CHUNK)
    ]
    return Retrieval(*(float(column) for column in np.concatenate(parts).mean(axis=0)))


def _hits(embeddings: FloatArray, labels: IntArray, counts: IntArray, rows: IntArray) -> npt.NDArray[np.float64]:
    """Returns `(m, 3)`: found at 1, found at 5, and average precision at R, of the faces in `rows`."""
    similarities = embeddings[rows] @ embeddings.T
    similarities[np.arange(len(rows)), rows] = -np.inf
    deepest = min(max(int(counts[rows].max()), 5), len(labels) - 1)
    nearest = np.argpartition(-similarities, deepest - 1, axis=1)[:, :deepest]
    order = np.argsort(-np.take_along_axis(similarities, nearest, axis=1), axis=1, kind="stable")
    same = labels[np.take_along_axis(nearest, order, axis=1)] == labels[rows][:, None]
    places = np.arange(1, deepest + 1)
    counted = same & (places <= counts[rows][:, None])
    precision = (np.cumsum(same, axis=1) / places * counted).sum(axis=1) / counts[rows]
    return np.stack([same[:, 0], same[:, :5].any(axis=1), precision], axis=1)
