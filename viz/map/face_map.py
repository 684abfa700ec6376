"""The faces on a map: where each one lies, what it is labelled, what is known of it, and the words that go with it."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from moodspace.arrays import ByteArray, FloatArray, IntArray, StringArray
from moodspace.classifier.palette import class_shades
from moodspace.embeddings.crops import SIZE
from moodspace.viz.map.quality import MapQuality

UNLABELLED = "no label"
UNLABELLED_SHADE, UNLABELLED_DARK = "#5f6368", "#7b8089"  # darker than neutral's grey

# Where a face on a map comes from: the bundle, the user's teaching, a recorded session, data named for this map.
GALLERY, TAUGHT, SESSION, DATA = "gallery", "taught", "session", "data"
ORIGINS = (GALLERY, TAUGHT, SESSION, DATA)
NEIGHBORS = 5

SUBTITLE = "Where a network finds them alike"
HONEST = (
    "Each dot is a face; dots are close where the network finds the faces alike; names stand where a class is densest. "
    "Axes and distances between far groups mean nothing."
)


class Group(NamedTuple):
    """The faces of one class.

    Attributes:
        name: The class.
        shade: Hex colour on light ground.
        rows: `(m,)`, row numbers of its faces.
        labelled: Whether it is a class at all.
        dark: Hex colour on dark ground.
    """

    name: str
    shade: str
    rows: npt.NDArray[np.intp]
    labelled: bool
    dark: str


@dataclass(frozen=True, slots=True, eq=False)
class FaceMap:
    """Faces on a map, as parallel arrays; n = 0 is legal. `FaceMap.plain` makes one where less is known.

    Attributes:
        coordinates: `(n, 2)` float32, finite, arbitrary units (`viz.projection.project`).
        labels: `(n,)` int64 into `classes`, -1 where a face has no label.
        classes: Class names, in the order of the legend.
        ids: `(n,)` int64.
        sources: `(n,)` numpy str array, where each face came from.
        note: How the map was made and how good it is, in words (`describe_map`).
        predicted: `(n,)` int64 into `classes`, -1 where nothing is predicted.
        confidence: `(n,)` float32 in [0, 1], NaN where nothing is predicted.
        neighbors: `(n, k)` int64, row numbers of the most similar other faces, best first, -1 where there is none.
        splits: `(n,)` numpy str array, the part of its data that a face belongs to; empty where unknown.
        origin: `(n,)` numpy str array, each one of `ORIGINS`.
        crops: `(m, 48, 48)` uint8 in [0, 255], grey; the pictures at hand.
        picture: `(n,)` int64, each face's row in `crops`, -1 where its picture is not at hand.
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
        """A map of faces of which not every column is known.

        Args:
            coordinates: As in `FaceMap`.
            labels: As in `FaceMap`.
            **known: Any other column; the rest says that nothing is known, and that all come from the bundle.
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
            raise ValueError(
                "coordinates: expected finite numbers, received NaN or inf; leave faces without a place out."
            )
        self._check_range("labels", self.labels, len(self.classes), "pass the classes that these labels index")
        self._check_range("predicted", self.predicted, len(self.classes), "pass the classes that were predicted")
        self._check_range("neighbors", self.neighbors, len(self), "pass row numbers of this map")
        self._check_range("picture", self.picture, len(self.crops), "pass the pictures that these rows index")
        if unheard := set(np.unique(self.origin).tolist()) - set(ORIGINS):
            raise ValueError(f"origin: expected {', '.join(ORIGINS)}, received {sorted(unheard)}; name one of them.")

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
            if (received := getattr(self, name).shape) != shape:
                raise ValueError(
                    f"{name}: expected shape {shape} beside {n} labels, received {received}; "
                    "take all columns from the same faces."
                )

    @staticmethod
    def _check_range(name: str, column: IntArray, end: int, remedy: str) -> None:
        if column.size and not -1 <= column.min() <= column.max() < end:
            raise ValueError(f"{name}: expected -1 to {end - 1}, received {column.min()} to {column.max()}; {remedy}.")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def span(self) -> float:
        """The longer side of the map; 0 where all stand on one spot, or nobody does."""
        return float(np.ptp(self.coordinates, axis=0).max()) if len(self) else 0.0

    @property
    def title(self) -> str:
        """The heading of every form of this map."""
        return f"{len(self):,} {'face' if len(self) == 1 else 'faces'} by the expression shown"

    @property
    def groups(self) -> tuple[Group, ...]:
        """Each class in the order of `classes`, then the faces without a label where there are any."""
        named = [
            Group(name, shade, np.flatnonzero(self.labels == i), True, shade)
            for i, (name, shade) in enumerate(zip(self.classes, class_shades(self.classes), strict=True))
        ]
        rest = np.flatnonzero(self.labels < 0)
        if len(rest):
            named.append(Group(UNLABELLED, UNLABELLED_SHADE, rest, False, UNLABELLED_DARK))
        return tuple(named)


def densest(coordinates: FloatArray, span: float) -> npt.NDArray[np.float64]:
    """The place where most faces of a class are, for its name: the middle of all may lie where there is none of them.

    Args:
        coordinates: `(m, 2)` float32, where they stand; at least one.
        span: Of the whole map; places within a twentieth of it are one.

    Returns:
        `(2,)`: the median of the faces around the densest place.
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
    """Black or white, whichever is easier to read on this hex colour (WCAG 2.2 relative luminance)."""
    channels = np.array([int(shade[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "#000000" if float(linear @ [0.2126, 0.7152, 0.0722]) > 0.179 else "#ffffff"


def describe_map(
    *,
    faces: int,
    seed: int,
    n_neighbors: int,
    min_dist: float,
    metric: str,
    quality: MapQuality,
    alike: bool = False,
) -> str:
    """One line for captions: how `viz.projection.project` made a map of this many faces, and what it keeps.

    Args:
        faces: How many were laid out.
        seed: Of the layout, as are the next three.
        n_neighbors: Size of a neighbourhood.
        min_dist: How close dots may come.
        metric: Distance between rows.
        quality: What the map keeps.
        alike: Whether they all lie on one spot.
    """
    words = [f"UMAP, {metric} distance, {n_neighbors} neighbours, min_dist {min_dist:g}, seed {seed}"]
    if alike:
        return "All on one spot, as the network finds no difference between them"
    if faces <= n_neighbors:
        words = ["Principal plane, as there are too few faces for UMAP"]
    if quality.trustworthiness is not None:
        words.append(f"trustworthiness {quality.trustworthiness:.3f} at k = {quality.k}")
    if quality.knn_accuracy_map is not None and quality.knn_accuracy_space is not None:
        words.append(
            f"k-NN accuracy {quality.knn_accuracy_map:.1%} on the map, "
            f"{quality.knn_accuracy_space:.1%} in all {quality.dim} dimensions"
        )
    return " · ".join(words)
