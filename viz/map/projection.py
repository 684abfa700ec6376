"""From unit vectors to places on a two-dimensional map.

Distances that matter live in the embedding space; the map only tries to keep neighbours together. New faces are put
beside their neighbours (`classifier.placing`) while nothing else moves.
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


Progress = Callable[[str, float], None]

N_NEIGHBORS = 15
MIN_DIST = 0.1
IDENTICAL_BELOW = 1e-6  # float32 noise on unit rows; drawing it as structure would be a lie
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
    """Lay the space out on a plane with UMAP (McInnes, Healy & Melville 2018).

    The same rows, seed and settings give the same map. Neighbours are exact, and the layout starts from the principal
    plane, which keeps the large-scale arrangement (Kobak & Linderman 2021) and survives unconnected groups. Up to
    `n_neighbors` rows are all neighbours of each other, so UMAP has nothing to go by: they get the principal plane
    itself.

    Args:
        embeddings: `(n, d)` float32, unit rows; n = 0 is legal.
        seed: Seed of the layout, 0 or more.
        n_neighbors: Size of a neighbourhood, itself included, 2 or more. More shows larger structure and less detail.
        min_dist: How close dots may come, in map units, in [0, 1].
        metric: Distance between rows. Both order neighbours alike; they differ in how fast closeness fades.
        progress: Called with the stage's name and the share of it done, in [0, 1].

    Returns:
        `(n, 2)` float32 map coordinates in arbitrary units.

    Raises:
        ValueError: Rows are not finite unit vectors, or a setting is out of range.
    """
    rows = unit_rows(embeddings)
    _check_settings(n_neighbors, min_dist, metric)
    if len(rows) <= n_neighbors or np.ptp(rows, axis=0).max(initial=0) < IDENTICAL_BELOW:
        return _principal_plane(rows)
    report = progress or _silent
    report("finding neighbours", 0.0)
    knn = _nearest(rows, n_neighbors, metric)
    report("finding neighbours", 1.0)
    report("preparing the layout", 0.0)
    layout = _umap(
        n_neighbors=n_neighbors,
        min_dist=min_dist,
        metric=metric,
        init="pca",
        precomputed_knn=knn,
        random_state=seed,
        n_jobs=1,  # a seed and several threads exclude each other
        tqdm_kwds={"disable": False, "file": _Epochs(report), "bar_format": "{n_fmt}/{total_fmt}", "mininterval": 0.2},
    )
    with warnings.catch_warnings():
        # True and meant: new faces are put in by their neighbours, not by transform().
        warnings.filterwarnings("ignore", message=r"precomputed_knn\[2\]")
        coordinates = layout.fit_transform(rows)
    report("laying out", 1.0)
    return np.asarray(coordinates, np.float32)


def _check_settings(n_neighbors: int, min_dist: float, metric: str) -> None:
    if n_neighbors < 2:
        raise ValueError(f"n_neighbors: expected 2 or more, received {n_neighbors}; {N_NEIGHBORS} is a good start.")
    if metric not in ("cosine", "euclidean"):
        raise ValueError(f"metric: expected cosine or euclidean, received {metric}; the gallery is searched by cosine.")
    if not 0 <= min_dist <= 1:
        raise ValueError(f"min_dist: expected 0 to 1, received {min_dist}; {MIN_DIST} is a good start.")


def unit_rows(embeddings: FloatArray) -> FloatArray:
    """`embeddings` as contiguous `(n, d)` float32 after a check that every row is finite and of unit length.

    Raises:
        ValueError: They are not.
    """
    rows = np.ascontiguousarray(embeddings, np.float32)
    if rows.ndim != 2:
        raise ValueError(f"embeddings: expected shape (n, d), received {rows.shape}; pass one row for each face.")
    wrong = np.flatnonzero(~(np.abs(np.linalg.norm(rows, axis=1) - 1) <= UNIT_TOLERANCE))  # NaN is wrong, too
    if len(wrong):
        raise ValueError(
            f"embeddings: expected finite rows of unit length, received {len(wrong)} of {len(rows)} that are not, "
            f"first row {wrong[0]}; leave these faces out, or encode them again."
        )
    return rows


def _principal_plane(rows: FloatArray) -> FloatArray:
    """The two directions of largest spread; signs are fixed, so that the picture is the same on every machine."""
    if len(rows) == 0 or np.ptp(rows, axis=0).max() < IDENTICAL_BELOW:
        return np.zeros((len(rows), 2), np.float32)
    _, _, axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2][np.arange(len(axes[:2])), np.abs(axes[:2]).argmax(axis=1)])[:, None]
    plane = (rows - rows.mean(axis=0)) @ axes.T
    return np.pad(plane, ((0, 0), (0, 2 - plane.shape[1]))).astype(np.float32)


def _nearest(rows: FloatArray, n_neighbors: int, metric: str) -> tuple[npt.NDArray[np.int32], FloatArray]:
    """Exact neighbours, each row's first being itself, as UMAP wants them; its own search is approximate and slower."""
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
    """`umap.UMAP(**settings)`, imported without the TensorFlow that `import umap` would load for a part unused here."""
    with _without("tensorflow"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # umap's word that ParametricUMAP is not there
        from umap import UMAP
    return UMAP(**settings)


@contextlib.contextmanager
def _without(module: str) -> Iterator[None]:
    """Make `import module` fail inside, unless it is loaded already; everything is as before afterwards."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


class _Epochs:
    """The file-like object that UMAP's progress bar writes to: passes "done/total" on as a share."""

    def __init__(self, report: Progress) -> None:
        self._report = report

    def write(self, text: str) -> None:
        done, slash, total = text.strip().partition("/")
        if slash and done.isdigit() and total.isdigit():
            if int(done) == 0:
                self._report("preparing the layout", 1.0)
            self._report("laying out", int(done) / int(total))

    def flush(self) -> None:
        """Nothing is held back."""


def _silent(stage: str, share: float) -> None:
    log.debug("%s: %.0f %%", stage, 100 * share)
