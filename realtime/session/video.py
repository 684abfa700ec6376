"""The annotated video of a session, for `--keep-video`: what the frames show, drawn on them, at an even speed."""

from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from moodspace.arrays import ByteArray
from moodspace.realtime.drawing.video import VideoWriter
from moodspace.realtime.pipeline import LiveResult
from moodspace.realtime.session.file import VIDEO
from moodspace.realtime.session.time import LONGEST_STEP_S
from moodspace.realtime.window.draw import draw_live

_FPS = 25.0


class SessionVideo:
    """Writes `session.mp4` beside a session, to be used in a `with` block.

    Frames come as they come and a video is even, so a frame is repeated until the next is due, or left out. Gaps are
    left out too. The video is kept whatever ends the session.

    Args:
        folder: The session's folder.
        fps: Frames a second of the video, > 0.
    """

    def __init__(self, folder: Path, *, fps: float = _FPS) -> None:
        self._path, self._fps = folder / VIDEO, fps
        self._writer: VideoWriter | None = None
        self._picture: ByteArray | None = None
        self._time, self._due = 0.0, 0.0

    def add(self, frame_bgr: ByteArray, result: LiveResult) -> None:
        """Draws a frame and adds it.

        Args:
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR; scaled to the first frame's size where it has another.
            result: What it shows.

        Raises:
            OutputError: the video cannot be written.
        """
        if self._writer is None:
            self._writer = VideoWriter(self._path, self._fps).__enter__()
        elif self._picture is not None:
            passed = result.time - self._time
            self._due += self._fps * (passed if 0 < passed <= LONGEST_STEP_S else 1 / self._fps)
            self._write_due(self._writer, self._picture)
        drawn = draw_live(frame_bgr, result)
        if self._picture is not None and drawn.shape != self._picture.shape:
            size = self._picture.shape[1::-1]
            drawn = np.asarray(cv2.resize(drawn, size, interpolation=cv2.INTER_AREA), np.uint8)
        self._picture, self._time = drawn, result.time

    def _write_due(self, writer: VideoWriter, picture: ByteArray) -> None:
        while self._due >= 1:
            writer.write(picture)
            self._due -= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None and self._picture is not None:
            with self._writer as writer:
                writer.write(self._picture)
