"""Where `--to` sends, and what a destination on another machine requires."""

import ipaddress
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from moodspace.errors import MoodspaceError

_EXPECTED = (
    "ws://127.0.0.1:8770, wss://HOST:PORT, osc://HOST:PORT, mqtt://HOST/TOPIC, mqtts://HOST/TOPIC, lsl:NAME, "
    "FILE.jsonl or FILE.parquet"
)
_PORTS = {"ws": 8770, "wss": 8770, "osc": None, "mqtt": 1883, "mqtts": 8883}
_FILES = (".jsonl", ".parquet")
_SHORTEST_TOKEN = 12
_TOKEN = re.compile(f"[A-Za-z0-9_-]{{{_SHORTEST_TOKEN},}}")


class SinkError(MoodspaceError):
    """Values cannot be sent: the port or the file is taken, or the receiver refuses them."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where values are sent.

    Attributes:
        text: What the user wrote; messages begin with it.
        kind: "ws", "wss", "osc", "mqtt", "mqtts", "lsl", "jsonl" or "parquet".
        host: The host; empty for streams of LSL and files.
        port: The port; 0 for streams of LSL and files.
        path: The topic, the stream's name, or the file.
    """

    text: str
    kind: str
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def place(self) -> tuple[str, str, int, str]:
        """What two destinations must not have in common."""
        path = os.path.abspath(self.path) if self.kind in ("jsonl", "parquet") else self.path
        return self.kind, self.host, self.port, path

    @property
    def leaves_machine(self) -> bool:
        """Whether another machine can receive the values; never for files and LSL, see `lsl.load_pylsl`."""
        return bool(self.host) and not is_loopback(self.host)


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """What is sent, and how it is protected.

    Attributes:
        individuals: Whether to send single faces too.
        min_group: Smallest group to tell of, >= 1.
        unprotected: Whether other machines may receive values without encryption or a password.
        cert: The certificate of a `wss://` server, PEM.
        key: Its private key, PEM.
        ca: Certificates to check an `mqtts://` broker with, PEM; None for the system's.
        token: What clients of a WebSocket server must send; None for no token on this machine, and for a generated one
            elsewhere. Never shown in `repr`, like the password.
        username: The user name for an MQTT broker.
        password: The password for an MQTT broker.

    Raises:
        ValueError: `min_group` is less than 1, only one of `cert` and `key` is given, or the token is short.
    """

    individuals: bool = False
    min_group: int = 5
    unprotected: bool = False
    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.min_group < 1:
            raise ValueError(f"min_group: expected 1 or more, got {self.min_group}")
        if (self.cert is None) != (self.key is None):
            raise ValueError("expected a certificate and its key, got only one of them; give both")
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise ValueError(f"token: expected at least {_SHORTEST_TOKEN} of A-Z, a-z, 0-9, - and _; choose another")

    @classmethod
    def from_environment(
        cls,
        *,
        individuals: bool = False,
        min_group: int = 5,
        unprotected: bool = False,
        cert: Path | None = None,
        key: Path | None = None,
        ca: Path | None = None,
    ) -> Self:
        """Return options with the secrets of the environment, which command lines would show to everybody.

        `MOODSPACE_TO_TOKEN` is the token, `MOODSPACE_MQTT_USERNAME` and `MOODSPACE_MQTT_PASSWORD` are those of the
        broker. `MOODSPACE_MQTT_PASSWORD_FILE` names a file with the password in its first line.

        Args:
            individuals, min_group, unprotected, cert, key, ca: See the class.

        Raises:
            SinkError: The file with the password cannot be read.
            ValueError: See the class.
        """
        password = os.environ.get("MOODSPACE_MQTT_PASSWORD")
        if password is None and (name := os.environ.get("MOODSPACE_MQTT_PASSWORD_FILE")):
            try:
                password = Path(name).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
            except (OSError, UnicodeDecodeError) as error:
                raise SinkError(f"{name}: expected a file with the password, could not read it ({error})") from error
        return cls(
            individuals, min_group, unprotected, cert, key, ca,
            os.environ.get("MOODSPACE_TO_TOKEN") or None,
            os.environ.get("MOODSPACE_MQTT_USERNAME") or None,
            password,
        )  # fmt: skip


def parse_destination(text: str) -> Destination:
    """Return where a `--to` sends.

    Raises:
        ValueError: It is none of the known forms, in one line.
    """
    if text.startswith("lsl:"):
        name = text.removeprefix("lsl:").removeprefix("//")
        if not name or not name.isprintable():
            raise ValueError(f"lsl: expected a name for the stream, such as lsl:moodspace, got {name!r}")
        return Destination(text, "lsl", path=name)
    if not text.isprintable():
        raise ValueError(f"{text!r}: expected an address of characters that can be shown, got others")
    if "://" not in text:
        suffix = Path(text).suffix.lower()
        if suffix in _FILES and not text.startswith("v4l2:"):
            return Destination(text, suffix.removeprefix("."), path=text)
        raise _unknown(text)
    scheme = text.partition("://")[0].lower()
    if scheme not in _PORTS:
        raise _unknown(text)
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ValueError(f"{text}: expected {scheme}://HOST:PORT, got an address that is none ({error})") from error
    if "@" in parts.netloc:
        # The address itself is not repeated: it may hold a password.
        told = "MOODSPACE_MQTT_USERNAME and MOODSPACE_MQTT_PASSWORD"
        raise ValueError(f"{scheme}://...: expected no user name in the address, got one; put them into {told}")
    if parts.query or parts.fragment:
        raise ValueError(f"{text}: expected no ? or # in the address, got one")
    try:
        port = parts.port or _PORTS[scheme]
    except ValueError as error:
        raise ValueError(f"{text}: expected a port from 1 to 65535, got {parts.netloc.rpartition(':')[2]!r}") from error
    if not parts.hostname or port is None:
        raise ValueError(f"{text}: expected {scheme}://HOST:PORT, got no {'port' if parts.hostname else 'host'}")
    topic = parts.path.strip("/")
    if scheme in ("mqtt", "mqtts"):
        if not topic or any(one in topic for one in "+#\0"):
            raise ValueError(f"{text}: expected {scheme}://HOST/TOPIC with a topic without + and #, got {topic!r}")
    elif topic:
        raise ValueError(f"{text}: expected {scheme}://HOST:PORT, got a path behind it: {parts.path!r}")
    return Destination(text, scheme, parts.hostname, port, topic)


def destinations_of(to: Sequence[str], options: SinkOptions) -> list[tuple[Destination, SinkOptions]]:
    """Return where to send, and the options for each; see `parse_destination` and `protected`.

    Files come last: they are made only if all other destinations can be used.

    Raises:
        ValueError: A destination is unknown, not protected, or named twice.
    """
    found: dict[tuple[str, str, int, str], tuple[Destination, SinkOptions]] = {}
    for text in to:
        one = parse_destination(text)
        if one.place in found:
            raise ValueError(f"{text}: expected each destination once, got it twice")
        found[one.place] = one, protected(one, options)
    return sorted(found.values(), key=lambda pair: not pair[0].host)


def _unknown(text: str) -> ValueError:
    if text.startswith(("v4l2:", "rtmp:", "rtmps:", "rtsp:", "srt:")):
        return ValueError(
            f"{text}: expected a receiver of values, got one of pictures, which Moodspace does not send; lay its page "
            "over the camera in OBS: --to ws://127.0.0.1:8770"
        )
    return ValueError(f"{text}: expected {_EXPECTED}")


def protected(destination: Destination, options: SinkOptions) -> SinkOptions:
    """Return the options for a destination, with a new token where one is required and missing.

    Values that leave the machine are encrypted, and only who has a token or a password can read them, unless the user
    asked for less with `unprotected`.

    Args:
        destination: Where values are sent.
        options: The user's options.

    Raises:
        ValueError: The destination is not protected, in one line that says how to protect it.
    """
    if destination.kind == "wss" and options.cert is None:
        raise ValueError(f"{destination.text}: expected a certificate for wss://, got none; add --tls-cert, --tls-key")
    if not destination.leaves_machine:
        return options
    least = None
    match destination.kind:
        case "ws":
            least = "wss:// with --tls-cert and --tls-key"
        case "osc":
            least = "a receiver on this machine, because OSC has neither encryption nor passwords"
        case "mqtt":
            least = "mqtts:// with a user name and a password in the environment"
        case "mqtts" if options.password is None:
            least = "a password in MOODSPACE_MQTT_PASSWORD or the file that MOODSPACE_MQTT_PASSWORD_FILE names"
    if least is not None and not options.unprotected:
        raise ValueError(
            f"{destination.text}: expected {least}; add --unprotected to let others in the network read along"
        )
    if destination.kind in ("ws", "wss") and options.token is None:
        return replace(options, token=secrets.token_urlsafe(16))
    return options


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
