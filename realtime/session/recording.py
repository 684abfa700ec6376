"""What `live --record` keeps, from the start of a session to its end."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from moodspace.realtime.capture.source import Frame
from moodspace.realtime.pipeline import LiveResult
from moodspace.realtime.session.file import expire_sessions, new_session_folder
from moodspace.realtime.session.recorder import SessionRecorder
from moodspace.realtime.session.video import SessionVideo
from moodspace.realtime.window.label_text import RECORDING, recording_words


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """What is to be kept of sessions.

    Attributes:
        root: Where sessions are kept, a folder each.
        individuals: Whether to keep what each face showed, beside what the group did.
        min_group: The least number of faces of which anything is said as a group, >= 1.
        video: Whether to keep an annotated video.
        days: Days after which earlier sessions in `root` are deleted; None for never.
    """

    root: Path
    individuals: bool = False
    min_group: int = 5
    video: bool = False
    days: float | None = None


class Recording:
    """A session that is being recorded, to be used in a `with` block; at its start, sessions that are too old go.

    Args:
        keeping: What is to be kept.
        classes: Names of the expressions to begin with.
        source: What is recorded, in words.
        now: Says the time, unix seconds.

    Attributes:
        folder: The session's own.
        expired: The folders of the sessions that were deleted.
        kept: Whether anything was kept so far.

    Raises:
        SessionError: nothing can be written there.
    """

    def __init__(
        self, keeping: RecordingOptions, classes: tuple[str, ...], source: str, now: Callable[[], float] = time.time
    ) -> None:
        self._keeping, self._classes, self._source, self._now = keeping, classes, source, now
        self.folder = new_session_folder(keeping.root, now())
        self.expired: list[Path] = []
        self.kept, self._state = False, RECORDING
        self._enough = float("-inf")
        self._ending = ExitStack()

    def add(self, frame: Frame, result: LiveResult) -> None:
        """Keeps what is to be kept of a frame.

        Raises:
            SessionError, OutputError: it cannot be written.
        """
        self._recorder.add(result, self._now())
        self._say(result)
        if self._video is not None:
            self._video.add(frame.bgr, result)

    def state(self) -> str:
        """Return what it does, for the window: as `realtime.wording.recording_words`."""
        return self._state

    def _say(self, result: LiveResult) -> None:
        """Bring the state up to date: a second is kept where any of its frames has enough faces."""
        keeping, readable, in_view = self._keeping, int(result.quality.good.sum()), len(result.track_ids)
        if readable >= keeping.min_group or (keeping.individuals and in_view) or keeping.video:
            self._enough, self.kept = result.time, True
        recently = 0 <= result.time - self._enough < 1
        everything = keeping.individuals or keeping.video
        self._state = RECORDING if recently or everything else recording_words(readable, in_view, keeping.min_group)

    def interrupt(self, reason: str) -> None:
        """Takes note of why no frames come; may be called from any thread."""
        self._recorder.interrupt(reason)

    def __enter__(self) -> Self:
        keeping = self._keeping
        if keeping.days is not None:
            self.expired = expire_sessions(keeping.root, keeping.days, self._now())
        recorder = SessionRecorder(
            self.folder,
            classes=self._classes,
            individuals=keeping.individuals,
            min_group=keeping.min_group,
            source=self._source,
            now=self._now,
        )
        self._recorder = self._ending.enter_context(recorder)
        self._video = self._ending.enter_context(SessionVideo(self.folder)) if keeping.video else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.__exit__(kind, error, trace)
