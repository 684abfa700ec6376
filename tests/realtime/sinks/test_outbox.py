"""The session never waits for a receiver; the newest frames win, marks stay, and what was dropped is counted."""

import itertools
import threading
from collections.abc import Iterator

import pytest

from moodspace.realtime.documents import mark_document
from moodspace.realtime.sinks.destination import SinkError
from moodspace.realtime.sinks.outbox import Message, Outbox, Sink, Tally, Waiting, reconnecting_delays
from tests.realtime.sinks.made_documents import PATIENCE_S, wait_for


class Receiver(Sink):
    """A receiver whose every call can be held up or made to fail."""

    def __init__(self, *, room: int = 4, final: bool = False) -> None:
        super().__init__("a receiver")
        self.room, self.final = room, final
        self.taken: list[object] = []
        self.there, self.free = threading.Event(), threading.Event()
        self.there.set()
        self.free.set()
        self.sending, self.connections, self.closed = threading.Event(), 0, 0
        self.problem: Exception | None = None
        self.last_problem: OSError | None = None

    def connect(self) -> None:
        if not self.there.is_set():
            raise OSError(111, "connection refused")
        self.connections += 1

    def send(self, message: Message) -> None:
        self.sending.set()
        assert self.free.wait(PATIENCE_S)
        if self.problem is not None:
            problem, self.problem = self.problem, None
            raise problem
        self.taken.append(message.document.get("frame", message.document.get("label")))

    def close(self) -> None:
        self.closed += 1
        if self.last_problem is not None:
            raise self.last_problem


def numbered(number: int) -> Message:
    return Message({"kind": "frame", "frame": number})


def mark(label: str) -> Message:
    document = mark_document(label, 0.0, by="key")
    del document["frame"]
    return Message(document)


def soon() -> Iterator[float]:
    return itertools.repeat(0.001)


@pytest.fixture
def told() -> list[str]:
    return []


def started(receiver: Receiver, told: list[str]) -> Outbox:
    outbox = Outbox(receiver, told.append, delays=soon)
    outbox.start()
    return outbox


def test_documents_arrive_in_order_and_the_last_ones_too(told: list[str]) -> None:
    receiver = Receiver(room=100)
    outbox = started(receiver, told)
    for number in range(50):
        outbox.submit(numbered(number))
    assert outbox.stop() == Tally(50, 0)
    assert receiver.taken == list(range(50)) and receiver.closed == 1 and told == []


def test_a_slow_receiver_gets_the_newest_and_holds_nobody_up(told: list[str]) -> None:
    receiver = Receiver(room=4)
    receiver.free.clear()
    outbox = started(receiver, told)
    outbox.submit(numbered(0))
    assert receiver.sending.wait(PATIENCE_S)
    # The receiver stands still from here on. All of these return: nothing else could let them.
    for number in range(1, 1001):
        outbox.submit(numbered(number))
    receiver.free.set()
    assert outbox.stop() == Tally(5, 996)
    assert receiver.taken == [0, 997, 998, 999, 1000]


def test_a_dead_receiver_holds_nobody_up_and_all_is_counted(told: list[str]) -> None:
    receiver = Receiver()
    receiver.there.clear()
    outbox = started(receiver, told)
    for number in range(1000):
        outbox.submit(numbered(number))
    wait_for(lambda: told)
    assert outbox.stop() == Tally(0, 1000)
    assert receiver.connections == 0
    assert told == ["a receiver: expected a receiver, got none (connection refused); trying again"]


def test_a_receiver_that_comes_late_gets_the_newest(told: list[str]) -> None:
    receiver = Receiver()
    receiver.there.clear()
    outbox = started(receiver, told)
    for number in range(100):
        outbox.submit(numbered(number))
    wait_for(lambda: told)
    receiver.there.set()
    wait_for(lambda: len(receiver.taken) == 4)
    assert receiver.taken == [96, 97, 98, 99]
    assert told[1].startswith("a receiver: is there after ")
    assert outbox.stop() == Tally(4, 96)


def test_a_receiver_that_is_lost_is_connected_again(told: list[str]) -> None:
    receiver = Receiver()
    outbox = started(receiver, told)
    outbox.submit(numbered(0))
    wait_for(lambda: receiver.taken == [0])
    receiver.problem = ConnectionResetError(104, "connection reset")
    outbox.submit(numbered(1))
    wait_for(lambda: receiver.connections == 2)
    outbox.submit(numbered(2))
    wait_for(lambda: receiver.taken == [0, 2])
    assert outbox.stop() == Tally(2, 1)
    assert told[0] == "a receiver: expected to send values, could not (connection reset); trying again"
    assert told[1].startswith("a receiver: is there after ") and len(told) == 2
    assert receiver.closed == 2


def test_a_file_that_fails_ends_alone_and_says_so_once(told: list[str]) -> None:
    receiver = Receiver(room=100, final=True)
    receiver.free.clear()
    receiver.problem = OSError(28, "No space left on device")
    outbox = started(receiver, told)
    for number in range(10):
        outbox.submit(numbered(number))
    receiver.free.set()
    wait_for(lambda: told)
    outbox.submit(numbered(10))
    assert outbox.stop() == Tally(0, 11, "No space left on device")
    assert told == [
        "a receiver: expected to write values, could not (No space left on device); the session goes on without"
    ]


def test_a_file_that_cannot_be_finished_is_told_of(told: list[str]) -> None:
    receiver = Receiver(final=True)
    receiver.last_problem = OSError(28, "No space left on device")
    outbox = started(receiver, told)
    outbox.submit(numbered(0))
    assert outbox.stop() == Tally(1, 0, "No space left on device")
    assert len(told) == 1


def test_a_fault_of_ours_ends_one_receiver_only(told: list[str]) -> None:
    receiver = Receiver()
    receiver.problem = KeyError("faces")
    outbox = started(receiver, told)
    outbox.submit(numbered(0))
    wait_for(lambda: told)
    outbox.submit(numbered(1))
    tally = outbox.stop()
    assert "KeyError" in told[0] and tally.sent == 0 and tally.lost


def test_marks_are_dropped_last() -> None:
    waiting = Waiting(3)
    dropped = [waiting.add(one) for one in (mark("a"), numbered(0), mark("b"), numbered(1), numbered(2), mark("c"))]
    assert dropped == [0, 0, 0, 1, 1, 1]
    assert [waiting.take().document.get("label") for _ in range(3)] == ["a", "b", "c"]
    for label in "defg":
        waiting.add(mark(label))
    assert [waiting.take().document["label"] for _ in range(len(waiting))] == ["e", "f", "g"]


def test_a_sink_that_cannot_be_used_stops_the_start(told: list[str]) -> None:
    class Taken(Receiver):
        def prepare(self) -> None:
            raise SinkError("a receiver: expected a free port")

    outbox = Outbox(Taken(), told.append)
    with pytest.raises(SinkError):
        outbox.start()
    assert outbox.stop() == Tally(0, 0)


def test_delays_double_up_to_a_limit() -> None:
    assert list(itertools.islice(reconnecting_delays(), 7)) == [0.5, 1, 2, 4, 8, 15, 15]
