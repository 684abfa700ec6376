"""From picture files to the face in each: read, find, crop, embed.

A file may hold anything: where it gives no face, a reason comes out that people can read, never an exception.
"""

import hashlib
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from moodspace.arrays import ByteArray
from moodspace.embeddings.crops import SIZE, CropGeometry, crop_faces
from moodspace.embeddings.detection.faces import Detector
from moodspace.embeddings.encoder import Encoder
from moodspace.embeddings.files.kind import RAW_NAMES
from moodspace.embeddings.files.paths import what_is
from moodspace.embeddings.pictures import MAX_PIXELS, RAW, PictureError, is_animated, read_bgr, read_crop
from moodspace.index.ingest.apply import EmbeddedFile

# As large as a picture of `MAX_PIXELS` in 16-bit RGB is without compression.
MAX_BYTES = 6 * MAX_PIXELS

# Files between two steps of the progress, and between two commits: what an interruption loses.
BATCH = 64

NO_MEMORY = "expected a picture that fits into the free memory, received a larger one; close programs or shrink it"
NO_FACE = "expected a face, found none; cut it out and take the whole picture with --crops"
NO_FACE_FIRST = "expected a face in the first frame of the animation, found none; save another frame as a picture"


@dataclass(frozen=True, slots=True, eq=False)
class FaceCrop:
    """The face of a picture.

    Attributes:
        crop: `(48, 48)` uint8 in [0, 255], grey; None where the picture shows none.
        others: How many more faces it shows.
    """

    crop: ByteArray | None
    others: int = 0


class Cropper(Protocol):
    """What makes the crop of a picture."""

    def __call__(self, content: bytes) -> FaceCrop:
        """Takes the bytes of a picture file; raises `PictureError` where they are none that can be read."""
        ...


def crop_whole_picture(content: bytes) -> FaceCrop:
    """Takes the whole picture for one face that fills it, as data sets have them."""
    return FaceCrop(read_crop(content))


@dataclass(frozen=True, slots=True)
class FaceCropper:
    """Finds the faces of a picture and crops the largest: a label speaks of one face.

    Attributes:
        detector: Finds them.
        geometry: Where landmarks stand in a crop: the bundle's own, so that crops are as in a live session.
    """

    detector: Detector
    geometry: CropGeometry

    def __call__(self, content: bytes) -> FaceCrop:
        """Cuts the largest face out of a picture file's bytes."""
        frame_bgr = read_bgr(content)
        try:
            faces = self.detector.detect(frame_bgr)
            if not len(faces):
                return FaceCrop(None)
            largest = faces.take([int(np.argmax(faces.xywh[:, 2:].prod(axis=1)))])
            return FaceCrop(crop_faces(frame_bgr, largest.landmarks, self.geometry)[0], len(faces) - 1)
        except cv2.error as error:  # OpenCV has limits of its own, such as 32,767 pixels on a side
            reason = " ".join(str(error).split())
            raise PictureError(f"expected a picture that OpenCV can search, received another ({reason})") from error


def embed_files(
    paths: Sequence[str], cutter: Cropper, encoder: Encoder, *, size: int = BATCH
) -> Iterator[list[EmbeddedFile]]:
    """Reads pictures and embeds the face in each.

    Args:
        paths: The files.
        cutter: Makes their crops.
        encoder: Embeds the crops.
        size: How many files at a time.

    Yields:
        What came of the next files, in order.
    """
    for start in range(0, len(paths), size):
        read = [_read_if_it_fits(path, cutter) for path in paths[start : start + size]]
        crops = np.array([crop for _, crop in read if crop is not None], np.uint8).reshape(-1, SIZE, SIZE)
        embeddings = iter(encoder.encode(crops).embeddings)
        yield [file if crop is None else replace(file, embedding=next(embeddings)) for file, crop in read]


def _read_if_it_fits(path: str, cutter: Cropper) -> tuple[EmbeddedFile, ByteArray | None]:
    try:
        return _read(path, cutter)
    except MemoryError:
        return EmbeddedFile(path, reason=NO_MEMORY, readable=False, lasting=False), None


def _read(path: str, cutter: Cropper) -> tuple[EmbeddedFile, ByteArray | None]:
    try:
        content = content_of(Path(path))
    except PictureError as error:
        return EmbeddedFile(path, reason=str(error), readable=False), None
    except OSError as error:
        reason = f"expected a file that can be read, received: {error.strerror or error}"
        return EmbeddedFile(path, reason=reason, readable=False, lasting=False), None
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        cut = cutter(content)
    except PictureError as error:
        return EmbeddedFile(path, sha256, reason=str(error), readable=False), None
    if cut.crop is None:
        reason = NO_FACE_FIRST if is_animated(content) else NO_FACE
        return EmbeddedFile(path, sha256, reason=reason), None
    return EmbeddedFile(path, sha256, digest=digest_of(cut.crop), others=cut.others), cut.crop


def digest_of(crop: ByteArray) -> str:
    """Returns the SHA-256 of a crop's pixels, by which a gallery tells faces apart."""
    return hashlib.sha256(crop.tobytes()).hexdigest()


def content_of(path: Path) -> bytes:
    """Read a file, but never wait for a pipe and never take more than a picture may have.

    Raises:
        PictureError: it is no file, or too large for a picture.
        OSError: it cannot be read.
    """
    status = path.stat()
    if path.suffix.lower() in RAW_NAMES:
        raise PictureError(RAW)
    if not stat.S_ISREG(status.st_mode):
        raise PictureError(f"expected a picture file, received {what_is(path)}")
    if status.st_size > MAX_BYTES:
        raise PictureError(f"expected at most {MAX_BYTES:,} bytes, received {status.st_size:,}; shrink it")
    return path.read_bytes()
