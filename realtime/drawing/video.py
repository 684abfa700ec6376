"""Write H.264 clips that browsers play, with ffmpeg's libraries as PyAV brings them."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import cv2

from moodspace.arrays import ByteArray
from moodspace.embeddings.files.names import partial_path
from moodspace.errors import MoodspaceError

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Fast enough for a live session; a lower CRF is a better picture and a larger file.
_ENCODER_OPTIONS = {"preset": "veryfast", "crf": "21"}


class OutputError(MoodspaceError):
    """A picture or clip cannot be written."""


class VideoWriter:
    """Write an H.264 MP4 file; use it in a `with` block.

    The file has a temporary name until the clip is complete. So a file with the final name is always whole, and a
    canceled clip leaves nothing behind.

    Args:
        path: The clip, `.mp4`. An existing file is replaced.
        fps: Frames per second, > 0.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.path = path
        self._fps = Fraction(fps).limit_denominator(1001)
        self._partial = partial_path(path)
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._shape: tuple[int, ...] = ()
        self._count = 0

    def write(self, frame_bgr: ByteArray) -> None:
        """Add a frame.

        Args:
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR, as large as the first frame. H.264 needs even sides: where a
                side is odd, the last row or column is repeated.

        Raises:
            OutputError: The clip cannot be written.
            ValueError: The frame is not as large as the first.
        """
        # Only clips need it.
        from av.video.frame import VideoFrame

        if not self._shape:
            self._shape = frame_bgr.shape
            self._start()
        if frame_bgr.shape != self._shape:
            raise ValueError(f"frame_bgr: expected shape {self._shape}, as the first frame, got {frame_bgr.shape}")
        height, width = self._shape[:2]
        even = cv2.copyMakeBorder(frame_bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        frame = VideoFrame.from_ndarray(cast(ByteArray, even), format="bgr24").reformat(format="yuv420p")
        frame.pts, frame.time_base = self._count, 1 / self._fps
        self._count += 1
        self._encode(frame)

    def _start(self) -> None:
        import av

        av.logging.set_level(av.logging.PANIC)
        height, width = self._shape[:2]
        with self._failures():
            # Without "file:", a name with a colon would be an address. "faststart" puts the index first, so that
            # browsers play the clip while it loads.
            container = av.open(f"file:{self._partial}", "w", format="mp4", options={"movflags": "+faststart"})
            self._container = container
            stream = container.add_stream("libx264", rate=self._fps, options=dict(_ENCODER_OPTIONS))
            stream.width, stream.height = width + width % 2, height + height % 2
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = 1 / self._fps
            container.start_encoding()
            self._stream = stream

    def _encode(self, frame: "VideoFrame | None") -> None:
        """Encode a frame and write what is ready; None ends the stream."""
        if self._container is None or self._stream is None:
            raise OutputError(f"{self.path}: expected a clip that is being written, got one that failed before")
        with self._failures():
            for packet in self._stream.encode(frame):
                self._container.mux(packet)

    def _finish(self) -> None:
        if self._container is None:
            raise OutputError(f"{self.path}: expected at least one frame for a clip, got none")
        self._encode(None)
        with self._failures():
            self._container.close()
        try:
            self._partial.replace(self.path)
        except OSError as error:
            raise OutputError(f"{self.path}: expected to rename the finished clip, got: {error}") from error

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn what PyAV raises into one line with the reason."""
        import av

        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            raise OutputError(f"{self.path}: expected to write a clip, got: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            if self._container is not None:
                # A clip that failed has told why.
                with contextlib.suppress(Exception):
                    self._container.close()
            self._container = self._stream = None
            self._partial.unlink(missing_ok=True)
