"""Small videos of many kinds, made with PyAV, as no other program may be there."""

import multiprocessing
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from moodspace.arrays import ByteArray

INTERLACED = {"flags": "+ildct+ilme"}


def greys(values: Iterable[int], size: tuple[int, int] = (64, 48)) -> list[ByteArray]:
    """Frames, BGR, each of one grey."""
    return [np.full((size[1], size[0], 3), value, np.uint8) for value in values]


def write_video(
    path: Path,
    frames: Sequence[ByteArray],
    codec: str = "libx264",
    *,
    fps: int = 25,
    kind: str | None = None,
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    times: Sequence[float] | None = None,
    turned: int = 0,
    aspect: Fraction | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a video.

    Args:
        path: Where.
        frames: `(h, w, 3)` uint8 BGR.
        codec: The encoder.
        fps: Frames a second.
        kind: The container, where the name does not say.
        pixels: How the encoder keeps them.
        options: The encoder's.
        times: When each frame is shown, seconds; evenly where None.
        turned: By how many degrees a player is to turn the frames.
        aspect: The width of a pixel by its height.
        container_options: The container's.
    """
    settings = (path, frames, codec, fps, kind, pixels, options, times, turned, aspect, container_options)
    if codec != "libsvtav1":
        return _write(*settings)
    # Run by root, SVT-AV1 gives its process, and all that this starts later, the priority of real time.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as child:
        return child.submit(_write, *settings).result()


def _write(
    path: Path,
    frames: Sequence[ByteArray],
    codec: str,
    fps: int,
    kind: str | None,
    pixels: str,
    options: dict[str, str] | None,
    times: Sequence[float] | None,
    turned: int,
    aspect: Fraction | None,
    container_options: dict[str, str] | None,
) -> Path:
    with av.open(str(path), "w", format=kind, options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = Fraction(1, 1000) if times else Fraction(1, fps)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if turned:
            stream.set_display_rotation(turned)
        for number, bgr in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(bgr), format="bgr24")
            frame.pts = round(1000 * times[number]) if times else number
            frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    """Write a second of silence in a video's container."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        for number in range(43):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, 1024 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut(path: Path, share: float, name: str) -> Path:
    """Write the first part of a file beside it, an odd number of bytes: no number of whole packets."""
    content = path.read_bytes()
    target = path.with_name(name)
    target.write_bytes(content[: int(share * len(content)) | 1])
    return target
