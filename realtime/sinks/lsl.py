"""Send documents as streams of Lab Streaming Layer, with the time of capture as the time stamp.

`load_pylsl` is the one place that imports pylsl: its settings hold for the whole process.
"""

import os
import time
from collections.abc import Sequence
from typing import Any

from moodspace.realtime.sinks.destination import Destination, SinkError, SinkOptions
from moodspace.realtime.sinks.outbox import Message, Sink

# liblsl reads these before anything else. Level -2 logs errors that end a program only.
_QUIET = "[log]\nlevel = -2\n"
_THIS_MACHINE = (
    "[ports]\nIPv6 = disable\n"
    "[multicast]\nResolveScope = machine\nAddressesOverride = {127.0.0.1}\nListenAddress = 127.0.0.1\n"
    "[lab]\nKnownPeers = {127.0.0.1}\n"
)
# Of the numbers that describe a group, those before the shares of the classes.
_COUNTS = ("frame", "faces", "readable", "unsure")
# What liblsl keeps for a reader that is slow, in hundreds of samples because the rate is irregular.
_BUFFERED = 1
_loaded: dict[str, bool] = {}


def load_pylsl(*, network: bool) -> Any:
    """Import pylsl and set how far its streams reach. The first call decides for the whole process.

    Streams of this machine alone are found by its programs only. liblsl still listens on all addresses: a program on
    another machine that knows the port could read them, so block ports 16572 to 16604 where that matters.

    Args:
        network: Whether streams of other machines are found, and ours by them. A configuration file that `LSLAPICFG`
            names takes precedence.

    Returns:
        The module.

    Raises:
        ImportError: pylsl is missing.
        SinkError: liblsl, the library that it loads, is missing or too old; or an earlier call set another reach.
    """
    try:
        import pylsl
    except RuntimeError as error:
        raise SinkError("expected the library liblsl, which pylsl loads, got none; see pylsl's notes") from error
    if _loaded:
        if network and not _loaded["network"]:
            raise SinkError("lsl: expected streams on this machine only, as before, got --unprotected")
        return pylsl
    if not os.environ.get("LSLAPICFG"):
        try:
            pylsl.set_config_content(_QUIET if network else _QUIET + _THIS_MACHINE)
        except (AttributeError, RuntimeError) as error:
            raise SinkError(f"expected liblsl 1.17 or newer, got {pylsl.library_version()}; update pylsl") from error
    _loaded["network"] = network
    return pylsl


class LSLSink(Sink):
    """Offer three streams: `NAME` has the group as numbers, `NAME-json` each document, `NAME-marks` labels of marks.

    The channels of `NAME` are the frame's number, counts of faces, and the share of each class, float64; NaN where the
    group is too small. A class that is taught later is in `NAME-json` only: a stream's channels are fixed.

    Args:
        destination: The streams' name.
        options: Whether the network may find the streams.
        classes: The names of the classes.
    """

    def __init__(self, destination: Destination, options: SinkOptions, classes: Sequence[str]) -> None:
        super().__init__(destination.text)
        self._name, self._options, self._classes = destination.path, options, tuple(classes)
        self._streams: dict[str, Any] = {}
        self._clock: Any = None

    def prepare(self) -> None:
        """Open the streams, so that programs find them before the first frame.

        Raises:
            SinkError: liblsl cannot be used.
            ImportError: pylsl is missing.
        """
        pylsl = load_pylsl(network=self._options.unprotected)
        self._clock = pylsl.local_clock
        numbers = [*_COUNTS, *(f"share_{name}" for name in self._classes)]
        self._streams = {
            "group": self._open(pylsl, self._name, "Expression", numbers, pylsl.cf_double64),
            "json": self._open(pylsl, f"{self._name}-json", "Expression", ["document"], pylsl.cf_string),
            "marks": self._open(pylsl, f"{self._name}-marks", "Markers", ["label"], pylsl.cf_string),
        }

    def _open(self, pylsl: Any, name: str, kind: str, channels: list[str], values: int) -> Any:
        # The source id lets readers find the stream again after a restart.
        info = pylsl.StreamInfo(name, kind, len(channels), pylsl.IRREGULAR_RATE, values, f"moodspace:{name}")
        described = info.desc().append_child("channels")
        for channel in channels:
            described.append_child("channel").append_child_value("label", channel)
        return pylsl.StreamOutlet(info, max_buffered=_BUFFERED)

    def connect(self) -> None:
        """Do nothing: readers connect; see `Sink.connect`."""

    def send(self, message: Message) -> None:
        """Push a document into its streams; liblsl never waits for readers."""
        document = message.document
        # From the clock of the system to that of LSL.
        stamp = self._clock() - (time.time() - document["captured"])
        self._streams["json"].push_sample([message.text], stamp)
        if document["kind"] == "mark":
            self._streams["marks"].push_sample([document["label"]], stamp)
            return
        group = document["group"]
        shares = group["shares"] or {}
        sample = [document["frame"], *(group[name] for name in _COUNTS[1:]), *(shares.get(n) for n in self._classes)]
        self._streams["group"].push_sample([float("nan") if one is None else float(one) for one in sample], stamp)

    def close(self) -> None:
        """Close the streams; see `Sink.close`."""
        self._streams.clear()
