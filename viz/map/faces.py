"""Who is to stand on a map: the faces of a bundle's gallery, those that the user taught, and those of data named."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from moodspace.arrays import ByteArray, FloatArray, IntArray, StringArray
from moodspace.classifier.evaluation import match_truth
from moodspace.classifier.recognizer import Recognizer
from moodspace.classifier.views import BLEND
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.data.labelled import LabelledFaces, Progress, label_sets
from moodspace.embeddings.encoder import Encoded, encode_all
from moodspace.index.taught.faces import TaughtFaces
from moodspace.viz.explore.data import DataParts
from moodspace.viz.explore.embeddings import gallery_rows
from moodspace.viz.map.face_map import DATA, GALLERY, TAUGHT

_CHUNK = 1000


class TaughtOnMap(NamedTuple):
    """What the user taught.

    Attributes:
        faces: n faces.
        crops: `(m, 48, 48)` uint8 in [0, 255], grey; the pictures at hand.
        picture: `(n,)` int64, each face's row in `crops`, -1 where its picture is not at hand.
    """

    faces: TaughtFaces
    crops: ByteArray
    picture: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class MapFaces:
    """Faces that want a place on a map, as parallel arrays; columns and classes are as in `viz.face_map.FaceMap`.

    Attributes:
        embeddings: `(n, d)` float32 unit rows.
        known: How many of them are of the bundle's gallery; they come first, in the gallery's order.
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
    """Puts together who is to stand on the map of a bundle.

    Faces of the data that the gallery holds already give it their pictures and splits. Of the others, the network says
    what they show. It cannot be asked about the gallery's and the taught, as their pictures are not kept.

    Args:
        recognizer: Whose bundle's gallery is drawn, and whose view says what its faces show.
        taught: The user's own faces; None for none.
        data: Labelled faces; None for none.
        progress: Called with the faces of the data embedded so far and their number.
    """
    classes = list(recognizer.classes)
    known = _of_gallery(recognizer, data)
    parts = [known]
    crops = [np.empty((0, SIZE, SIZE), np.uint8) if data is None else data.faces.crops]
    if taught is not None:
        parts.append(_of_taught(taught, classes, len(crops[0])))
        crops.append(taught.crops)
    if data is not None:
        parts.append(_of_data(recognizer, data, known.pop("new"), classes, progress))
    known.pop("new", None)
    joined: dict[str, Any] = {name: np.concatenate([part[name] for part in parts]) for name in known}
    return MapFaces(known=len(known["labels"]), classes=tuple(classes), crops=np.concatenate(crops), **joined)


def _of_gallery(recognizer: Recognizer, data: DataParts | None) -> dict[str, Any]:
    """The columns of the bundle's faces; as `new` the rows of the data that are not among them."""
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
    # Rounded to 16 bits in the gallery, so no longer quite of unit length.
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
    labels = _said(recognizer, faces)
    strange = np.array([name not in recognizer.classes for name in faces.classes], np.bool_)[faces.labels]
    labels[strange] = _columns([faces.classes[label] for label in faces.labels[strange]], classes)
    # Beyond the gallery's, which are numbered from 0, and below the taught ones.
    first = 1 + int(recognizer.bundle.index.gallery.ids.max(initial=-1))
    part = _part(DATA, encoded.embeddings, labels, first + np.arange(len(rows)), np.array(faces.sources, np.str_))
    part["picture"] = rows
    part["splits"] = np.array(data.names)[data.part[rows]]
    part["predicted"], part["confidence"] = _recognized(recognizer, encoded, classes)
    return part


def _said(recognizer: Recognizer, faces: LabelledFaces) -> IntArray:
    """What the data say of each face in the view's columns; of the blend as the gallery does, where they can."""
    sets, blend = label_sets(faces), recognizer.bundle.blend
    if recognizer.label_set == BLEND and blend is not None and sets.keys() >= blend.shares.keys():
        return blend.labels(
            {name: sets[name].labels for name in blend.shares}, {name: sets[name].classes for name in blend.shares}
        )
    return match_truth(faces, recognizer.label_set, recognizer.classes).labels


def _recognized(recognizer: Recognizer, encoded: Encoded, classes: list[str]) -> tuple[IntArray, FloatArray]:
    """What is predicted of each face, and how surely; some at a time for memory's sake."""
    predicted, confidence = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for start in range(0, len(encoded), _CHUNK):
        some = slice(start, start + _CHUNK)
        logits = {name: values[some] for name, values in encoded.logits.items()}
        prediction = recognizer.predict_encoded(Encoded(encoded.embeddings[some], logits))
        predicted.append(_columns(prediction.classes, classes)[prediction.labels])
        confidence.append(prediction.confidence)
    return np.concatenate(predicted), np.concatenate(confidence)


def _columns(names: Sequence[str], classes: list[str]) -> IntArray:
    """The column of each name in `classes`, which grows by those that are new."""
    classes.extend(dict.fromkeys(name for name in names if name not in classes))
    column = {name: number for number, name in enumerate(classes)}
    return np.array([column[name] for name in names], np.int64)


def _part(origin: str, embeddings: FloatArray, labels: IntArray, ids: IntArray, sources: StringArray) -> dict[str, Any]:
    """The columns of faces of one origin, of which nothing else is known yet."""
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
