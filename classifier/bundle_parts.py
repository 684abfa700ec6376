"""The parts of a bundle in memory, and whether they fit one another."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from classifier.blend import BLEND, Blend
from classifier.calibration import Calibration
from classifier.gate import Gate
from embeddings.crops import CropGeometry
from embeddings.encoder import Encoder
from index.search import GalleryIndex

FloatArray = npt.NDArray[np.float32]
REBUILD = "restore the bundle from a copy or train again"


class BundleError(ValueError):
    """A bundle that cannot be used or made: names the folder, what was expected, what came, what to do next."""


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """Everything that a prediction needs.

    Attributes:
        path: the folder, as it was given.
        encoder: turns crops into embeddings and logits.
        index: the gallery's faces, to search among.
        geometry: where landmarks stand in a crop.
        calibrations: for each label set its fitted values.
        classes: for each label set its class names in column order.
        default_labels: the label set, or "blend", that is predicted unless another one is asked for.
        meta: all that the manifest states, plain JSON values; beside the above `flip`, `training` and `metrics`.
        map_coordinates: `(n, 2)` float32, finite, the place of each face of `index.gallery` on the map; or None.
        weights: the Keras weights to train on from, or None.
        blend: how several label sets make one prediction, or None.
        gate: when faces that a user taught speak.

    Raises:
        BundleError: the parts do not fit one another.
    """

    path: Path
    encoder: Encoder
    index: GalleryIndex
    geometry: CropGeometry
    calibrations: Mapping[str, Calibration]
    classes: Mapping[str, tuple[str, ...]]
    default_labels: str
    meta: Mapping[str, Any]
    map_coordinates: FloatArray | None = None
    weights: Path | None = None
    blend: Blend | None = None
    gate: Gate = field(default_factory=Gate)

    @property
    def views(self) -> dict[str, tuple[str, ...]]:
        """What can be predicted: each label set, and the blend where there is one, with their classes in order."""
        return {**self.classes, **({BLEND: self.blend.classes} if self.blend else {})}

    def __post_init__(self) -> None:
        self._check("an encoder with the classes", dict(self.classes), dict(self.encoder.classes))
        self._check("a gallery with the classes", dict(self.classes), dict(self.index.classes))
        scales = {name: len(values.scale) for name, values in self.calibrations.items()}
        self._check("calibrations of so many classes", {name: len(self.classes[name]) for name in self.classes}, scales)
        self._check("a gallery of the encoder's dimension", self.encoder.dim, self.index.dim)
        if self.default_labels not in self.views:
            raise refusal(self.path, f"a default label set out of {sorted(self.views)}", repr(self.default_labels))
        if self.blend and not all(set(self.blend.classes) <= set(self.classes.get(n, ())) for n in self.blend.shares):
            raise refusal(self.path, "a blend of the bundle's label sets", str(self.blend))
        if self.map_coordinates is not None:
            self._check("map coordinates of shape", (len(self.index), 2), self.map_coordinates.shape)
            if not np.isfinite(self.map_coordinates).all():
                raise refusal(self.path, "finite map coordinates", "NaN or infinity")

    def _check(self, what: str, wanted: object, found: object) -> None:
        if wanted != found:
            raise refusal(self.path, f"{what} {wanted}", str(found))


def refusal(path: Path, expected: str, got: str) -> BundleError:
    """Returns the error that names the folder, what was expected and what came."""
    return BundleError(f"{path}: expected {expected}, got {got}; {REBUILD}")
