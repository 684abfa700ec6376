"""The live session over a real socket: frames, teaching, hostile messages beside it, limits, tickets, and no traces."""

import asyncio
import contextlib
import http.client
import json
import threading
import time
import urllib.request
from contextlib import suppress
from types import SimpleNamespace

import pytest
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from moodspace.web.live.messages import FrameMessage, MessageError
from moodspace.web.live.socket import _MAX_WAITING, _Connection, _serve
from moodspace.web.server.settings import Limits
from moodspace.web.server.turns import FairThreadPool, Share
from moodspace.web.server.visitors import VisitorsError
from tests.web.hostile import JPEG, fuzzed
from tests.web.served import frame, receive, served

ANNA, BEN, CARL, DORA = (letter * 43 for letter in "ABCD")
VISITORS = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory, shipped):
    with served(tmp_path_factory.mktemp("server") / "log", "--visitors", VISITORS) as one:
        yield one


def closed(connection) -> int:
    """Repool the code with which the server sends a browser away."""
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            connection.recv(timeout=10)
    return caught.value.rcvd.code


def refused(session) -> int:
    """Repool the code with which the server ends a session at once."""
    with session as connection:
        return closed(connection)


class Stream(threading.Thread):
    """Another visitor whose camera runs all the while."""

    def __init__(self, server, key: str) -> None:
        super().__init__(daemon=True)
        self.session, self.begun, self.ended = server.live(key), threading.Event(), threading.Event()
        self.results: list[dict] = []

    def run(self) -> None:
        with self.session as connection:
            while not self.ended.is_set():
                connection.send(frame(len(self.results), JPEG))
                self.results.append(receive(connection, "result"))
                self.begun.set()

    def __enter__(self) -> "Stream":
        self.start()
        assert self.begun.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.join(10)


def test_a_face_is_labelled_and_taught_for_this_visitor_only(server) -> None:
    with server.live(ANNA) as anna, server.live(BEN) as ben:
        assert [one["name"] for one in receive(ben, "ready")["classes"]].count("confused") == 0
        for at in range(3):
            anna.send(frame(at, JPEG, 1.5))
            result = receive(anna, "result")
            assert (result["sequence"], result["sent"], result["size"], result["dropped"]) == (at, 1.5, [320, 240], 0)
        (face,) = result["faces"]
        assert face["expression"] == "happy" and face["evidence"]
        anna.send(json.dumps({"type": "teach", "track": face["id"], "label": "confused"}))
        taught = receive(anna, "taught")
        assert taught["count"] == 1 and "confused" in [one["name"] for one in taught["classes"]]
        ben.send(frame(0, JPEG))
        assert "confused" not in receive(ben, "result")["faces"][0]["probabilities"]
        anna.send(json.dumps({"type": "undo"}))
        assert receive(anna, "undone")["count"] == 0


def send_all(hostile, messages: list[bytes | str]) -> list[int]:
    """Send messages until none is left or the server has had enough; repool the code with which it ended."""
    receive(hostile, "ready")
    try:
        while messages:
            hostile.send(messages.pop())
            time.sleep(0.005)
        hostile.send(json.dumps({"type": "undo"}))
        receive(hostile, "undone")
    except ConnectionClosed as end:
        return [end.rcvd.code]
    return []


def test_hostile_messages_are_refused_while_another_visitor_goes_on(server) -> None:
    codes: list[int] = []
    messages = fuzzed(200)
    with Stream(server, ANNA) as other:
        while messages:
            with server.live(BEN) as hostile:
                codes += send_all(hostile, messages)
        end = time.monotonic() + 60  # on a busy machine the other one's frames take their time
        while len(other.results) <= 10 and time.monotonic() < end:
            time.sleep(0.01)
    results = other.results
    assert codes and set(codes) == {4408}
    assert len(results) > 10 and all(len(one["faces"]) == 1 for one in results[1:])
    assert {one["faces"][0]["expression"] for one in results[3:]} == {"happy"}
    assert server.process.poll() is None


@pytest.mark.parametrize("message", [b"\xff" * (2**20 + 1), "x" * (2**20 + 1), b"\0" * 5_000_000])
def test_messages_that_are_too_large_end_the_session(server, message) -> None:
    with server.live(BEN) as hostile:
        receive(hostile, "ready")
        hostile.send(message)
        assert closed(hostile) == 1009


def test_pictures_that_cannot_be_decoded_count_as_bad_messages(server) -> None:
    with server.live(BEN) as hostile:
        for at in range(200):
            with suppress(ConnectionClosed):
                hostile.send(frame(at, JPEG[:150]))
                time.sleep(0.01)  # else the next takes the place of this one
        assert closed(hostile) == 4408


@pytest.mark.parametrize("key", ["", "a" * 42, "../" * 14 + "a", "a" * 3000])
def test_without_a_key_of_ours_there_is_no_session(server, key) -> None:
    assert refused(server.live(key)) == 1008
    assert refused(server.live(ANNA, path="/moodspace/live?visit=made-up")) == 1008


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:1", "null", ""])
def test_pages_of_others_get_no_session(server, origin) -> None:
    with pytest.raises(InvalidStatus) as caught:
        server.live(ANNA, origin=origin)
    assert caught.value.response.status_code == 403


def test_a_visitor_too_many_reads_so_and_places_get_free(server) -> None:
    until = time.monotonic() + 60
    while not all(enters(server, key) for key in (ANNA, BEN, CARL)) and time.monotonic() < until:
        time.sleep(0.2)  # those of other tests are still counted
    with Stream(server, ANNA), Stream(server, BEN), Stream(server, CARL):
        assert refused(server.live(DORA)) == 4429
    began = time.monotonic()
    while not enters(server, DORA) and time.monotonic() - began < 60:
        time.sleep(0.2)
    assert 3 < time.monotonic() - began < 60


def enters(server, key: str) -> bool:
    with server.live(key) as session, suppress(ConnectionClosed):
        return json.loads(session.recv())["type"] == "ready"
    return False


def test_one_visitor_has_so_many_live_pages_and_no_more(server) -> None:
    with Stream(server, DORA), Stream(server, DORA), Stream(server, DORA), Stream(server, DORA):
        assert refused(server.live(DORA)) == 4429


@pytest.mark.parametrize(
    "path",
    ["/moodspace/../etc/passwd", "/moodspace/%2e%2e/%2e%2e/etc/passwd", "/static/..%2f..%2f..%2fetc/passwd",
     "/static/%2e%2e/%2e%2e/cli.py", "/app/static/../../cli.py", "//etc/passwd", "/media/../../../etc/passwd",
     "/static/..%5c..%5ccli.py", "/component/../../../../etc/passwd", "/_stcore/bidi-components/../../cli.py"],
)  # fmt: skip
def test_no_path_leads_out(server, path) -> None:
    status, body = server.get(path)
    assert "root:" not in body and "import" not in body[:2000].lower()
    assert status in (400, 403, 404) or "<title>Streamlit</title>" in body  # the app itself, which knows no such page


def test_other_names_for_this_machine_are_refused(server) -> None:
    assert server.get("/", Host="rebound.evil.example")[0] == 400


def test_uploads_that_are_too_large_are_refused_before_they_come(server) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as upload:
        upload.putrequest("PUT", "/_stcore/upload_file/a/b")
        upload.putheader("Content-Length", str(2**30))
        upload.endheaders()
        assert upload.getresponse().status == 413


def test_nothing_of_visitors_is_logged(server) -> None:
    server.get("/?token=never-to-be-seen&visit=never-to-be-seen")
    with server.live(ANNA) as anna:
        anna.send(frame(0, JPEG))
        receive(anna, "result")
    said = server.log.read_text()
    first, *rest = said.splitlines()
    assert first.startswith("http://localhost:") and "never-to-be-seen" not in said and ANNA not in said
    assert not [line for line in rest if not line.startswith("Corrupt JPEG data")]  # of the decoder, about hostile ones


def test_events_are_marked_in_a_recording_when_they_happened(server) -> None:
    with server.live(ANNA) as anna:
        anna.send(json.dumps({"type": "mark", "name": "early", "ago": 0}))
        assert receive(anna, "error")["message"].startswith("start a recording first")
        anna.send(json.dumps({"type": "record", "on": True, "min_group": 1}))
        assert receive(anna, "recording")["on"]
        for number in range(3):
            anna.send(frame(number, JPEG))
            receive(anna, "result")
            time.sleep(0.5)
        anna.send(json.dumps({"type": "mark", "name": " Film ", "ago": 0}))
        anna.send(json.dumps({"type": "mark", "name": "before", "ago": 0.5}))
        anna.send(json.dumps({"type": "mark", "name": "a\u200bb\u0007", "ago": 0}))
        now, before = receive(anna, "marked"), receive(anna, "marked")
        assert now["name"] == "Film" and now["time"] - before["time"] == pytest.approx(0.5, abs=0.1)
        assert receive(anna, "error")["message"].startswith("name: expected characters that can be shown")
        anna.send(json.dumps({"type": "record", "on": False, "min_group": 1}))
        receive(anna, "recording")
        anna.send(json.dumps({"type": "mark", "name": "late", "ago": 0}))
        assert receive(anna, "error")["message"] == "expected a running recording, it has ended"


class Worker:
    """Analyzes nothing; may be told what `analyze` raises."""

    def __init__(self, pool: FairThreadPool, error: Exception | None = None) -> None:
        self.visitor = SimpleNamespace(
            engine=SimpleNamespace(pool=pool), classes=(), share=Share(), in_use=contextlib.nullcontext
        )
        self.recording, self.error = {"on": False}, error
        self.analyzed = 0

    def analyze(self, message, now):
        self.analyzed += 1
        if self.error:
            raise self.error
        return {"type": "result", "sequence": message.sequence}


class Socket:
    """A browser in this process that reads only as long as it is let."""

    def __init__(self, reads: bool = True) -> None:
        self.coming: asyncio.Queue = asyncio.Queue()
        self.sent, self.code, self.reading = [], None, asyncio.Event()
        if reads:
            self.reading.set()

    async def receive(self):
        return await self.coming.get()

    async def send_text(self, text: str) -> None:
        await self.reading.wait()
        self.sent.append(json.loads(text))

    async def close(self, code: int, reason: str) -> None:
        self.code = code

    def put(self, data: bytes) -> None:
        self.coming.put_nowait({"type": "websocket.receive", "bytes": data})

    def leave(self) -> None:
        self.coming.put_nowait({"type": "websocket.disconnect", "code": 1001})


@pytest.fixture
def pool():
    one = FairThreadPool(1)
    yield one
    one.close()


async def until(true, patience_s: float = 30.0) -> None:
    end = time.monotonic() + patience_s
    while not true() and time.monotonic() < end:
        await asyncio.sleep(0.005)


def test_answers_for_a_browser_that_does_not_read_do_not_pile_up(pool) -> None:
    async def run() -> None:
        socket, worker = Socket(reads=False), Worker(pool)
        connection = _Connection(socket, worker, Limits(frames_per_second=1000))
        running = asyncio.create_task(connection.run())
        for at in range(100):
            socket.put(frame(at, JPEG))
            await asyncio.sleep(0.002)
        # A busy machine may look at few of these: go on until enough were looked at.
        sent = 100
        while worker.analyzed <= 2 * _MAX_WAITING and sent < 5000:
            socket.put(frame(sent, JPEG))
            sent += 1
            await asyncio.sleep(0.005)
        assert connection._answers.qsize() == _MAX_WAITING and worker.analyzed > 2 * _MAX_WAITING
        socket.reading.set()
        await until(lambda: connection._answers.empty())
        socket.put(frame(sent, JPEG))
        await until(lambda: any(one.get("sequence") == sent for one in socket.sent))
        results = [one for one in socket.sent if one["type"] == "result"]
        assert sum(one["dropped"] for one in results) + len(results) == sent + 1  # each frame is accounted for
        socket.leave()
        await asyncio.wait_for(running, 5)

    asyncio.run(run())


def test_a_frame_of_a_visitor_who_was_forgotten_is_not_analyzed(pool, caplog) -> None:
    """The gallery of such a visitor is closed: the frame waited too long behind those of others."""

    @contextlib.contextmanager
    def gone():
        raise VisitorsError("your visit has ended")
        yield

    async def run() -> None:
        socket, worker = Socket(), Worker(pool)
        worker.visitor.in_use = gone
        connection = _Connection(socket, worker, Limits(frames_per_second=1000))
        running = asyncio.create_task(connection.run())
        for at in range(3):
            socket.put(frame(at, JPEG))
        await until(lambda: socket.coming.empty())
        socket.leave()
        await asyncio.wait_for(running, 5)
        assert worker.analyzed == 0 and [one["type"] for one in socket.sent] == ["ready"]
        worker.visitor.in_use = contextlib.nullcontext
        connection._analyze(FrameMessage(0, 0.0, JPEG), 0.0)
        assert worker.analyzed == 0, "the connection has ended"

    asyncio.run(run())
    assert caplog.records == []


@pytest.mark.parametrize("when", ["accept", "close"])
def test_a_browser_that_leaves_before_it_is_refused_is_no_error(monkeypatch, when) -> None:
    async def gone(*_: object) -> None:
        raise WebSocketDisconnect(1006)

    async def done(*_: object) -> None:
        pass

    def full(_: str) -> None:
        raise VisitorsError("all places are taken")

    visitors = SimpleNamespace(key_of=lambda _: ANNA, visit=full)
    monkeypatch.setattr("moodspace.web.live.socket.all_visitors", lambda: visitors)
    socket = SimpleNamespace(accept=done, close=done)
    setattr(socket, when, gone)
    asyncio.run(_serve(socket))


def test_a_browser_that_leaves_while_it_does_not_read_is_let_go(pool) -> None:
    async def run() -> None:
        socket = Socket(reads=False)
        running = asyncio.create_task(_Connection(socket, Worker(pool), Limits()).run())
        socket.put(frame(0, JPEG))
        await asyncio.sleep(0.02)
        socket.leave()
        await asyncio.wait_for(running, 5)
        assert socket.code is None

    asyncio.run(run())


def test_frames_above_the_limit_are_left_out_and_the_session_goes_on(pool) -> None:
    async def run() -> None:
        socket, worker = Socket(), Worker(pool)
        running = asyncio.create_task(_Connection(socket, worker, Limits(frames_per_second=10)).run())
        began = time.monotonic()
        for at in range(60):
            socket.put(frame(at, JPEG))
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.3)
        socket.put(frame(60, JPEG))
        await until(lambda: any(one.get("sequence") == 60 for one in socket.sent))
        # A second's worth at once, then ten a second for as long as it took.
        assert 1 <= worker.analyzed <= 10 + 10 * (time.monotonic() - began) + 1 and worker.analyzed < 61
        assert socket.code is None
        results = [one for one in socket.sent if one["type"] == "result"]
        assert results[-1]["sequence"] == 60 and sum(one["dropped"] for one in results) + len(results) == 61
        socket.leave()
        await asyncio.wait_for(running, 5)

    asyncio.run(run())


def test_what_fails_inside_is_logged_and_does_not_count_against_the_browser(pool, caplog) -> None:
    async def run(error: Exception) -> Socket:
        socket = Socket()
        running = asyncio.create_task(_Connection(socket, Worker(pool, error), Limits(frames_per_second=1000)).run())
        for at in range(30):
            socket.put(frame(at, JPEG))
            await asyncio.sleep(0.003)
        socket.leave()
        await asyncio.wait_for(running, 5)
        return socket

    assert asyncio.run(run(RuntimeError("inside"))).code is None and "could not be analyzed" in caplog.text
    assert asyncio.run(run(MessageError("expected a JPEG"))).code == 4408


def test_a_frame_of_a_browser_that_has_long_left_is_dropped_without_a_word(pool, caplog) -> None:
    async def run() -> Socket:
        socket, worker = Socket(), Worker(pool, VisitorsError("your visit has ended"))
        running = asyncio.create_task(_Connection(socket, worker, Limits()).run())
        socket.put(frame(0, JPEG))
        await until(lambda: worker.analyzed)
        worker.error = None
        socket.put(frame(1, JPEG))
        await until(lambda: any(one["type"] == "result" for one in socket.sent))
        socket.leave()
        await asyncio.wait_for(running, 5)
        return socket

    assert [one["type"] for one in asyncio.run(run()).sent] == ["ready", "result"] and not caplog.records


def test_health_says_nothing(server) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/_stcore/health") as response:
        assert response.read() == b"ok" and "server" not in response.headers


def test_a_resting_face_is_measured_on_request_and_a_smile_is_refused(server) -> None:
    with server.live(ANNA) as anna:
        receive(anna, "ready")
        anna.send(frame(0, JPEG))
        (face,) = receive(anna, "result")["faces"]
        assert (face["baseline"], face["measuring"], face["baseline_note"]) == (False, None, "")
        anna.send(json.dumps({"type": "baseline", "track": face["id"]}))
        measured, until = False, time.monotonic() + 30
        while not face["baseline_note"] and time.monotonic() < until:
            time.sleep(0.04)  # frames beyond 30 a second are skipped, and a fast machine would send them
            anna.send(frame(0, JPEG))
            (face,) = receive(anna, "result")["faces"]
            measured = measured or face["measuring"] is not None
        assert measured and "shows happy" in face["baseline_note"] and not face["baseline"]
