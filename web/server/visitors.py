"""The visitors: each browser has a gallery and a session of its own, deleted when it leaves."""

from __future__ import annotations

import hashlib
import logging
import secrets
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
from moodspace.web.live.session import LiveSession
from moodspace.web.server.engine import Engine
from moodspace.web.server.middleware import VISITOR, is_key
from moodspace.web.server.private_folder import private_folder, remove_home, remove_left
from moodspace.web.server.settings import WebSettings, current_settings

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection


# Seconds that a ticket lasts: from the page that has it to the request for what is on the page.
LASTS = 60.0


class Tickets:
    """Tickets that were given out and not used; may be used from several threads."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def issue(self, key: str) -> str:
        """Return a ticket, 256 random bits as 43 letters of an address.

        Args:
            key: The visitor's, which `redeem` returns.
        """
        ticket, now = secrets.token_urlsafe(32), time.monotonic()
        with self._lock:
            self._keys = {one: kept for one, kept in self._keys.items() if kept[1] > now}
            self._keys[ticket] = (key, now + LASTS)
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """Return the key that a ticket was issued for, and invalidate the ticket; None for an unknown one."""
        with self._lock:
            key, until = self._keys.pop(ticket, ("", 0.0))
        return key if time.monotonic() < until else None


logger = logging.getLogger(__name__)

# Seconds after which an absent visitor is forgotten: a page that is loaded again is back sooner.
ABSENCE = 5.0
_LOOK_EVERY = 1.0
# Seconds that the end of the server waits for requests of a visitor that are still being answered.
_CLOSING_S = 2.0
# Of the session of a page, where the browser's cookie does not reach the script.
_KEY = "visitor"
_TICKET = "visit"
_LOADING = threading.Lock()


class VisitorsError(MoodspaceError):
    """There is no room for one more visitor, nobody is known under this key, or the visit has ended."""


class Visitor:
    """One browser: its gallery, its recognizer, its session.

    Attributes:
        key: What its cookie says; never shown or logged.
        engine: What all visitors share.
        gallery: What this one taught.
        recognizer: Knows what this one taught.
        session: What a live session recorded; None for nothing.
        lock: To be held while the gallery is changed.
        live: How many live connections are open.
        scripts: The Streamlit sessions of its pages.
        uploading: How many bytes of files are on their way.
        seen: When it was there last, seconds on a clock that only goes on.
        gone: Whether it has been forgotten; then nothing of it can be used any more.
    """

    def __init__(self, key: str, engine: Engine, settings: WebSettings) -> None:
        self.key, self.engine = key, engine
        self.lock = threading.RLock()
        self.session: LiveSession | None = None
        self.live = 0
        self.scripts: set[str] = set()
        self.uploading = 0
        self.seen = time.monotonic()
        self.gone = False
        self._requests, self._answered = 0, threading.Condition()
        name = hashlib.sha256(key.encode()).hexdigest()
        self._temporary = settings.gallery is None
        folder = private_folder() if settings.gallery is None else settings.gallery / name
        self.gallery = open_gallery(folder, engine.bundle.encoder_spec, create=True)
        self.recognizer = Recognizer(engine.bundle, engine.labels, taught=self)

    @property
    def stamp(self) -> str:
        """What changes when the gallery does, for caches."""
        return f"{hashlib.sha256(self.key.encode()).hexdigest()[:16]}-{self.gallery.generation}"

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that faces can show, taught ones last."""
        return tuple(dict.fromkeys((*self.recognizer.classes, *self.gallery.summary().labels)))

    def current(self) -> TaughtIndex | None:
        """Return the visitor's taught faces, for the recognizer."""
        return self.gallery.snapshot()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the visitor from being forgotten while the block runs; every request that uses it runs in one.

        Raises:
            VisitorsError: The visitor has been forgotten.
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
                self.seen = time.monotonic()
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
        session, self.session = self.session, None
        if session is not None:
            session.discard()
        nothing_taught = not len(self.gallery)
        self.gallery.close()
        if self._temporary or nothing_taught:
            shutil.rmtree(self.gallery.folder, ignore_errors=True)


class Visitors:
    """All who are there.

    Args:
        settings: The operator's.
        engine: What they share.
        active: Whether a Streamlit session, by its id, has a browser.
    """

    def __init__(self, settings: WebSettings, engine: Engine, active: Callable[[str], bool]) -> None:
        self.settings, self.engine, self._active = settings, engine, active
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
            key: As the guard makes them.
            script: The Streamlit session that asks; as long as it has a browser, the visitor is there.

        Raises:
            VisitorsError: this is no key, or there is no room.
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
            visitor.seen = time.monotonic()
            visitor.scripts |= {script} if script else set()
            return visitor

    def known(self, key: str) -> Visitor | None:
        """Return the visitor with this key, or None."""
        return self._visitors.get(key)

    def with_script(self, script: str) -> Visitor | None:
        """Return the visitor that a Streamlit session belongs to, or None."""
        return next((one for one in list(self._visitors.values()) if script in one.scripts), None)

    def ticket(self, visitor: Visitor) -> str:
        """Return a ticket that identifies the visitor once, within a minute; never log it."""
        return self._tickets.issue(visitor.key)

    def key_of(self, connection: HTTPConnection) -> str:
        """Return the visitor's key from the ticket or the cookie; empty for none."""
        ticket = connection.query_params.get(_TICKET)
        key = connection.cookies.get(VISITOR, "") if ticket is None else self._tickets.redeem(ticket)
        return key if key and is_key(key) else ""

    def close(self) -> None:
        """Forget all visitors."""
        self._ended.set()
        self._watch.join()
        self.engine.close()
        with self._lock:
            until = time.monotonic() + _CLOSING_S
            for key, visitor in list(self._visitors.items()):
                visitor.leave(max(until - time.monotonic(), 0.0))
                self._forget(key)
        remove_home()

    def _forget_absent(self) -> None:
        while not self._ended.wait(_LOOK_EVERY):
            for key in list(self._visitors):
                try:
                    self._look_after(key)
                except Exception:  # the thread goes on, or nobody would be forgotten any more
                    logger.exception("could not find out whether a visitor is still there")

    def _look_after(self, key: str) -> None:
        """Forget a visitor that has been absent for long enough."""
        with self._lock:
            visitor, now = self._visitors.get(key), time.monotonic()
            if visitor is None:
                return
            visitor.scripts = {one for one in visitor.scripts if self._active(one)}
            if visitor.live or visitor.scripts:
                visitor.seen = now
            elif now - visitor.seen > ABSENCE and visitor.leave():
                self._forget(key)

    def _forget(self, key: str) -> None:
        try:
            self._visitors.pop(key).close()
        except Exception:  # the others have to be forgotten, too
            logger.exception("a visitor has not been forgotten in full")


def all_visitors() -> Visitors:
    """Return the visitors of this process; the first call loads the bundle."""
    with _LOADING:
        return _all_visitors()


@cache
def _all_visitors() -> Visitors:
    settings = current_settings()
    remove_left()
    return Visitors(settings, Engine(settings), _has_browser)


def visitor_of(connection: HTTPConnection) -> Visitor | None:
    """Return the visitor identified by ticket or cookie, or None."""
    visitors = all_visitors()
    return visitors.known(visitors.key_of(connection))


def this_visitor() -> Visitor:
    """Return the visitor that a page's script runs for, by the browser's cookie or else by the page's session.

    Raises:
        VisitorsError: there is no room.
    """
    import streamlit as st
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    key = _cookie() or st.session_state.setdefault(_KEY, secrets.token_urlsafe(32))
    context = get_script_run_ctx()
    return all_visitors().visit(key, context.session_id if context else None)


def visit_path(path: str) -> str:
    """Return the path of a route for this visitor's browser, with a ticket if its cookie is not available.

    Streamlit's cloud passes on few cookies, and ours is none of them.

    Raises:
        VisitorsError: there is no room.
    """
    if _cookie():
        return path
    ticket = all_visitors().ticket(this_visitor())
    return f"{path}{'&' if '?' in path else '?'}{_TICKET}={ticket}"


def _cookie() -> str:
    import streamlit as st

    key = st.context.cookies.get(VISITOR) or ""
    return key if is_key(key) else ""


def _has_browser(session: str) -> bool:
    from streamlit import runtime

    return runtime.exists() and runtime.get_instance().is_active_session(session)
