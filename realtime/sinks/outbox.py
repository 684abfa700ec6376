"""Send messages from a thread of their own: the session hands them over and never waits."""

import contextlib
import json
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

logger = logging.getLogger(__name__)

# How many documents wait for a receiver in the network: it should get new values, not old ones.
ROOM = 4
# The delay before a receiver is tried again: the first, doubled up to the longest.
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 15.0
# How long a receiver that can be reached, or a file, may take for the documents that wait at the end.
_LAST_S, _LAST_FILE_S = 2.0, 60.0


class Message:
    """A document and its JSON, which is made once for all receivers.

    Args:
        document: The document.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    @cached_property
    def text(self) -> str:
        """The document as one line of JSON."""
        return json.dumps(self.document, allow_nan=False, separators=(",", ":"))


class Waiting:
    """The documents that wait for a receiver. Where there are too many, the oldest frame makes room; marks stay.

    Args:
        room: How many may wait, >= 1.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._messages: deque[Message] = deque()

    def add(self, message: Message) -> int:
        """Add a document; return how many were dropped for it, 0 or 1."""
        full = len(self._messages) >= self._room
        if full:
            frames = (at for at, one in enumerate(self._messages) if one.document["kind"] == "frame")
            del self._messages[next(frames, 0)]
        self._messages.append(message)
        return int(full)

    def take(self) -> Message:
        """Remove and return the document that waits longest."""
        return self._messages.popleft()

    def clear(self) -> int:
        """Remove all documents; return how many there were."""
        count = len(self._messages)
        self._messages.clear()
        return count

    def __len__(self) -> int:
        return len(self._messages)


class Tally(NamedTuple):
    """What became of the documents of a session.

    Attributes:
        sent: How many were sent.
        dropped: How many were not, because the receiver was away or too slow.
        lost: Why the rest of a file was not written; empty for whole files and for receivers in the network.
    """

    sent: int
    dropped: int
    lost: str = ""


class Sink(ABC):
    """One receiver or file. All but `prepare` is called in the thread of its outbox.

    Attributes:
        name: What messages call it.
        room: How many documents may wait for it.
        final: Whether a failure ends it. Otherwise it is connected again.
    """

    room = ROOM
    final = False

    def __init__(self, name: str) -> None:
        self.name = name

    def prepare(self) -> None:  # noqa: B027 (most have nothing to prepare)
        """Check and open what must be there from the start.

        Raises:
            SinkError: It is not.
            ImportError: A package is missing.
        """

    def discard(self) -> None:  # noqa: B027 (most leave nothing)
        """Remove what `prepare` made; called after `close`, where the session does not begin."""

    @abstractmethod
    def connect(self) -> None:
        """Connect to the receiver.

        Raises:
            OSError: It cannot be reached, in words.
        """

    @abstractmethod
    def send(self, message: Message) -> None:
        """Send a document.

        Raises:
            OSError: The receiver did not take it, in words.
        """

    @abstractmethod
    def close(self) -> None:
        """Disconnect; called after a failure too.

        Raises:
            OSError: The rest of a file cannot be written.
        """


class Outbox:
    """Hand documents to a sink in a thread; where too many wait, drop the oldest frame.

    A receiver that cannot be reached is tried again after delays that double. Marks are dropped only after all frames.

    Args:
        sink: The receiver.
        on_event: Called with a one-line message when the receiver is lost and when it is back; in the thread.
        delays: Yield the seconds to wait before each new connection.
    """

    def __init__(
        self,
        sink: Sink,
        on_event: Callable[[str], None],
        *,
        delays: Callable[[], Iterator[float]] | None = None,
    ) -> None:
        self.name = sink.name
        self._sink, self._tell, self._delays = sink, on_event, delays or reconnecting_delays
        self._waiting = Waiting(sink.room)
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._connected, self._stopped = False, False
        self._sent = self._dropped = 0
        self._lost = ""
        self._thread = threading.Thread(target=self._run, name=f"to {sink.name}", daemon=True)

    def start(self) -> None:
        """Prepare the sink and start its thread.

        Raises:
            SinkError: The sink cannot be used.
            ImportError: A package is missing.
        """
        self._sink.prepare()
        self._thread.start()

    def submit(self, message: Message) -> None:
        """Take a document to send. Never wait for the receiver."""
        with self._changed:
            if self._stopped:
                self._dropped += 1
                return
            self._dropped += self._waiting.add(message)
            self._changed.notify()

    def stop(self) -> Tally:
        """Send what waits if the receiver is there, and disconnect; return what became of all documents."""
        with self._changed:
            self._ending.set()
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(_LAST_FILE_S if self._sink.final else _LAST_S)
        with self._changed:
            self._stopped = True
            self._dropped += self._waiting.clear()
            return Tally(self._sent, self._dropped, self._lost)

    def discard(self) -> None:
        """Stop before anything was sent, and leave nothing behind."""
        self.stop()
        self._sink.discard()

    def _run(self) -> None:
        try:
            while self._connect():
                problem = self._send_all()
                if problem is None:
                    break
                self._tell(f"{self.name}: expected to send values, could not ({problem}); trying again")
        except Exception as error:  # nobody else would say so
            logger.exception("%s: values can no longer be sent", self.name)
            self._give_up(f"{type(error).__name__}: {error}")
        finally:
            self._finish()

    def _connect(self) -> bool:
        """Connect, as often as it takes; return False if the session ended before."""
        began, told = time.monotonic(), False
        for delay in self._delays():
            try:
                self._sink.connect()
            except OSError as error:
                self._close_quietly()
                if not told and not self._sent:
                    self._tell(f"{self.name}: expected a receiver, got none ({_words(error)}); trying again")
                told = True
            else:
                self._connected = True
                if told or self._sent:
                    self._tell(f"{self.name}: is there after {time.monotonic() - began:.1f} s")
                return True
            if self._ending.wait(delay):
                return False
        return False

    def _send_all(self) -> str | None:
        """Send documents until the session ends; return why no more can be sent, or None at the end."""
        while (message := self._next()) is not None:
            try:
                self._sink.send(message)
            except OSError as error:
                self._connected = False
                with self._changed:
                    self._dropped += 1
                if self._sink.final:
                    self._give_up(_words(error))
                    return None
                self._close_quietly()
                return _words(error)
            with self._changed:
                self._sent += 1
        return None

    def _next(self) -> Message | None:
        """Wait for a document; return None at the end of the session."""
        with self._changed:
            while not self._waiting:
                if self._ending.is_set() or self._stopped:
                    return None
                # Windows handles Ctrl-C only between two waits.
                self._changed.wait(0.5)
            return self._waiting.take()

    def _give_up(self, problem: str) -> None:
        with self._changed:
            self._stopped, self._lost = True, problem
            self._dropped += self._waiting.clear()
        self._tell(f"{self.name}: expected to write values, could not ({problem}); the session goes on without")

    def _finish(self) -> None:
        try:
            self._sink.close()
        except OSError as error:
            if self._sink.final and not self._lost:
                self._give_up(_words(error))

    def _close_quietly(self) -> None:
        with contextlib.suppress(OSError):
            self._sink.close()


def reconnecting_delays() -> Iterator[float]:
    """Yield the seconds to wait before each new connection: 0.5, doubled up to 15."""
    delay = _FIRST_DELAY_S
    while True:
        yield delay
        delay = min(2 * delay, _LONGEST_DELAY_S)


def _words(error: OSError) -> str:
    return " ".join((error.strerror or str(error) or type(error).__name__).split())
