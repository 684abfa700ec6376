"""An OSC server gets each value under its path in the document, in packets that fit into one datagram."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.documents import live_document, mark_document
from moodspace.realtime.sinks.destination import SinkOptions
from moodspace.realtime.sinks.hub import Sinks
from moodspace.realtime.sinks.osc import _packed, bundles
from tests.realtime.live_results import crowd, live_result
from tests.realtime.sinks.made_documents import frame, group_of, wait_for

pytest.importorskip("pythonosc", reason="needs the extra sinks")

Received = list[tuple[str, list[Any]]]


@pytest.fixture
def receiver() -> Iterator[tuple[int, Received]]:
    """A real OSC server: its port, and what it received."""
    from pythonosc.dispatcher import Dispatcher
    from pythonosc.osc_server import BlockingOSCUDPServer

    received: Received = []
    dispatcher = Dispatcher()
    dispatcher.set_default_handler(lambda address, *values: received.append((address, list(values))))
    with BlockingOSCUDPServer(("127.0.0.1", 0), dispatcher) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1], received
        server.shutdown()
        thread.join()


def test_a_group_arrives_value_by_value(recognizer: Recognizer, receiver: tuple[int, Received]) -> None:
    port, received = receiver
    result = group_of(recognizer, 5)
    document = live_document(frame(), result, individuals=False)
    with Sinks([f"osc://127.0.0.1:{port}"], classes=recognizer.classes) as sinks:
        sinks.add(frame(), result)
        wait_for(lambda: "/moodspace/group/shares/surprise" in dict(received))
    told = dict(received)
    assert told["/moodspace/frame"] == [7] and told["/moodspace/source"] == ["clip.mp4"]
    assert told["/moodspace/captured"] == [document["captured"]]
    assert told["/moodspace/time"] == [pytest.approx(0.7)]
    assert told["/moodspace/size"] == [80, 60]
    assert told["/moodspace/group/readable"] == [5]
    for name, share in document["group"]["shares"].items():
        assert told[f"/moodspace/group/shares/{name}"] == [pytest.approx(share, abs=1e-6)]
    assert not [address for address in told if "faces/" in address]


def test_single_faces_have_their_ids(recognizer: Recognizer, receiver: tuple[int, Received]) -> None:
    port, received = receiver
    options = SinkOptions(individuals=True)
    result = live_result(recognizer, crowd(2, 320, 240), [recognizer.classes[2], ""])
    with Sinks([f"osc://localhost:{port}"], options, classes=recognizer.classes) as sinks:
        sinks.add(frame(), result)
        wait_for(lambda: "/moodspace/faces/2/smoothed/surprise" in dict(received))
    told, face = dict(received), live_document(frame(), result)["faces"][0]
    assert told["/moodspace/faces/1/expression"] == [recognizer.classes[2]]
    assert told["/moodspace/faces/1/xywh"] == pytest.approx(face["xywh"])
    # An unknown expression is null in the document, and OSC has none for everybody.
    assert "/moodspace/faces/2/expression" not in told and told["/moodspace/faces/2/unknown"] == [1]
    assert told["/moodspace/group/withheld"] == ["fewer than 5 faces"]
    assert "/moodspace/group/readable" not in told


def test_a_mark_has_an_address_of_its_own(recognizer: Recognizer, receiver: tuple[int, Received]) -> None:
    port, received = receiver
    with Sinks([f"osc://127.0.0.1:{port}"], classes=recognizer.classes) as sinks:
        sinks.mark("stimulus", 1_000_000.125, by="key")
        wait_for(lambda: "/moodspace/mark/by" in dict(received))
    assert sorted(received) == [
        ("/moodspace/mark/by", ["key"]),
        ("/moodspace/mark/captured", [1_000_000.125]),
        ("/moodspace/mark/label", ["stimulus"]),
    ]


def test_nobody_listening_is_no_trouble(recognizer: Recognizer, receiver: tuple[int, Received]) -> None:
    told: list[str] = []
    with Sinks(["osc://127.0.0.1:9"], classes=recognizer.classes, on_event=told.append) as sinks:
        for _ in range(3):
            sinks.mark("a", 0.0, by="key")
    assert told == [] and sinks.tallies["osc://127.0.0.1:9"].sent == 3


def test_names_that_osc_forbids_are_replaced() -> None:
    document = mark_document("a", 0.0, by="key") | {"shares": {"a b/#*,?[]{}c": 0.5}}
    (told,) = bundles(document)
    assert ("/moodspace/mark/shares/a_b_________c", [0.5]) in told


def test_each_packet_fits_into_a_datagram(recognizer: Recognizer) -> None:
    classes = tuple(f"a taught class {number}" for number in range(4))
    result = live_result(recognizer, crowd(30, 320, 240), [recognizer.classes[2]] * 30, taught=classes)
    result = replace(result, faces=replace(result.faces, xywh=result.faces.xywh + np.float32(0.123)))
    packets = [_packed(values).dgram for values in bundles(live_document(frame(), result))]
    assert len(packets) == 31
    assert max(map(len, packets)) < 1400
