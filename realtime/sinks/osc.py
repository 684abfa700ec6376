"""Send documents as Open Sound Control over UDP, a message for each value."""

import re
import socket
from collections.abc import Iterator
from typing import Any

from moodspace.realtime.sinks.destination import Destination
from moodspace.realtime.sinks.outbox import Message, Sink

_ROOT = "/moodspace"
_SENDING_S = 1.0
# What the address of a message must not have.
_RESERVED = re.compile(r"[\s#*,/?\[\]{}]")
# Fields of a frame and of a face that would make packets too large for one datagram of Ethernet.
_LEFT_OUT = {"kind", "version", "timings_ms", "faces", "probabilities", "quality", "id"}

Value = float | int | str | bool
Values = tuple[str, list[Value]]


class OSCSink(Sink):
    """Send a bundle for each frame or mark, and one for each face.

    The address of a value is its path in the document, such as `/moodspace/group/shares/happy`; a face's begins with
    its id: `/moodspace/faces/3/expression`. Values that are null are left out. UDP does not tell whether anybody
    listens.

    Args:
        destination: The receiver.
    """

    def __init__(self, destination: Destination) -> None:
        super().__init__(destination.text)
        self._at = destination
        self._client: Any = None

    def prepare(self) -> None:
        """Check that python-osc is there.

        Raises:
            ImportError: It is not.
        """
        import pythonosc.udp_client  # noqa: F401

    def connect(self) -> None:
        """Open the socket; see `Sink.connect`."""
        from pythonosc.udp_client import UDPClient

        # UDPClient would look up the host's name for each packet.
        host = socket.getaddrinfo(self._at.host, self._at.port, type=socket.SOCK_DGRAM)[0][4][0]
        self._client = UDPClient(str(host), self._at.port, timeout=_SENDING_S)

    def send(self, message: Message) -> None:
        """Send the bundles of a document; see `Sink.send`."""
        for values in bundles(message.document):
            self._client.send(_packed(values))

    def close(self) -> None:
        """Close the socket; see `Sink.close`."""
        if self._client is not None:
            self._client.close()
            self._client = None


def bundles(document: dict[str, Any]) -> Iterator[list[Values]]:
    """Yield the messages of a document, one bundle after the other, each as its address and its values."""
    root = f"{_ROOT}/mark" if document["kind"] == "mark" else _ROOT
    yield list(_flat(root, document))
    for face in document.get("faces") or ():
        yield list(_flat(f"{_ROOT}/faces/{face['id']}", face))


def _flat(address: str, value: Any) -> Iterator[Values]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in _LEFT_OUT:
                yield from _flat(f"{address}/{_RESERVED.sub('_', name)}", inner)
    elif isinstance(value, list):
        if None not in value:
            yield address, value
    elif value is not None:
        yield address, [value]


def _packed(values: list[Values]) -> Any:
    from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
    from pythonosc.osc_message_builder import OscMessageBuilder

    bundle = OscBundleBuilder(IMMEDIATELY)
    for address, arguments in values:
        message = OscMessageBuilder(address)
        for value in arguments:
            message.add_arg(value, _type_tag(address, value))
        bundle.add_content(message.build())
    return bundle.build()


def _type_tag(address: str, value: Value) -> str:
    match value:
        case bool() | int():
            # Some receivers know no booleans.
            return "i"
        case str():
            return "s"
    # Unix seconds need 64 bits.
    return "d" if address.endswith("/captured") else "f"
