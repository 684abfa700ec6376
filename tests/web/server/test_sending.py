"""`web --to` sends what live pages show: by the recorder's rule, without single faces, told to every visitor."""

import json
import time

import numpy as np
import pytest

from moodspace.realtime.sinks.destination import SinkOptions
from moodspace.web.server.sending import LiveSender, sending
from moodspace.web.server.settings import WebSettings
from tests.realtime.live_results import crowd, live_result
from tests.realtime.sinks.made_documents import PATIENCE_S, check, wait_for
from tests.web.hostile import JPEG
from tests.web.served import frame, free_port, receive, served

PICTURE = np.zeros((60, 80, 3), np.uint8)


@pytest.fixture(scope="module")
def recognizer():
    from moodspace.classifier.recognizer import Recognizer
    from tests.drawn_faces import drawn_faces
    from tests.fake_encoder import fake_bundle

    return Recognizer(fake_bundle(drawn_faces(35, seed=1)))


def result(recognizer, count):
    return live_result(recognizer, crowd(count, 320, 240), [recognizer.classes[2]] * count)


def test_each_page_is_a_source_and_sends_groups_only(recognizer, tmp_path) -> None:
    path, told = tmp_path / "a.jsonl", []
    settings = WebSettings(to=(str(path),))
    first, second = LiveSender(), LiveSender()
    first.add(PICTURE, result(recognizer, 5), 0.0)  # nobody sends yet
    with sending(settings, SinkOptions(), recognizer, told.append):
        now = time.monotonic()
        for at, (sender, count) in enumerate([(first, 5), (second, 1), (first, 4)]):
            sender.add(PICTURE, result(recognizer, count), now + at)
    first.add(PICTURE, result(recognizer, 5), 0.0)
    one, other, third = [check(json.loads(line)) for line in path.read_text().splitlines()]
    assert one["source"] == third["source"] != other["source"] and other["source"].startswith("browser ")
    assert [document["frame"] for document in (one, other, third)] == [0, 0, 1]
    assert [document["time"] for document in (one, other, third)] == [0, 0, 2]
    assert one["captured"] == pytest.approx(time.time(), abs=60) and third["captured"] - one["captured"] > 1.9
    assert [document["group"]["readable"] for document in (one, other, third)] == [5, None, None]
    assert all(document["faces"] is None for document in (one, other, third))
    assert told == [f"{path}: 3 sent"]


def test_single_faces_are_never_sent(recognizer) -> None:
    with pytest.raises(ValueError, match="individuals: expected False"):
        sending(WebSettings(), SinkOptions(individuals=True), recognizer, print).__enter__()


def test_a_server_sends_and_says_so(tmp_path, shipped) -> None:
    pytest.importorskip("websockets", reason="needs the extra sinks")
    from websockets.sync.client import connect

    port, file = free_port(), tmp_path / "values.jsonl"
    options = ["--to", f"ws://127.0.0.1:{port}", "--to", file, "--min-group", 1]
    with served(tmp_path / "log", *options) as server:
        with connect(f"ws://127.0.0.1:{port}") as program, server.live("K" * 43) as page:
            wait_for(lambda: "waiting for programs" in server.log.read_text())
            for at in range(3):
                page.send(frame(at, JPEG))
                receive(page, "result")
            document = check(json.loads(program.recv(timeout=PATIENCE_S)))
        assert document["source"].startswith("browser ") and document["faces"] is None
        assert document["group"]["readable"] == 1 and max(document["group"]["shares"].values()) > 0.5
        code, _ = server.end()
    assert code == 130
    assert len(file.read_text().splitlines()) == 3
    assert f"{file}: 3 sent" in server.log.read_text()
