"""Sinks combine: each gets every document, one that fails disturbs no other, and nothing is sent that should not be."""

import threading
from typing import Any, ClassVar

import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.sinks import hub
from moodspace.realtime.sinks.destination import SinkError, SinkOptions
from moodspace.realtime.sinks.hub import Sinks
from moodspace.realtime.sinks.outbox import Message, Tally
from tests.realtime.sinks.made_documents import PATIENCE_S, check, frame, group_of


class Kept:
    """An outlet that keeps what it gets."""

    made: ClassVar["list[Kept]"] = []

    def __init__(self, name: str) -> None:
        self.name, self.got, self.state = name, list[dict[str, Any]](), "new"
        Kept.made.append(self)

    def start(self) -> None:
        if "taken" in self.name:
            raise SinkError(f"{self.name}: is taken")
        self.state = "started"

    def submit(self, message: Message) -> None:
        self.got.append(check(message.document))

    def discard(self) -> None:
        self.state = "discarded"

    def stop(self) -> Tally:
        self.state = "stopped"
        return Tally(len(self.got), 2 if "slow" in self.name else 0, "full" if "full" in self.name else "")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Kept]:
    monkeypatch.setattr(Kept, "made", [])
    monkeypatch.setattr(hub, "_outlet", lambda destination, *_: Kept(destination.text))
    return Kept.made


def test_each_gets_every_document(recognizer: Recognizer, kept: list[Kept]) -> None:
    to = ["slow.jsonl", "osc://127.0.0.1:9", "full.parquet"]
    with Sinks(to, SinkOptions(), classes=recognizer.classes) as sinks:
        for number in range(3):
            sinks.add(frame(number), group_of(recognizer, 5))
        sinks.mark("stimulus", 5.0, by="key")
    # Files come last: none is made where another destination cannot be used.
    assert [one.name for one in kept] == ["osc://127.0.0.1:9", "slow.jsonl", "full.parquet"]
    for one in kept:
        assert [document["kind"] for document in one.got] == ["frame"] * 3 + ["mark"]
        assert one.state == "stopped"
    assert sinks.summary() == ["osc://127.0.0.1:9: 4 sent", "slow.jsonl: 4 sent, 2 dropped", "full.parquet: 4 sent"]
    assert sinks.lost == ["full.parquet"]


def test_one_that_cannot_start_stops_those_before_it(recognizer: Recognizer, kept: list[Kept]) -> None:
    with pytest.raises(SinkError, match="is taken"), Sinks(["a.jsonl", "taken.jsonl"], classes=recognizer.classes):
        raise AssertionError("it must not begin")
    assert [one.state for one in kept] == ["discarded", "new"]


def test_all_end_at_once(recognizer: Recognizer, kept: list[Kept], monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(3)

    def stop(self: Kept) -> Tally:
        together.wait(PATIENCE_S)  # raises unless all three are being stopped
        return Tally(0, 0)

    monkeypatch.setattr(Kept, "stop", stop)
    with Sinks(["a.jsonl", "b.jsonl", "c.jsonl"], classes=recognizer.classes) as sinks:
        pass
    assert list(sinks.tallies) == ["a.jsonl", "b.jsonl", "c.jsonl"]


@pytest.mark.parametrize("individuals", [False, True])
def test_single_faces_only_where_asked(recognizer: Recognizer, kept: list[Kept], individuals: bool) -> None:
    options = SinkOptions(individuals=individuals, min_group=2)
    with Sinks(["a.jsonl"], options, classes=recognizer.classes) as sinks:
        for count in (1, 2):
            sinks.add(frame(), group_of(recognizer, count))
    few, enough = kept[0].got
    assert (few["group"]["readable"], enough["group"]["readable"]) == (None, 2)
    assert [few["faces"] and len(few["faces"]), enough["faces"] and len(enough["faces"])] == (
        [1, 2] if individuals else [None, None]
    )


def test_the_json_is_made_once_for_all(recognizer: Recognizer) -> None:
    message = Message({"kind": "frame", "a": [1, 2.5, None]})
    assert message.text == '{"kind":"frame","a":[1,2.5,null]}' and message.text is message.text


def test_two_threads_may_send(recognizer: Recognizer, kept: list[Kept]) -> None:
    with Sinks(["a.jsonl"], classes=recognizer.classes) as sinks:
        threads = [
            threading.Thread(target=lambda: [sinks.mark("a", 0.0, by="key") for _ in range(100)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(kept[0].got) == 400


def test_without_destinations_nothing_happens(recognizer: Recognizer) -> None:
    with Sinks([], classes=recognizer.classes) as sinks:
        sinks.add(frame(), group_of(recognizer, 5))
    assert sinks.summary() == [] and sinks.lost == []
