"""Decodes a video, a file or a stream, frame by frame, with ffmpeg's libraries as PyAV brings them.

Every video enters the project here. A frame is handed out only where the decoder, and what turns it upright, say that
it was written; OpenCV's own reader hands out memory that nobody wrote where it cannot convert a frame.
"""

import contextlib
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from moodspace.arrays import ByteArray

if TYPE_CHECKING:
    from av import VideoFrame
    from av.filter import Graph
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from moodspace.realtime.capture.source import SourceError, usable_fps
from moodspace.realtime.capture.truncation import ends_early

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.error import FFmpegError
    from av.video.stream import VideoStream


# A clock that goes back, or on by so much in a broadcast, was set anew.
_SET_BACK_S, _SET_ON_S = 1.0, 10.0


class FrameClock:
    """Turns the times that frames state into seconds since the first one, never less than the frame before.

    Args:
        fps: Frames a second, for frames that state no time.
        jumps: Whether the clock may jump ahead, as that of a broadcast does between two programmes.
    """

    def __init__(self, fps: float, *, jumps: bool = False) -> None:
        self._step, self._jumps = 1 / fps, jumps
        self._last: float | None = None
        self._begun: float | None = None

    def time(self, stated: float | None) -> float:
        """Returns a frame's time.

        Args:
            stated: Seconds by the video's clock; None where it does not say.
        """
        expected = 0.0 if self._last is None else self._last + self._step
        if stated is None:
            self._last = expected
            return expected
        if self._begun is None:
            self._begun = stated - expected
        time = stated - self._begun
        if self._last is not None and (
            time < self._last - _SET_BACK_S or (self._jumps and time > self._last + _SET_ON_S)
        ):
            self._begun, time = stated - expected, expected
        self._last = time if self._last is None else max(time, self._last)
        return self._last


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


# Demuxers of one file each. Others, such as playlists, could name further files.
_FORMATS = (
    "mov", "matroska", "webm", "avi", "mpeg", "mpegts", "mpegvideo", "flv", "live_flv", "asf", "ogg", "mjpeg", "mpjpeg",
    "yuv4mpegpipe", "ivf", "h264", "hevc", "m4v", "obu", "av1", "dv", "mxf", "nut", "rm", "gxf", "wtv", "amv", "mp3",
    "aac", "wav", "flac",
)  # fmt: skip

# As much as a picture may have.
MAX_PIXELS = 80_000_000

# Frames are decoded side by side, and each thread takes a frame's memory.
_THREADS = 4


class Decoded(NamedTuple):
    """A frame, `(h, w, 3)` uint8 BGR, upright, and the seconds since the first one."""

    bgr: ByteArray
    time: float


class Decoder:
    """The frames of a video, to go through once, in a `with` block.

    Interlaced frames are deinterlaced, turned and mirrored ones are put upright, and pixels that are not square become
    square. Frames that arrived damaged are left out. All frames have the size of the first.

    Attributes:
        width: Pixels, before the frames are turned upright.
        height: Pixels.
        fps: Frames a second, the mean where they vary; a usual number where the video does not say.
        seconds: How long the video says that it is; 0 where it does not.
        stated_frames: How many frames the video says that it has; 0 where it does not.
        read: How many frames were handed out.

    Args:
        address: The path of a file, or the address of a stream.
        stream: Whether it is a stream: frames come out as early as they can.
        timeout: Seconds that opening, and each read, may take; None for any time.
        most_pixels: How large a frame may be.

    Raises:
        SourceError: it cannot be decoded; the message does not name it.
    """

    def __init__(
        self,
        address: str | Path,
        *,
        stream: bool = False,
        timeout: float | None = None,
        most_pixels: int = MAX_PIXELS,
    ) -> None:
        # Loaded when a video is opened: pictures need none of it.
        import av

        av.logging.set_level(av.logging.PANIC)
        self._path = None if stream else Path(address)
        self._errors: type[FFmpegError] = av.error.FFmpegError
        self._is_stream, self._most_pixels = stream, most_pixels
        self.read = self._damaged = 0
        self._broke_off = ""
        self._last = 0.0
        if self._path is not None and not self._path.stat().st_size:
            raise SourceError("expected a video, received an empty file")
        self._container = self._opened(str(address), timeout)
        try:
            self._stream = self._chosen()
            self._prepare()
        except BaseException:
            self._container.close()
            raise

    def _opened(self, address: str, timeout: float | None) -> "InputContainer":
        import av

        if self._is_stream:
            # Over UDP, which RTSP takes first, cameras lose packets.
            options = {"rtsp_transport": "tcp"}
        else:
            # Without "file:", a name with a colon would be an address.
            address = f"file:{address}"
            options = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "file"}
        try:
            return av.open(address, options=options, timeout=timeout, metadata_errors="replace")
        except (self._errors, OSError, ValueError) as error:
            raise self._unreadable() from error

    def _chosen(self) -> "VideoStream":
        from av.stream import Disposition

        streams = self._container.streams
        moving = [one for one in streams.video if not one.disposition & Disposition.attached_pic]
        if not moving:
            if streams.video or streams.audio:
                raise SourceError("expected a video, received sound alone")
            raise self._unreadable()
        best = streams.best("video")
        chosen = best if best in moving else moving[0]
        if chosen.codec_context is None:
            raise SourceError("expected a video that can be decoded, received one of an unknown kind; save it as MP4")
        return chosen

    def _prepare(self) -> None:
        stream, context = self._stream, self._stream.codec_context
        self._check_size(context.width, context.height)
        context.options = {"max_pixels": str(self._most_pixels)}
        # Threads each decode a frame, and none comes out before all have one: pictures of an H.264 stream at 30 frames
        # a second were 0.07 s old with one thread and 0.3 s with eight.
        context.thread_count = 1 if self._is_stream else _THREADS
        context.thread_type = "SLICE" if self._is_stream else "AUTO"
        self.fps = usable_fps(float(stream.average_rate or stream.guessed_rate or 0))
        duration = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        self.seconds = max(duration or (self._container.duration or 0) / 1_000_000, 0.0)
        self.stated_frames = max(stream.frames, 0)
        self._upright = Upright(stream.sample_aspect_ratio, self._most_pixels)
        self.width, self.height = self._upright.size(context.width, context.height)
        # These formats are broadcast: their time jumps where one programme ends and another begins.
        jumps = self._container.format.name in ("mpegts", "mpeg")
        self._clock = FrameClock(self.fps, jumps=jumps)
        self._frames = self._decoded()

    def __iter__(self) -> Iterator[Decoded]:
        """Yields the frames."""
        while (frame := self.next()) is not None:
            yield frame

    def next(self) -> Decoded | None:
        """Returns the next frame; None where there is none any more.

        Raises:
            SourceError: a frame is larger than it may be.
        """
        frame = next(self._frames, None)
        if frame is not None:
            self.read += 1
            self._last = frame.time
        return frame

    @property
    def problem(self) -> str:
        """What is missing of a file once its last frame was read, in one line; empty where it is whole."""
        early = self._path is not None and (ends_early(self._path, self._container.format.name) or self._beyond_end())
        if not (early or self._broke_off or self._damaged):
            return ""
        if not self.read:
            return "expected frames, received none; the file ends early or is damaged, copy it again"
        lasted = self._last + 1 / self.fps
        of = f" of {self.seconds:.1f}" if self.seconds > lasted else ""
        what = f"{self.read} frames, {lasted:.1f}{of} s, were read"
        if early or self._broke_off:
            return f"expected a whole video, received one that ends early; {what}"
        parts = "1 damaged part" if self._damaged == 1 else f"{self._damaged} damaged parts"
        return f"expected a whole video, received one with {parts}; {what}"

    def close(self) -> None:
        """Frees the file or connection."""
        self._frames.close()
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _decoded(self) -> Generator[Decoded, None, None]:
        for frame in self._whole_frames():
            self._check_size(frame.width, frame.height)
            time = self._clock.time(self._stated_time(frame))
            yield from (Decoded(*shown) for shown in self._upright.add(frame, time))
        yield from (Decoded(*shown) for shown in self._upright.end())

    def _whole_frames(self) -> Iterator["VideoFrame"]:
        """Yields the frames that the decoder calls whole."""
        seen = False
        for packet in self._packets():
            # A stream that was entered in its middle begins with parts of frames that came before.
            try:
                frames = self._stream.codec_context.decode(packet)
            except self._errors:
                self._damaged += seen
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self._damaged += seen
                    continue
                seen = True
                yield frame

    def _packets(self) -> Iterator["Packet[VideoStream] | None"]:
        """Yields what is to be decoded, and None where no more comes."""
        packets = self._container.demux(self._stream)
        broadcast = self._container.format.name == "mpegts"
        while True:
            try:
                packet = next(packets, None)
            except (self._errors, OSError) as error:
                self._broke_off = str(error)
                break
            if packet is None:
                break
            # An empty one would tell the decoder that no more comes.
            if packet.size and not (packet.is_corrupt and not broadcast):
                yield packet
            elif packet.size:
                self._damaged += 1
        yield None

    def _stated_time(self, frame: "VideoFrame") -> float | None:
        base = self._stream.time_base
        return None if frame.pts is None or base is None else float(frame.pts * base)

    def _beyond_end(self) -> bool:
        """Says whether the file's own index has frames that lie beyond its end."""
        if self._path is None or not self._container.format.name.startswith("mov"):
            return False
        size = self._path.stat().st_size
        entries = (entry for stream in self._container.streams for entry in stream.index_entries)
        return any(entry.pos + entry.size > size for entry in entries)

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._most_pixels:
            most = f"expected frames of at most {self._most_pixels / 1e6:g} million pixels"
            raise SourceError(f"{most}, received {width} x {height}; make it smaller")

    def _unreadable(self) -> SourceError:
        if self._path is not None and ends_early(self._path):
            return SourceError("expected a whole video, received one that ends before its index; copy it again")
        return SourceError("expected a video that can be read, received a broken one or none; try it in a player")
