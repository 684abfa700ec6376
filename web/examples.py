"""Faces to choose from before one is taught: found in a picture, cropped as the network sees them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from embeddings.crops import CropGeometry, crop_faces
from embeddings.encoder import Encoded
from realtime.annotate import picture_bytes
from realtime.collect import digest_of
from realtime.faces import ByteArray
from realtime.pipeline import FrameResult
from web.teaching import Example


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The faces of a picture.

    Attributes:
        source: The picture's name, to be shown.
        crops: `(n, 48, 48)` uint8 in [0, 255], gray, the largest face first; n = 0 is legal.
    """

    source: str
    crops: ByteArray


def candidates(source: str, bgr: ByteArray, result: FrameResult, geometry: CropGeometry) -> Candidates:
    """Crop the faces of a picture.

    Args:
        source: What to call it.
        bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
        result: What it shows.
        geometry: Where landmarks stand in a crop: the bundle's own.
    """
    sizes = result.faces.xywh[:, 2:].prod(axis=1)
    largest_first = np.argsort(-sizes, kind="stable")
    return Candidates(source, crop_faces(bgr, result.faces.landmarks[largest_first], geometry))


def chosen(picked: Sequence[tuple[Candidates, int]], encode: Callable[[ByteArray], Encoded]) -> list[Example]:
    """Return the faces that were picked, each by its row among its picture's, ready to be taught."""
    if not picked:
        return []
    crops = np.stack([one.crops[row] for one, row in picked])
    embeddings = encode(crops).embeddings
    return [
        Example(embedding, digest_of(crop), one.source)
        for embedding, crop, (one, _) in zip(embeddings, crops, picked, strict=True)
    ]


def crop_picture(crop: ByteArray) -> bytes:
    """Return a crop, `(48, 48)` uint8 gray, as a PNG file."""
    return picture_bytes(np.repeat(crop[..., None], 3, axis=2), ".png")
