"""The engine's threads: queues in turn, the newest frame first, and nothing held of who has left."""

import gc
import shutil
import threading
import time
import weakref
from pathlib import Path

import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.index.taught.frozen import FrozenGallery
from moodspace.web.server.engine import Engine, FairThreadPool
from moodspace.web.server.settings import WebSettings

PATIENCE_S = 30.0


@pytest.fixture
def pool():
    one = FairThreadPool(1)
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


def test_the_other_views_and_a_second_bundle_can_be_compared(shipped: Path, tmp_path: Path) -> None:
    second = shutil.copytree(shipped, tmp_path / "mine")
    engine = Engine(WebSettings(bundle=shipped, compare=second))
    try:
        own = Recognizer(engine.bundle, "blend", FrozenGallery(None))
        others = engine.others(own)
        names = ["fer2013", "ferplus", "mine: fer2013", "mine: ferplus", "mine: blend"]
        assert sorted(others) == sorted(names)
        assert others["ferplus"].label_set == others["mine: ferplus"].label_set == "ferplus"
        assert others["mine: blend"].bundle.path == second and others["ferplus"].bundle is engine.bundle
        # The same encoder, so that taught faces mean the same.
        assert all(one.taught is own.taught for one in others.values())
        alone = Engine(WebSettings(bundle=shipped))
        assert sorted(alone.others(own)) == ["fer2013", "ferplus"]
        alone.close()
    finally:
        engine.close()
