"""The faces on a map: where each one lies, what it is labelled, what colour that is, and the words that go with it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from classifier.palette import COLOURS
from viz.map_quality import MapQuality
from viz.projection import FloatArray, IntArray

UNLABELLED = "no label"
UNLABELLED_SHADE = "#5f6368"  # darker than neutral's grey
# For classes that only the user knows, in the order they appear; not among COLOURS, and visible on light and dark.
SPARE_SHADES = ("#AA4499", "#999933", "#6A5ACD", "#8C564B", "#882255", "#117733")

SUBTITLE = "Where a network finds them alike"
HONEST = (
    "Each dot is a face; dots are close where the network finds the faces alike; names stand at the median of a class. "
    "Axes and distances between far groups mean nothing."
)


class Group(NamedTuple):
    """The faces of one class: its name, hex colour, row numbers, and whether it is a class at all."""

    name: str
    shade: str
    rows: npt.NDArray[np.intp]
    labelled: bool = True


@dataclass(frozen=True, slots=True)
class FaceMap:
    """Faces on a map, as parallel arrays; n = 0 is legal.

    Attributes:
        coordinates: `(n, 2)` float32, finite, arbitrary units (`viz.projection.project`).
        labels: `(n,)` int64 into `classes`, -1 where a face has no label.
        classes: Class names, in the order of the legend.
        ids: `(n,)` int64.
        sources: `(n,)` numpy str array, where each face came from.
        note: How the map was made and how good it is, in words (`describe_map`).
    """

    coordinates: FloatArray
    labels: IntArray
    classes: tuple[str, ...]
    ids: IntArray
    sources: npt.NDArray[np.str_]
    note: str

    def __post_init__(self) -> None:
        n = len(self.labels)
        expected = {"coordinates": (n, 2), "labels": (n,), "ids": (n,), "sources": (n,)}
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"{name}: expected shape {shape} beside {n} labels, received {getattr(self, name).shape}; "
                    "take all columns from the same gallery."
                )
        if not np.isfinite(self.coordinates).all():
            raise ValueError(
                "coordinates: expected finite numbers, received NaN or inf; leave faces without a place out."
            )
        if n and not -1 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise ValueError(
                f"labels: expected -1 to {len(self.classes) - 1} for {len(self.classes)} classes, received "
                f"{self.labels.min()} to {self.labels.max()}; pass the classes that these labels index."
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def title(self) -> str:
        """The heading of every form of this map."""
        return f"{len(self):,} {'face' if len(self) == 1 else 'faces'} by the expression shown"

    @property
    def groups(self) -> tuple[Group, ...]:
        """Each class in the order of `classes`, then the faces without a label where there are any."""
        shades = class_shades(self.classes)
        named = [Group(name, shades[i], np.flatnonzero(self.labels == i)) for i, name in enumerate(self.classes)]
        rest = np.flatnonzero(self.labels < 0)
        return (*named, Group(UNLABELLED, UNLABELLED_SHADE, rest, labelled=False)) if len(rest) else tuple(named)


def class_shades(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Hex colour of each class: the project's for an expression it knows, a spare one, in turn, for any other."""
    own = [name for name in classes if name not in COLOURS]
    spare = {name: SPARE_SHADES[i % len(SPARE_SHADES)] for i, name in enumerate(own)}
    return tuple(COLOURS.get(name) or spare[name] for name in classes)


def readable_on(shade: str) -> str:
    """Black or white, whichever is easier to read on this hex colour (WCAG 2.2 relative luminance)."""
    channels = np.array([int(shade[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "#000000" if float(linear @ [0.2126, 0.7152, 0.0722]) > 0.179 else "#ffffff"


def describe_map(*, faces: int, seed: int, n_neighbors: int, min_dist: float, metric: str, quality: MapQuality) -> str:
    """One line for captions: how `viz.projection.project` made a map of this many faces, and what it keeps."""
    words = [f"UMAP, {metric} distance, {n_neighbors} neighbours, min_dist {min_dist:g}, seed {seed}"]
    if faces <= n_neighbors:
        words = ["Principal plane, as there are too few faces for UMAP"]
    if quality.trustworthiness is not None:
        words.append(f"trustworthiness {quality.trustworthiness:.3f} at k = {quality.k}")
    if quality.knn_accuracy_map is not None and quality.knn_accuracy_space is not None:
        words.append(
            f"k-NN accuracy {quality.knn_accuracy_map:.1%} on the map, "
            f"{quality.knn_accuracy_space:.1%} in the full space"
        )
    return " · ".join(words)
