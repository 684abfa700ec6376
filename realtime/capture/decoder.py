"""Decode a video, a file or a stream, frame by frame, with ffmpeg's libraries as PyAV brings them.

Every video is decoded here. A frame is returned only if the decoder and the filters report that it was written:
OpenCV's own reader returns uninitialized memory where it cannot convert a frame.
"""

import contextlib
from collections import deque
from collections.abc import Generator, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from moodspace.arrays import ByteArray
from moodspace.realtime.capture.sampling import Due
from moodspace.realtime.capture.source import SourceError, usable_fps
from moodspace.realtime.capture.truncation import ends_early

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.error import FFmpegError
    from av.filter import Graph
    from av.video.stream import VideoStream

# Formats that consist of one file. Others, such as playlists, could refer to further files.
_FORMATS = (
    "mov", "matroska", "webm", "avi", "mpeg", "mpegts", "mpegvideo", "flv", "live_flv", "asf", "ogg", "mjpeg", "mpjpeg",
    "yuv4mpegpipe", "ivf", "h264", "hevc", "m4v", "obu", "av1", "dv", "mxf", "nut", "rm", "gxf", "wtv", "amv", "mp3",
    "aac", "wav", "flac",
)  # fmt: skip

# The limit for pictures, too.
MAX_PIXELS = 80_000_000

# Each decoding thread needs the memory of one frame.
_THREADS = 4


class Decoded(NamedTuple):
    """A frame, `(h, w, 3)` uint8 BGR, upright, and its time in seconds since the first frame."""

    bgr: ByteArray
    time: float


class _LeftOut(NamedTuple):
    """A frame that was decoded but not asked for; its time in seconds since the first frame."""

    time: float


class Decoder:
    """The frames of a video, to iterate once in a `with` block.

    Frames are deinterlaced, rotated and flipped as the video states, and get square pixels. Damaged frames are left
    out. All frames have the size of the first.

    Args:
        address: The path of a file, or the address of a stream.
        stream: Whether it is a stream; its frames are returned with the least delay.
        timeout: The time limit in seconds for opening and for each read; None for no limit.
        most_pixels: The maximum size of a frame in pixels.
        due: Which frames to return, by number and time; None for all. The others are decoded but not converted.

    Attributes:
        width: The width in pixels, before frames are rotated.
        height: The height in pixels, likewise.
        fps: Frames per second, the mean if they vary; 25 if the video does not state a plausible rate.
        seconds: The duration that the video states; 0 if it states none.
        stated_frames: The number of frames that the video states; 0 if it states none.
        read: The number of frames returned or left out so far; the last one returned has the number `read - 1`.
        lasted: Seconds from the first of these to the end of the last.

    Raises:
        SourceError: It cannot be decoded. The message does not contain the address.
    """

    def __init__(
        self,
        address: str | Path,
        *,
        stream: bool = False,
        timeout: float | None = None,
        most_pixels: int = MAX_PIXELS,
        due: Due | None = None,
    ) -> None:
        # Imported only when a video is opened; pictures do not need it.
        import av

        av.logging.set_level(av.logging.PANIC)
        self._path = None if stream else Path(address)
        self._errors: type[FFmpegError] = av.error.FFmpegError
        self._is_stream, self._most_pixels, self._due = stream, most_pixels, due
        self.read = self._damaged = 0
        self._broke_off = ""
        self._last = 0.0
        if self._path is not None and not self._path.stat().st_size:
            raise SourceError("expected a video, got an empty file")
        self._container = self._open(str(address), timeout)
        try:
            self._stream = self._video_stream()
            self._prepare()
        except BaseException:
            self._container.close()
            raise

    def _open(self, address: str, timeout: float | None) -> "InputContainer":
        import av

        if self._is_stream:
            # By default RTSP uses UDP, which loses packets.
            options = {"rtsp_transport": "tcp"}
        else:
            # Without "file:", a path with a colon would be an address.
            address = f"file:{address}"
            options = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "file"}
        try:
            return av.open(address, options=options, timeout=timeout, metadata_errors="replace")
        except (self._errors, OSError, ValueError) as error:
            raise self._unreadable() from error

    def _video_stream(self) -> "VideoStream":
        from av.stream import Disposition

        streams = self._container.streams
        moving = [one for one in streams.video if not one.disposition & Disposition.attached_pic]
        if not moving:
            if streams.video or streams.audio:
                raise SourceError("expected a video, got sound alone")
            raise self._unreadable()
        best = streams.best("video")
        chosen = best if best in moving else moving[0]
        if chosen.codec_context is None:
            raise SourceError("expected a video that can be decoded, got one of an unknown kind; save it as MP4")
        return chosen

    def _prepare(self) -> None:
        stream, context = self._stream, self._stream.codec_context
        self._check_size(context.width, context.height)
        context.options = {"max_pixels": str(self._most_pixels)}
        # With frame threads, a frame is delayed by one frame per thread: frames of an H.264 stream at 30 fps were
        # 0.07 s old with one thread and 0.3 s with eight.
        # With frame threads, ffmpeg's H.264 decoder reports a damaged frame as damaged or not, depending on which
        # thread is done first.
        in_frames = not self._is_stream and context.name != "h264"
        context.thread_count = _THREADS if in_frames else 1
        context.thread_type = "AUTO" if in_frames else "SLICE"
        self.fps = usable_fps(float(stream.average_rate or stream.guessed_rate or 0))
        duration = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        self.seconds = max(duration or (self._container.duration or 0) / 1_000_000, 0.0)
        self.stated_frames = max(stream.frames, 0)
        self._converter = FrameConverter(stream.sample_aspect_ratio, self._most_pixels)
        self.width, self.height = self._converter.size(context.width, context.height)
        # Broadcast formats: the time may jump between two programs.
        jumps = self._container.format.name in ("mpegts", "mpeg")
        self._clock = FrameClock(self.fps, jumps=jumps)
        self._frames = self._decoded()

    def __iter__(self) -> Iterator[Decoded]:
        """Yield the frames."""
        while (frame := self.next()) is not None:
            yield frame

    def next(self) -> Decoded | None:
        """Return the next frame; None at the end.

        Raises:
            SourceError: A frame is too large.
        """
        while (frame := next(self._frames, None)) is not None:
            self.read, self._last = self.read + 1, frame.time
            if isinstance(frame, Decoded):
                return frame
        return None

    @property
    def lasted(self) -> float:
        """Seconds from the first frame to the end of the last one read; 0 before the first."""
        return self._last + 1 / self.fps if self.read else 0.0

    @property
    def problem(self) -> str:
        """One line on what is missing after the last frame was read; empty if the file is complete."""
        early = self._path is not None and (ends_early(self._path, self._container.format.name) or self._beyond_end())
        if not (early or self._broke_off or self._damaged):
            return ""
        if not self.read:
            return "expected frames, got none; the file ends early or is damaged, copy it again"
        of = f" of {self.seconds:.1f}" if self.seconds > self.lasted else ""
        what = f"{self.read} frames, {self.lasted:.1f}{of} s, were read"
        if early or self._broke_off:
            return f"expected a whole video, got one that ends early; {what}"
        parts = "1 damaged part" if self._damaged == 1 else f"{self._damaged} damaged parts"
        return f"expected a whole video, got one with {parts}; {what}"

    def close(self) -> None:
        """Close the file or connection."""
        self._frames.close()
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _decoded(self) -> Generator["Decoded | _LeftOut", None, None]:
        for index, frame in enumerate(self._whole_frames()):
            self._check_size(frame.width, frame.height)
            time = self._clock.time(self._stated_time(frame))
            yield from self._converter.add(frame, time, due=self._due is None or self._due(index, time))
        yield from self._converter.end()

    def _whole_frames(self) -> Iterator["VideoFrame"]:
        """Yield the frames that the decoder does not report as damaged."""
        seen = False
        for packet in self._packets():
            # A stream joined in the middle starts with parts of earlier frames; these do not count as damage.
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
        """Yield the packets to decode, and None at the end."""
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
            # An empty packet would mean the end to the decoder.
            if packet.size and not (packet.is_corrupt and not broadcast):
                yield packet
            elif packet.size:
                self._damaged += 1
        yield None

    def _stated_time(self, frame: "VideoFrame") -> float | None:
        base = self._stream.time_base
        return None if frame.pts is None or base is None else float(frame.pts * base)

    def _beyond_end(self) -> bool:
        """Return whether the file's index lists frames beyond the end of the file."""
        if self._path is None or not self._container.format.name.startswith("mov"):
            return False
        size = self._path.stat().st_size
        entries = (entry for stream in self._container.streams for entry in stream.index_entries)
        return any(entry.pos + entry.size > size for entry in entries)

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._most_pixels:
            most = f"expected frames of at most {self._most_pixels / 1e6:g} million pixels"
            raise SourceError(f"{most}, got {width} x {height}; make it smaller")

    def _unreadable(self) -> SourceError:
        if self._path is not None and ends_early(self._path):
            return SourceError("expected a whole video, got one that ends before its index; copy it again")
        return SourceError("expected a video that can be read, got a broken one or none; try it in a player")


# A time that goes back by more, or in a broadcast ahead by more, means that the clock was set.
_LARGEST_STEP_BACK_S, _LARGEST_STEP_AHEAD_S = 1.0, 10.0


class FrameClock:
    """Convert the times that frames state into seconds since the first frame, which never decrease.

    Args:
        fps: Frames per second, for frames without a time.
        jumps: Whether the clock may jump ahead, as in a broadcast between two programs.
    """

    def __init__(self, fps: float, *, jumps: bool = False) -> None:
        self._step, self._jumps = 1 / fps, jumps
        self._last: float | None = None
        self._start: float | None = None

    def time(self, stated: float | None) -> float:
        """Return a frame's time in seconds.

        Args:
            stated: Seconds by the video's clock; None if the frame has no time.
        """
        expected = 0.0 if self._last is None else self._last + self._step
        if stated is None:
            self._last = expected
            return expected
        if self._start is None:
            self._start = stated - expected
        time = stated - self._start
        if self._last is not None and (
            time < self._last - _LARGEST_STEP_BACK_S or (self._jumps and time > self._last + _LARGEST_STEP_AHEAD_S)
        ):
            self._start, time = stated - expected, expected
        self._last = time if self._last is None else max(time, self._last)
        return self._last


# A pixel aspect ratio beyond 4 or 1/4 is an error in the file; one within 2 % of 1 counts as square.
_LARGEST_ASPECT, _TOLERANCE = 4.0, 0.02
# The time base of the filters, which only count frames.
_TICKS_PER_S = 1000


class FrameConverter:
    """Convert frames to upright BGR with square pixels and without interlacing.

    ffmpeg's filters do it, because they report errors. All frames get the size of the first one, even if the video
    changes it.

    Args:
        aspect: The pixel aspect ratio, width by height; None or 0 if unknown.
        most_pixels: The maximum size of a frame whose pixels are made square.
    """

    def __init__(self, aspect: Fraction | None, most_pixels: int) -> None:
        shape = float(aspect) if aspect else 1.0
        plausible = 1 / _LARGEST_ASPECT <= shape <= _LARGEST_ASPECT and abs(shape - 1) > _TOLERANCE
        self._aspect, self._most_pixels = (shape if plausible else 1.0), most_pixels
        self._graph: Graph | None = None
        self._graph_key: tuple[object, ...] = ()
        self._deinterlaces = False
        self._pending: deque[tuple[float, bool, tuple[int, int, int, int]]] = deque()
        self._rotation = 0
        self._orientation: tuple[int, int, int, int] | None = None
        self._count = 0
        self._size: tuple[int, int] | None = None

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size of a frame with square pixels; the frame is enlarged, not shrunk."""
        square = round(width * max(self._aspect, 1.0)), round(height * max(1 / self._aspect, 1.0))
        return square if square[0] * square[1] <= self._most_pixels else (width, height)

    def add(self, frame: "VideoFrame", time: float, *, due: bool = True) -> "Iterator[Decoded | _LeftOut]":
        """Convert a frame and yield the frames that are ready.

        Deinterlacing needs the next frame, so that frames come out one frame late, and it needs those that are not due.

        Args:
            frame: The frame.
            time: Its time in seconds.
            due: Whether it is asked for; if not, `_LeftOut` stands for it.
        """
        deinterlaces = (self._deinterlaces or frame.interlaced_frame) and min(frame.width, frame.height) >= 4
        key = (frame.width, frame.height, frame.format.name, frame.color_range, frame.colorspace, deinterlaces)
        if not due and not deinterlaces and not self._pending:
            # The first frame sets the size of all.
            self._size = self._size or self.size(frame.width, frame.height)
            yield _LeftOut(time)
            return
        if key != self._graph_key or self._graph is None:
            yield from self.end()
            self._graph, self._graph_key, self._deinterlaces = self._new_graph(frame, deinterlaces), key, deinterlaces
        if self._orientation is None or frame.rotation != self._rotation:
            self._rotation, self._orientation = frame.rotation, _orientation(frame)
        self._pending.append((time, due, self._orientation))
        frame.pts, frame.time_base = self._count, Fraction(1, _TICKS_PER_S)
        self._count += 1
        self._graph.vpush(frame)
        yield from self._ready()

    def end(self) -> "Iterator[Decoded | _LeftOut]":
        """Yield the remaining frames at the end of the video."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()
        self._graph = None
        self._pending.clear()

    def _ready(self) -> "Iterator[Decoded | _LeftOut]":
        import av

        while self._pending and self._graph is not None:
            try:
                converted = self._graph.vpull()
            except (BlockingIOError, EOFError, av.error.EOFError):
                return
            time, due, orientation = self._pending.popleft()
            yield Decoded(_turned(np.array(converted.to_ndarray()), orientation), time) if due else _LeftOut(time)

    def _new_graph(self, frame: "VideoFrame", deinterlaces: bool) -> "Graph":
        from av.filter import Graph

        graph = Graph()
        steps = [
            graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, _TICKS_PER_S)
            )
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
    """Return how to rotate and flip a frame, as a 2x2 matrix with entries -1, 0 and 1, two of them 0."""
    import av
    from av.sidedata.sidedata import Type

    # PyAV 18.1 keeps a frame whose side data was read until garbage collection, so read that of a small copy.
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
    """Rotate and flip a frame: the point (x, y) moves to (a x + c y, b x + d y)."""
    a, b, c, d = orientation
    if a:
        turned = bgr[:: 1 if d > 0 else -1, :: 1 if a > 0 else -1]
    else:
        turned = bgr.transpose(1, 0, 2)[:: 1 if b > 0 else -1, :: 1 if c > 0 else -1]
    return np.ascontiguousarray(turned)
