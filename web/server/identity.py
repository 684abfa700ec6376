"""How a request identifies its visitor: by the key in a cookie or, where no cookie arrives, by a ticket."""

import secrets
import threading
import time

VISITOR_COOKIE = "moodspace_visitor"
# Seconds that a ticket is valid: from rendering the page to the page's own request.
_TICKET_LIFETIME_S = 60.0


def new_key() -> str:
    """Return a new visitor's key: 256 random bits as 43 URL-safe characters."""
    return secrets.token_urlsafe(32)


def is_key(value: str) -> bool:
    """Return whether a value has the form of a visitor's key."""
    return len(value) == 43 and value.replace("-", "a").replace("_", "a").isalnum() and value.isascii()


class Tickets:
    """Single-use tickets that stand for a visitor's key. Thread-safe.

    Args:
        lifetime: Seconds that a ticket is valid.
    """

    def __init__(self, lifetime: float = _TICKET_LIFETIME_S) -> None:
        self._lifetime = lifetime
        self._keys: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._keys)

    def issue(self, key: str) -> str:
        """Return a new ticket, 43 URL-safe characters.

        Args:
            key: The visitor's key, which `redeem` returns.
        """
        ticket, now = secrets.token_urlsafe(32), time.monotonic()
        with self._lock:
            self._keys = {one: kept for one, kept in self._keys.items() if kept[1] > now}
            self._keys[ticket] = (key, now + self._lifetime)
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """Return the key that a ticket was issued for, and invalidate the ticket; None for an unknown one."""
        with self._lock:
            key, until = self._keys.pop(ticket, ("", 0.0))
        return key if time.monotonic() < until else None
