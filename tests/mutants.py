"""Files of every kind that the program reads, changed at random, always the same for a seed."""

import io
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from moodspace.embeddings.pictures import read_rgb
from moodspace.realtime.demo import picture_path
from tests.made_videos import INTERLACED, greys, write_video

Change = Callable[[bytes, random.Random], bytes]


def _picture(kind: str, mode: str = "RGB", **how: object) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(read_rgb(picture_path())[40:232, 130:322])
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(image).save(stream)
    else:
        image.convert(mode).save(stream, kind, **how)
    return stream.getvalue()


def _animation(kind: str) -> bytes:
    stream = io.BytesIO()
    first, second = (Image.new("RGB", (64, 48), (grey, grey, grey)) for grey in (20, 200))
    first.save(stream, kind, save_all=True, append_images=[second, first], duration=100)
    return stream.getvalue()


@cache
def originals(folder: Path) -> dict[str, bytes]:
    """Return a whole file of each kind, by a name that says which; videos are made in a folder."""
    kinds = {
        "a.jpg": _picture("JPEG"), "a.png": _picture("PNG"), "grey.png": _picture("PNG", "L"),
        "a.webp": _picture("WEBP"), "a.avif": _picture("AVIF"), "a.heic": _picture("HEIF"),
        "a.bmp": _picture("BMP"), "a.tif": _picture("TIFF"),
        "lzw.tif": _picture("TIFF", compression="tiff_lzw"), "cmyk.jpg": _picture("JPEG", "CMYK"),
        "palette.png": _picture("PNG", "P"), "a.jp2": _picture("JPEG2000"), "a.ppm": _picture("PPM"),
        "a.ico": _picture("ICO"), "a.tga": _picture("TGA"), "a.pcx": _picture("PCX"), "a.gif": _animation("GIF"),
        "moving.webp": _animation("WEBP"), "moving.png": _animation("PNG"),
    }  # fmt: skip
    videos = {
        "a.mp4": ("libx264", "mp4", {}), "a.mkv": ("libx264", "matroska", INTERLACED), "a.avi": ("mpeg4", "avi", {}),
        "a.mpg": ("mpeg2video", "mpeg", INTERLACED), "a.ts": ("libx264", "mpegts", {}),
        "a.webm": ("libvpx", "webm", {}), "a.flv": ("flv", "flv", {}), "a.wmv": ("wmv2", "asf", {}),
        "a.mov": ("mpeg4", "mov", {}),
        "av1.mkv": ("libsvtav1", "matroska", {}), "a.mjpg": ("mjpeg", "mjpeg", {}),
    }  # fmt: skip
    for name, (codec, kind, options) in videos.items():
        pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        path = write_video(folder / name, greys([90] * 6), codec, kind=kind, options=options, pixels=pixels)
        kinds[name] = path.read_bytes()
    return kinds


def tables() -> dict[str, bytes]:
    """Return whole tables: FER2013's csv, and a data set as parquet."""
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    rows = [f"{n % 7},{' '.join(map(str, rng.integers(0, 256, 48 * 48)))},Training" for n in range(8)]
    stream = io.BytesIO()
    pictures = [{"bytes": _picture("PNG", "L"), "path": f"{n}.png"} for n in range(8)]
    parquet.write_table(pa.table({"image": pictures, "label": [f"class {n % 3}" for n in range(8)]}), stream)
    csv = "\n".join(["emotion,pixels,Usage", *rows]).encode()
    return {"fer2013.csv": csv, "train.parquet": stream.getvalue()}


def _same(content: bytes, rng: random.Random) -> bytes:
    return content


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def _flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 4, 30))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _blank(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    count = rng.randrange(1, 400)
    return content[:at] + bytes([rng.choice((0, 255))]) * count + content[at + count :]


def _repeat(content: bytes, rng: random.Random) -> bytes:
    first, second = sorted(rng.randrange(len(content)) for _ in range(2))
    return content[:second] + content[first:second] * rng.randrange(1, 3) + content[second:]


def _drop(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + content[at + rng.randrange(1, 200) :]


def _numbers(content: bytes, rng: random.Random) -> bytes:
    """Write a huge or odd number somewhere near the beginning, where sizes stand."""
    at = rng.randrange(min(len(content), 400))
    return content[:at] + rng.choice((b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4), b"\0\0\xff\xff")) + content[at + 4 :]


def _noise(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(32)] + rng.randbytes(rng.randrange(1, 2000))


_CHANGES: tuple[Change, ...] = (_same, _cut, _cut, _flip, _flip, _blank, _repeat, _drop, _numbers, _numbers, _noise)


def changed(content: bytes, rng: random.Random) -> bytes:
    """Return bytes, not none, with one change by chance; sometimes the same."""
    return rng.choice(_CHANGES)(content, rng) if content else content


def mutated(kinds: dict[str, bytes], count: int, seed: int) -> dict[str, bytes]:
    """Return changed files by their names; one in eight has the name of another kind, or no suffix."""
    rng = random.Random(seed)
    names = sorted(kinds)
    files = {}
    for number in range(count):
        kind = names[number % len(names)]
        content = changed(kinds[kind], rng)
        ending = Path(rng.choice(names)).suffix if rng.random() < 0.08 else Path(kind).suffix
        files[f"{number:05d}-{Path(kind).stem}{'' if rng.random() < 0.04 else ending}"] = content
    return files
