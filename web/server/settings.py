"""The operator's settings, passed through the environment to the Streamlit script and the routes."""

import json
import os
import re
import secrets
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from moodspace.realtime.sinks.destination import is_loopback

VARIABLE = "MOODSPACE_WEB"
_SHORTEST_TOKEN = 12
_ORIGIN = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_SHIPPED_BUNDLE = Path(str(files("moodspace.bundles") / "fer2013"))


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for one visitor, and on the number of visitors.

    Attributes:
        upload_bytes: Maximum size of a picture file.
        video_bytes: Maximum size of a video file.
        held_bytes: Maximum size of all files on a visitor's pages together.
        picture_pixels: Maximum width times height of a picture or a frame.
        video_seconds: Maximum length of a video.
        frames_per_second: Maximum rate of analyzed frames; frames beyond it are skipped.
        visitors: Maximum number of concurrent visitors.
        message_bytes: Maximum size of one message of a live session.
    """

    upload_bytes: int = 20 * 2**20
    video_bytes: int = 200 * 2**20
    held_bytes: int = 500 * 2**20
    picture_pixels: int = 50_000_000
    video_seconds: float = 300.0
    frames_per_second: float = 30.0
    visitors: int = 16
    message_bytes: int = 2**20


@dataclass(frozen=True, slots=True)
class WebSettings:
    """The operator's settings.

    Attributes:
        bundle: The bundle's folder.
        labels: The view to predict; None for the bundle's default.
        compare: The folder of a second bundle, which the Photo page can compare with; None for none.
        host: The address to listen on.
        port: Its port.
        token: The token that a browser must send once; None if none is required.
        origins: Further origins that browsers reach the app under, such as "https://faces.example.org".
        gallery: Folder that keeps each visitor's taught faces; None to delete them when the visitor leaves.
        pictures: Data with the pictures of the bundle's faces, shown to all visitors; None shows none.
        limits: The limits.
        to: Where the values of live pages are sent; empty for nowhere. The environment has no secrets of theirs.
        min_group: Smallest group whose values are sent, >= 1.
    """

    bundle: Path = _SHIPPED_BUNDLE
    labels: str | None = None
    compare: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8501
    token: str | None = None
    origins: tuple[str, ...] = ()
    gallery: Path | None = None
    pictures: Path | None = None
    limits: Limits = field(default_factory=Limits)
    to: tuple[str, ...] = ()
    min_group: int = 5

    def __post_init__(self) -> None:
        """Raise ValueError for an origin that no browser sends."""
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"--origin: expected an address without a path, in lower case, such as "
                    f"https://faces.example.org, got {origin!r}"
                )

    def publish(self) -> None:
        """Put the settings into the environment, for `current_settings` in this process and its children."""
        os.environ[VARIABLE] = json.dumps(asdict(self), default=str)


def current_settings() -> WebSettings:
    """Return the published settings, or the defaults with Streamlit's address if none were published."""
    text = os.environ.get(VARIABLE)
    return _read(text) if text else _streamlit_defaults()


def _streamlit_defaults() -> WebSettings:
    from streamlit import config

    return WebSettings(host=config.get_option("server.address") or "0.0.0.0", port=config.get_option("server.port"))


@lru_cache(maxsize=1)
def _read(text: str) -> WebSettings:
    values = json.loads(text)
    for name in ("bundle", "gallery", "compare", "pictures"):
        if values.get(name):
            values[name] = Path(values[name])
    values["origins"] = tuple(values.get("origins", ()))
    values["to"] = tuple(values.get("to", ()))
    values["limits"] = Limits(**values.get("limits", {}))
    return WebSettings(**values)


def token_for(host: str, token: str | None, *, public: bool) -> str | None:
    """Return the token that browsers must send, or None.

    Args:
        host: The address to listen on; any but loopback requires a token.
        token: The operator's token, if any.
        public: Whether the app is open to everyone, without a token.

    Raises:
        ValueError: Both `token` and `public` are given, or the token is too short or has other characters.
    """
    if token is None:
        return None if public or is_loopback(host) else secrets.token_urlsafe(16)
    if public:
        raise ValueError("--public: expected no token with it, got one; leave one of them out")
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"--token: expected at least {_SHORTEST_TOKEN} of A-Z, a-z, 0-9, - and _; choose another")
    return token
