"""One picture in, what its faces show out: for the Photo page and for choosing a face to teach."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from classifier.recognizer import Recognizer
from realtime.annotate import drawn, picture_bytes
from realtime.documents import face_documents
from realtime.faces import ByteArray
from realtime.pipeline import FrameResult

# Pixels on a side of a face's thumbnail, twice of what it is shown at, for dense screens; and how far beyond the box
# it reaches, in boxes.
_THUMBNAIL, _MARGIN = 152, 0.15
_SHOWN_LONGEST = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A picture that was looked at.

    Attributes:
        name: The file's, as the visitor's device told it; a name to show, never a path.
        bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
        result: What it shows.
        document: The same as `cli.py predict --json` prints it.
    """

    name: str
    bgr: ByteArray
    result: FrameResult
    document: dict[str, Any]


def look(name: str, bgr: ByteArray, recognize: Callable[[ByteArray], FrameResult], recognizer: Recognizer) -> Photo:
    """Finds and recognises the faces of a picture.

    Args:
        name: What to call it.
        bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
        recognize: Says what a picture shows.
        recognizer: Whose result that is; names the neighbours' labels.
    """
    result = recognize(bgr)
    return Photo(name, bgr, result, {"source": name, "faces": face_documents(result, recognizer)})


def annotated(photo: Photo) -> tuple[bytes, str]:
    """Returns the picture with boxes and words drawn in, as a file, and that file's ending: JPEG stays JPEG."""
    suffix = ".jpg" if photo.name.lower().endswith((".jpg", ".jpeg")) else ".png"
    return picture_bytes(drawn(photo.bgr, photo.result), suffix), suffix


def shown(photo: Photo) -> bytes:
    """Returns the same as a JPEG of at most 2,000 pixels on a side, which a page shows sooner."""
    picture = drawn(photo.bgr, photo.result)
    factor = _SHOWN_LONGEST / max(picture.shape[:2])
    if factor < 1:
        picture = np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    return picture_bytes(picture, ".jpg")


def thumbnails(photo: Photo) -> list[bytes]:
    """Returns a square JPEG of each face, a little wider than its box."""
    return [picture_bytes(_square(photo.bgr, xywh), ".jpg") for xywh in photo.result.faces.xywh]


def _square(bgr: ByteArray, xywh: npt.NDArray[np.float32]) -> ByteArray:
    """Cuts a square around a box; what lies beyond the picture repeats its edge."""
    side = float(xywh[2:].max()) * (1 + 2 * _MARGIN)
    scale = _THUMBNAIL / max(side, 1.0)
    middle = xywh[:2] + xywh[2:] / 2
    matrix = np.array([[scale, 0, _THUMBNAIL / 2 - scale * middle[0]], [0, scale, _THUMBNAIL / 2 - scale * middle[1]]])
    size = (_THUMBNAIL, _THUMBNAIL)
    cut = cv2.warpAffine(bgr, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)
