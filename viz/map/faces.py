"""Collect the faces of a map: the bundle's gallery, the user's gallery, and the data given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from moodspace.arrays import ByteArray, FloatArray, IntArray, StringArray
from moodspace.classifier.evaluation import match_truth
from moodspace.classifier.face_pictures import gallery_rows
from moodspace.classifier.recognizer import Recognizer
from moodspace.classifier.views import BLEND
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.data.labelled import LabelledFaces, Progress, label_sets
from moodspace.embeddings.encoder import Encoded, encode_all
from moodspace.index.taught.faces import TaughtFaces
from moodspace.viz.explore.data import DataParts
from moodspace.viz.map.face_map import DATA, GALLERY, TAUGHT

_CHUNK = 1000


class TaughtOnMap(NamedTuple):
    """The faces of the user's gallery.

    Attributes:
        faces: The n faces.
        crops: `(m, 48, 48)` uint8 in [0, 255], gray; the available images.
        picture: `(n,)` int64, the row of each face in `crops`, -1 for no image.
    """

    faces: TaughtFaces
    crops: ByteArray
    picture: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class MapFaces:
    """The faces of a map without coordinates; columns and classes are as in `viz.map.face_map.FaceMap`.

    Attributes:
        embeddings: `(n, d)` float32, rows of unit length.
        known: Number of the bundle's gallery faces, which come first, in the gallery's order.
    """

    embeddings: FloatArray
    known: int
    labels: IntArray
    classes: tuple[str, ...]
    ids: IntArray
    sources: StringArray
    splits: StringArray
    origin: StringArray
    predicted: IntArray
    confidence: FloatArray
    crops: ByteArray
    picture: IntArray

    def __len__(self) -> int:
        return len(self.labels)


def gather_faces(
    recognizer: Recognizer, taught: TaughtOnMap | None, data: DataParts | None, progress: Progress | None = None
) -> MapFaces:
    """Collect the faces for the map of a bundle.

    Data faces that the gallery contains are not added; they provide images and splits of the gallery's faces. The
    network predicts the other data faces. It cannot predict gallery faces, because their images are not stored.

    Args:
        recognizer: Provides the bundle, its view, and pictures of the bundle's faces, if any.
        taught: The faces of the user's gallery; None for none.
        data: Labeled faces; None for none.
        progress: Called with the number of data faces encoded so far and the total.
    """
    classes = list(recognizer.classes)
    known = _of_gallery(recognizer, data)
    parts = [known]
    crops = [np.empty((0, SIZE, SIZE), np.uint8) if data is None else data.faces.crops]
    if len(recognizer.pictures):
        rows = recognizer.pictures.rows(known["ids"])
        missing = (known["picture"] < 0) & (rows >= 0)
        known["picture"][missing] = len(crops[0]) + rows[missing]
        crops.append(recognizer.pictures.crops)
    if taught is not None:
        parts.append(_of_taught(taught, classes, sum(map(len, crops))))
        crops.append(taught.crops)
    if data is not None:
        parts.append(_of_data(recognizer, data, known.pop("new"), classes, progress))
    known.pop("new", None)
    joined: dict[str, Any] = {name: np.concatenate([part[name] for part in parts]) for name in known}
    return MapFaces(known=len(known["labels"]), classes=tuple(classes), crops=np.concatenate(crops), **joined)


def _of_gallery(recognizer: Recognizer, data: DataParts | None) -> dict[str, Any]:
    """Return the columns of the bundle's faces, and as `new` the rows of the data that are not among them."""
    gallery = recognizer.bundle.index.gallery
    part = _part(GALLERY, gallery.embeddings, recognizer.gallery_labels, gallery.ids, gallery.sources)
    if data is not None:
        rows = gallery_rows(recognizer.bundle, data.faces)
        held = np.flatnonzero(rows >= 0)
        part["picture"][rows[held]] = held
        names = np.array(["", *data.names])
        part["splits"] = names[np.where(part["picture"] < 0, 0, 1 + data.part[part["picture"]])]
        part["new"] = np.flatnonzero(rows < 0)
    return part


def _of_taught(taught: TaughtOnMap, classes: list[str], first_crop: int) -> dict[str, Any]:
    faces = taught.faces
    # The user's gallery stores 16-bit numbers, so restore unit length.
    rows = faces.embeddings / np.linalg.norm(faces.embeddings, axis=1, keepdims=True)
    labels = _columns(faces.labels, classes)
    part = _part(TAUGHT, rows.astype(np.float32), labels, faces.ids, np.array(faces.sources, np.str_))
    part["picture"] = np.where(taught.picture < 0, -1, first_crop + taught.picture)
    return part


def _of_data(
    recognizer: Recognizer, data: DataParts, rows: IntArray, classes: list[str], progress: Progress | None
) -> dict[str, Any]:
    faces = data.faces.take(rows)
    encoded = encode_all(recognizer.bundle.encoder, faces.crops, progress)
    labels = _labels_in_view(recognizer, faces)
    is_new = np.array([name not in recognizer.classes for name in faces.classes], np.bool_)[faces.labels]
    labels[is_new] = _columns([faces.classes[label] for label in faces.labels[is_new]], classes)
    # Ids of the gallery start at 0 and those of taught faces at a large number; use the range between.
    first = 1 + int(recognizer.bundle.index.gallery.ids.max(initial=-1))
    part = _part(DATA, encoded.embeddings, labels, first + np.arange(len(rows)), np.array(faces.sources, np.str_))
    part["picture"] = rows
    part["splits"] = np.array(data.names)[data.part[rows]]
    part["predicted"], part["confidence"] = _predictions(recognizer, encoded, classes)
    return part


def _labels_in_view(recognizer: Recognizer, faces: LabelledFaces) -> IntArray:
    """Return the labels of the data in the view's columns, blended as in the gallery where possible."""
    sets, blend = label_sets(faces), recognizer.bundle.blend
    if recognizer.label_set == BLEND and blend is not None and sets.keys() >= blend.shares.keys():
        return blend.labels(
            {name: sets[name].labels for name in blend.shares}, {name: sets[name].classes for name in blend.shares}
        )
    return match_truth(faces, recognizer.label_set, recognizer.classes).labels


def _predictions(recognizer: Recognizer, encoded: Encoded, classes: list[str]) -> tuple[IntArray, FloatArray]:
    """Return predictions `(n,)` and confidences `(n,)`, computed in chunks that bound memory."""
    predicted, confidence = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for start in range(0, len(encoded), _CHUNK):
        some = slice(start, start + _CHUNK)
        logits = {name: values[some] for name, values in encoded.logits.items()}
        prediction = recognizer.predict_encoded(Encoded(encoded.embeddings[some], logits))
        predicted.append(_columns(prediction.classes, classes)[prediction.labels])
        confidence.append(prediction.confidence)
    return np.concatenate(predicted), np.concatenate(confidence)


def _columns(names: Sequence[str], classes: list[str]) -> IntArray:
    """Return the column of each name in `classes`, and append new names to it."""
    classes.extend(dict.fromkeys(name for name in names if name not in classes))
    column = {name: number for number, name in enumerate(classes)}
    return np.array([column[name] for name in names], np.int64)


def _part(origin: str, embeddings: FloatArray, labels: IntArray, ids: IntArray, sources: StringArray) -> dict[str, Any]:
    """Return the columns of faces of one origin, with defaults for what is unknown."""
    n = len(labels)
    return {
        "embeddings": embeddings,
        "labels": labels,
        "ids": ids,
        "sources": sources,
        "splits": np.full(n, ""),
        "origin": np.full(n, origin),
        "predicted": np.full(n, -1),
        "confidence": np.full(n, np.nan, np.float32),
        "picture": np.full(n, -1),
    }
