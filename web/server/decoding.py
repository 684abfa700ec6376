"""From what a visitor sends to pixels: bounded before anything is decoded."""

import re

from moodspace.arrays import ByteArray
from moodspace.embeddings.pictures import PictureError, read_bgr
from moodspace.errors import MoodspaceError
from moodspace.web.server.settings import Limits

# Cameras and programs make up to a dozen. Each takes as long as the picture is large, and millions fit into a file.
_MOST_SCANS = 64
_JPEG = b"\xff\xd8\xff"
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
_SCAN, _END = 0xDA, 0xD9


class UploadError(MoodspaceError):
    """Something that is not looked at; says in one line what was expected, what came, and what to do."""


def decode_picture(content: bytes, limits: Limits) -> ByteArray:
    """Decodes a picture that a visitor sent.

    Args:
        content: The bytes of a picture file.
        limits: What is accepted.

    Returns:
        `(h, w, 3)` uint8 in [0, 255], BGR, upright.

    Raises:
        UploadError: It is too large, broken, or no picture.
    """
    if len(content) > limits.upload_bytes:
        most, got = limits.upload_bytes / 2**20, len(content) / 2**20
        raise UploadError(f"expected a picture of at most {most:.0f} MB, received {got:.1f} MB; make it smaller")
    if content.startswith(_JPEG) and not few_scans(content, _MOST_SCANS):
        raise UploadError(f"expected a JPEG of at most {_MOST_SCANS} scans, received more; save it anew")
    try:
        bgr = read_bgr(content)
    except PictureError as error:
        raise UploadError(str(error)) from error
    if bgr.shape[0] * bgr.shape[1] > limits.picture_pixels:
        most, got = limits.picture_pixels / 1e6, bgr.shape[0] * bgr.shape[1] / 1e6
        raise UploadError(f"expected at most {most:g} million pixels, received {got:.2f} million; make it smaller")
    return bgr


def few_scans(jpeg: bytes, most: int) -> bool:
    """Returns whether a JPEG has at most so many scans; what follows its end does not count."""
    at, scans = 2, 0
    while scans <= most and (marker := _MARKER.search(jpeg, at)):
        if marker[1][0] == _END:
            break
        scans += marker[1][0] == _SCAN
        at = marker.end() + int.from_bytes(jpeg[marker.end() : marker.end() + 2], "big")
    return scans <= most
