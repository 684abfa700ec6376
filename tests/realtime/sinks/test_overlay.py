"""The page for OBS shows what the group shows, says why it shows nothing, and connects again."""

import time
from pathlib import Path
from typing import Any

import pytest

from moodspace.realtime.sinks.destination import SinkOptions, parse_destination
from moodspace.realtime.sinks.outbox import Message
from moodspace.realtime.sinks.websocket import WebSocketServer
from tests.browser import OpenPage
from tests.realtime.sinks.made_documents import check, wait_for

pytest.importorskip("websockets", reason="needs the extra sinks")

SHARES = {"angry": 0.05, "contempt": 0.01, "fear": 0.04, "happy": 0.7, "<b>odd</b>": 0.2}


def document(shares: dict[str, float] | None, faces: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    few, readable = "fewer than 5 faces", 6 if shares else None
    group = {"min_group": 5, "faces": readable, "readable": readable, "unsure": shares and 0, "shares": shares}
    return check({
        "kind": "frame", "version": 1, "source": "camera 0", "frame": 1, "time": 0.1, "captured": time.time(),
        "size": [640, 360], "group": group | {"withheld": None if shares else few}, "faces": faces, "timings_ms": {},
    })  # fmt: skip


def face(expression: str | None) -> dict[str, Any]:
    quality = {"size": 100, "sharpness": 0.1, "yaw": 0, "good": True, "reason": None}
    return {
        "id": 3, "xywh": [320, 90, 80, 100], "detection": 0.9, "expression": expression,
        "unknown": expression is None, "smoothed": {"happy": 0.9, "sad": 0.1},
        "probabilities": {"happy": 0.9, "sad": 0.1}, "quality": quality, "baseline": False,
    }  # fmt: skip


def served(port: int = 0, token: str | None = None) -> WebSocketServer:
    at = parse_destination(f"ws://127.0.0.1:{port or 1}")
    server = WebSocketServer(type(at)(at.text, at.kind, at.host, port), SinkOptions(token=token), lambda event: None)
    server.start()
    return server


def send(server: WebSocketServer, one: dict[str, Any]) -> None:
    wait_for(lambda: server._clients)
    server.submit(Message(one))


def test_it_shows_the_shares_and_why_there_are_none(open_page: OpenPage) -> None:
    from playwright.sync_api import expect

    server = served()
    try:
        page = open_page(f"http://127.0.0.1:{server.port}/", width=1280, height=720)
        send(server, document(SHARES))
        expect(page.locator(".row")).to_have_count(4)
        first = page.locator(".row").first
        expect(first.locator("span")).to_have_text("happy")
        expect(first.locator("b")).to_have_text("70 %")
        # A name is text, whatever is in it.
        expect(page.locator(".row").nth(1).locator("span")).to_have_text("<b>odd</b>")
        expect(page.locator("#state")).to_have_text("6 faces")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"
        send(server, document(None))
        expect(page.locator("#state")).to_have_text("Waiting: fewer than 5 faces")
        expect(page.locator(".row")).to_have_count(0)
        # A mark, and a kind that does not exist yet, change nothing.
        send(server, {"kind": "mark", "version": 1, "label": "a"})
        send(server, {"kind": "later", "version": 1})
        send(server, document(SHARES))
        expect(page.locator(".row")).to_have_count(4)
        # Old values disappear when no new ones come.
        expect(page.locator("#state")).to_have_text("No new frames")
        expect(page.locator(".row")).to_have_count(0)
    finally:
        server.stop()


def test_it_draws_the_boxes_of_single_faces_where_asked(open_page: OpenPage) -> None:
    from playwright.sync_api import expect

    server = served()
    try:
        page = open_page(f"http://127.0.0.1:{server.port}/?boxes=1&background=dark", width=1280, height=720)
        send(server, document(None, [face("happy")]))
        expect(page.locator(".box")).to_have_count(1)
        expect(page.locator(".box span")).to_have_text("happy")
        box = page.locator(".box").bounding_box()
        assert box and [round(box[side]) for side in ("x", "y", "width", "height")] == [640, 180, 160, 200]
        # A single face that is sent is shown as it is.
        expect(page.locator(".row").first.locator("b")).to_have_text("90 %")
        send(server, document(None, [face(None)]))
        expect(page.locator(".box span")).to_have_text("unsure")
        expect(page.locator(".row")).to_have_count(0)
    finally:
        server.stop()


def test_it_connects_again_with_its_token(open_page: OpenPage) -> None:
    from playwright.sync_api import expect

    token = "a-token-of-mine"
    server = served(token=token)
    page = open_page(f"http://127.0.0.1:{server.port}/?token={token}", tolerant=True)
    try:
        send(server, document(SHARES))
        expect(page.locator(".row")).to_have_count(4)
    finally:
        server.stop()
    expect(page.locator("#state")).to_have_text("No connection to Moodspace, trying again …")
    server = served(server.port, token)
    try:
        send(server, document(SHARES))
        expect(page.locator(".row")).to_have_count(4)
    finally:
        server.stop()


def test_opened_as_a_file_it_needs_the_token(open_page: OpenPage) -> None:
    from importlib.resources import as_file, files

    from playwright.sync_api import expect

    token = "a-token-of-mine"
    server = served(token=token)
    try:
        with as_file(files("moodspace.realtime.sinks").joinpath("overlay.html")) as path:
            page = open_page(f"{path.as_uri()}?to=ws://127.0.0.1:{server.port}&token={token}")
            send(server, document(SHARES))
            expect(page.locator(".row")).to_have_count(4)
    finally:
        server.stop()


@pytest.mark.parametrize("token", [None, "a-token-of-mine"])
def test_a_page_without_an_origin_needs_the_token(open_page: OpenPage, tmp_path: Path, token: str | None) -> None:
    # Any site can embed such a page; files that are opened in Chromium are such, too.
    (tmp_path / "page.html").write_text("<title>a page</title>")
    server = served(token=token)
    try:
        page = open_page((tmp_path / "page.html").as_uri(), tolerant=True)
        answer = page.evaluate(
            "(at) => new Promise((done) => { const s = new WebSocket(at);"
            " s.onopen = () => done('open'); s.onclose = () => done('closed'); })",
            f"ws://127.0.0.1:{server.port}/?token={token or ''}",
        )
        assert answer == ("open" if token else "closed")
    finally:
        server.stop()
