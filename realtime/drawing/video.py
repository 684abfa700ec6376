"""Writes H.264 clips that browsers play. OpenCV's package has no H.264 encoder; `imageio_ffmpeg`'s ffmpeg has."""

import contextlib
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

import cv2

from moodspace.arrays import ByteArray
from moodspace.embeddings.files.names import unfinished
from moodspace.errors import MoodspaceError


class OutputError(MoodspaceError):
    """A picture or clip that cannot be written."""


class VideoWriter:
    """An H.264 MP4 file, to be used in a `with` block.

    The file has another name until its last frame is in, so what has the name is whole, and nothing is left of a clip
    that was given up. `imageio_ffmpeg.write_frames` is not used because it takes no notice of an ffmpeg that fails at
    the end, as on a full disk.

    Args:
        path: Where the clip goes, `.mp4`; a file there is replaced.
        fps: Frames a second, > 0.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.path = path
        self._fps = Fraction(fps).limit_denominator(1001)
        self._partial = unfinished(path)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed in __exit__)
        self._ffmpeg: subprocess.Popen[bytes] | None = None
        self._shape: tuple[int, ...] = ()

    def write(self, frame_bgr: ByteArray) -> None:
        """Adds a frame.

        Args:
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR, of the first frame's size. The last row or column is repeated
                where a side is odd, because this kind of video has even sides.

        Raises:
            OutputError: the clip cannot be written.
            ValueError: a frame of another size than the first.
        """
        if self._ffmpeg is None:
            self._shape = frame_bgr.shape
            self._ffmpeg = self._start()
        if frame_bgr.shape != self._shape:
            raise ValueError(f"frame_bgr: expected shape {self._shape}, as the first had, received {frame_bgr.shape}")
        height, width = self._shape[:2]
        even = cv2.copyMakeBorder(frame_bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        try:
            _stdin(self._ffmpeg).write(even.tobytes())
        except OSError as error:
            raise self._failure(self._ffmpeg) from error

    def _start(self) -> "subprocess.Popen[bytes]":
        # Only a clip needs it, and finding its program takes as long as a frame.
        import imageio_ffmpeg

        height, width = self._shape[:2]
        size = f"{width + width % 2}x{height + height % 2}"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error"]
        command += ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", size, "-r", str(self._fps), "-i", "-"]
        command += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "21", "-pix_fmt", "yuv420p"]
        command += ["-movflags", "+faststart", "-f", "mp4", str(self._partial)]
        try:
            # Its own session: Ctrl-C ends this program, which then ends ffmpeg and tidies up.
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._log, start_new_session=True
            )
        except OSError as error:
            raise OutputError(f"{self.path}: expected to start ffmpeg, could not ({error})") from error

    def _failure(self, ffmpeg: "subprocess.Popen[bytes]") -> OutputError:
        """Describes why ffmpeg ended: its exit status and its first message, which the others follow from."""
        status = ffmpeg.wait()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines() or ["it gave no reason"]
        return OutputError(f"{self.path}: expected a clip, ffmpeg ended with {status} ({lines[0]})")

    def _finish(self) -> None:
        if self._ffmpeg is None:
            raise OutputError(f"{self.path}: expected at least one frame for a clip, received none")
        # What does not reach ffmpeg any more shows in its exit status.
        with contextlib.suppress(OSError):
            _stdin(self._ffmpeg).close()
        if self._ffmpeg.wait() != 0:
            raise self._failure(self._ffmpeg)
        try:
            self._partial.replace(self.path)
        except OSError as error:
            raise OutputError(f"{self.path}: expected to give the clip this name, could not ({error})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            if self._ffmpeg is not None:
                self._ffmpeg.kill()
                self._ffmpeg.wait()
                with contextlib.suppress(OSError):
                    _stdin(self._ffmpeg).close()
            self._log.close()
            self._partial.unlink(missing_ok=True)


def _stdin(process: "subprocess.Popen[bytes]") -> IO[bytes]:
    return cast(IO[bytes], process.stdin)
