"""Where the operator sends what live pages show (`moodspace web --to`): groups only, never single faces or pictures."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from moodspace.arrays import ByteArray
from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.capture.source import Frame
from moodspace.realtime.pipeline import LiveResult
from moodspace.realtime.sinks.destination import SinkOptions
from moodspace.realtime.sinks.hub import Sinks
from moodspace.web.server.settings import WebSettings

_open: list[Sinks] = []
_numbers = itertools.count(1)


@contextmanager
def sending(
    settings: WebSettings, options: SinkOptions, recognizer: Recognizer, tell: Callable[[str], None]
) -> Iterator[None]:
    """Send what the live pages of this process show, inside the block; at the end, tell how much was sent.

    Args:
        settings: They name the destinations.
        options: What is sent; single faces never are.
        recognizer: It names the classes.
        tell: Called with one-line messages, in any thread.

    Raises:
        SinkError, ValueError: A destination cannot be used.
    """
    if options.individuals:
        raise ValueError("individuals: expected False, the faces of visitors are not sent one by one, got True")
    sinks = Sinks(settings.to, options, classes=recognizer.classes, on_event=tell)
    try:
        with sinks:
            _open.append(sinks)
            try:
                yield
            finally:
                _open.remove(sinks)
    finally:
        # Ctrl-C ends servers.
        for line in sinks.summary():
            tell(line)


class LiveSender:
    """Send the frames of one live page, if the operator sends any. Its source is "browser 1", "browser 2" and so on."""

    def __init__(self) -> None:
        self._source = f"browser {next(_numbers)}"
        self._count, self._first = 0, 0.0

    def add(self, frame_bgr: ByteArray, result: LiveResult, now: float) -> None:
        """Send a frame. Never wait for a receiver.

        Args:
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR; only its size is sent.
            result: Its faces.
            now: When it arrived, seconds of `time.monotonic`.
        """
        if not _open:
            return
        self._first = now if not self._count else self._first
        captured = time.time() - (time.monotonic() - now)
        frame = Frame(self._source, self._count, now - self._first, frame_bgr, None, captured)
        self._count += 1
        for sinks in _open:
            sinks.add(frame, result)
