"""`POST /mark`: who may mark, what is refused with which status, and that the mark lies where it happened."""

import json
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette

from moodspace.sessions import Mark
from moodspace.web.server import marks as module
from moodspace.web.server import recording as recordings
from moodspace.web.server.marks import mark_route
from moodspace.web.server.middleware import AuthMiddleware
from moodspace.web.server.recording import Recording
from moodspace.web.server.settings import WebSettings
from tests.realtime.session.recordings import CLASSES, group
from tests.web.asgi import Answer, ask

SECRET = "a-token-of-mine"


@pytest.fixture
def recording(tmp_path, monkeypatch):
    """A recording that began ten seconds ago, with a frame a second."""
    folders = iter(tmp_path / str(at) for at in range(9))

    def private():
        folder = next(folders)
        folder.mkdir()
        return folder

    monkeypatch.setattr(recordings, "private_folder", private)
    made = Recording(CLASSES, 5)
    began = time.time() - 10
    for at in range(11):
        made.add(group(5, time=float(at)), began + at)
    yield made
    made.stop()


@pytest.fixture
def running(recording, monkeypatch):
    """The recordings that are running."""
    running = [recording]
    monkeypatch.setattr(module, "all_visitors", lambda: SimpleNamespace(recordings=lambda: list(running)))
    monkeypatch.setattr(module, "current_settings", lambda: WebSettings(host="0.0.0.0", token=SECRET))
    return running


@pytest.fixture
def post(running, recording):
    app = Starlette(routes=[mark_route()])

    def post(
        body=b'{"name": "stimulus on"}', token=None, settings=None, host="10.0.0.1", method="POST", **headers
    ) -> Answer:
        if token is None:
            token = recording.token
        if token:
            headers["authorization"] = f"Bearer {token}"
        settings = settings or WebSettings(host="0.0.0.0", token=SECRET)
        guarded = AuthMiddleware(app, settings)
        parts = body if isinstance(body, tuple) else (body,)
        return ask(guarded, "/mark", method=method, body=parts, host=host, **headers)

    return post


def test_an_event_is_marked_when_it_comes(post, recording):
    answer = post('{"name": "  Film   böse "}'.encode())
    made = json.loads(answer.body)
    assert answer.status == 200 and made["name"] == "Film böse" and made["time"] == pytest.approx(10, abs=1)
    assert recording.read().marks == (Mark(made["time"], "Film böse", "http"),)


@pytest.mark.parametrize("write", [float, lambda at: datetime.fromtimestamp(at, UTC).isoformat(), int])
def test_or_when_it_happened(post, recording, write):
    happened = int(time.time()) - 4
    answer = post(json.dumps({"name": "joke", "time": write(happened)}).encode())
    (mark,) = recording.read().marks
    assert answer.status == 200 and mark.time == pytest.approx(6, abs=1.1)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "expected JSON as"),
        (b"name=stimulus", "expected JSON as"),
        (b"[" * 4000, "expected JSON as"),
        (b"\xff", "expected JSON as"),
        (b"[]", "expected a JSON object with name"),
        (b'{"time": 3}', "expected a JSON object with name"),
        (b'{"name": "a", "when": 3}', "expected a JSON object with name"),
        (b'{"name": ""}', "name: expected a name, got an empty one"),
        (b'{"name": 3}', "name: expected text, got int"),
        (b'{"name": "a\\u0000b"}', "name: expected characters that can be shown"),
        (b'{"name": "' + b"a" * 81 + b'"}', "name: expected at most 80 characters, got 81"),
        (b'{"name": "a", "time": "soon"}', "time: expected unix seconds"),
        (b'{"name": "a", "time": "2026-09-21T14:13:20"}', "a zone in ISO 8601"),
        (b'{"name": "a", "time": true}', "time: expected unix seconds"),
        (b'{"name": "a", "time": NaN}', "time: expected unix seconds"),
        (b'{"name": "a", "time": 1' + b"0" * 400 + b"}", "time: expected unix seconds"),
        (b'{"name": "a", "time": 1e300}', "time: expected a moment that has passed"),
        (b'{"name": "a", "time": 99999999999}', "time: expected a moment that has passed"),
    ],
)
def test_what_is_no_event_is_refused_in_one_line(post, recording, body, words):
    answer = post(body)
    assert answer.status == 400 and words in answer.body.decode()
    assert answer.body.count(b"\n") == 1 and recording.read().marks == ()


def test_a_large_body_is_not_read_to_its_end(post):
    answer = post((b'{"name": "' + b"a" * 3000, b"a" * 3000, b"never"))
    assert answer.status == 413 and b"at most 4096 bytes" in answer.body


@pytest.mark.parametrize("token", ["", "x", "ü", SECRET[:-1]])
def test_without_the_token_nothing_is_marked(post, recording, token):
    assert post(token=token).status == 401
    assert post(token=token, settings=WebSettings(), host="localhost:8501").status == 401  # on loopback too
    assert post(token="", cookie=f"moodspace_token={SECRET}").status == 401  # pages of others cannot use a cookie
    assert recording.read().marks == ()


def test_on_loopback_other_names_are_refused(post, recording):
    assert post(settings=WebSettings(), host="evil.example").status == 400
    assert post(settings=WebSettings(), host="localhost:8501").status == 200


def test_other_methods_are_refused_and_open_nothing(post):
    assert post(method="GET").status == 403
    assert post(method="GET", settings=WebSettings(), host="localhost").status == 405
    assert post(method="OPTIONS", settings=WebSettings(), host="localhost").status == 405


def test_the_operators_token_stands_for_the_only_recording(post, running, recording):
    assert post(token=SECRET).status == 200
    running.append(Recording(CLASSES, 1))
    answer = post(token=SECRET)
    assert answer.status == 409 and b"expected one running recording, got 2" in answer.body
    assert post(token=running[1].token).status == 200 and len(running[1].read().marks) == 1
    running.pop().stop()
    running.clear()
    assert post(token=SECRET).status == 409 and b"got none; start one" in post(token=SECRET).body
    assert post().status == 401


def test_a_recording_that_ended_meanwhile_says_so(post, recording):
    recording.stop()
    answer = post()
    assert answer.status == 409 and answer.body == b"expected a running recording, it has ended\n"
