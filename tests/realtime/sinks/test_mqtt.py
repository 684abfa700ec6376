"""A broker gets every document; passwords and certificates are checked; a broker that restarts is found again."""

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.documents import live_document, mark_document
from moodspace.realtime.sinks import mqtt, outbox
from moodspace.realtime.sinks.destination import SinkError, SinkOptions, parse_destination
from moodspace.realtime.sinks.hub import Sinks
from moodspace.realtime.sinks.mqtt import MQTTSink
from tests.realtime.sinks.made_documents import PATIENCE_S, check, frame, group_of, wait_for

pytest.importorskip("paho.mqtt", reason="needs the extra sinks")

_MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
needs_broker = pytest.mark.skipif(_MOSQUITTO is None, reason="needs mosquitto: apt-get install mosquitto")

Broker = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def port() -> int:
    """A port that is free now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def broker(port: int, tmp_path: Path) -> Iterator[Broker]:
    """Start a broker on the port, with lines of its configuration; stop it at the end."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*lines: str) -> subprocess.Popen[bytes]:
        file = tmp_path / "mosquitto.conf"
        # Started by root, it would become a user who cannot read the test's folder.
        first = ["user root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
        more = lines or ("allow_anonymous true",)
        file.write_text("\n".join([*first, f"listener {port} 127.0.0.1", *more, ""]))
        command = [str(_MOSQUITTO), "-c", str(file)]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait_for(answers)
        return running[-1]

    def answers() -> bool:
        if running[-1].poll() is not None:
            raise RuntimeError(f"mosquitto ended with {running[-1].returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    yield start
    for one in running:
        one.terminate()
        one.wait(PATIENCE_S)


@contextmanager
def subscribed(port: int, topic: str, options: SinkOptions | None = None) -> "Iterator[queue.Queue[Any]]":
    """Subscribe with a client of its own; yield the queue of what it receives."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    received: queue.Queue[Any] = queue.Queue()
    ready: queue.Queue[bool] = queue.Queue()
    client = Client(CallbackAPIVersion.VERSION2)
    if options is not None:
        client.username_pw_set(options.username, options.password)
        if options.ca is not None:
            client.tls_set(str(options.ca))
    client.on_message = lambda _, __, message: received.put(message)
    client.on_subscribe = lambda *_: ready.put(True)
    client.on_connect = lambda *_: client.subscribe(topic)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        ready.get(timeout=PATIENCE_S)
        yield received
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_FIRST_DELAY_S", 0.02)
    monkeypatch.setattr(outbox, "_LONGEST_DELAY_S", 0.1)


@needs_broker
def test_a_subscriber_gets_the_document_that_json_prints(recognizer: Recognizer, broker: Broker, port: int) -> None:
    broker()
    result = group_of(recognizer, 5)
    with subscribed(port, "lab/#") as received:
        with Sinks([f"mqtt://127.0.0.1:{port}/lab/room 1"], classes=recognizer.classes) as sinks:
            sinks.add(frame(), result)
            message = received.get(timeout=PATIENCE_S)
            sinks.mark("stimulus", 5.5, by="key")
            mark = received.get(timeout=PATIENCE_S)
        assert message.topic == mark.topic == "lab/room 1"
        assert check(json.loads(message.payload)) == live_document(frame(), result, individuals=False)
        assert check(json.loads(mark.payload))["label"] == "stimulus"
        # Who subscribes later gets no old values.
        assert not message.retain
    assert sinks.summary() == [f"mqtt://127.0.0.1:{port}/lab/room 1: 2 sent"]


@needs_broker
def test_a_broker_that_comes_late_and_restarts_is_found(recognizer: Recognizer, broker: Broker, port: int) -> None:
    told: list[str] = []
    with Sinks([f"mqtt://127.0.0.1:{port}/x"], classes=recognizer.classes, on_event=told.append) as sinks:
        for _ in range(100):
            sinks.mark("before", 0.0, by="key")
        wait_for(lambda: told)
        first = broker()
        wait_for(lambda: len(told) == 2)
        first.terminate()
        first.wait(PATIENCE_S)

        def lost() -> bool:
            sinks.mark("meanwhile", 0.0, by="key")
            return len(told) == 3

        wait_for(lost)
        broker()
        wait_for(lambda: len(told) == 4)
        with subscribed(port, "x") as received:
            sinks.mark("after", 1.0, by="key")
            while json.loads(received.get(timeout=PATIENCE_S).payload)["label"] != "after":
                pass
    assert "expected a receiver, got none (Connection refused); trying again" in told[0]
    assert "is there after" in told[1] and "could not" in told[2] and "is there after" in told[3]
    assert sinks.tallies[f"mqtt://127.0.0.1:{port}/x"].dropped >= 96


@needs_broker
@pytest.mark.skipif(shutil.which("mosquitto_passwd") is None, reason="needs mosquitto_passwd")
def test_a_broker_with_passwords(recognizer: Recognizer, broker: Broker, port: int, tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(file), "anna", "hidden"], check=True, capture_output=True)
    broker("allow_anonymous false", f"password_file {file}")
    to = [f"mqtt://127.0.0.1:{port}/x"]
    right = SinkOptions(username="anna", password="hidden")
    with subscribed(port, "x", right) as received, Sinks(to, right, classes=recognizer.classes) as sinks:
        sinks.mark("a", 0.0, by="key")
        assert json.loads(received.get(timeout=PATIENCE_S).payload)["label"] == "a"
    for wrong in (SinkOptions(), SinkOptions(username="anna", password="guessed")):
        told: list[str] = []
        with Sinks(to, wrong, classes=recognizer.classes, on_event=told.append) as sinks:
            sinks.mark("a", 0.0, by="key")
            wait_for(lambda told=told: told)
        assert "the broker refuses: Not authorized" in told[0] and "guessed" not in told[0]
        assert sinks.tallies[to[0]] == (0, 1, "")


@needs_broker
@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
# paho 2.2 leaves the socket to the garbage collector when a handshake fails.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_a_broker_with_a_certificate(recognizer: Recognizer, broker: Broker, port: int, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    more = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command, *more], check=True, capture_output=True)
    broker("allow_anonymous true", f"certfile {cert}", f"keyfile {key}")
    to = [f"mqtts://127.0.0.1:{port}/x"]
    right = SinkOptions(ca=cert)
    with subscribed(port, "x", right) as received, Sinks(to, right, classes=recognizer.classes) as sinks:
        sinks.mark("a", 0.0, by="key")
        assert json.loads(received.get(timeout=PATIENCE_S).payload)["label"] == "a"
    # A broker whose certificate nobody vouches for gets nothing.
    told: list[str] = []
    with Sinks(to, SinkOptions(), classes=recognizer.classes, on_event=told.append) as sinks:
        sinks.mark("a", 0.0, by="key")
        wait_for(lambda: told)
    assert "certificate" in told[0].lower() and sinks.tallies[to[0]] == (0, 1, "")


def test_certificates_that_cannot_be_read_are_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for ca in (tmp_path / "none.pem", tmp_path / "ca.pem"):
        with pytest.raises(SinkError, match="expected certificates in PEM"):
            MQTTSink(parse_destination("mqtts://127.0.0.1/x"), SinkOptions(ca=ca)).prepare()


@needs_broker
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_a_broker_that_stands_still_holds_nobody_up(
    recognizer: Recognizer, broker: Broker, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "_SENDING_S", 0.3)
    monkeypatch.setattr(mqtt, "_CONNECTING_S", 0.3)
    told: list[str] = []
    process = broker()
    name = f"mqtt://127.0.0.1:{port}/x"
    with Sinks([name], classes=recognizer.classes, on_event=told.append) as sinks:
        sinks.mark("a", 0.0, by="key")
        process.send_signal(signal.SIGSTOP)
        try:
            # More than the buffers of both sides hold: the broker takes no more at some point.
            big = mark_document("a" * 2_000_000, 0.0, by="key")

            def given_up() -> bool:
                for _ in range(10):
                    sinks.submit(big)
                return bool(told)

            wait_for(given_up)
        finally:
            process.send_signal(signal.SIGCONT)
        # A slow machine may not have been connected yet.
        assert "the broker took nothing for 0.3 s" in told[0] or "the broker does not answer" in told[0]
        # It is found again once it goes on.
        wait_for(lambda: "is there after" in told[-1])


def test_a_broker_that_never_answers_holds_nobody_up(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "_CONNECTING_S", 0.2)
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        name = f"mqtt://127.0.0.1:{deaf.getsockname()[1]}/x"
        with Sinks([name], classes=recognizer.classes, on_event=told.append) as sinks:
            for number in range(500):
                sinks.add(frame(number), group_of(recognizer, 1)) if number < 3 else sinks.mark("a", 0.0, by="key")
            wait_for(lambda: told)
    assert "the broker does not answer" in told[0]
    assert sinks.tallies[name] == (0, 500, "")
