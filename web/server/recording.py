"""A recording of a live session: numbers, never pictures, kept until the visitor discards it or leaves."""

import logging
import secrets
import shutil
import threading
import time

from moodspace.realtime.pipeline import LiveResult
from moodspace.realtime.session.file import SessionError
from moodspace.realtime.session.reading import open_session
from moodspace.realtime.session.recorder import SessionRecorder
from moodspace.sessions import Mark, Session
from moodspace.web.server.private_folder import private_folder

logger = logging.getLogger(__name__)

_SOURCE = "A live session in a browser"
# Recordings stop after this many seconds: nobody watches longer ones, and they take memory.
LONGEST_S = 4 * 3600.0


class Recording:
    """A recording that starts at once and keeps group data only. Thread-safe.

    Args:
        classes: The expressions to start with.
        min_group: Minimum number of faces, >= 1, for which anything is kept.
        longest: Seconds after which the recording stops.

    Attributes:
        min_group: Minimum number of faces for which anything is kept.
        token: Lets another program mark events; see `marks`.

    Raises:
        SessionError: Nothing can be written.
        ValueError: `min_group` is below 1.
    """

    def __init__(self, classes: tuple[str, ...], min_group: int, *, longest: float = LONGEST_S) -> None:
        self.min_group, self._longest = min_group, longest
        self.token = secrets.token_urlsafe(16)
        self._lock = threading.Lock()
        self._began = time.time()
        self._folder = private_folder()
        try:
            recorder = SessionRecorder(self._folder, classes=classes, min_group=min_group, source=_SOURCE)
            self._recorder: SessionRecorder | None = recorder.__enter__()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    @property
    def running(self) -> bool:
        """Whether the recording has not been stopped."""
        return self._recorder is not None

    def add(self, result: LiveResult, wall_time: float) -> None:
        """Add a frame if the recording is running; stop the recording if nothing more can be stored.

        Args:
            result: The predictions for the frame.
            wall_time: When the frame arrived at the server, in Unix seconds.
        """
        with self._lock:
            if self._recorder is None:
                return
            try:
                self._recorder.add(result, wall_time)
            except SessionError as error:
                logger.warning("a recording stops early: %s", error)
                # The visitor reads this message, so it names no folder of the server.
                self._stop(SessionError("the server could not store more of it"))
            if wall_time - self._began > self._longest:
                self._stop()

    def mark(self, name: str, source: str, wall_time: float) -> Mark:
        """Mark an event; return it with its time in the recording.

        Args:
            name: What happened.
            source: Where the mark comes from.
            wall_time: When it happened, in Unix seconds.

        Raises:
            ValueError: The name cannot be used.
            SessionError: The recording has ended, or nothing more can be stored.
        """
        with self._lock:
            if self._recorder is None:
                raise SessionError("expected a running recording, it has ended")
            return self._recorder.mark(name, source, wall_time)

    def stop(self) -> None:
        """Stop the recording; it stays readable. Do nothing if it has stopped."""
        with self._lock:
            self._stop()

    def read(self) -> Session:
        """Return what was recorded so far, except the last second or two.

        Raises:
            SessionError: The recording cannot be read, or was discarded.
        """
        return open_session(self._folder)

    def discard(self) -> None:
        """Stop the recording and delete it."""
        with self._lock:
            self._stop()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _stop(self, error: SessionError | None = None) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        try:
            recorder.__exit__(type(error) if error else None, error, None)
        except SessionError as last:
            # What was stored stays readable, and its reader reports the missing end.
            logger.warning("the end of a recording is missing: %s", last)
