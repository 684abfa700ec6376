"""The faces on a map as parallel arrays, with their classes, colors and captions."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from moodspace.arrays import ByteArray, FloatArray, IntArray, StringArray
from moodspace.classifier.palette import class_shades
from moodspace.embeddings.crops import SIZE
from moodspace.viz.map.quality import MapQuality

UNLABELED = "no label"
UNLABELED_SHADE, UNLABELED_DARK = "#5f6368", "#7b8089"  # darker than the gray of neutral

# Origins of a face: the bundle's gallery, the user's gallery, a recorded session, the data given for this map.
GALLERY, TAUGHT, SESSION, DATA = "gallery", "taught", "session", "data"
ORIGINS = (GALLERY, TAUGHT, SESSION, DATA)
NEIGHBORS = 5

SUBTITLE = "Similar faces are close together"
EXPLANATION = (
    "Each dot is a face; nearby faces look similar to the network. Class names mark the densest places. Axes and "
    "distances between distant groups have no meaning."
)


class Group(NamedTuple):
    """The faces of one class.

    Attributes:
        name: The class.
        shade: Hex color on a light background.
        rows: `(m,)`, row numbers of its faces.
        labeled: Whether it is a class; False for the faces without a label.
        dark: Hex color on a dark background.
    """

    name: str
    shade: str
    rows: npt.NDArray[np.intp]
    labeled: bool
    dark: str


@dataclass(frozen=True, slots=True, eq=False)
class FaceMap:
    """Faces on a map, as parallel arrays; n = 0 is legal. `FaceMap.plain` makes one with defaults for unknown columns.

    Attributes:
        coordinates: `(n, 2)` float32, finite, arbitrary units (`viz.map.projection.project`).
        labels: `(n,)` int64 into `classes`, -1 for no label.
        classes: Class names, in the order of the legend.
        ids: `(n,)` int64.
        sources: `(n,)` numpy str array, the file or row of each face.
        note: Caption: how the map was made, and its quality (`describe`).
        predicted: `(n,)` int64 into `classes`, -1 for no prediction.
        confidence: `(n,)` float32 in [0, 1], NaN for no prediction.
        neighbors: `(n, k)` int64, row numbers of the most similar other faces, best first, -1 for none.
        splits: `(n,)` numpy str array, the split of each face; empty where unknown.
        origin: `(n,)` numpy str array, each one of `ORIGINS`.
        crops: `(m, 48, 48)` uint8 in [0, 255], gray; the available images.
        picture: `(n,)` int64, the row of each face in `crops`, -1 for no image.
    """

    coordinates: FloatArray
    labels: IntArray
    classes: tuple[str, ...]
    ids: IntArray
    sources: StringArray
    note: str
    predicted: IntArray
    confidence: FloatArray
    neighbors: IntArray
    splits: StringArray
    origin: StringArray
    crops: ByteArray
    picture: IntArray

    @classmethod
    def plain(cls, *, coordinates: FloatArray, labels: IntArray, **known: Any) -> Self:
        """Make a map of faces with defaults for all columns that are not given.

        Args:
            coordinates: As in `FaceMap`.
            labels: As in `FaceMap`.
            **known: Other columns. By default there are no predictions or images, and all faces are the gallery's.
        """
        n = len(labels)
        unknown: dict[str, Any] = {
            "ids": np.arange(n),
            "sources": np.full(n, ""),
            "note": "",
            "predicted": np.full(n, -1),
            "confidence": np.full(n, np.nan, np.float32),
            "neighbors": np.full((n, NEIGHBORS), -1),
            "splits": np.full(n, ""),
            "origin": np.full(n, GALLERY),
            "crops": np.empty((0, SIZE, SIZE), np.uint8),
            "picture": np.full(n, -1),
        }
        return cls(coordinates=coordinates, labels=labels, **{**unknown, **known})

    def __post_init__(self) -> None:
        self._check_shapes()
        if not np.isfinite(self.coordinates).all():
            raise ValueError("coordinates: expected finite numbers, got NaN or inf; leave out faces without a place")
        self._check_range("labels", self.labels, len(self.classes), "pass the classes that these labels index")
        self._check_range("predicted", self.predicted, len(self.classes), "pass the classes that were predicted")
        self._check_range("neighbors", self.neighbors, len(self), "pass row numbers of this map")
        self._check_range("picture", self.picture, len(self.crops), "pass the crops that these rows index")
        if unknown := set(np.unique(self.origin).tolist()) - set(ORIGINS):
            raise ValueError(f"origin: expected {', '.join(ORIGINS)}, got {sorted(unknown)}")

    def _check_shapes(self) -> None:
        n = len(self.labels)
        columns = ("labels", "ids", "sources", "predicted", "confidence", "splits", "origin", "picture")
        expected: dict[str, tuple[int, ...]] = dict.fromkeys(columns, (n,))
        expected |= {
            "coordinates": (n, 2),
            "neighbors": (n, self.neighbors.shape[-1]),
            "crops": (len(self.crops), SIZE, SIZE),
        }
        for name, shape in expected.items():
            if (got := getattr(self, name).shape) != shape:
                raise ValueError(
                    f"{name}: expected shape {shape} for {n} labels, got {got}; take all columns from the same faces"
                )

    @staticmethod
    def _check_range(name: str, column: IntArray, end: int, remedy: str) -> None:
        if column.size and not -1 <= column.min() <= column.max() < end:
            raise ValueError(f"{name}: expected -1 to {end - 1}, got {column.min()} to {column.max()}; {remedy}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def span(self) -> float:
        """Return the longer side of the map; 0 if all faces have the same place or there are none."""
        return float(np.ptp(self.coordinates, axis=0).max()) if len(self) else 0.0

    @property
    def title(self) -> str:
        """Return the heading of the map."""
        return f"{len(self):,} {'face' if len(self) == 1 else 'faces'} by expression"

    @property
    def groups(self) -> tuple[Group, ...]:
        """Return the classes in the order of `classes`, then the faces without a label if there are any."""
        named = [
            Group(name, shade, np.flatnonzero(self.labels == i), True, shade)
            for i, (name, shade) in enumerate(zip(self.classes, class_shades(self.classes), strict=True))
        ]
        rest = np.flatnonzero(self.labels < 0)
        if len(rest):
            named.append(Group(UNLABELED, UNLABELED_SHADE, rest, False, UNLABELED_DARK))
        return tuple(named)


def density_peak(coordinates: FloatArray, span: float) -> npt.NDArray[np.float64]:
    """Return the place where most faces of a class are; the mean may lie where there is none of them.

    Args:
        coordinates: `(m, 2)` float32, m > 0.
        span: Longer side of the whole map; the density is smoothed over a twentieth of it.

    Returns:
        `(2,)` float64, the median of the faces around the densest place.
    """
    from scipy.ndimage import gaussian_filter

    reach = max(span, 1e-6) / 20
    cells = np.floor((coordinates - coordinates.min(axis=0)) / (reach / 2)).astype(np.int64)
    counts = np.zeros(cells.max(axis=0) + 1)
    np.add.at(counts, tuple(cells.T), 1)
    peak = np.unravel_index(gaussian_filter(counts, 2.0, mode="constant").argmax(), counts.shape)
    around = np.abs(cells - peak).max(axis=1) <= 2
    return np.median(coordinates[around] if around.any() else coordinates, axis=0).astype(np.float64)


def readable_on(shade: str) -> str:
    """Return black or white, whichever contrasts more with a hex color (WCAG 2.2 relative luminance)."""
    channels = np.array([int(shade[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "#000000" if float(linear @ [0.2126, 0.7152, 0.0722]) > 0.179 else "#ffffff"


def describe(
    *,
    faces: int,
    seed: int,
    n_neighbors: int,
    min_dist: float,
    metric: str,
    quality: MapQuality,
    identical: bool = False,
) -> str:
    """Return the caption of a map: how it was made, and its quality.

    Args:
        faces: Number of faces in the layout.
        seed: Seed of the layout; like the next three, an argument of `viz.map.projection.project`.
        n_neighbors: Size of a neighborhood.
        min_dist: Minimum distance of dots.
        metric: Distance between rows.
        quality: Measured quality.
        identical: Whether all faces have the same place.
    """
    parts = [f"UMAP, {metric} distance, {n_neighbors} neighbors, min_dist {min_dist:g}, seed {seed}"]
    if identical:
        return "All faces have the same place because their embeddings are identical"
    if faces <= n_neighbors:
        parts = ["Principal plane (too few faces for UMAP)"]
    if quality.trustworthiness is not None:
        parts.append(f"trustworthiness {quality.trustworthiness:.3f} at k = {quality.k}")
    if quality.knn_accuracy_map is not None and quality.knn_accuracy_space is not None:
        parts.append(
            f"k-NN accuracy {quality.knn_accuracy_map:.1%} on the map, "
            f"{quality.knn_accuracy_space:.1%} in all {quality.dim} dimensions"
        )
    return " · ".join(parts)
