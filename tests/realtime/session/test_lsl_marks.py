"""Events of a Lab Streaming Layer stream on this machine become marks, at the moment they were sent."""

import importlib
import sys
import threading
import time
import uuid

import pytest

from moodspace.errors import MoodspaceError
from moodspace.realtime.session.lsl_marks import LslMarks

PATIENCE_S = 20


class Received:
    """What was marked and told."""

    def __init__(self) -> None:
        self.marks, self.told = [], []
        self.changed = threading.Condition()

    def mark(self, name, source, wall_time):
        with self.changed:
            self.marks.append((name, source, wall_time))
            self.changed.notify_all()
        if name == "refuse":
            raise ValueError("name: expected another")

    def tell(self, text):
        with self.changed:
            self.told.append(text)
            self.changed.notify_all()

    def wait(self, condition):
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), PATIENCE_S), (self.marks, self.told)


@pytest.fixture(scope="module")
def pylsl():
    try:
        return importlib.import_module("pylsl")
    except (ImportError, RuntimeError):
        pytest.skip("needs pylsl and its library")


def test_events_are_marked_when_they_were_sent(pylsl):
    name, received = f"moodspace-{uuid.uuid4()}", Received()
    with LslMarks(name, received.mark, received.tell):
        received.wait(lambda it: it.told == [f"waiting for the LSL stream {name}"])
        outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Markers", 1, 0, "string", f"source-{name}"))
        assert outlet.wait_for_consumers(PATIENCE_S)
        outlet.push_sample(["refuse"])
        outlet.push_sample(["stimulus on"])
        sent = time.time()
        outlet.push_sample(["earlier"], pylsl.local_clock() - 1.5)
        received.wait(lambda it: len(it.marks) == 3)
    (_, _, _), (first, source, at), (second, _, earlier) = received.marks
    assert (first, second, source) == ("stimulus on", "earlier", "lsl")
    assert abs(at - sent) < 0.03 and abs(earlier - (sent - 1.5)) < 0.03
    assert any("was dropped: name: expected another" in line for line in received.told)


def test_numbers_and_several_channels_become_one_name(pylsl):
    name, received = f"moodspace-{uuid.uuid4()}", Received()
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Markers", 2, 0, "int32", f"source-{name}"))
    with LslMarks(name, received.mark, received.tell):
        assert outlet.wait_for_consumers(PATIENCE_S)
        outlet.push_sample([7, 3])
        received.wait(lambda it: it.marks)
    assert received.marks[0][0] == "7, 3"


def test_without_pylsl_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(MoodspaceError, match="pip install pylsl"):
        LslMarks("a", print, print)
