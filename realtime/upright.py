"""From a decoded frame to one as it is to be seen: whole pictures of square pixels, upright, in BGR."""

import contextlib
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from realtime.faces import ByteArray

if TYPE_CHECKING:
    from av import VideoFrame
    from av.filter import Graph

# Pixels of other shapes than these are a mistake in the file; those within the tolerance are taken for square.
_WIDEST, _TOLERANCE = 4.0, 0.02
# Ticks a second of the filters' clock. It only counts frames.
_TICKS = 1000


class Upright:
    """Converts frames with ffmpeg's filters, which say so where they cannot.

    Frames of the first one's size come out, also where the video changes it.

    Args:
        aspect: Width of a pixel by its height; None or 0 where the video does not say.
        most_pixels: How large a frame may become where its pixels are not square.
    """

    def __init__(self, aspect: Fraction | None, most_pixels: int) -> None:
        shape = float(aspect) if aspect else 1.0
        usual = 1 / _WIDEST <= shape <= _WIDEST and abs(shape - 1) > _TOLERANCE
        self._aspect, self._most_pixels = (shape if usual else 1.0), most_pixels
        self._graph: Graph | None = None
        self._made_for: tuple[object, ...] = ()
        self._deinterlaces = False
        self._waiting: deque[tuple[float, tuple[int, int, int, int]]] = deque()
        self._rotation = 0
        self._orientation: tuple[int, int, int, int] | None = None
        self._count = 0
        self._size: tuple[int, int] | None = None

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Returns what a frame's size becomes where its pixels are made square, by enlarging the shorter sides."""
        wide = round(width * max(self._aspect, 1.0)), round(height * max(1 / self._aspect, 1.0))
        return wide if wide[0] * wide[1] <= self._most_pixels else (width, height)

    def add(self, frame: "VideoFrame", time: float) -> Iterator[tuple[ByteArray, float]]:
        """Converts a frame; yields those that are ready, each with the time that came with it.

        Deinterlacing compares a frame with the next, so that one comes out as the next one goes in.
        """
        deinterlaces = (self._deinterlaces or frame.interlaced_frame) and min(frame.width, frame.height) >= 4
        kind = (frame.width, frame.height, frame.format.name, frame.color_range, frame.colorspace, deinterlaces)
        if kind != self._made_for or self._graph is None:
            yield from self.end()
            self._graph, self._made_for, self._deinterlaces = self._new_graph(frame, deinterlaces), kind, deinterlaces
        if self._orientation is None or frame.rotation != self._rotation:
            self._rotation, self._orientation = frame.rotation, _orientation(frame)
        self._waiting.append((time, self._orientation))
        frame.pts, frame.time_base = self._count, Fraction(1, _TICKS)
        self._count += 1
        self._graph.vpush(frame)
        yield from self._ready()

    def end(self) -> Iterator[tuple[ByteArray, float]]:
        """Yields the frames that wait for a next one."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()
        self._graph = None
        self._waiting.clear()

    def _ready(self) -> Iterator[tuple[ByteArray, float]]:
        import av

        while self._waiting and self._graph is not None:
            try:
                shown = self._graph.vpull()
            except (BlockingIOError, EOFError, av.error.EOFError):
                return
            time, orientation = self._waiting.popleft()
            yield _turned(np.array(shown.to_ndarray()), orientation), time

    def _new_graph(self, frame: "VideoFrame", deinterlaces: bool) -> "Graph":
        from av.filter import Graph

        graph = Graph()
        steps = [
            graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, _TICKS))
        ]
        if deinterlaces:
            steps.append(graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced"))
        width, height = self.size(frame.width, frame.height)
        self._size = self._size or (width, height)
        if (width, height) == self._size:
            steps.append(graph.add("scale", f"{width}:{height}:flags=bicubic"))
        else:
            fit = f"{self._size[0]}:{self._size[1]}"
            steps.append(graph.add("scale", f"{fit}:force_original_aspect_ratio=decrease:flags=bicubic"))
            steps.append(graph.add("setsar", "1"))
            steps.append(graph.add("pad", f"{fit}:-1:-1"))
        steps += [graph.add("format", "pix_fmts=bgr24"), graph.add("buffersink")]
        for one, following in pairwise(steps):
            one.link_to(following)
        graph.configure()
        return graph


def _orientation(frame: "VideoFrame") -> tuple[int, int, int, int]:
    """Returns how a frame is to be turned and mirrored: the signs of a 2x2 matrix of which two entries are 0."""
    import av
    from av.sidedata.sidedata import Type

    # PyAV 18.1 keeps a frame that was asked for its side data until garbage is collected, so a small copy is asked.
    with contextlib.suppress(av.error.FFmpegError):
        frame = frame.reformat(width=16, height=16)
    data = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
    if data is None:
        return 1, 0, 0, 1
    matrix = np.frombuffer(bytes(data), np.int32)
    a, b, c, d = (int(matrix[at]) for at in (0, 1, 3, 4))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (1 if a >= 0 else -1), 0, 0, (1 if d >= 0 else -1)
    return 0, (1 if b >= 0 else -1), (1 if c >= 0 else -1), 0


def _turned(bgr: ByteArray, orientation: tuple[int, int, int, int]) -> ByteArray:
    """Turns a frame: the point (x, y) goes to (a x + c y, b x + d y)."""
    a, b, c, d = orientation
    if a:
        turned = bgr[:: 1 if d > 0 else -1, :: 1 if a > 0 else -1]
    else:
        turned = bgr.transpose(1, 0, 2)[:: 1 if b > 0 else -1, :: 1 if c > 0 else -1]
    return np.ascontiguousarray(turned)
