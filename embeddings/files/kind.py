"""Tell pictures, videos and other files apart by their content, for every command.

The name counts only if the content is unknown: a file with the name of a picture or a video and unknown content is a
damaged one, which is reported, while other files are ignored.
"""

import stat
from enum import Enum
from pathlib import Path

# Bytes that the marks below need; the codec of an Ogg file is within them.
_HEAD = 4096
# Bytes to search for further JPEG files after the first.
_MANY_JPEGS = 2**20
_JPEG = b"\xff\xd8\xff"


class Kind(Enum):
    """The kind of a file."""

    PICTURE = "a picture"
    VIDEO = "a video"
    OTHER = "another file"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PICTURE_NAMES = _names(
    ".jpg .jpeg .jpe .jfif .jif .png .apng .webp .avif .avifs .heic .heif .hif .bmp .dib .gif .tif .tiff .ppm .pgm "
    ".pbm .pnm .jp2 .j2k .jpf .jpx .j2c .jpc .ico .pcx .tga .qoi .jxl .psd .exr .hdr .svg"
)
# Raw files of cameras. Many start like a TIFF file and have a small preview.
RAW_NAMES = _names(".cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .dng .orf .rw2 .raf .pef .srw .x3f .3fr .iiq")
_VIDEO_NAMES = _names(
    ".mp4 .m4v .mov .qt .avi .mkv .mk3d .webm .mpg .mpeg .mpe .m1v .m2v .mpv .vob .mod .tod .m2p .ts .mts .m2ts .m2t "
    ".flv .f4v .mjpg .mjpeg .wmv .asf .ogv .ogm .y4m .ivf .3gp .3g2 .dv .dif .mxf .h264 .264 .h265 .hevc .265 .av1 "
    ".obu .rm .rmvb .nut .amv .divx .gxf .wtv .insv .lrv"
)
# These share their containers with videos.
_SOUND_NAMES = _names(".m4a .m4b .m4r .m4p .mka .wma .oga .ogg .opus .aac .mp3 .flac .wav .ac3")

_ISO_PICTURES = frozenset((b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_ISO_SOUNDS = frozenset((b"M4A ", b"M4B ", b"M4P "))
_ISO_FIRST = frozenset((b"ftyp", b"moov", b"mdat", b"moof", b"styp", b"wide", b"free", b"skip", b"pnot"))

_OGG_VIDEOS = (b"\x80theora", b"\x01video\0", b"BBCD\0", b"fishead")

# Marks by which files are recognized, and their offsets.
_PICTURE_MARKS = (
    (0, b"\x89PNG\r\n\x1a\n"), (0, b"GIF87a"), (0, b"GIF89a"), (8, b"WEBP"), (0, b"BM"), (0, b"II*\0"), (0, b"MM\0*"),
    (0, b"II+\0"), (0, b"MM\0+"), (0, b"\0\0\0\x0cjP  \r\n\x87\n"), (0, b"\xff\x4f\xff\x51"), (0, b"\0\0\1\0"),
    (0, b"qoif"), (0, b"\0\0\0\x0cJXL \r\n\x87\n"), (0, b"\xff\x0a"), (0, b"8BPS"),
)  # fmt: skip
_VIDEO_MARKS = (
    (0, b"\x1a\x45\xdf\xa3"), (8, b"AVI "), (8, b"AMV "), (0, b"FLV\1"), (0, b"YUV4MPEG2"), (0, b"DKIF"), (0, b".RMF"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"), (0, b"\0\0\1\xba"), (0, b"\0\0\1\xb3"),
    (0, b"\0\0\0\1\x67"), (0, b"\0\0\1\x67"), (0, b"\0\0\0\1\x09"), (0, b"\0\0\0\1\x40\1"), (0, b"\x1f\x07\0"),
    (0, b"\0\0\1\xb0"), (0, b"nut/multimedia container"),
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02"),
    (0, b"\x12\0\x0a"), (0, b"\xb7\xd8\0\x20\x37\x49\xda\x11\xa6\x4e\0\x07\xe9\x5e\xad\x8d"),
)  # fmt: skip


def kind_of(content: bytes, name: str = "") -> Kind:
    """Return the kind of a file's content.

    Args:
        content: The content, or its first 4 KiB; a video of JPEG files needs more.
        name: The file's name, which tells sound from video in a container that can have both.
    """
    suffix = Path(name).suffix.lower()
    if suffix in _SOUND_NAMES:
        return Kind.OTHER
    if content[:3] == _JPEG:
        # Simple cameras write a video as one JPEG after the other, and other programs store it under any name. A JPEG
        # with a preview or a second picture appended is still a picture.
        many = content.count(b"\xff\xd9\xff\xd8\xff", 0, _MANY_JPEGS) > 2 and claimed_kind(name) is not Kind.PICTURE
        return Kind.VIDEO if many or suffix in (".mjpg", ".mjpeg") else Kind.PICTURE
    if content[4:8] in _ISO_FIRST:
        return _iso_kind(content)
    if content[:2] in (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6") and content[2:3].isspace():
        return Kind.PICTURE
    if _has_mark(content, _VIDEO_MARKS) or _is_transport_stream(content):
        return Kind.VIDEO
    # The mark of a bitmap is short enough to start a text.
    if _has_mark(content, _PICTURE_MARKS) and not (content[:2] == b"BM" and content[6:10] != bytes(4)):
        return Kind.PICTURE
    if content[:4] == b"OggS" and any(mark in content for mark in _OGG_VIDEOS):
        return Kind.VIDEO
    return Kind.PICTURE if content[:1] == b"\x0a" and suffix == ".pcx" else Kind.OTHER


def claimed_kind(name: str) -> Kind:
    """Return the kind that a file's name claims."""
    suffix = Path(name).suffix.lower()
    if suffix in _PICTURE_NAMES or suffix in RAW_NAMES:
        return Kind.PICTURE
    return Kind.VIDEO if suffix in _VIDEO_NAMES else Kind.OTHER


def is_heif(content: bytes) -> bool:
    """Return whether a picture is HEIF (Apple's .heic) and not AVIF."""
    brands = content[8 : int.from_bytes(content[:4], "big")]
    return content[4:8] == b"ftyp" and brands[:4] in _ISO_PICTURES and b"avif" not in brands and b"avis" not in brands


def file_kind(path: Path) -> Kind:
    """Return the kind of a file by its content, or by its name if the content is unknown or cannot be read.

    Args:
        path: The file. Pipes and devices are not opened.
    """
    claimed = claimed_kind(path.name)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return claimed
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
            more = stream.read(_MANY_JPEGS) if head[:3] == _JPEG and claimed is not Kind.PICTURE else b""
    except OSError:
        return claimed
    found = kind_of(head + more, path.name)
    return claimed if found is Kind.OTHER else found


def _iso_kind(content: bytes) -> Kind:
    if content[4:8] != b"ftyp":
        return Kind.VIDEO
    size = int.from_bytes(content[:4], "big")
    brand = content[8:12]
    brands = {brand, *(content[at : at + 4] for at in range(16, min(size, len(content)) - 3, 4))}
    if brand in _ISO_SOUNDS:
        return Kind.OTHER
    return Kind.PICTURE if brand in _ISO_PICTURES and not brands & {b"isom", b"mp42"} else Kind.VIDEO


def _has_mark(content: bytes, marks: tuple[tuple[int, bytes], ...]) -> bool:
    return any(content[at : at + len(mark)] == mark for at, mark in marks)


def _is_transport_stream(content: bytes) -> bool:
    """Return whether packets start with the sync byte, every 188 bytes, or 192 in files of cameras, or 204."""
    return any(
        len(content) > at + 2 * step and all(content[at + i * step] == 0x47 for i in range(3))
        for at, step in ((0, 188), (4, 192), (0, 204))
    )
