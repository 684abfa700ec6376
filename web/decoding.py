"""From what a visitor sends to pixels: bounded before anything is decoded."""

import numpy as np
import numpy.typing as npt

from embeddings.pictures import PictureError, read_rgb
from web.settings import Limits

ByteArray = npt.NDArray[np.uint8]


class UploadError(ValueError):
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
    try:
        rgb = read_rgb(content)
    except PictureError as error:
        raise UploadError(str(error)) from error
    if rgb.shape[0] * rgb.shape[1] > limits.picture_pixels:
        raise UploadError(f"expected at most {limits.picture_pixels / 1e6:.0f} million pixels; make it smaller")
    return np.ascontiguousarray(rgb[..., ::-1])
