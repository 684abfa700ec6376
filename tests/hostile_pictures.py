"""Picture files as they come: broken, mislabelled, oversized and odd, made from drawn faces.

`KINDS` says for each kind how it is made and whether a face must come out of it, must not, or may.
"""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from moodspace.embeddings.data.labels import FER2013_CLASSES
from tests.drawn_faces import draw_face

READ, REFUSED, EITHER = "read", "refused", "either"

Rng = np.random.Generator
Maker = Callable[[Rng], bytes]


def face(rng: Rng, mode: str = "RGB", size: tuple[int, int] = (96, 96)) -> Image.Image:
    grey = Image.fromarray(draw_face(FER2013_CLASSES[rng.integers(7)], rng))
    return grey.resize(size).convert(mode)


def saved(image: Image.Image, format: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def truncated(rng: Rng) -> bytes:
    whole = saved(face(rng), str(rng.choice(["JPEG", "PNG", "WEBP", "BMP", "TIFF"])))
    return whole[: rng.integers(1, int(0.7 * len(whole)))]


def flipped_bits(rng: Rng) -> bytes:
    content = bytearray(saved(face(rng), str(rng.choice(["JPEG", "PNG", "WEBP", "GIF", "TIFF"]))))
    for at in rng.integers(0, len(content), 12):
        content[at] ^= 1 << rng.integers(8)
    return bytes(content)


def header_of_a_giant(rng: Rng) -> bytes:
    side = int(rng.integers(20_000, 2_000_000_000))
    chunk = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + bytes(50)


@cache
def bomb() -> bytes:
    """A whole PNG of 121 million white pixels, in some 12 KB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = zlib.compress((b"\0" + b"\xff" * 1375) * 11_000, 9)
    header = struct.pack(">IIBBBBB", 11_000, 11_000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def giant_tile(rng: Rng) -> bytes:
    """A TIFF of 64x64 pixels in one tile of two thousand million, some of which are there."""
    side = int(rng.integers(11_000, 46_000))
    # Width, height, bits, compression (deflate), meaning, samples; then the tile: width, height, where, how many bytes.
    tags = {256: 64, 257: 64, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: 200, 325: 90}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return head.ljust(200, b"\0") + zlib.compress(bytes(side))[:90].ljust(90, b"\0")


def sixteen_bits(rng: Rng) -> bytes:
    deep = np.asarray(face(rng, "L"), np.uint16) * 257
    return saved(Image.fromarray(deep), str(rng.choice(["PNG", "TIFF"])))


def animated(rng: Rng) -> bytes:
    frames = [face(rng) for _ in range(3)]
    return saved(
        frames[0], str(rng.choice(["GIF", "WEBP", "PNG"])), save_all=True, append_images=frames[1:], duration=50
    )


def turned(rng: Rng) -> bytes:
    return with_orientation(face(rng), int(rng.integers(1, 9)))


def with_orientation(upright: Image.Image, orientation: int) -> bytes:
    """A JPEG whose pixels lie as a camera of that EXIF orientation stores them."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[274] = orientation
    return saved(stored, "JPEG", quality=95, exif=exif)


def broken_exif(rng: Rng) -> bytes:
    return saved(face(rng), "JPEG", exif=b"Exif\0\0" + rng.bytes(40))


def transparent(rng: Rng) -> bytes:
    image = face(rng, "RGBA")
    image.putalpha(face(rng, "L"))
    return saved(image, str(rng.choice(["PNG", "WEBP"])))


def thin(rng: Rng) -> bytes:
    size = [(1, 1), (1, 3000), (3000, 1), (40_000, 2)][rng.integers(4)]
    return saved(Image.new("RGB", size, (90, 20, 200)), "PNG")


def words(rng: Rng) -> bytes:
    return b"These are words, not a picture.\n" * int(rng.integers(1, 50))


def markup(rng: Rng) -> bytes:
    pages = [
        b"<svg xmlns='http://www.w3.org/2000/svg'><rect width='9' height='9'/></svg>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
        b"<!DOCTYPE html><title>404</title>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    ]
    return pages[rng.integers(len(pages))]


# Kind: how it is made, and whether a face comes out of it when the whole picture is taken for one.
KINDS: dict[str, tuple[Maker, str]] = {
    "truncated": (truncated, EITHER),
    "zero-bytes": (lambda rng: b"", REFUSED),
    "noise": (lambda rng: rng.bytes(int(rng.integers(1, 5000))), REFUSED),
    "flipped-bits": (flipped_bits, EITHER),
    "header-of-a-giant": (header_of_a_giant, REFUSED),
    "bomb": (lambda rng: bomb(), REFUSED),
    "giant-tile": (giant_tile, REFUSED),
    "words": (words, REFUSED),
    "markup": (markup, REFUSED),
    "floating-point": (lambda rng: saved(face(rng, "F"), "TIFF"), REFUSED),
    "wrong-suffix": (lambda rng: saved(face(rng), str(rng.choice(["PNG", "WEBP", "GIF", "BMP"]))), READ),
    "sixteen-bits": (sixteen_bits, READ),
    "cmyk": (lambda rng: saved(face(rng, "CMYK"), "JPEG"), READ),
    "animated": (animated, READ),
    "turned": (turned, READ),
    "broken-exif": (broken_exif, READ),
    "transparent": (transparent, READ),
    "palette": (lambda rng: saved(face(rng, "P"), "PNG"), READ),
    "one-bit": (lambda rng: saved(face(rng, "1"), "PNG"), READ),
    "thin": (thin, READ),
}


SUFFIXES = (".jpg", ".PNG", ".tiff", ".txt", "")


def write_hostile(folder: Path, n: int, seed: int = 0) -> dict[str, str]:
    """Write n files called `<kind>-<number>`, all kinds in turn; return by path what must come of each.

    Their suffixes say nothing about them, where there are any.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for number in range(n):
        kind = list(KINDS)[number % len(KINDS)]
        make, outcome = KINDS[kind]
        path = folder / f"{kind}-{number:04d}{rng.choice(SUFFIXES)}"
        path.write_bytes(make(rng))
        expected[str(path)] = outcome
    return expected
