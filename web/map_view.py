"""The map for one visitor: the bundle's gallery where it was drawn, and the faces that they taught by their likes."""

import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from classifier.placing import PLACED_BY, places_of
from classifier.recognizer import Recognizer
from index.taught_faces import TaughtFaces
from viz.face_map import NEIGHBORS, TAUGHT, FaceMap
from viz.map_layout import Layout
from viz.map_making import make_map
from viz.map_page import write_map_page

_TAUGHT_NOTE = "the faces that you taught stand among those most like them"

# Columns that are not one row a face.
_WHOLE = ("classes", "note", "crops")


def gallery_map(recognizer: Recognizer) -> FaceMap | None:
    """Return the map of a bundle's gallery, where its faces were placed once; takes seconds. None without places.

    Args:
        recognizer: Whose bundle's gallery is drawn, and in whose view; what is taught has no part in it.
    """
    coordinates = recognizer.bundle.map_coordinates
    if coordinates is None or not len(coordinates):
        return None
    made = recognizer.bundle.meta["metrics"].get("map")
    seed = made["seed"] if isinstance(made, dict) else 0
    return make_map(recognizer, Layout(coordinates, seed, fresh=False)).face_map


def with_taught(base: FaceMap, recognizer: Recognizer, taught: TaughtFaces) -> FaceMap:
    """Return the map with a visitor's faces on it; nothing else moves.

    Args:
        base: Of the gallery.
        recognizer: Whose bundle's that is.
        taught: The visitor's own faces.
    """
    classes = tuple(dict.fromkeys((*base.classes, *taught.labels)))
    added = _placed(base, recognizer, taught, classes)
    columns = {one.name: getattr(base, one.name) for one in fields(base) if one.name not in _WHOLE}
    joined: dict[str, Any] = {name: np.concatenate([column, added[name]]) for name, column in columns.items()}
    return FaceMap(classes=classes, note=f"{base.note} · {_TAUGHT_NOTE}", crops=base.crops, **joined)


def map_html(face_map: FaceMap) -> bytes:
    """Return the map as one HTML document, UTF-8, whose own policy forbids it to load anything."""
    with tempfile.TemporaryDirectory(prefix="moodspace-") as folder:
        path = Path(folder) / "map.html"
        write_map_page(face_map, path)
        return path.read_bytes()


def _placed(
    base: FaceMap, recognizer: Recognizer, taught: TaughtFaces, classes: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Return the columns of those taught faces that have a place among the gallery's."""
    index = recognizer.bundle.index
    # Rounded to 16 bits in the gallery, so no longer quite of unit length.
    rows = taught.embeddings / np.linalg.norm(taught.embeddings, axis=1, keepdims=True)
    neighbors = index.search(rows.astype(np.float32), max(PLACED_BY, NEIGHBORS))
    alike = index.rows(neighbors.ids)
    places = places_of(neighbors, alike, base.coordinates)
    known = np.isfinite(places).all(axis=1)
    n = int(known.sum())
    return {
        "coordinates": places[known],
        "labels": np.array([classes.index(label) for label in taught.labels], np.int64)[known],
        "ids": taught.ids[known],
        "sources": np.array(taught.sources, np.str_)[known],
        "predicted": np.full(n, -1),
        "confidence": np.full(n, np.nan, np.float32),
        "neighbors": alike[known, : base.neighbors.shape[1]],
        "splits": np.full(n, ""),
        "origin": np.full(n, TAUGHT),
        "picture": np.full(n, -1),
    }
