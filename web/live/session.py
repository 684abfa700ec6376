"""A recorded live session: numbers, never pictures, kept until its visitor discards it or leaves."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from typing import TYPE_CHECKING

from moodspace.realtime.pipeline import LiveResult
from moodspace.realtime.session.file import SessionError
from moodspace.realtime.session.reading import open_session
from moodspace.realtime.session.recorder import SessionRecorder
from moodspace.sessions import Session
from moodspace.web.server.private_folder import private_folder

if TYPE_CHECKING:
    from moodspace.web.server.visitors import Visitor

logger = logging.getLogger(__name__)

SOURCE = "A live session in a browser"
# Longer recordings end by themselves, seconds: nobody watches them, and they take memory.
LONGEST_S = 4 * 3600.0


class LiveSession:
    """A recording, begun at once; of groups only, as `SessionRecorder` does without `individuals`.

    May be used from several threads.

    Args:
        classes: The expressions to begin with.
        min_group: The least number of faces, >= 1, of which anything is kept.

    Attributes:
        min_group: The same.

    Raises:
        SessionError: nothing can be written.
        ValueError: a smallest group of no face.
    """

    def __init__(self, classes: tuple[str, ...], min_group: int) -> None:
        self.min_group = min_group
        self._lock = threading.Lock()
        self._began = time.time()
        self._folder = private_folder()
        try:
            recorder = SessionRecorder(self._folder, classes=classes, min_group=min_group, source=SOURCE)
            self._recorder: SessionRecorder | None = recorder.__enter__()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    @property
    def recording(self) -> bool:
        """Whether it goes on."""
        return self._recorder is not None

    def add(self, result: LiveResult, wall_time: float) -> None:
        """Add a frame to the recording, if there is one; end the recording when nothing more can be stored.

        Args:
            result: What it shows.
            wall_time: When the frame came, unix seconds.
        """
        with self._lock:
            if self._recorder is None:
                return
            try:
                self._recorder.add(result, wall_time)
            except SessionError as error:
                logger.warning("a recording ends early: %s", error)
                # In words of its own: the visitor gets them, and no folder of the server is in them.
                self._end(SessionError("the server could not store more of it"))
            if wall_time - self._began > LONGEST_S:
                self._end()

    def stop(self) -> None:
        """End the recording, which stays readable. Do nothing if it has ended."""
        with self._lock:
            self._end()

    def read(self) -> Session:
        """Return what was recorded so far, all but the last second or two.

        Raises:
            SessionError: it cannot be read, or was discarded.
        """
        return open_session(self._folder)

    def discard(self) -> None:
        """End it and delete all that was recorded."""
        with self._lock:
            self._end()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, error: SessionError | None = None) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        try:
            recorder.__exit__(type(error) if error else None, error, None)
        except SessionError as last:
            # What is there stays readable, and says itself that its end is missing.
            logger.warning("the end of a recording is missing: %s", last)


def start_recording(visitor: Visitor, *, min_group: int) -> None:
    """Start recording a visitor's live session; a recording that is running continues unchanged.

    Raises:
        SessionError: an earlier recording has not been discarded, or nothing can be written.
    """
    with visitor.lock:
        if visitor.session is None:
            visitor.session = LiveSession(visitor.classes, min_group)
        elif not visitor.session.recording:
            raise SessionError(
                "your last recording is still on the Session page; download what you need, discard it there, "
                "then record again"
            )


def stop_recording(visitor: Visitor) -> None:
    """End the recording of a visitor, if there is one; it stays readable until it is discarded."""
    with visitor.lock:
        if visitor.session is not None:
            visitor.session.stop()


def discard_recording(visitor: Visitor) -> None:
    """Delete the recording, if there is one."""
    with visitor.lock:
        session, visitor.session = visitor.session, None
    if session is not None:
        session.discard()
