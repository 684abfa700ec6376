"""The visitors: each browser has a gallery and a recording of its own, deleted when it leaves."""

from __future__ import annotations

import hashlib
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from moodspace.classifier.recognizer import Recognizer
from moodspace.errors import MoodspaceError
from moodspace.index.taught.search import TaughtIndex
from moodspace.index.taught.user_gallery import open_gallery
from moodspace.realtime.session.file import SessionError
from moodspace.web.server.engine import Engine
from moodspace.web.server.identity import VISITOR_COOKIE, Tickets, is_key, new_key
from moodspace.web.server.private_folder import private_folder, remove_abandoned, remove_home
from moodspace.web.server.recording import Recording
from moodspace.web.server.settings import WebSettings, current_settings
from moodspace.web.server.turns import Share

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

logger = logging.getLogger(__name__)

# Key of the Streamlit session state that holds the visitor's key if the browser's cookie does not reach the script.
_STATE_KEY = "visitor"
_TICKET_PARAMETER = "visit"
_loading = threading.Lock()


class VisitorsError(MoodspaceError):
    """The server is full, the key is unknown, or the visit has ended."""


class Visitor:
    """One browser: its gallery, its recognizer, its recording.

    Attributes:
        key: The value of its cookie; never shown or logged.
        engine: The engine that all visitors share.
        gallery: The faces that this visitor taught.
        recognizer: Recognizes faces, the visitor's taught faces included.
        recording: The visitor's recording, running or not; None for none.
        lock: Must be held while the gallery or the recording changes.
        share: Its share of the engine's threads, whatever number of live pages it has.
        live: Number of open live connections.
        scripts: The Streamlit sessions of its pages.
        uploading: Bytes of files that are being uploaded.
        last_seen: When the visitor was last present, in seconds of `time.monotonic`.
        gone: Whether the visitor was forgotten; then nothing of it may be used.
    """

    def __init__(self, key: str, engine: Engine, settings: WebSettings) -> None:
        self.key, self.engine = key, engine
        self.lock = threading.RLock()
        self.share = Share()
        self.recording: Recording | None = None
        self.live = 0
        self.scripts: set[str] = set()
        self.uploading = 0
        self.last_seen = time.monotonic()
        self.gone = False
        self._requests, self._answered = 0, threading.Condition()
        name = hashlib.sha256(key.encode()).hexdigest()
        self._temporary = settings.gallery is None
        folder = private_folder() if settings.gallery is None else settings.gallery / name
        self.gallery = open_gallery(folder, engine.bundle.encoder_spec, create=True)
        self.recognizer = Recognizer(engine.bundle, engine.labels, taught=self)
        self.recognizer.pictures = engine.pictures.with_taught(self.gallery.pictures)

    @property
    def stamp(self) -> str:
        """A cache key that changes whenever the gallery does."""
        return f"{hashlib.sha256(self.key.encode()).hexdigest()[:16]}-{self.gallery.generation}"

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that can be predicted, taught ones last."""
        return tuple(dict.fromkeys((*self.recognizer.classes, *self.gallery.summary().labels)))

    def current(self) -> TaughtIndex | None:
        """Return the visitor's taught faces, for the recognizer."""
        return self.gallery.snapshot()

    def start_recording(self, *, min_group: int) -> None:
        """Start a recording; one that is running continues unchanged.

        Args:
            min_group: Minimum number of faces, >= 1, for which anything is kept.

        Raises:
            SessionError: An earlier recording has not been discarded, or nothing can be written.
        """
        with self.lock:
            if self.recording is None:
                self.recording = Recording(self.classes, min_group)
            elif not self.recording.running:
                raise SessionError(
                    "your last recording is still on the Session page; download what you need, discard it there, "
                    "then record again"
                )

    def stop_recording(self) -> None:
        """Stop the recording, if there is one; it stays readable until it is discarded."""
        with self.lock:
            if self.recording is not None:
                self.recording.stop()

    def discard_recording(self) -> None:
        """Delete the recording, if there is one."""
        with self.lock:
            recording, self.recording = self.recording, None
        if recording is not None:
            recording.discard()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the visitor from being forgotten inside the block; every request that uses it runs in one.

        Raises:
            VisitorsError: The visitor was forgotten.
        """
        with self._answered:
            if self.gone:
                raise VisitorsError("your visit has ended; reload the page to begin a new one")
            self._requests += 1
        try:
            yield
        finally:
            with self._answered:
                self._requests -= 1
                self.last_seen = time.monotonic()
                self._answered.notify_all()

    def leave(self, patience: float = 0.0) -> bool:
        """End the visit unless a request is being answered. Return whether it has ended.

        Args:
            patience: Seconds to wait for the last request.
        """
        with self._answered:
            self.gone = self._answered.wait_for(lambda: not self._requests, patience)
            return self.gone

    def close(self) -> None:
        """Delete everything except what the operator keeps."""
        self.gone = True
        self.discard_recording()
        nothing_taught = not len(self.gallery)
        self.gallery.close()
        if self._temporary or nothing_taught:
            shutil.rmtree(self.gallery.folder, ignore_errors=True)


class Visitors:
    """All visitors who are present.

    Args:
        settings: The operator's settings.
        engine: The engine that they share.
        active: Returns whether a Streamlit session, given by its id, has a browser.
        absence: Seconds after which an absent visitor is forgotten; a page that is reloaded is back sooner.
        look_every: Seconds between two looks for absent visitors.
        patience: Seconds that `close` waits for requests that are being answered.
    """

    def __init__(
        self,
        settings: WebSettings,
        engine: Engine,
        active: Callable[[str], bool],
        *,
        absence: float = 5.0,
        look_every: float = 1.0,
        patience: float = 2.0,
    ) -> None:
        self.settings, self.engine, self._active = settings, engine, active
        self._absence, self._look_every, self._patience = absence, look_every, patience
        self._tickets = Tickets()
        self._visitors: dict[str, Visitor] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._forget_absent, name="visitors", daemon=True)
        self._watch.start()

    def __len__(self) -> int:
        return len(self._visitors)

    def visit(self, key: str, script: str | None = None) -> Visitor:
        """Return the visitor with this key; create one if there is none.

        Args:
            key: A key as `identity.new_key` makes them.
            script: The Streamlit session that asks; the visitor stays while this session has a browser.

        Raises:
            VisitorsError: The key has the wrong form, or the server is full.
        """
        if not is_key(key):
            raise VisitorsError("expected a visit that this server has begun, got another; reload the page")
        with self._lock:
            visitor = self._visitors.get(key)
            if visitor is None:
                most = self.settings.limits.visitors
                if len(self._visitors) >= most:
                    raise VisitorsError(f"all {most} places are taken; try again in a few minutes")
                visitor = self._visitors[key] = Visitor(key, self.engine, self.settings)
            visitor.last_seen = time.monotonic()
            visitor.scripts |= {script} if script else set()
            return visitor

    def known(self, key: str) -> Visitor | None:
        """Return the visitor with this key, or None."""
        return self._visitors.get(key)

    def recordings(self) -> list[Recording]:
        """Return the recordings that are running."""
        found = [visitor.recording for visitor in list(self._visitors.values())]
        return [recording for recording in found if recording is not None and recording.running]

    def with_script(self, script: str) -> Visitor | None:
        """Return the visitor that a Streamlit session belongs to, or None."""
        return next((one for one in list(self._visitors.values()) if script in one.scripts), None)

    def ticket(self, visitor: Visitor) -> str:
        """Return a ticket that identifies the visitor once, within a minute; never log it."""
        return self._tickets.issue(visitor.key)

    def key_of(self, connection: HTTPConnection) -> str:
        """Return the visitor's key from the ticket or the cookie; empty for none."""
        ticket = connection.query_params.get(_TICKET_PARAMETER)
        key = connection.cookies.get(VISITOR_COOKIE, "") if ticket is None else self._tickets.redeem(ticket)
        return key if key and is_key(key) else ""

    def close(self) -> None:
        """Forget all visitors."""
        self._ended.set()
        self._watch.join()
        self.engine.close()
        with self._lock:
            until = time.monotonic() + self._patience
            for key, visitor in list(self._visitors.items()):
                visitor.leave(max(until - time.monotonic(), 0.0))
                self._forget(key)
        remove_home()

    def _forget_absent(self) -> None:
        while not self._ended.wait(self._look_every):
            for key in list(self._visitors):
                try:
                    self._forget_if_absent(key)
                except Exception:  # keep the thread alive, or no visitor would be forgotten any more
                    logger.exception("could not find out whether a visitor is still there")

    def _forget_if_absent(self, key: str) -> None:
        with self._lock:
            visitor, now = self._visitors.get(key), time.monotonic()
            if visitor is None:
                return
            visitor.scripts = {one for one in visitor.scripts if self._active(one)}
            if visitor.live or visitor.scripts:
                visitor.last_seen = now
            elif now - visitor.last_seen > self._absence and visitor.leave():
                self._forget(key)

    def _forget(self, key: str) -> None:
        try:
            self._visitors.pop(key).close()
        except Exception:  # go on with the other visitors
            logger.exception("a visitor has not been forgotten in full")


def all_visitors() -> Visitors:
    """Return the visitors of this process; the first call loads the bundle."""
    with _loading:
        return _all_visitors()


@cache
def _all_visitors() -> Visitors:
    settings = current_settings()
    remove_abandoned()
    return Visitors(settings, Engine(settings), _has_browser)


def visitor_of(connection: HTTPConnection) -> Visitor | None:
    """Return the visitor identified by ticket or cookie, or None."""
    visitors = all_visitors()
    return visitors.known(visitors.key_of(connection))


def this_visitor() -> Visitor:
    """Return the visitor that a page's script runs for, by the browser's cookie or else by the page's session.

    Raises:
        VisitorsError: The server is full.
    """
    import streamlit as st
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    key = _cookie() or st.session_state.setdefault(_STATE_KEY, new_key())
    context = get_script_run_ctx()
    return all_visitors().visit(key, context.session_id if context else None)


def visit_path(path: str) -> str:
    """Return the path of a route for this visitor's browser, with a ticket if no cookie arrives.

    Streamlit's cloud forwards few cookies, and not this one.

    Raises:
        VisitorsError: The server is full.
    """
    if _cookie():
        return path
    ticket = all_visitors().ticket(this_visitor())
    return f"{path}{'&' if '?' in path else '?'}{_TICKET_PARAMETER}={ticket}"


def _cookie() -> str:
    import streamlit as st

    key = st.context.cookies.get(VISITOR_COOKIE) or ""
    return key if is_key(key) else ""


def _has_browser(session: str) -> bool:
    from streamlit import runtime

    return runtime.exists() and runtime.get_instance().is_active_session(session)
