"""Detect truncated video files, such as interrupted copies and downloads.

The sizes that the container states are compared with the file's size. Frame counts and durations are not used: they are
often wrong in good files.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_MP4_CONTENT = (b"mdat", b"moov", b"moof")
_MATROSKA = b"\x1a\x45\xdf\xa3"
_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
# The maximum size of an Ogg page in bytes.
_LARGEST_PAGE = 65_307
# Bytes per DV frame at 25 or 29.97 frames per second; the larger ones are DVCPRO.
_DV_FRAMES = (144_000, 120_000, 288_000, 240_000, 576_000, 480_000)


def ends_early(path: Path, kind: str = "") -> bool:
    """Return whether a file ends before its container does.

    Args:
        path: The file.
        kind: ffmpeg's name of its format. It is needed for MPEG transport streams and Motion JPEG only; the other
            formats are known by their first bytes.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(1024)
            size = os.fstat(stream.fileno()).st_size
            check = _check_for(head, kind)
            return check is not None and check(stream, size)
    except (OSError, IndexError, OverflowError):
        return False


def _check_for(head: bytes, kind: str) -> Callable[[BinaryIO, int], bool] | None:
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"moof", b"styp"):
        return _mp4
    if head[:4] == _MATROSKA:
        return _matroska
    if head[:4] == b"RIFF":
        return _riff
    marks = (
        (b"FLV\1", _flv), (_ASF, _asf), (b"OggS", _ogg), (b"DKIF", _ivf), (b"YUV4MPEG2", _y4m), (b"\x1f\x07\0", _dv),
    )  # fmt: skip
    for mark, check in marks:
        if head.startswith(mark):
            return check
    if kind == "mpegts":
        return _transport_stream
    return _jpegs if kind == "mjpeg" and head[:3] == b"\xff\xd8\xff" else None


def _mp4(stream: BinaryIO, size: int) -> bool:
    at, has_index = 0, False
    while at + 8 <= size:
        stream.seek(at)
        header = stream.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        has_index |= kind in (b"moov", b"moof")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:  # this box extends to the end of the file
            break
        if length < 8 or not kind.isascii():
            break
        at += length
        if at > size:
            return kind in _MP4_CONTENT
    return not has_index


def _vint(stream: BinaryIO, *, keep_mark: bool) -> int:
    """Read a variable-length integer of Matroska; return -1 if it means "unknown"."""
    first = stream.read(1)[0]
    length = 9 - first.bit_length()
    value = int.from_bytes(bytes([first]) + stream.read(length - 1), "big")
    if keep_mark:
        return value
    value -= 1 << (7 * length)
    return -1 if value == (1 << (7 * length)) - 1 else value


def _matroska(stream: BinaryIO, size: int) -> bool:
    stream.seek(0)
    _vint(stream, keep_mark=True)
    length = _vint(stream, keep_mark=False)
    if length < 0:
        return False
    stream.seek(length, os.SEEK_CUR)
    _vint(stream, keep_mark=True)
    length = _vint(stream, keep_mark=False)
    if length >= 0:
        return stream.tell() + length > size
    while stream.tell() < size:  # written live: its parts may state their sizes
        _vint(stream, keep_mark=True)
        length = _vint(stream, keep_mark=False)
        if length < 0:
            return False
        if stream.tell() + length > size:
            return True
        stream.seek(length, os.SEEK_CUR)
    return False


def _riff(stream: BinaryIO, size: int) -> bool:
    at = 0
    while at + 8 <= size:
        stream.seek(at)
        header = stream.read(8)
        if header[:4] != b"RIFF":
            break
        length = int.from_bytes(header[4:], "little")
        if length in (0, 0xFFFFFFFF):  # the writer never filled it in
            break
        at += 8 + length + length % 2
    return at > size + 1


def _flv(stream: BinaryIO, size: int) -> bool:
    stream.seek(size - 4)
    length = int.from_bytes(stream.read(4), "big")
    if not 11 <= length <= size - 17:
        return True
    stream.seek(size - 4 - length)
    return int.from_bytes(stream.read(4)[1:], "big") != length - 11


def _asf(stream: BinaryIO, size: int) -> bool:
    at = 0
    while at + 24 <= size:
        stream.seek(at + 16)
        length = int.from_bytes(stream.read(8), "little")
        if length < 24:  # unknown, as in a broadcast
            break
        at += length
    return at > size


def _ogg(stream: BinaryIO, size: int) -> bool:
    begins = max(0, size - 2 * _LARGEST_PAGE)
    stream.seek(begins)
    tail = stream.read()
    at = tail.rfind(b"OggS")
    if at < 0 or at + 27 > len(tail):
        return True
    segments = tail[at + 27 : at + 27 + tail[at + 26]]
    ends = at + 27 + tail[at + 26] + sum(segments)
    return len(segments) < tail[at + 26] or ends > len(tail) or not tail[at + 5] & 4


def _ivf(stream: BinaryIO, size: int) -> bool:
    stream.seek(6)
    at = int.from_bytes(stream.read(2), "little")
    while at + 12 <= size:
        stream.seek(at)
        at += 12 + int.from_bytes(stream.read(4), "little")
    return at != size


def _y4m(stream: BinaryIO, size: int) -> bool:
    stream.seek(0)
    begins = len(stream.readline(1024))
    stream.seek(begins)
    step = stream.read(2**26).find(b"FRAME", 5)
    return step > 0 and (size - begins) % step != 0


def _dv(stream: BinaryIO, size: int) -> bool:
    return all(size % frame for frame in _DV_FRAMES)


def _transport_stream(stream: BinaryIO, size: int) -> bool:
    stream.seek(0)
    head = stream.read(1024)
    for step, first in ((188, 0), (192, 4), (204, 0)):
        if len(head) > first + 2 * step and all(head[first + number * step] == 0x47 for number in range(3)):
            return size % step != 0
    return False


def _jpegs(stream: BinaryIO, size: int) -> bool:
    stream.seek(max(0, size - 64))
    return b"\xff\xd9" not in stream.read()
