"""Analyze an uploaded picture: predictions for the Photo page, and crops of faces for the Teach page."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from moodspace.arrays import ByteArray
from moodspace.classifier.ensemble import Prediction
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.crops import CropGeometry, crop_faces
from moodspace.embeddings.encoder import Encoded
from moodspace.index.ingest.read_faces import crop_digest
from moodspace.realtime.documents import EVIDENCE, face_documents
from moodspace.realtime.drawing.annotate import drawn, picture_bytes
from moodspace.realtime.evidence import listed, near_faces, reason
from moodspace.realtime.pipeline import FrameResult
from moodspace.web.components.teaching import Example
from moodspace.web.server.decoding import UploadError

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Side of a face's thumbnail in pixels, twice the size it is shown at, for dense screens; its margin around the box as a
# share of the box.
_THUMBNAIL, _MARGIN = 152, 0.15
_SHOWN_LONGEST = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """The result for a picture, with small copies to show; the full picture is not kept.

    Attributes:
        name: The file's name on the visitor's device; a name to show, never a path.
        result: The predictions.
        document: The predictions as `moodspace predict --json` prints them.
        shown: An annotated JPEG of at most 2,000 pixels per side.
        thumbnails: A square JPEG of each face, a little wider than its box.
        reasons: For each face, why its expression differs from its neighbors' votes; "" if it does not.
        pictures: A PNG of each listed neighbor that has a picture, by its id.
    """

    name: str
    result: FrameResult
    document: dict[str, Any]
    shown: bytes
    thumbnails: tuple[bytes, ...]
    reasons: tuple[str, ...]
    pictures: Mapping[int, bytes]


def analyze_photo(
    name: str, bgr: ByteArray, recognize: Callable[[ByteArray], FrameResult], recognizer: Recognizer
) -> Photo:
    """Find and recognize the faces of a picture.

    Args:
        name: The file's name, to show.
        bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
        recognize: Finds and recognizes the faces of a picture.
        recognizer: The recognizer that `recognize` uses; names the neighbors' labels.
    """
    result = recognize(bgr)
    document: dict[str, Any] = {"source": name, "faces": face_documents(result, recognizer)}
    thumbnails = tuple(picture_bytes(_square(bgr, xywh), ".jpg") for xywh in result.faces.xywh)
    shown = picture_bytes(_smaller(drawn(bgr, result, numbered=True)), ".jpg")
    reasons = tuple(_reason(result.prediction, row, recognizer) for row in range(len(result.faces)))
    listed_ids = [one["id"] for face in document["faces"] for one in face["neighbors"]]
    pictures = {number: crop_picture(crop) for number, crop in recognizer.pictures.of(listed_ids).items()}
    return Photo(name, result, document, shown, thumbnails, reasons, pictures)


def differences(one: Photo, other: Photo) -> str:
    """Return which faces two results of the same picture read differently, as a sentence.

    Args:
        one: A result.
        other: The result of another view or bundle, with the same faces in the same order.
    """
    pairs = zip(one.document["faces"], other.document["faces"], strict=True)
    unlike = [number for number, (first, second) in enumerate(pairs, 1) if _answer(first) != _answer(second)]
    if not unlike:
        return "Both agree on every face." if len(one.document["faces"]) > 1 else "Both agree."
    if len(one.document["faces"]) == 1:
        return "They differ."
    named = ", ".join(map(str, unlike[:-1])) + (" and " if unlike[:-1] else "") + str(unlike[-1])
    return f"They differ on {'face' if len(unlike) == 1 else 'faces'} {named}."


def _answer(face: dict[str, Any]) -> str | None:
    return None if face["unknown"] else str(face["expression"])


def _reason(prediction: Prediction, row: int, recognizer: Recognizer) -> str:
    if prediction.unknown[row]:
        return ""
    answer = prediction.classes[int(prediction.labels[row])]
    nearest = listed(near_faces(prediction, row, recognizer), answer, EVIDENCE)
    return reason(answer, recognizer.classes, nearest, prediction.classes, prediction.knn_proba[row])


def safely(examine: Callable[[], T]) -> T | UploadError:
    """Return the result for one upload, or the error for the visitor; a bad upload never stops the others.

    Args:
        examine: Decodes and analyzes the upload.
    """
    try:
        return examine()
    except UploadError as error:
        return error
    except Exception:
        logger.exception("an upload could not be analyzed")
        return UploadError("this file could not be analyzed; save it as JPEG or PNG and try again")


def annotated_suffix(name: str) -> str:
    """Return the suffix of an annotated picture's file: JPEG stays JPEG, anything else becomes PNG."""
    return ".jpg" if name.lower().endswith((".jpg", ".jpeg")) else ".png"


def annotated(photo: Photo, bgr: ByteArray) -> bytes:
    """Return a picture in full size with boxes and labels drawn in, as a file.

    Args:
        photo: The result for the picture.
        bgr: The picture, `(h, w, 3)` uint8 in [0, 255], BGR.
    """
    return picture_bytes(drawn(bgr, photo.result, numbered=True), annotated_suffix(photo.name))


def _smaller(picture: ByteArray) -> ByteArray:
    factor = _SHOWN_LONGEST / max(picture.shape[:2])
    if factor >= 1:
        return picture
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)


def _square(bgr: ByteArray, xywh: npt.NDArray[np.float32]) -> ByteArray:
    """Cut a square around a box; pixels beyond the picture repeat its edge."""
    side = float(xywh[2:].max()) * (1 + 2 * _MARGIN)
    scale = _THUMBNAIL / max(side, 1.0)
    middle = xywh[:2] + xywh[2:] / 2
    matrix = np.array([[scale, 0, _THUMBNAIL / 2 - scale * middle[0]], [0, scale, _THUMBNAIL / 2 - scale * middle[1]]])
    size = (_THUMBNAIL, _THUMBNAIL)
    cut = cv2.warpAffine(bgr, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The faces of a picture, to choose from for teaching.

    Attributes:
        source: The picture's name, to show.
        crops: `(n, 48, 48)` uint8 in [0, 255], gray, the largest face first; n = 0 is legal.
    """

    source: str
    crops: ByteArray


def candidates(source: str, bgr: ByteArray, result: FrameResult, geometry: CropGeometry) -> Candidates:
    """Crop the faces of a picture.

    Args:
        source: The picture's name, to show.
        bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
        result: The predictions.
        geometry: The bundle's positions of landmarks in a crop.
    """
    sizes = result.faces.xywh[:, 2:].prod(axis=1)
    largest_first = np.argsort(-sizes, kind="stable")
    return Candidates(source, crop_faces(bgr, result.faces.landmarks[largest_first], geometry))


def chosen(picked: Sequence[tuple[Candidates, int]], encode: Callable[[ByteArray], Encoded]) -> list[Example]:
    """Return the chosen faces, each given by its row among its picture's crops, ready to be taught."""
    if not picked:
        return []
    crops = np.stack([one.crops[row] for one, row in picked])
    embeddings = encode(crops).embeddings
    return [
        Example(embedding, crop_digest(crop), one.source, crop)
        for embedding, crop, (one, _) in zip(embeddings, crops, picked, strict=True)
    ]


def crop_picture(crop: ByteArray) -> bytes:
    """Return a crop, `(48, 48)` uint8 gray, as a PNG file."""
    return picture_bytes(np.repeat(crop[..., None], 3, axis=2), ".png")
