"""The map of a bundle's gallery: a two-dimensional UMAP of the embedding space."""

from pathlib import Path

import numpy as np

from moodspace.arrays import FloatArray
from moodspace.classifier.map_positions import map_positions
from moodspace.errors import MoodspaceError
from moodspace.model import Model


class Map:
    """The map of a model's gallery, and where other faces stand on it.

    Args:
        model: The model.

    Attributes:
        coordinates: `(n, 2)` float32, the place of each face of the bundle's gallery.

    Raises:
        MoodspaceError: The bundle has no map yet; `moodspace visualize` makes it.
    """

    def __init__(self, model: Model) -> None:
        if model.bundle.map_coordinates is None:
            raise MoodspaceError(f"{model.bundle.path}: expected a map, got none; draw it: moodspace visualize")
        self._model = model
        self.coordinates: FloatArray = model.bundle.map_coordinates

    def place(self, embeddings: FloatArray, *, n_neighbors: int = 15) -> FloatArray:
        """Place faces among the gallery faces most similar to them.

        Args:
            embeddings: `(n, d)` float32, rows of unit length.
            n_neighbors: How many gallery faces decide the place.

        Returns:
            `(n, 2)` float32; NaN where the gallery is empty.
        """
        index = self._model.bundle.index
        found = index.search(np.asarray(embeddings, np.float32), n_neighbors)
        return map_positions(found, index.rows(found.ids), self.coordinates)

    def write(self, folder: str | Path, *, dark: bool = False) -> list[Path]:
        """Write the map as a picture, a page for the browser and files for TensorBoard's projector.

        Args:
            folder: Where to; made when missing.
            dark: Also draw the picture on a dark ground.

        Returns:
            The files.
        """
        from moodspace.viz.map.layout import lay_out
        from moodspace.viz.map.making import make_map, write_map

        made = make_map(self._model.recognizer, lay_out(self._model.bundle, None))
        return write_map(made, Path(folder), dark=dark)
