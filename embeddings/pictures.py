"""Decode picture files and bytes. Every picture of the project is decoded here, except frames of videos.

Pixels are upright (EXIF orientation), have 8 bits, and transparent pictures are put on white. `read_rgb` and
`read_crop` read the first frame of an animation, `read_frames` reads all. A picture that cannot be read raises a
`PictureError` with the reason; callers add the name of the file.
"""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH

from moodspace.arrays import ByteArray
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.files.kind import RAW_NAMES, Kind, is_heif, kind_of
from moodspace.embeddings.process_settings import no_warnings
from moodspace.errors import MoodspaceError

logger = logging.getLogger(__name__)


# Listed, so that Pillow uses no other reader; that for EPS, for example, would start Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "ICO", "PCX", "QOI")
_NAMED = "JPEG, PNG, WEBP, AVIF, HEIC, BMP, GIF, TIFF, PPM"
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")

# 324 MB of RGB: the largest pictures of phones, 12000x9000.
MAX_PIXELS = 108_000_000
# JPEGs with this many pixels or more are decoded in parts.
_LARGE = 40_000_000
_ORIENTATION = 0x0112
# Rows to convert at a time.
_BAND = 256

# Frames with a shorter duration, or none, get the usual one, as in browsers.
_SHORTEST_S, _USUAL_S = 0.011, 0.1

# Pillow opens 16-bit PGM as I, which is 32 bits wide.
_DEPTHS = (8, 10, 12, 14, 16)
_SIXTEEN_BITS = ("I", "I;16", "I;16L", "I;16B", "I;16N")

RAW = "expected a picture, got a camera's raw file; save it as JPEG"


class PictureError(MoodspaceError):
    """A picture cannot be read: not a picture, damaged, too large, or of a mode without a defined gray scale."""


def read_rgb(source: Path | bytes) -> ByteArray:
    """Decode a picture.

    Args:
        source: A file, or the bytes of one: JPEG, PNG, WebP, AVIF, HEIC, BMP, GIF, TIFF, PPM, JPEG 2000, ICO, PCX,
            QOI, or TGA if the file has this suffix.

    Returns:
        `(h, w, 3)` uint8 in [0, 255], RGB, upright.

    Raises:
        PictureError: The picture cannot be read.
        OSError: The file cannot be opened; `FileNotFoundError` if it does not exist.
    """
    return np.array(_as_mode("RGB", _decode(source)))


def read_bgr(source: Path | bytes) -> ByteArray:
    """Decode a picture for OpenCV, with one copy of its pixels beside the decoder's.

    Args:
        source: As for `read_rgb`.

    Returns:
        `(h, w, 3)` uint8 in [0, 255], BGR, upright, contiguous.

    Raises:
        PictureError: The picture cannot be read.
        OSError: The file cannot be opened.
    """
    large = _large_jpeg(source)
    if large is not None:
        return large
    image = _decode(source)
    bgr = np.empty((image.height, image.width, 3), np.uint8)
    # By bands: for the whole picture Pillow would make two more copies.
    for top in range(0, image.height, _BAND):
        band = image.crop((0, top, image.width, min(top + _BAND, image.height)))
        bgr[top : top + _BAND] = np.asarray(_as_mode("RGB", band))[..., ::-1]
    return bgr


def read_crop(source: Path | bytes) -> ByteArray:
    """Decode a picture that one face fills, as in data sets of faces.

    Args:
        source: As for `read_rgb`.

    Returns:
        `(48, 48)` uint8 in [0, 255], gray: `to_crop(read_rgb(source))`, but gray files are not converted to RGB.

    Raises:
        PictureError: The picture cannot be read.
        OSError: The file cannot be opened.
    """
    return _fitted(_decode(source))


def to_crop(picture: ByteArray) -> ByteArray:
    """Make the crop of a picture that one face fills.

    The whole picture is used: it is already cut around the face, and cutting again would lose chin or brows. A picture
    that is not square is stretched to a square. A 48x48 picture keeps its pixels. Others are resized with Pillow's
    Hamming filter, which does not alias, is about as sharp as an area average, and interpolates when enlarging.

    Args:
        picture: `(h, w)` gray or `(h, w, 3)` RGB, uint8 in [0, 255].

    Returns:
        `(48, 48)` uint8 in [0, 255], gray (ITU-R 601 luma).

    Raises:
        ValueError: The type or shape differs, or there are no pixels.
    """
    layout = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)
    if picture.dtype != np.uint8 or not layout or not picture.size:
        found = f"{picture.dtype} of {picture.shape}"
        raise ValueError(f"picture: expected uint8 of shape (h, w) or (h, w, 3), got {found}")
    return _fitted(Image.fromarray(picture))


def _fitted(image: Image.Image) -> ByteArray:
    gray = _as_mode("L", image)
    if gray.size != (SIZE, SIZE):
        gray = gray.resize((SIZE, SIZE), Image.Resampling.HAMMING)
    return np.array(gray)


def is_animated(source: Path | bytes) -> bool:
    """Return whether a picture can be read and has more than one frame."""
    try:
        with _opened(source) as image:
            return _has_frames(image)
    except (PictureError, OSError):
        return False


def read_frames(source: Path | bytes) -> Iterator[tuple[ByteArray, float]]:
    """Decode the frames of an animation, or the single frame of another picture.

    Args:
        source: As for `read_rgb`.

    Yields:
        `(h, w, 3)` uint8 in [0, 255], RGB, upright, and the seconds to show it.

    Raises:
        PictureError: The picture, or its next frame, cannot be read.
        OSError: The file cannot be opened.
    """
    with _opened(source) as image:
        number = int(_has_frames(image) and bool(image.info.get("default_image")))
        while True:
            try:
                image.seek(number)
            except EOFError:
                break
            yield np.array(_as_mode("RGB", _upright(image.copy()))), _seconds(image)
            number += 1
            if not _has_frames(image):
                return
        if image.format == "GIF" and b";" not in _last_bytes(source):
            raise PictureError("expected a complete animation, got one that ends early")


def _has_frames(image: Image.Image) -> bool:
    return image.format in _ANIMATED and bool(getattr(image, "is_animated", False))


def _seconds(image: Image.Image) -> float:
    stated = image.info.get("duration", 0)
    seconds = float(stated) / 1000 if isinstance(stated, (int, float)) else 0.0
    return seconds if seconds >= _SHORTEST_S else _USUAL_S


def _last_bytes(source: Path | bytes, count: int = 16) -> bytes:
    if isinstance(source, bytes):
        return source[-count:]
    with source.open("rb") as stream:
        stream.seek(max(0, source.stat().st_size - count))
        return stream.read()


def _large_jpeg(source: Path | bytes) -> ByteArray | None:
    """Decode a large JPEG in parts, since Pillow takes 4 bytes a pixel beside the 3 of the result.

    Brightness is decoded at full size and color at half the size, as most cameras store it.

    Returns:
        `(h, w, 3)` uint8 in [0, 255], BGR, upright; None for all other pictures and for unreadable ones.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
            with no_warnings():
                light = Image.open(stream, formats=("JPEG",))
            width, height = light.size
            components = [layer[0] for layer in getattr(light, "layer", ())]
            if not _LARGE <= width * height <= MAX_PIXELS or light.mode != "RGB" or components != [1, 2, 3]:
                return None
            turn = light.getexif().get(_ORIENTATION, 1)
            bgr = np.empty((width, height, 3) if turn in (5, 6, 7, 8) else (height, width, 3), np.uint8)
            stored = _as_stored(bgr, turn)
            light.draft("L", light.size)
            for top in range(0, height, _BAND):
                stored[top : top + _BAND, :, 0] = np.asarray(light.crop((0, top, width, min(top + _BAND, height))))
            light.close()
            stream.seek(0)
            with no_warnings():
                color = Image.open(stream, formats=("JPEG",))
            color.draft("YCbCr", (-(-width // 2), -(-height // 2)))
            color.load()
            _add_color(stored, color)
            return bgr
    # The usual decoder reports what is wrong.
    except Exception as error:
        logger.debug("large JPEG, decoded as a whole: %s", error)
        return None


def _as_stored(upright: ByteArray, turn: int) -> ByteArray:
    """Return a view of an upright picture with rows and columns as stored in a file with this EXIF orientation."""
    views = {
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }
    return views.get(turn, upright)


def _add_color(stored: ByteArray, color: Image.Image) -> None:
    """Convert a picture whose first channel is brightness to BGR, band by band, with the color of a smaller copy."""
    height, width = stored.shape[:2]
    step = color.height / height
    for top in range(0, height, _BAND):
        bottom = min(top + _BAND, height)
        # Only this band of the colors; a filter with a wider kernel would also need its neighbors.
        box = (0.0, top * step, float(color.width), min(bottom * step, float(color.height)))
        band = color.resize((width, bottom - top), Image.Resampling.BILINEAR, box)
        light = Image.fromarray(np.ascontiguousarray(stored[top:bottom, :, 0]))
        whole = Image.merge("YCbCr", (light, *band.split()[1:]))
        stored[top:bottom] = np.asarray(whole.convert("RGB"))[..., ::-1]


def _decode(source: Path | bytes) -> Image.Image:
    """Return the upright first frame, in mode L or RGB."""
    with _opened(source) as image:
        return _upright(image)


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    _turn_upright(image)
    return _eight_bits(image)


@contextmanager
def _opened(source: Path | bytes) -> Iterator[Image.Image]:
    """Open a picture that is allowed to be decoded.

    Raises:
        PictureError: It is not allowed, or an operation on it fails.
        OSError: The file cannot be opened.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream, no_warnings():
        # Pillow warns about damage that it tolerates, and about sizes that are refused here.
        try:
            formats = _formats(stream, "" if isinstance(source, bytes) else source.name)
            with Image.open(stream, formats=formats) as image:
                _check_size(image)
                yield image
        # A lack of memory is not an error of the picture.
        except (PictureError, MemoryError):
            raise
        except Image.DecompressionBombError as error:
            raise PictureError(f"expected at most {MAX_PIXELS:,} pixels, got more ({error}); shrink it") from error
        except UnidentifiedImageError as error:
            raise PictureError(f"expected a {_NAMED} picture, got another file") from error
        # Pillow's readers raise many kinds of errors for damaged files: OSError, SyntaxError, struct.error, IndexError
        # ...
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise PictureError(f"expected a complete picture, got a damaged one ({reason})") from error


def _formats(stream: Any, name: str) -> tuple[str, ...]:
    """Return the Pillow readers that may read a file.

    Raises:
        PictureError: No reader can read it.
    """
    head = stream.read(4096)
    stream.seek(0)
    if not head:
        raise PictureError("expected a picture, got an empty file")
    suffix = Path(name).suffix.lower()
    if suffix in RAW_NAMES:
        raise PictureError(RAW)
    if kind_of(head, name) is Kind.VIDEO:
        raise PictureError("expected a picture, got a video; take a picture out of it")
    if is_heif(head):
        _enable_heif()
        return ("HEIF",)
    # A TGA file has no mark that identifies it.
    return (*FORMATS, "TGA") if suffix == ".tga" else FORMATS


def _enable_heif() -> None:
    # Loaded on demand, because its decoders take 26 MB.
    try:
        import pillow_heif
    except ImportError as error:
        raise PictureError("expected pillow-heif to read HEIC, got no such package; pip install pillow-heif") from error
    if "HEIF" not in Image.OPEN:
        pillow_heif.register_heif_opener()


def _check_size(image: Image.Image) -> None:
    """Refuse a picture that would take too much memory."""
    # A TIFF of 300 bytes can claim tiles of gigabytes for a small picture, and libtiff allocates each tile.
    tile = (getattr(image, "tag_v2", {}).get(tag, 1) for tag in (TILEWIDTH, TILELENGTH))
    for width, height in (image.size, tile):
        if width * height > MAX_PIXELS:
            raise Image.DecompressionBombError(f"{width}x{height}")


def _turn_upright(image: Image.Image) -> None:
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception as error:  # a damaged EXIF block must not lose an intact picture
        logger.debug("EXIF orientation ignored: %s", error)


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BITS:
        deep = np.asarray(image)
        if deep.min() < 0 or deep.max() > 65535:
            raise PictureError("expected 8 or 16 bits a pixel, got 32; save the picture with 8")
        # Cameras with 10, 12 or 14 bits do not scale their values to 16 bits, which would look nearly black.
        most = next(bits for bits in _DEPTHS if deep.max() < 1 << bits)
        white = (1 << most) - 1
        wide = deep.astype(np.uint32)
        wide *= 255
        wide += white // 2
        wide //= white
        return Image.fromarray(wide.astype(np.uint8))
    if image.mode == "F":
        raise PictureError("expected 8 or 16 bits a pixel, got floating point; save the picture with 8")
    if image.has_transparency_data:
        paper = Image.new("RGB", image.size, "white")
        clear = _as_mode("RGBA", image)
        paper.paste(clear, mask=clear)
        return paper
    return _as_mode("L" if image.mode in ("1", "L") else "RGB", image)


def _as_mode(mode: str, image: Image.Image) -> Image.Image:
    """Convert a picture. One that has the mode is returned itself; Pillow would copy it."""
    return image if image.mode == mode else image.convert(mode)
