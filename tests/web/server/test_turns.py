"""The engine's threads: visitors have equal shares, the newest frame is first, nothing is held of who has left; and a
lock that threads get in turn."""

import gc
import itertools
import threading
import time
import weakref

import pytest

from moodspace.web.server.turns import FairThreadPool, Share, Turns

PATIENCE_S = 30.0


@pytest.fixture
def pool():
    ticks = itertools.count()
    one = FairThreadPool(1, clock=lambda: float(next(ticks)))  # each piece of work takes one second
    yield one
    one.close()


class Busy:
    """Work that keeps the only thread until it is let go."""

    def __init__(self, pool: FairThreadPool) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        pool.new_queue().put(self)
        assert self.begun.wait(PATIENCE_S)

    def __call__(self) -> None:
        self.begun.set()
        self.go_on.wait(PATIENCE_S)


def until(true) -> bool:
    end = time.monotonic() + PATIENCE_S
    while not true() and time.monotonic() < end:
        time.sleep(0.005)
    return true()


def test_the_newest_frame_takes_the_place_of_the_one_that_waits(pool) -> None:
    seen: list[int] = []
    busy, queue = Busy(pool), pool.new_queue()
    gave_way = [queue.put(lambda at=at: seen.append(at)) for at in range(4)]
    busy.go_on.set()
    assert until(lambda: bool(seen))
    assert gave_way == [False, True, True, True] and seen == [3]


def test_who_was_served_waits_until_the_others_were(pool) -> None:
    seen: list[str] = []
    busy, queues = Busy(pool), {name: pool.new_queue() for name in "abc"}

    def serve(name: str, left: int) -> None:
        seen.append(name)
        if left:  # the greedy one has its next frame there at once
            queues[name].put(lambda: serve(name, left - 1))

    for name in "abc":
        queues[name].put(lambda name=name: serve(name, 2))
    busy.go_on.set()
    assert until(lambda: len(seen) == 9)
    assert seen == list("abcabcabc")


def test_one_queue_is_never_served_by_two_threads() -> None:
    pool, at_once, most, done = FairThreadPool(4), 0, [0], []
    queue, lock = pool.new_queue(), threading.Lock()

    def work() -> None:
        nonlocal at_once
        with lock:
            at_once += 1
            most[0] = max(most[0], at_once)
        time.sleep(0.001)
        with lock:
            at_once -= 1
        done.append(1)

    end = time.monotonic() + PATIENCE_S
    while len(done) <= 10 and time.monotonic() < end:
        queue.put(work)
        time.sleep(0.0001)
    pool.close()
    assert most == [1] and len(done) > 10


def test_the_end_waits_for_the_frame_in_work_but_not_for_one_that_hangs() -> None:
    pool, began, ended = FairThreadPool(2, patience=0.2), threading.Barrier(3), []

    def work(seconds: float) -> None:
        began.wait(PATIENCE_S)
        time.sleep(seconds)
        ended.append(seconds)

    pool.new_queue().put(lambda: work(0.05))
    pool.new_queue().put(lambda: work(3.0))
    began.wait(PATIENCE_S)
    pool.close()
    assert ended == [0.05]


def test_a_frame_that_fails_ends_neither_the_thread_nor_the_queue(pool, caplog) -> None:
    seen, queue = [], pool.new_queue()
    queue.put(lambda: 1 // 0)
    assert until(lambda: "could not be analyzed" in caplog.text)
    queue.put(lambda: seen.append(1))
    assert until(lambda: bool(seen))


def test_nothing_is_held_of_who_has_left(pool) -> None:
    class Visitor:
        def look(self) -> None:
            done.set()

    visitor, done = Visitor(), threading.Event()
    gone = weakref.ref(visitor)
    pool.new_queue().put(visitor.look)
    assert done.wait(PATIENCE_S)
    del visitor
    assert until(lambda: gc.collect() >= 0 and gone() is None)


def test_after_the_end_nothing_is_done(pool) -> None:
    busy, seen = Busy(pool), []
    pool.new_queue().put(lambda: seen.append(1))
    pool.close()
    busy.go_on.set()
    assert until(lambda: not any(thread.is_alive() for thread in pool._threads))
    assert not seen


class Turned:
    """A pool of one thread on which each visitor's frames take a time of their own; `seen` has who was served."""

    def __init__(self, costs: dict[str, float]) -> None:
        self.costs, self.now, self.seen = costs, 0.0, []
        self.pool = FairThreadPool(1, clock=lambda: self.now)
        self.shares = {name: Share() for name in costs}

    def send(self, name: str, frames: int) -> None:
        """Have that many frames in a new queue of a visitor, each there when the one before is done."""
        queue = self.pool.new_queue(self.shares[name])

        def look(left: int) -> None:
            self.seen.append(name)
            self.now += self.costs[name]
            if left > 1:
                queue.put(lambda: look(left - 1))

        queue.put(lambda: look(frames))


@pytest.fixture
def turned():
    made = []

    def make(**costs: float) -> Turned:
        made.append(Turned(costs))
        return made[-1]

    yield make
    for one in made:
        one.pool.close()


def test_who_sends_expensive_frames_is_served_less_often_and_nobody_else_is(turned) -> None:
    room = turned(crowd=10.0, anna=1.0, ben=1.0)
    busy = Busy(room.pool)
    room.send("crowd", 3)
    room.send("anna", 20)
    room.send("ben", 20)
    busy.go_on.set()
    assert until(lambda: len(room.seen) == 43)
    first = room.seen[: room.seen.index("crowd", 1)]
    assert first.count("anna") == first.count("ben") == 10


def test_who_opens_four_pages_has_the_share_of_one_visitor(turned) -> None:
    room = turned(many=1.0, one=1.0)
    busy = Busy(room.pool)
    for _ in range(4):
        room.send("many", 10)
    room.send("one", 10)
    busy.go_on.set()
    assert until(lambda: len(room.seen) == 50)
    assert room.seen[:20].count("one") >= 9


def test_who_was_away_has_no_more_than_the_same_share(turned) -> None:
    room = turned(early=1.0, late=1.0)
    room.send("early", 50)
    assert until(lambda: len(room.seen) == 50)
    busy = Busy(room.pool)
    room.send("early", 10)
    room.send("late", 10)
    busy.go_on.set()
    assert until(lambda: len(room.seen) == 70)
    assert sorted(room.seen[50:54]) == ["early", "early", "late", "late"]


def test_turns_are_taken_in_the_order_in_which_threads_asked() -> None:
    turns, got = Turns(), []

    def ask(name: str) -> None:
        with turns:
            got.append(name)

    threads = []
    with turns:
        for at, name in enumerate("abc", 1):
            threads.append(threading.Thread(target=ask, args=(name,)))
            threads[-1].start()
            assert until(lambda at=at: len(turns._waiting) == at)
    with turns:  # asked again at once, and is behind the others
        got.append("again")
    for thread in threads:
        thread.join(PATIENCE_S)
    assert got == ["a", "b", "c", "again"]


def test_a_turn_ends_with_an_error_too() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns:
        raise ZeroDivisionError
    with turns:
        pass
