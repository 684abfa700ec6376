"""Record the events that another program sends over Lab Streaming Layer (LSL), such as PsychoPy's markers."""

import importlib
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from moodspace.errors import MoodspaceError
from moodspace.realtime.session.file import SessionError
from moodspace.realtime.session.marks import LONGEST_MARK

LSL = "lsl"

# Seconds of one attempt to find the stream, of one wait for an event, and of the wait for the thread at the end.
_RESOLVE_S, _PULL_S, _JOIN_S = 1.0, 0.2, 3.0


class LslMarks:
    """Receive the events of a stream in a thread and record them; use it in a `with` block.

    The stream may start later than the recording, end, and come back. Time stamps of other clocks are converted.

    Args:
        name: The stream's name.
        mark: Records an event: its name, "lsl", and when it happened in unix seconds. A ValueError or SessionError that
            it raises is told and drops the event.
        tell: Called with a one-line message, in the thread.

    Raises:
        MoodspaceError: pylsl is not installed.
    """

    def __init__(self, name: str, mark: Callable[[str, str, float], object], tell: Callable[[str], None]) -> None:
        self._lsl = _pylsl()
        self._name, self._mark, self._tell = name, mark, tell
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lsl-marks", daemon=True)

    def _run(self) -> None:
        self._tell(f"waiting for the LSL stream {self._name}")
        while not self._stopping.is_set():
            found = self._lsl.resolve_byprop("name", self._name, timeout=_RESOLVE_S)
            if not found:
                continue
            inlet = self._lsl.StreamInlet(found[0], max_buflen=60, recover=True)
            try:
                self._tell(f"receiving events from the LSL stream {self._name}")
                self._receive(inlet)
            except RuntimeError:  # pylsl's LostError and TimeoutError derive from it
                self._tell(f"lost the LSL stream {self._name}; waiting for it")
            finally:
                inlet.close_stream()

    def _receive(self, inlet: Any) -> None:
        while not self._stopping.is_set():
            sample, stamp = inlet.pull_sample(timeout=_PULL_S)
            if sample is None:
                continue
            try:
                offset = inlet.time_correction(timeout=_RESOLVE_S)
            except RuntimeError:
                offset = 0.0  # the sender is gone; on one machine the clocks are the same
            happened = time.time() - (self._lsl.local_clock() - (stamp + offset))
            name = ", ".join(str(value) for value in sample)
            try:
                self._mark(name[:LONGEST_MARK], LSL, happened)
            except (ValueError, SessionError) as error:
                self._tell(f"an event of the LSL stream {self._name} was dropped: {error}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(_JOIN_S)


def _pylsl() -> Any:
    """Return pylsl; importing it loads the library of LSL."""
    try:
        return importlib.import_module("pylsl")
    except (ImportError, RuntimeError) as error:  # RuntimeError: there is no library
        raise MoodspaceError("lsl: expected pylsl and its library, got none; pip install pylsl") from error
