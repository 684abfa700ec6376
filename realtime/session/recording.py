"""Everything that `live --record` keeps: the numbers of a session and, with `--keep-video`, its annotated video."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from moodspace.arrays import ByteArray
from moodspace.realtime.capture.source import Frame
from moodspace.realtime.drawing.video import VideoWriter
from moodspace.realtime.pipeline import LiveResult
from moodspace.realtime.session.file import VIDEO, expire_sessions, new_session_folder
from moodspace.realtime.session.recorder import SessionRecorder
from moodspace.realtime.window.draw import draw_live
from moodspace.realtime.window.state import RECORDING
from moodspace.sessions import LONGEST_STEP_S, Mark

_VIDEO_FPS = 25.0


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """What to record.

    Attributes:
        root: Folder of all sessions; each gets a folder of its own in it.
        individuals: Whether to record single faces too.
        min_group: Smallest group that is recorded, >= 1.
        video: Whether to record an annotated video.
        days: Delete sessions in `root` that are older than this many days; None keeps them.
    """

    root: Path
    individuals: bool = False
    min_group: int = 5
    video: bool = False
    days: float | None = None


class Recording:
    """Record a session; use it in a `with` block. Sessions that are too old are deleted at its start.

    Args:
        options: What to record.
        classes: Names of the expressions at the start.
        source: What is recorded, such as "camera 0".
        now: Returns the time in unix seconds.
        live: Whether frames come as they are captured, as from a camera; False for a file.

    Attributes:
        folder: The session's folder.
        expired: The folders of the deleted sessions.
        kept: Whether anything was recorded so far.

    Raises:
        SessionError: The session cannot be written.
    """

    def __init__(
        self,
        options: RecordingOptions,
        classes: tuple[str, ...],
        source: str,
        now: Callable[[], float] = time.time,
        *,
        live: bool = False,
    ) -> None:
        self._options, self._classes, self._source, self._now, self._live = options, classes, source, now, live
        self.folder = new_session_folder(options.root, now())
        self.expired: list[Path] = []
        self.kept, self._state = False, RECORDING
        self._last_kept = float("-inf")
        self._ending = ExitStack()

    def add(self, frame: Frame, result: LiveResult) -> None:
        """Record a frame.

        Raises:
            SessionError, OutputError: The session or its video cannot be written.
        """
        # What is seen in a file is seen when it is shown.
        self._recorder.add(result, frame.captured if self._live else self._now())
        self._update_state(result)
        if self._video is not None:
            self._video.add(frame.bgr, result)

    def mark(self, name: str, source: str, wall_time: float | None = None) -> Mark:
        """Record a marked event; see `SessionRecorder.mark`. Safe to call from any thread."""
        return self._recorder.mark(name, source, wall_time)

    def state(self) -> str:
        """Return what is recorded right now, for the window; see `recording_words`."""
        return self._state

    def _update_state(self, result: LiveResult) -> None:
        """Update the state. A second is recorded if any of its frames has enough faces."""
        options, readable, in_view = self._options, int(result.quality.good.sum()), len(result.track_ids)
        if readable >= options.min_group or (options.individuals and in_view) or options.video:
            self._last_kept, self.kept = result.time, True
        recently = 0 <= result.time - self._last_kept < 1
        everything = options.individuals or options.video
        self._state = RECORDING if recently or everything else recording_words(readable, in_view, options.min_group)

    def interrupt(self, reason: str) -> None:
        """Note why no frames come. Safe to call from any thread."""
        self._recorder.interrupt(reason)

    def __enter__(self) -> Self:
        options = self._options
        if options.days is not None:
            self.expired = expire_sessions(options.root, options.days, self._now())
        recorder = SessionRecorder(
            self.folder,
            classes=self._classes,
            individuals=options.individuals,
            min_group=options.min_group,
            source=self._source,
            live=self._live,
            now=self._now,
        )
        self._recorder = self._ending.enter_context(recorder)
        self._video = self._ending.enter_context(SessionVideo(self.folder)) if options.video else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.__exit__(kind, error, trace)


def recording_words(readable: int, in_view: int, min_group: int) -> str:
    """Return `RECORDING`, or which faces a recording of groups is waiting for.

    Args:
        readable: Number of readable faces.
        in_view: Number of faces in view.
        min_group: Smallest group that is recorded.
    """
    if readable >= min_group:
        return RECORDING
    faces = "face" if min_group == 1 else "faces"
    if readable == in_view:
        return f"waiting for {min_group} {faces}, {in_view} in view"
    return f"waiting for {min_group} readable {faces}, {readable} of {in_view} in view"


class SessionVideo:
    """Write the annotated video `session.mp4` in a session's folder; use it in a `with` block.

    Frames come at an uneven rate and the video has a fixed one, so frames are repeated or dropped. Gaps are left out.
    The video is kept even if an error ends the session.

    Args:
        folder: The session's folder.
        fps: The video's frame rate, > 0.
    """

    def __init__(self, folder: Path, *, fps: float = _VIDEO_FPS) -> None:
        self._path, self._fps = folder / VIDEO, fps
        self._writer: VideoWriter | None = None
        self._picture: ByteArray | None = None
        self._time, self._due = 0.0, 0.0

    def add(self, frame_bgr: ByteArray, result: LiveResult) -> None:
        """Draw a frame and append it.

        Args:
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR; scaled to the first frame's size if it differs.
            result: The faces of the frame.

        Raises:
            OutputError: The video cannot be written.
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
