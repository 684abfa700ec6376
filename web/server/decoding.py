"""Decode pictures that visitors upload, after checking sizes that could exhaust the server."""

import re

from moodspace.arrays import ByteArray
from moodspace.embeddings.pictures import PictureError, read_bgr
from moodspace.errors import MoodspaceError
from moodspace.web.server.settings import Limits

# Cameras and programs write up to a dozen scans. A decoder passes over the whole picture for each, and millions fit
# into a file.
_MAX_SCANS = 64
_JPEG = b"\xff\xd8\xff"
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
_SCAN, _END = 0xDA, 0xD9


class UploadError(MoodspaceError):
    """An upload that cannot be used; says in one line what was expected, what it got, and what to do."""


def decode_picture(content: bytes, limits: Limits) -> ByteArray:
    """Decode a picture that a visitor uploaded.

    Args:
        content: The bytes of a picture file.
        limits: The limits on its bytes and pixels.

    Returns:
        `(h, w, 3)` uint8 in [0, 255], BGR, upright.

    Raises:
        UploadError: The file is too large, damaged, or not a picture.
    """
    if len(content) > limits.upload_bytes:
        most, got = limits.upload_bytes / 2**20, len(content) / 2**20
        raise UploadError(f"expected a picture of at most {most:.0f} MB, got {got:.1f} MB; make it smaller")
    if content.startswith(_JPEG) and not has_few_scans(content, _MAX_SCANS):
        raise UploadError(f"expected a JPEG of at most {_MAX_SCANS} scans, got more; save it again")
    try:
        bgr = read_bgr(content)
    except PictureError as error:
        raise UploadError(str(error)) from error
    if bgr.shape[0] * bgr.shape[1] > limits.picture_pixels:
        most, got = limits.picture_pixels / 1e6, bgr.shape[0] * bgr.shape[1] / 1e6
        raise UploadError(f"expected at most {most:g} megapixels, got {got:.2f}; make it smaller")
    return bgr


def has_few_scans(jpeg: bytes, most: int) -> bool:
    """Return whether a JPEG has at most `most` scans; data after its end does not count."""
    at, scans = 2, 0
    while scans <= most and (marker := _MARKER.search(jpeg, at)):
        if marker[1][0] == _END:
            break
        scans += marker[1][0] == _SCAN
        at = marker.end() + int.from_bytes(jpeg[marker.end() : marker.end() + 2], "big")
    return scans <= most
