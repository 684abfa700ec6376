"""Project unit vectors onto a two-dimensional map with UMAP.

Distances are meaningful only in the embedding space; the map preserves neighborhoods. New faces are placed next to
their neighbors (`classifier.map_positions`) without changing the layout.
"""

import contextlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from moodspace.arrays import FloatArray, IntArray
from moodspace.index.vectors import nearest_rows

Progress = Callable[[str, float], None]

N_NEIGHBORS = 15
MIN_DIST = 0.1
IDENTICAL_BELOW = 1e-6  # differences within float32 rounding are not structure
UNIT_TOLERANCE = 1e-3

log = logging.getLogger(__name__)


def project(
    embeddings: FloatArray,
    *,
    seed: int,
    n_neighbors: int = N_NEIGHBORS,
    min_dist: float = MIN_DIST,
    metric: Literal["cosine", "euclidean"] = "cosine",
    progress: Progress | None = None,
) -> FloatArray:
    """Project embeddings onto a plane with UMAP (McInnes, Healy & Melville 2018).

    The same rows, seed and settings give the same map. Neighbors are exact. The layout starts from the principal
    plane, which preserves the large-scale structure (Kobak & Linderman 2021) and works with disconnected groups. Up to
    `n_neighbors` rows are all neighbors of each other, which gives UMAP no information: they get the principal plane.

    Args:
        embeddings: `(n, d)` float32, rows of unit length; n = 0 is legal.
        seed: Seed of the layout, 0 or more.
        n_neighbors: Size of a neighborhood including the face itself, 2 or more. Larger values show more of the global
            structure and less detail.
        min_dist: Minimum distance of points in map units, in [0, 1].
        metric: Distance between rows. Both give the same neighbors, but different weights.
        progress: Called with the name of the stage and its completed share in [0, 1].

    Returns:
        `(n, 2)` float32 map coordinates in arbitrary units.

    Raises:
        ValueError: Rows are not finite vectors of unit length, or a setting is out of range.
    """
    rows = unit_rows(embeddings)
    _check_settings(n_neighbors, min_dist, metric)
    if len(rows) <= n_neighbors or np.ptp(rows, axis=0).max(initial=0) < IDENTICAL_BELOW:
        return _principal_plane(rows)
    report = progress or _silent
    report("finding neighbors", 0.0)
    knn = _nearest(rows, n_neighbors, metric)
    report("finding neighbors", 1.0)
    report("preparing the layout", 0.0)
    layout = _umap(
        n_neighbors=n_neighbors,
        min_dist=min_dist,
        metric=metric,
        init="pca",
        precomputed_knn=knn,
        random_state=seed,
        n_jobs=1,  # UMAP is reproducible with one thread only
        tqdm_kwds={"disable": False, "file": _Epochs(report), "bar_format": "{n_fmt}/{total_fmt}", "mininterval": 0.2},
    )
    with warnings.catch_warnings():
        # transform() is not needed: new faces are placed by their neighbors.
        warnings.filterwarnings("ignore", message=r"precomputed_knn\[2\]")
        coordinates = layout.fit_transform(rows)
    report("laying out", 1.0)
    return np.asarray(coordinates, np.float32)


def _check_settings(n_neighbors: int, min_dist: float, metric: str) -> None:
    if n_neighbors < 2:
        raise ValueError(f"n_neighbors: expected 2 or more, got {n_neighbors}; the default is {N_NEIGHBORS}")
    if metric not in ("cosine", "euclidean"):
        raise ValueError(f"metric: expected cosine or euclidean, got {metric}")
    if not 0 <= min_dist <= 1:
        raise ValueError(f"min_dist: expected 0 to 1, got {min_dist}; the default is {MIN_DIST}")


def unit_rows(embeddings: FloatArray) -> FloatArray:
    """Return the embeddings as contiguous `(n, d)` float32 after checking that all rows have unit length.

    Raises:
        ValueError: A row is not finite or not of unit length.
    """
    rows = np.ascontiguousarray(embeddings, np.float32)
    if rows.ndim != 2:
        raise ValueError(f"embeddings: expected shape (n, d), got {rows.shape}")
    wrong = np.flatnonzero(~(np.abs(np.linalg.norm(rows, axis=1) - 1) <= UNIT_TOLERANCE))  # also finds NaN
    if len(wrong):
        raise ValueError(
            f"embeddings: expected finite rows of unit length, got {len(wrong)} of {len(rows)} that are not, "
            f"first row {wrong[0]}; leave these faces out, or encode them again"
        )
    return rows


def _principal_plane(rows: FloatArray) -> FloatArray:
    """Return the projection on the two directions of largest variance, with signs fixed to be reproducible."""
    if len(rows) == 0 or np.ptp(rows, axis=0).max() < IDENTICAL_BELOW:
        return np.zeros((len(rows), 2), np.float32)
    _, _, axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2][np.arange(len(axes[:2])), np.abs(axes[:2]).argmax(axis=1)])[:, None]
    plane = (rows - rows.mean(axis=0)) @ axes.T
    return np.pad(plane, ((0, 0), (0, 2 - plane.shape[1]))).astype(np.float32)


def _nearest(rows: FloatArray, n_neighbors: int, metric: str) -> tuple[npt.NDArray[np.int32], FloatArray]:
    """Return exact neighbors in UMAP's format, each row's first being itself; UMAP's own search is approximate."""
    similarities, others = nearest_others(rows, n_neighbors - 1)
    distances = np.maximum(1 - similarities, 0)
    if metric == "euclidean":
        distances = np.sqrt(2 * distances)
    itself = np.arange(len(rows))[:, None]
    return (
        np.hstack([itself, others]).astype(np.int32),
        np.hstack([np.zeros((len(rows), 1)), distances]).astype(np.float32),
    )


def _umap(**settings: Any) -> Any:
    """Return `umap.UMAP(**settings)`; prevent `import umap` from loading TensorFlow, which is not needed."""
    with _without("tensorflow"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # umap warns that ParametricUMAP is missing
        from umap import UMAP
    return UMAP(**settings)


@contextlib.contextmanager
def _without(module: str) -> Iterator[None]:
    """Make `import module` fail inside the context, unless it is already loaded."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


class _Epochs:
    """A file for UMAP's progress bar to write to: reports `done/total` as a share."""

    def __init__(self, report: Progress) -> None:
        self._report = report

    def write(self, text: str) -> None:
        done, slash, total = text.strip().partition("/")
        if slash and done.isdigit() and total.isdigit():
            if int(done) == 0:
                self._report("preparing the layout", 1.0)
            self._report("laying out", int(done) / int(total))

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""


def _silent(stage: str, share: float) -> None:
    log.debug("%s: %.0f %%", stage, 100 * share)


def nearest_others(rows: FloatArray, k: int, among: int | None = None) -> tuple[FloatArray, IntArray]:
    """Find the k most similar other faces of each face; copies of a face count as others.

    Args:
        rows: `(n, d)` float32, rows of unit length; n = 0 is legal.
        k: Number of neighbors, 1 or more.
        among: Search only the first `among` rows; all when None.

    Returns:
        Cosine similarities `(n, k)` float32, best first, and row numbers `(n, k)` int64; both -1 where there is none.
    """
    candidates = rows[:among]
    similarities = np.full((len(rows), k + 1), -1, np.float32)
    found = np.full((len(rows), k + 1), -1, np.int64)
    if width := min(k + 1, len(candidates)):
        near, numbers = nearest_rows(np.ascontiguousarray(candidates), np.ascontiguousarray(rows), width)
        similarities[:, :width], found[:, :width] = near.clip(-1, 1), numbers
    # Of many copies, one may not find itself; then drop the last instead.
    order = np.argsort(found == np.arange(len(rows))[:, None], axis=1, kind="stable")[:, :k]
    order = np.take_along_axis(order, np.argsort(np.take_along_axis(found, order, axis=1) < 0, kind="stable"), axis=1)
    return np.take_along_axis(similarities, order, axis=1), np.take_along_axis(found, order, axis=1)


def majority(votes: npt.NDArray[np.int64], classes: int) -> IntArray:
    """Return the class with the most votes in each row, the lowest on ties, -1 without votes.

    Args:
        votes: `(n, k)` int64 in [-1, classes), -1 for no vote.
        classes: Number of classes.
    """
    cells = np.arange(len(votes))[:, None] * classes + votes
    counts = np.bincount(cells[votes >= 0], minlength=len(votes) * classes).reshape(len(votes), classes)
    return np.where((votes >= 0).any(axis=1), counts.argmax(axis=1), -1) if classes else np.full(len(votes), -1)
