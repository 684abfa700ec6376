"""Send what a live session recognizes to any number of destinations at once."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Protocol, Self

from moodspace.errors import explain_import_error
from moodspace.realtime.capture.source import Frame
from moodspace.realtime.documents import live_document, mark_document
from moodspace.realtime.pipeline import LiveResult
from moodspace.realtime.sinks.destination import Destination, SinkError, SinkOptions, destinations_of
from moodspace.realtime.sinks.files import JSONLinesFile, ParquetFile
from moodspace.realtime.sinks.lsl import LSLSink
from moodspace.realtime.sinks.mqtt import MQTTSink
from moodspace.realtime.sinks.osc import OSCSink
from moodspace.realtime.sinks.outbox import Message, Outbox, Sink, Tally
from moodspace.realtime.sinks.websocket import WebSocketServer


class Outlet(Protocol):
    """Where documents go; `Outbox` and `WebSocketServer` are such."""

    name: str

    def start(self) -> None:
        """Open it; see `Outbox.start`."""
        ...

    def submit(self, message: Message) -> None:
        """Take a document to send, without waiting."""
        ...

    def stop(self) -> Tally:
        """Send what waits and close it."""
        ...

    def discard(self) -> None:
        """Close it without anything sent; leave nothing behind."""
        ...


class Sinks:
    """Send the values of a live session; use it in a `with` block.

    By default only what the group shows is sent, and only while at least `options.min_group` faces can be read, as a
    recorded session has it. A receiver that is slow or away never slows the session: it misses frames.

    Args:
        to: Where to send: `ws://127.0.0.1:8770`, `osc://HOST:PORT`, `mqtt://HOST/TOPIC`, `lsl:NAME`, `FILE.jsonl`,
            `FILE.parquet`.
        options: What is sent, and how it is protected; by default with the secrets of the environment.
        classes: The names of the expressions at the start.
        on_event: Called with one-line messages, in any thread.

    Attributes:
        tallies: What became of the documents, by destination, after the `with` block.

    Raises:
        ValueError: A destination is unknown or not protected, or two are the same.
        SinkError: On entering: a port or file is taken, or a library is missing.

    Examples:
        >>> import moodspace as ms
        >>> with ms.Sinks([], classes=["happy", "sad"]) as sinks:
        ...     sinks.mark("begin", 0.0, by="script")
    """

    def __init__(
        self,
        to: Sequence[str],
        options: SinkOptions | None = None,
        *,
        classes: Iterable[str],
        on_event: Callable[[str], None] = lambda event: None,
    ) -> None:
        self._options = options or SinkOptions.from_environment()
        self._outlets = [
            _outlet(one, own, tuple(map(str, classes)), on_event) for one, own in destinations_of(to, self._options)
        ]
        self._started: list[Outlet] = []
        self._newest: dict[str, Any] = {}
        self.tallies: dict[str, Tally] = {}

    def add(self, frame: Frame, result: LiveResult) -> None:
        """Send a frame. Never wait for a receiver."""
        if self._outlets:
            options = self._options
            document = live_document(frame, result, individuals=options.individuals, min_group=options.min_group)
            self.submit(document)
            self._newest = {name: document[name] for name in ("source", "frame", "time")}

    def mark(self, label: str, captured: float, *, by: str) -> None:
        """Send a mark beside the newest frame; callable from any thread. Never wait for a receiver.

        Args:
            label: The name of the event.
            captured: When it happened, unix seconds.
            by: Where it came from, such as "key", "page", "post", "lsl" or "file".
        """
        self.submit(mark_document(label, captured, by=by, **self._newest))

    def submit(self, document: dict[str, Any]) -> None:
        """Send a document that follows `schema.json`."""
        message = Message(document)
        for outlet in self._started:
            outlet.submit(message)

    @property
    def min_group(self) -> int:
        """The smallest group that is told of."""
        return self._options.min_group

    @property
    def lost(self) -> list[str]:
        """The files that are not whole, after the `with` block."""
        return [name for name, tally in self.tallies.items() if tally.lost]

    def summary(self) -> list[str]:
        """Return a line for each destination, after the `with` block."""
        return [
            f"{name}: {tally.sent} sent" + (f", {tally.dropped} dropped" if tally.dropped else "")
            for name, tally in self.tallies.items()
        ]

    def __enter__(self) -> Self:
        try:
            for outlet in self._outlets:
                try:
                    outlet.start()
                except ImportError as error:
                    raise SinkError(f"{outlet.name}: {explain_import_error(error, 'sinks')}") from error
                self._started.append(outlet)
        except BaseException:
            started, self._started = self._started, []
            for outlet in started:
                outlet.discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        started, self._started = self._started, []
        # All at once: each may wait a moment for its receiver.
        with ThreadPoolExecutor(max(1, len(started))) as pool:
            for outlet, tally in zip(started, pool.map(lambda one: one.stop(), started), strict=True):
                self.tallies[outlet.name] = tally


def _outlet(
    destination: Destination, options: SinkOptions, classes: tuple[str, ...], on_event: Callable[[str], None]
) -> Outlet:
    sink: Sink
    match destination.kind:
        case "ws" | "wss":
            return WebSocketServer(destination, options, on_event)
        case "osc":
            sink = OSCSink(destination)
        case "mqtt" | "mqtts":
            sink = MQTTSink(destination, options)
        case "lsl":
            sink = LSLSink(destination, options, classes)
        case "jsonl":
            sink = JSONLinesFile(destination)
        case _:
            sink = ParquetFile(destination, classes, individuals=options.individuals)
    return Outbox(sink, on_event)
