"""Threads that give each visitor the same share of their time, and a lock that is got in the order of asking."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

logger = logging.getLogger(__name__)

Work = Callable[[], None]


class Share:
    """One visitor's share of the threads' time; all queues of a visitor have the same.

    Attributes:
        used: Seconds of work, on a scale on which a visitor who was away has no advantage over those who were not.
    """

    def __init__(self) -> None:
        self.used = 0.0


class FairThreadPool:
    """Threads that divide their time equally among visitors: next is who has used the least.

    Somebody whose frames take ten times as long is served a tenth as often, and nobody else waits for it longer than
    for a frame.

    Args:
        threads: Number of threads.
        patience: Seconds that `close` waits for current work.
        clock: Return the time in seconds, to measure work with.

    Source:
        Goyal, Vin and Cheng, "Start-time Fair Queuing", SIGCOMM 1996.
    """

    def __init__(self, threads: int, *, patience: float = 2.0, clock: Callable[[], float] = time.perf_counter) -> None:
        self._patience, self._clock = patience, clock
        self._waiting: deque[SessionQueue] = deque()
        # What had been used by the share that was served last, at most: where who comes back begins.
        self._reached = 0.0
        self._changed = threading.Condition()
        self._open = True
        self._threads = [
            threading.Thread(target=self._serve, name=f"engine-{at}", daemon=True) for at in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def new_queue(self, share: Share | None = None) -> "SessionQueue":
        """Return a new queue, for one live session.

        Args:
            share: The share of its visitor; None for one of its own.
        """
        return SessionQueue(self, share or Share())

    def submit(self, session: "SessionQueue", work: Work) -> bool:
        """Put work into a queue, in place of work that waits there. Return whether it replaced something."""
        with self._changed:
            replaced = session.next is not None
            session.next = work
            if not session.busy and not replaced:
                self._enter(session)
            return replaced

    def close(self) -> None:
        """Drop waiting work, end the threads after their current work, and wait a moment for that."""
        with self._changed:
            self._open = False
            self._waiting.clear()
            self._changed.notify_all()
        until = time.monotonic() + self._patience
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(until - time.monotonic(), 0.0))

    def _enter(self, session: "SessionQueue") -> None:
        session.share.used = max(session.share.used, self._reached)
        self._waiting.append(session)
        self._changed.notify()

    def _leave(self) -> "SessionQueue":
        session = min(self._waiting, key=lambda one: one.share.used)  # of equals the one that has waited longest
        self._waiting.remove(session)
        self._reached = max(self._reached, session.share.used)
        return session

    def _serve(self) -> None:
        while self._serve_one():
            pass

    def _serve_one(self) -> bool:
        """Wait for work and do it; return whether to go on. Keep no reference to finished work."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._open)
            if not self._open:
                return False
            session = self._leave()
            work, session.next, session.busy = session.next, None, True
        begun = self._clock()
        try:
            if work is not None:
                work()
        except Exception:
            logger.exception("a frame could not be analyzed")
        spent = self._clock() - begun
        with self._changed:
            session.share.used += spent
            session.busy = False
            if session.next is not None and self._open:
                self._enter(session)
        return True


class SessionQueue:
    """The queue of one live session: at most one frame in work and one waiting."""

    def __init__(self, pool: FairThreadPool, share: Share) -> None:
        self._pool, self.share = pool, share
        self.next: Work | None = None
        self.busy = False

    def put(self, work: Work) -> bool:
        """Submit work, in place of work that waits. Return whether it replaced something."""
        return self._pool.submit(self, work)


class Turns:
    """A lock for `with` blocks that threads get in the order in which they asked.

    With `threading.Lock`, a thread that releases it and takes it again at once can keep all others waiting.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Event] = deque()

    def __enter__(self) -> None:
        with self._lock:
            if not self._held:
                self._held = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        mine.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()  # it holds the lock from now on
            else:
                self._held = False
