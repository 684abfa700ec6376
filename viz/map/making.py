"""Make the map of a bundle's gallery, with taught faces and data added, and write it in all formats."""

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.classifier.map_positions import MAP_NEIGHBORS, map_positions
from moodspace.classifier.recognizer import Recognizer, calibrated_knn, max_neighbors
from moodspace.index.search import Neighbors
from moodspace.viz.explore.data import DataParts, Stages
from moodspace.viz.map.face_map import DATA, NEIGHBORS, TAUGHT, FaceMap, describe
from moodspace.viz.map.faces import MapFaces, TaughtOnMap, gather_faces
from moodspace.viz.map.layout import METRIC, Layout
from moodspace.viz.map.page import write_page
from moodspace.viz.map.picture import draw_map
from moodspace.viz.map.projection import MIN_DIST, N_NEIGHBORS, nearest_others
from moodspace.viz.map.projector import write_projector
from moodspace.viz.map.quality import measure_quality

PICTURE, DARK_PICTURE, PAGE, PROJECTOR = "map.png", "map-dark.png", "map.html", "projector"

_EMPTY = "The bundle's gallery is empty; add faces with `index`."
_PREDICTED = (
    "Predictions of gallery and taught faces are votes of the most similar other gallery faces; they are more often "
    "right than for new faces, because the network learned from the gallery's faces."
)
_PREDICTED_DATA = "Predictions of your data combine the network and the votes."


@dataclass(frozen=True, slots=True, eq=False)
class GalleryMap:
    """A map that can be written.

    Attributes:
        face_map: The faces; its note is the caption and an explanation of the predictions.
        embeddings: `(n, d)` float32, rows of unit length, of the same faces.
        caption: The caption of the picture.
    """

    face_map: FaceMap
    embeddings: FloatArray
    caption: str


def make_map(
    recognizer: Recognizer,
    layout: Layout,
    *,
    taught: TaughtOnMap | None = None,
    data: DataParts | None = None,
    progress: Stages = lambda stage: None,
) -> GalleryMap:
    """Make the map of a bundle, with predictions and nearest neighbors of all faces.

    The layout does not change: faces that are not in the bundle are placed among their nearest gallery faces. If the
    gallery is empty, no other faces can be placed.

    Args:
        recognizer: Provides the bundle and its view.
        layout: The coordinates of the gallery's faces.
        taught: The faces of the user's gallery; None for none.
        data: Labeled faces; None for none.
        progress: Called with the name of each stage; returns a callback for its progress.
    """
    if not len(layout.coordinates):
        taught = data = None
    faces = gather_faces(recognizer, taught, data, progress("embed") if data is not None else None)
    similarities, rows = nearest_others(
        faces.embeddings, max_neighbors(recognizer.bundle, recognizer.label_set), faces.known
    )
    predicted, confidence = _predicted(recognizer, faces, similarities, rows)
    own = slice(faces.known, None)
    places = _placed(similarities[own, :MAP_NEIGHBORS], rows[own, :MAP_NEIGHBORS], layout.coordinates)
    caption = _caption(faces, layout)
    face_map = FaceMap(
        coordinates=np.concatenate([layout.coordinates, places]),
        note=" · ".join([caption, _note(faces)]) if len(faces) else caption,
        predicted=predicted,
        confidence=confidence,
        neighbors=_nearest(faces, rows),
        **{name: getattr(faces, name) for name in ("labels", "classes", "ids", "sources", "splits", "origin")},
        **{name: getattr(faces, name) for name in ("crops", "picture")},
    )
    return GalleryMap(face_map, faces.embeddings, caption)


def write_map(made: GalleryMap, folder: Path, *, dark: bool = False) -> list[Path]:
    """Write a map as a picture, a page for the browser and a folder for the TensorBoard projector.

    All files are written to a temporary folder first, so that an error or interrupt leaves old files intact.

    Args:
        made: The map.
        folder: Output folder, made if missing.
        dark: Also draw the picture on a dark background.

    Returns:
        The files written.

    Raises:
        OSError: A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    picture = replace(made.face_map, note=made.caption)
    with tempfile.TemporaryDirectory(prefix=".map-", dir=folder, ignore_cleanup_errors=True) as aside:
        draw_map(picture, Path(aside) / PICTURE)
        if dark:
            draw_map(picture, Path(aside) / DARK_PICTURE, dark=True)
        write_page(made.face_map, Path(aside) / PAGE)
        write_projector(made.face_map, made.embeddings, Path(aside) / PROJECTOR)
        files = [path.relative_to(aside) for path in sorted(Path(aside).rglob("*")) if path.is_file()]
        (folder / PROJECTOR).mkdir(exist_ok=True)
        for file in files:
            os.replace(Path(aside) / file, folder / file)
    return [folder / file for file in files]


def _predicted(
    recognizer: Recognizer, faces: MapFaces, similarities: FloatArray, rows: IntArray
) -> tuple[IntArray, FloatArray]:
    """Return the network's predictions where there are any, and those of the votes elsewhere."""
    bundle, view = recognizer.bundle, recognizer.label_set
    proba, has_votes = calibrated_knn(bundle, view, bundle.index.gallery.labels, similarities, rows)
    ask = has_votes & (faces.predicted < 0)
    return np.where(ask, proba.argmax(axis=1), faces.predicted), np.where(ask, proba.max(axis=1), faces.confidence)


def _placed(similarities: FloatArray, rows: IntArray, coordinates: FloatArray) -> FloatArray:
    no_labels = np.empty(rows.shape, "U1")
    return map_positions(Neighbors(rows, {}, similarities, rows >= 0, no_labels), rows, coordinates)


def _nearest(faces: MapFaces, of_gallery: IntArray) -> IntArray:
    """Return the nearest neighbors among all faces; if all are the gallery's, their search already found them."""
    if faces.known == len(faces):
        missing = np.full((len(faces), NEIGHBORS), -1)
        return np.concatenate([of_gallery, missing], axis=1)[:, :NEIGHBORS]
    return nearest_others(faces.embeddings, NEIGHBORS)[1]


def _caption(faces: MapFaces, layout: Layout) -> str:
    if not faces.known:
        return _EMPTY
    of_gallery = slice(faces.known)
    quality = measure_quality(
        faces.embeddings[of_gallery], layout.coordinates, faces.labels[of_gallery], seed=layout.seed, k=N_NEIGHBORS
    )
    words = describe(
        faces=faces.known,
        seed=layout.seed,
        n_neighbors=N_NEIGHBORS,
        min_dist=MIN_DIST,
        metric=METRIC,
        quality=quality,
        identical=faces.known > 1 and not np.ptp(layout.coordinates, axis=0).any(),
    )
    counts = {origin: int((faces.origin == origin).sum()) for origin in (TAUGHT, DATA)}
    named = {TAUGHT: "that you taught", DATA: "of your data"}
    if added := [f"{count:,} {named[origin]}" for origin, count in counts.items() if count]:
        words += f" · placed among their most similar gallery faces: {' and '.join(added)}"
    return words


def _note(faces: MapFaces) -> str:
    return f"{_PREDICTED} {_PREDICTED_DATA}" if (faces.origin == DATA).any() else _PREDICTED
