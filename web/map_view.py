"""The map for one visitor: the bundle's gallery where it was drawn, and the faces that they taught by their likes."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from classifier.placing import places_of
from classifier.recognizer import Recognizer
from index.taught_faces import TaughtFaces
from viz.face_map import GALLERY, TAUGHT, FaceMap
from viz.map_page import write_map_page

# Neighbours that say where a taught face stands, as for a face in a live session.
_NEIGHBORS = 10
_NOTE = "UMAP of the gallery, drawn once"
_TAUGHT_NOTE = "; faces that you taught stand among their most similar ones"


def visitors_map(recognizer: Recognizer, taught: TaughtFaces | None) -> FaceMap | None:
    """Returns the map; None where the bundle has none.

    Args:
        recognizer: Whose bundle's gallery is drawn, and whose labels it has.
        taught: The visitor's own faces; None for none.
    """
    bundle = recognizer.bundle
    coordinates, gallery = bundle.map_coordinates, bundle.index.gallery
    if coordinates is None or not len(coordinates):
        return None
    base: dict[str, Any] = {
        "coordinates": coordinates,
        "labels": recognizer.gallery_labels,
        "ids": gallery.ids,
        "sources": gallery.sources,
        "origin": np.full(len(gallery), GALLERY),
    }
    classes, note = recognizer.classes, _NOTE
    if taught is not None and len(taught):
        classes = tuple(dict.fromkeys((*classes, *taught.labels)))
        added = _placed(recognizer, taught, classes)
        base = {name: np.concatenate([column, added[name]]) for name, column in base.items()}
        note += _TAUGHT_NOTE
    return FaceMap.plain(classes=classes, note=note, **base)


def map_html(face_map: FaceMap) -> bytes:
    """Returns the map as one HTML document, UTF-8, whose own policy forbids it to load anything."""
    with tempfile.TemporaryDirectory(prefix="moodspace-") as folder:
        path = Path(folder) / "map.html"
        write_map_page(face_map, path)
        return path.read_bytes()


def _placed(recognizer: Recognizer, taught: TaughtFaces, classes: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Returns the columns of those taught faces that have a place among the gallery's."""
    index, coordinates = recognizer.bundle.index, recognizer.bundle.map_coordinates
    if coordinates is None:
        raise ValueError("recognizer: expected a bundle with a map, received one without")
    # Rounded to 16 bits in the gallery, so no longer quite of unit length.
    rows = taught.embeddings / np.linalg.norm(taught.embeddings, axis=1, keepdims=True)
    neighbors = index.search(rows.astype(np.float32), _NEIGHBORS)
    places = places_of(neighbors, index.rows(neighbors.ids), coordinates)
    known = np.isfinite(places).all(axis=1)
    return {
        "coordinates": places[known],
        "labels": np.array([classes.index(label) for label in taught.labels], np.int64)[known],
        "ids": taught.ids[known],
        "sources": np.array(taught.sources, np.str_)[known],
        "origin": np.full(int(known.sum()), TAUGHT),
    }
