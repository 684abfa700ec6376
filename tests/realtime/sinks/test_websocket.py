"""Programs connect to the WebSocket server and get every document; strangers and foreign pages get none."""

import json
import shutil
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.documents import live_document, mark_document
from moodspace.realtime.sinks.destination import SinkError, SinkOptions, parse_destination
from moodspace.realtime.sinks.hub import Sinks
from moodspace.realtime.sinks.outbox import Message
from moodspace.realtime.sinks.websocket import WebSocketServer
from tests.realtime.sinks.made_documents import PATIENCE_S, check, frame, group_of, wait_for

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

pytest.importorskip("websockets", reason="needs the extra sinks")

TOKEN = "a-token-of-mine"


@contextmanager
def serving(options: SinkOptions | None = None, kind: str = "ws") -> Iterator[WebSocketServer]:
    """Serve on any free port; fail if an event other than the first is told."""
    told: list[str] = []
    # Port 0 is none that a user can ask for.
    at = replace(parse_destination(f"{kind}://127.0.0.1:1"), port=0)
    server = WebSocketServer(at, options or SinkOptions(), told.append)
    server.start()
    try:
        yield server
    finally:
        server.stop()
    assert len(told) == 1 and f"127.0.0.1:{server.port}/" in told[0]


@contextmanager
def connected(server: WebSocketServer, path: str = "/", **options: Any) -> "Iterator[ClientConnection]":
    from websockets.sync.client import connect

    kind = "wss" if options.get("ssl") else "ws"
    before = len(server._clients)
    with connect(f"{kind}://127.0.0.1:{server.port}{path}", open_timeout=PATIENCE_S, **options) as client:
        wait_for(lambda: len(server._clients) > before)
        yield client


def received(client: "ClientConnection") -> dict[str, Any]:
    return check(json.loads(client.recv(timeout=PATIENCE_S)))


def mark(label: str) -> Message:
    return Message(mark_document(label, 1.0, by="key"))


def refusal(server: WebSocketServer, path: str = "/", **options: Any) -> int:
    from websockets.exceptions import InvalidStatus

    with pytest.raises(InvalidStatus) as refused, connected(server, path, **options):
        pass
    return refused.value.response.status_code


def test_every_program_gets_the_document_that_json_prints(recognizer: Recognizer) -> None:
    result = group_of(recognizer, 5)
    document = live_document(frame(), result)
    with serving() as server, connected(server) as one, connected(server) as other:
        server.submit(Message(document))
        assert received(one) == received(other) == document
        server.submit(mark("stimulus"))
        assert received(one) == received(other) == mark("stimulus").document
        assert server.stop() == (4, 0, "")


def test_it_goes_on_when_a_program_leaves_and_another_comes() -> None:
    with serving() as server:
        server.submit(mark("nobody is there"))
        with connected(server) as first:
            server.submit(mark("a"))
            assert received(first)["label"] == "a"
        wait_for(lambda: not server._clients)
        server.submit(mark("nobody is left"))
        with connected(server) as second:
            server.submit(mark("b"))
            assert received(second)["label"] == "b"


def test_a_program_that_does_not_read_holds_nobody_up() -> None:
    with serving() as server, connected(server, max_queue=1, close_timeout=0.1), connected(server) as other:
        seen = []
        # Far more than the buffers of both sides hold. Each one arrives at the other program all the same.
        for number in range(60):
            server.submit(Message({"kind": "frame", "frame": number, "padding": "x" * 100_000}))
            seen.append(json.loads(other.recv(timeout=PATIENCE_S))["frame"])
        assert seen == list(range(60))
        tally = server.stop()
        # What the deaf one missed is counted.
        assert tally.dropped > 0 and tally.sent + tally.dropped == 120


def test_the_newest_frames_win_while_the_loop_is_busy() -> None:
    with serving() as server, connected(server) as client:
        with server._lock:
            server._scheduled = True  # as if the loop had been asked and were still busy
        for number in range(10):
            server.submit(Message({"kind": "frame", "frame": number}))
        server._loop.call_soon_threadsafe(server._publish)
        assert [json.loads(client.recv(timeout=PATIENCE_S))["frame"] for _ in range(4)] == [6, 7, 8, 9]
        assert server.stop() == (4, 6, "")


@pytest.mark.parametrize("origin", [None, "file://", "http://localhost:3000", "http://127.0.0.1:8770", "http://[::1]"])
def test_programs_and_pages_of_this_machine_may_connect(origin: str | None) -> None:
    with serving() as server, connected(server, origin=origin) as client:
        server.submit(mark("a"))
        assert received(client)["label"] == "a"


@pytest.mark.parametrize("origin", ["https://example.org", "null", "http://localhost.example.org", "http://[::1", ""])
def test_pages_of_other_sites_may_not(origin: str) -> None:
    with serving() as server:
        assert refusal(server, additional_headers={"Origin": origin}) == 403


def test_with_a_token_only_who_has_it_may_connect() -> None:
    with serving(SinkOptions(token=TOKEN)) as server:
        assert refusal(server) == 401
        assert refusal(server, "/?token=another-token-") == 401
        assert refusal(server, "/?token=%C3%A4") == 401
        assert refusal(server, additional_headers={"Authorization": "Bearer wrong"}) == 401
        with connected(server, f"/?token={TOKEN}", origin="https://example.org") as one:
            server.submit(mark("a"))
            assert received(one)["label"] == "a"
        wait_for(lambda: not server._clients)
        with connected(server, additional_headers={"Authorization": f"Bearer {TOKEN}"}) as other:
            server.submit(mark("b"))
            assert received(other)["label"] == "b"


def test_it_serves_the_page_and_nothing_else() -> None:
    with serving() as server:
        address = f"http://127.0.0.1:{server.port}"
        with urllib.request.urlopen(f"{address}/", timeout=PATIENCE_S) as page:
            assert page.headers["Content-Type"].startswith("text/html")
            assert "frame-ancestors" not in page.headers["Content-Security-Policy"]
            assert b"<title>Moodspace overlay</title>" in page.read()
        with pytest.raises(urllib.error.HTTPError) as missing:
            urllib.request.urlopen(f"{address}/schema.json", timeout=PATIENCE_S)
        assert missing.value.code == 404
        missing.value.close()


def test_what_is_no_http_disturbs_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        for sent in (b"\x00\xff" * 100, b"GET / HTTP/1.1\r\n", b""):
            with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as stranger:
                stranger.sendall(sent)
        with connected(server) as client:
            client.send("x" * 100)
            server.submit(mark("a"))
            assert received(client)["label"] == "a"
    assert capfd.readouterr().err == ""


def test_a_program_that_sends_a_lot_is_disconnected() -> None:
    from websockets.exceptions import ConnectionClosed

    with serving() as server, connected(server) as client:
        with pytest.raises(ConnectionClosed) as closed:
            client.send("x" * 100_000)
            client.recv(timeout=PATIENCE_S)
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1009


def test_a_port_that_is_taken_is_told_at_the_start(recognizer: Recognizer, tmp_path: Path) -> None:
    with serving() as server:
        to = [str(tmp_path / "a.jsonl"), f"ws://127.0.0.1:{server.port}"]
        with pytest.raises(SinkError, match=rf"ws://127.0.0.1:{server.port}: expected to listen there, got: "):
            Sinks(to, classes=recognizer.classes).__enter__()
        assert list(tmp_path.iterdir()) == []


@pytest.fixture
def certificate(tmp_path: Path) -> SinkOptions:
    """Options with a certificate that signs itself."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    more = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command, *more], check=True, capture_output=True)
    return SinkOptions(cert=cert, key=key, token=TOKEN)


def test_it_speaks_tls(certificate: SinkOptions) -> None:
    context = ssl.create_default_context(cafile=certificate.cert)
    with serving(certificate, "wss") as server:
        with connected(server, f"/?token={TOKEN}", ssl=context) as client:
            server.submit(mark("a"))
            assert received(client)["label"] == "a"
        with pytest.raises(Exception, match=r"HTTP|closed|reset|valid"), connected(server, f"/?token={TOKEN}"):
            pass


def test_a_certificate_that_cannot_be_used_is_told(certificate: SinkOptions, tmp_path: Path) -> None:
    for cert, key in ((tmp_path / "none.pem", certificate.key), (certificate.key, certificate.cert)):
        with pytest.raises(SinkError, match="expected a certificate and its key"):
            WebSocketServer(parse_destination("wss://127.0.0.1:1"), SinkOptions(cert=cert, key=key), print).start()
