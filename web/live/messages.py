"""The messages of a live session: validate what a browser sends, and answer in plain JSON."""

import io
import json
import math
import struct
from dataclasses import asdict
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from moodspace.arrays import ByteArray
from moodspace.classifier.palette import class_shades
from moodspace.errors import MoodspaceError
from moodspace.web.server.decoding import few_scans
from moodspace.web.server.settings import Limits

# Sequence number, and the browser's clock in milliseconds.
_HEADER = struct.Struct("<Id")
_LEAST_SIDE = 16
_MOST_SIDE = 1920
_LARGEST_GROUP = 100
# Browsers make JPEGs of one scan. Each takes as long as the picture is large, and thousands fit into a small file.
_MOST_SCANS = 16
_BROKEN = (
    UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)  # fmt: skip


class MessageError(MoodspaceError):
    """A message that is not understood; says in one line what was expected and what came."""


class FrameMessage(NamedTuple):
    """A frame as it came: its number, the browser's time in milliseconds, its JPEG."""

    sequence: int
    sent: float
    jpeg: bytes


def read_frame(message: bytes) -> FrameMessage:
    """Split a binary message into its parts without decoding the picture.

    Raises:
        MessageError: it is too short, its time is no number, or it carries no JPEG.
    """
    if len(message) <= _HEADER.size:
        raise MessageError(f"expected a frame, got {len(message)} bytes")
    sequence, sent = _HEADER.unpack_from(message)
    jpeg = message[_HEADER.size :]
    if not math.isfinite(sent):
        raise MessageError("expected the time of a frame, got no number")
    if not jpeg.startswith(b"\xff\xd8\xff"):
        raise MessageError("expected a JPEG, got something else")
    return FrameMessage(sequence, sent, jpeg)


def decode_frame(jpeg: bytes) -> ByteArray:
    """Decode a frame whose header promises a sensible size.

    Returns:
        `(h, w, 3)` uint8 in [0, 255], BGR.

    Raises:
        MessageError: the size is not sensible, or the JPEG is broken.
    """
    if not few_scans(jpeg, _MOST_SCANS):
        raise MessageError(f"expected a JPEG of at most {_MOST_SCANS} scans, got more")
    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as picture:
            size = picture.size
    except _BROKEN as error:
        raise MessageError("expected a JPEG, got a broken one") from error
    if not all(_LEAST_SIDE <= side <= _MOST_SIDE for side in size):
        raise MessageError(f"expected sides of {_LEAST_SIDE} to {_MOST_SIDE} pixels, got {size[0]}x{size[1]}")
    frame = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if frame is None:
        raise MessageError("expected a JPEG, got a broken one")
    return frame.astype(np.uint8, copy=False)


def read_request(text: str) -> dict[str, Any]:
    """Read a text message.

    Raises:
        MessageError: it is no JSON object with a type that is known and what that needs.
    """
    try:
        request = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError("expected JSON, got something else") from error
    if not isinstance(request, dict):
        raise MessageError("expected a JSON object, got something else")
    match request:
        case {"type": "start" | "undo" | "reset"}:
            return request
        case {"type": "teach", "track": int(number), "label": str()} if not isinstance(number, bool):
            return request
        case {"type": "record", "on": bool(), "min_group": int(least)} if 1 <= least <= _LARGEST_GROUP:
            if not isinstance(least, bool):
                return request
    raise MessageError("expected start, teach, undo, record or reset, got something else")


def class_list(classes: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the names and colors of classes."""
    return [{"name": name, "shade": shade} for name, shade in zip(classes, class_shades(classes), strict=True)]


def ready(classes: tuple[str, ...], limits: Limits) -> dict[str, Any]:
    """Return the first message of the server."""
    return {"type": "ready", "classes": class_list(classes), "limits": asdict(limits)}
