"""Tickets: who a browser is, once and for a minute, in the address of a route that its cookie does not reach."""

import secrets
import threading
import time

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
