"""The messages of a live session: binary frames and JSON requests from the browser, JSON answers from the server."""

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
from moodspace.web.server.decoding import has_few_scans
from moodspace.web.server.settings import Limits

# Sequence number, and the browser's clock in milliseconds.
_HEADER = struct.Struct("<Id")
_MIN_SIDE = 16
_MAX_SIDE = 1920
_MAX_GROUP = 100
# Seconds from an event until its name was typed.
_MAX_AGO_S = 3600
# Browsers write JPEGs of one scan. A decoder passes over the whole picture for each, and thousands fit into a small
# file.
_MAX_SCANS = 16
_DECODING_ERRORS = (
    UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)  # fmt: skip


class MessageError(MoodspaceError):
    """An invalid message; says in one line what was expected and what it got."""


class FrameMessage(NamedTuple):
    """A frame as it arrived: its sequence number, the browser's time in milliseconds, its JPEG."""

    sequence: int
    sent: float
    jpeg: bytes


def read_frame(message: bytes) -> FrameMessage:
    """Split a binary message into its parts without decoding the picture.

    Raises:
        MessageError: The message is too short, its time is not finite, or it carries no JPEG.
    """
    if len(message) <= _HEADER.size:
        raise MessageError(f"expected a frame, got {len(message)} bytes")
    sequence, sent = _HEADER.unpack_from(message)
    jpeg = message[_HEADER.size :]
    if not math.isfinite(sent):
        raise MessageError("expected the time of a frame, got a value that is not finite")
    if not jpeg.startswith(b"\xff\xd8\xff"):
        raise MessageError("expected a JPEG, got something else")
    return FrameMessage(sequence, sent, jpeg)


def decode_frame(jpeg: bytes) -> ByteArray:
    """Decode a frame after checking the size in its header.

    Returns:
        `(h, w, 3)` uint8 in [0, 255], BGR.

    Raises:
        MessageError: The size is out of range, or the JPEG is damaged.
    """
    if not has_few_scans(jpeg, _MAX_SCANS):
        raise MessageError(f"expected a JPEG of at most {_MAX_SCANS} scans, got more")
    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as picture:
            size = picture.size
    except _DECODING_ERRORS as error:
        raise MessageError("expected a JPEG, got a damaged one") from error
    if not all(_MIN_SIDE <= side <= _MAX_SIDE for side in size):
        raise MessageError(f"expected sides of {_MIN_SIDE} to {_MAX_SIDE} pixels, got {size[0]}x{size[1]}")
    frame = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if frame is None:
        raise MessageError("expected a JPEG, got a damaged one")
    return frame.astype(np.uint8, copy=False)


def read_request(text: str) -> dict[str, Any]:
    """Parse a text message.

    Raises:
        MessageError: The message is not a JSON object of a known type with the fields of that type.
    """
    try:
        request = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError("expected JSON, got something else") from error
    if not isinstance(request, dict):
        raise MessageError("expected a JSON object, got something else")
    match request:
        case {"type": "start" | "undo" | "reset" | "discard"}:
            return request
        case {"type": "collect", "track": int() | None as number} if not isinstance(number, bool):
            return request
        case {"type": "drop", "number": int(number)} if not isinstance(number, bool):
            return request
        case {"type": "lesson", "label": str(), "keep": bool()}:
            return request
        case {"type": "teach", "track": int(number), "label": str()} if not isinstance(number, bool):
            return request
        case {"type": "mark", "name": str(), "ago": int() | float() as ago} if not isinstance(ago, bool):
            if 0 <= ago <= _MAX_AGO_S:
                return request
        case {"type": "baseline", "track": int(number)} if not isinstance(number, bool):
            return request
        case {"type": "record", "on": bool(), "min_group": int(least)} if 1 <= least <= _MAX_GROUP:
            if not isinstance(least, bool):
                return request
    known = "start, teach, undo, baseline, record, mark, reset, collect, drop, lesson or discard"
    raise MessageError(f"expected {known}, got something else")


def class_list(classes: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the names and colors of classes."""
    return [{"name": name, "shade": shade} for name, shade in zip(classes, class_shades(classes), strict=True)]


def ready(classes: tuple[str, ...], limits: Limits) -> dict[str, Any]:
    """Return the first message of the server: the classes and the limits."""
    return {"type": "ready", "classes": class_list(classes), "limits": asdict(limits)}
