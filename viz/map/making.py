"""The map of a bundle's gallery, with what the user taught and data beside it: made, and written in all its forms."""

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.classifier.map_positions import PLACED_BY, map_positions
from moodspace.classifier.recognizer import Recognizer, voters, votes_alone
from moodspace.index.search import Neighbors
from moodspace.viz.explore.data import DataParts, Stages
from moodspace.viz.map.face_map import DATA, NEIGHBORS, TAUGHT, FaceMap, describe_map
from moodspace.viz.map.faces import MapFaces, TaughtOnMap, gather_faces
from moodspace.viz.map.layout import METRIC, Layout
from moodspace.viz.map.page import write_map_page
from moodspace.viz.map.picture import draw_map
from moodspace.viz.map.projection import MIN_DIST, N_NEIGHBORS, nearest_others
from moodspace.viz.map.projector import write_projector
from moodspace.viz.map.quality import map_quality

PICTURE, DARK_PICTURE, PAGE, PROJECTOR = "map.png", "map-dark.png", "map.html", "projector"

_EMPTY = "The bundle's gallery is empty: index some faces to see them here."
_PREDICTED = (
    "Predictions: for faces of the bundle and taught ones, what the bundle's other faces most like them vote; the "
    "network learned from the bundle's faces, so votes are right about them more often than about new ones."
)
_PREDICTED_DATA = "For your data, what the network and the votes say together."


@dataclass(frozen=True, slots=True, eq=False)
class MapMade:
    """A map that can be written.

    Attributes:
        face_map: The faces; its note says how the map was made, and what the predictions are.
        embeddings: `(n, d)` float32 unit rows, of the same faces.
        caption: The part of the note that goes below a picture.
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
) -> MapMade:
    """Puts faces on the map of a bundle, says what they are predicted to show and which others are most like them.

    Nothing of the layout moves: who is not of the bundle stands among its faces most like them. Without any, on the
    map of an empty gallery, nobody can stand.

    Args:
        recognizer: Whose bundle's gallery is drawn, and in whose view.
        layout: The places of the gallery's faces.
        taught: The user's own faces; None for none.
        data: Labelled faces; None for none.
        progress: Called with a stage's name, returns what is called as the stage goes on.
    """
    if not len(layout.coordinates):
        taught = data = None
    faces = gather_faces(recognizer, taught, data, progress("embed") if data is not None else None)
    similarities, rows = nearest_others(faces.embeddings, voters(recognizer.bundle, recognizer.label_set), faces.known)
    predicted, confidence = _predicted(recognizer, faces, similarities, rows)
    own = slice(faces.known, None)
    places = _placed(similarities[own, :PLACED_BY], rows[own, :PLACED_BY], layout.coordinates)
    caption = _caption(faces, layout)
    face_map = FaceMap(
        coordinates=np.concatenate([layout.coordinates, places]),
        note=" · ".join([caption, _words(faces)]) if len(faces) else caption,
        predicted=predicted,
        confidence=confidence,
        neighbors=_most_alike(faces, rows),
        **{name: getattr(faces, name) for name in ("labels", "classes", "ids", "sources", "splits", "origin")},
        **{name: getattr(faces, name) for name in ("crops", "picture")},
    )
    return MapMade(face_map, faces.embeddings, caption)


def write_map(made: MapMade, folder: Path, *, dark: bool = False) -> list[Path]:
    """Writes a map as a picture for print, a page for the browser and a folder for the TensorBoard projector.

    All is drawn aside first, so that an error or an interrupt leaves what the folder held before.

    Args:
        made: The map.
        folder: Where to; made when missing.
        dark: Whether to draw the picture on dark ground, too.

    Returns:
        What was written.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    picture = replace(made.face_map, note=made.caption)
    with tempfile.TemporaryDirectory(prefix=".map-", dir=folder, ignore_cleanup_errors=True) as aside:
        draw_map(picture, Path(aside) / PICTURE)
        if dark:
            draw_map(picture, Path(aside) / DARK_PICTURE, dark=True)
        write_map_page(made.face_map, Path(aside) / PAGE)
        write_projector(made.face_map, made.embeddings, Path(aside) / PROJECTOR)
        files = [path.relative_to(aside) for path in sorted(Path(aside).rglob("*")) if path.is_file()]
        (folder / PROJECTOR).mkdir(exist_ok=True)
        for file in files:
            os.replace(Path(aside) / file, folder / file)
    return [folder / file for file in files]


def _predicted(
    recognizer: Recognizer, faces: MapFaces, similarities: FloatArray, rows: IntArray
) -> tuple[IntArray, FloatArray]:
    """What the network said where it was asked, and what the votes say elsewhere."""
    bundle, view = recognizer.bundle, recognizer.label_set
    proba, voted = votes_alone(bundle, view, bundle.index.gallery.labels, similarities, rows)
    ask = voted & (faces.predicted < 0)
    return np.where(ask, proba.argmax(axis=1), faces.predicted), np.where(ask, proba.max(axis=1), faces.confidence)


def _placed(similarities: FloatArray, rows: IntArray, coordinates: FloatArray) -> FloatArray:
    nameless = np.empty(rows.shape, "U1")
    return map_positions(Neighbors(rows, {}, similarities, rows >= 0, nameless), rows, coordinates)


def _most_alike(faces: MapFaces, of_gallery: IntArray) -> IntArray:
    """The nearest others among all on the map; the search among the gallery's has them where nobody else is there."""
    if faces.known == len(faces):
        missing = np.full((len(faces), NEIGHBORS), -1)
        return np.concatenate([of_gallery, missing], axis=1)[:, :NEIGHBORS]
    return nearest_others(faces.embeddings, NEIGHBORS)[1]


def _caption(faces: MapFaces, layout: Layout) -> str:
    if not faces.known:
        return _EMPTY
    of_gallery = slice(faces.known)
    quality = map_quality(
        faces.embeddings[of_gallery], layout.coordinates, faces.labels[of_gallery], seed=layout.seed, k=N_NEIGHBORS
    )
    words = describe_map(
        faces=faces.known,
        seed=layout.seed,
        n_neighbors=N_NEIGHBORS,
        min_dist=MIN_DIST,
        metric=METRIC,
        quality=quality,
        alike=faces.known > 1 and not np.ptp(layout.coordinates, axis=0).any(),
    )
    counts = {origin: int((faces.origin == origin).sum()) for origin in (TAUGHT, DATA)}
    named = {TAUGHT: "that you taught", DATA: "of your data"}
    if added := [f"{count:,} {named[origin]}" for origin, count in counts.items() if count]:
        words += f" · placed afterwards among those most like them: {' and '.join(added)}"
    return words


def _words(faces: MapFaces) -> str:
    return f"{_PREDICTED} {_PREDICTED_DATA}" if (faces.origin == DATA).any() else _PREDICTED
