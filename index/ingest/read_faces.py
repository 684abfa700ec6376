"""Read picture files, detect and crop the face in each, and encode it.

A file may hold anything. One that gives no face gives a readable reason instead, never an exception.
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
from moodspace.embeddings.files.paths import describe_path
from moodspace.embeddings.pictures import MAX_PIXELS, RAW, PictureError, is_animated, read_bgr, read_crop
from moodspace.index.ingest.apply import EmbeddedFile

# The size of an uncompressed 16-bit RGB picture of `MAX_PIXELS`.
MAX_BYTES = 6 * MAX_PIXELS

# Files per transaction and per progress report; an interruption loses at most this much work.
BATCH = 64

NO_MEMORY = "expected a picture that fits into the free memory, got a larger one; close programs or shrink it"
NO_FACE = "expected a face, got none; crop it yourself and use --crops"
NO_FACE_FIRST = "expected a face in the first frame of the animation, got none; save another frame as a picture"


@dataclass(frozen=True, slots=True, eq=False)
class FaceCrop:
    """The largest face of a picture.

    Attributes:
        crop: `(48, 48)` uint8 gray in [0, 255]; None if the picture shows no face.
        others: How many more faces the picture shows.
    """

    crop: ByteArray | None
    others: int = 0


class Cropper(Protocol):
    """Turns the bytes of a picture file into the crop of its face."""

    def __call__(self, content: bytes) -> FaceCrop:
        """Return the crop; raise `PictureError` if the bytes are not a picture that can be read."""
        ...


def crop_whole_picture(content: bytes) -> FaceCrop:
    """Use the whole picture as the crop, for data sets of pictures that one face fills."""
    return FaceCrop(read_crop(content))


@dataclass(frozen=True, slots=True)
class FaceCropper:
    """Detects the faces of a picture and crops the largest one, because a label describes one face.

    Attributes:
        detector: Finds the faces.
        geometry: Where landmarks lie in a crop; the encoder's own, so that crops equal those of a live session.
    """

    detector: Detector
    geometry: CropGeometry

    def __call__(self, content: bytes) -> FaceCrop:
        """Crop the largest face of a picture file's bytes."""
        frame_bgr = read_bgr(content)
        try:
            faces = self.detector.detect(frame_bgr)
            if not len(faces):
                return FaceCrop(None)
            largest = faces.take([int(np.argmax(faces.xywh[:, 2:].prod(axis=1)))])
            return FaceCrop(crop_faces(frame_bgr, largest.landmarks, self.geometry)[0], len(faces) - 1)
        except cv2.error as error:  # OpenCV has its own limits, such as 32,767 pixels per side
            reason = " ".join(str(error).split())
            raise PictureError(f"expected a picture that OpenCV can search, got another ({reason})") from error


def embed_files(
    paths: Sequence[str], cropper: Cropper, encoder: Encoder, *, size: int = BATCH
) -> Iterator[list[EmbeddedFile]]:
    """Read pictures, crop the face in each, and encode it.

    Args:
        paths: The files.
        cropper: Makes the crops.
        encoder: Encodes the crops.
        size: How many files to process at a time.

    Yields:
        The results of the next `size` files, in order.
    """
    for start in range(0, len(paths), size):
        read = [_read_if_it_fits(path, cropper) for path in paths[start : start + size]]
        crops = np.array([crop for _, crop in read if crop is not None], np.uint8).reshape(-1, SIZE, SIZE)
        embeddings = iter(encoder.encode(crops).embeddings)
        yield [file if crop is None else replace(file, embedding=next(embeddings), crop=crop) for file, crop in read]


def _read_if_it_fits(path: str, cropper: Cropper) -> tuple[EmbeddedFile, ByteArray | None]:
    try:
        return _read(path, cropper)
    except MemoryError:
        return EmbeddedFile(path, reason=NO_MEMORY, readable=False, lasting=False), None


def _read(path: str, cropper: Cropper) -> tuple[EmbeddedFile, ByteArray | None]:
    try:
        content = picture_bytes(Path(path))
    except PictureError as error:
        return EmbeddedFile(path, reason=str(error), readable=False), None
    except OSError as error:
        reason = f"expected a file that can be read, got: {error.strerror or error}"
        return EmbeddedFile(path, reason=reason, readable=False, lasting=False), None
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        found = cropper(content)
    except PictureError as error:
        return EmbeddedFile(path, sha256, reason=str(error), readable=False), None
    if found.crop is None:
        reason = NO_FACE_FIRST if is_animated(content) else NO_FACE
        return EmbeddedFile(path, sha256, reason=reason), None
    return EmbeddedFile(path, sha256, digest=crop_digest(found.crop), others=found.others), found.crop


def crop_digest(crop: ByteArray) -> str:
    """Return the SHA-256 of a crop's pixels, which identifies a face in a gallery."""
    return hashlib.sha256(crop.tobytes()).hexdigest()


def picture_bytes(path: Path) -> bytes:
    """Read a picture file; refuse pipes, which could block, and files too large to be pictures.

    Raises:
        PictureError: It is not a regular file, or it is too large.
        OSError: It cannot be read.
    """
    status = path.stat()
    if path.suffix.lower() in RAW_NAMES:
        raise PictureError(RAW)
    if not stat.S_ISREG(status.st_mode):
        raise PictureError(f"expected a picture file, got {describe_path(path)}")
    if status.st_size > MAX_BYTES:
        raise PictureError(f"expected at most {MAX_BYTES:,} bytes, got {status.st_size:,}; shrink it")
    return path.read_bytes()
