"""The Session page in a real browser: a recording as it runs, what is said of it, and what can be taken along."""

import csv
import io
import json
import re
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest
from playwright.sync_api import Page, expect
from websockets.sync.client import ClientConnection, connect

from moodspace.web.server.identity import VISITOR_COOKIE
from tests.browser import OpenPage
from tests.web.app_process import running_app

WAIT_MS = 30_000
FPS = 5
HEADER = struct.Struct("<Id")


@pytest.fixture(scope="module")
def address(shipped: Path) -> Iterator[str]:
    with running_app() as url:
        yield url


@pytest.fixture
def visit(open_page: OpenPage, address: str) -> Callable[..., Page]:
    """Opens the Session page for a new visitor."""

    def go(**how) -> Page:
        page = open_page(address, **how)
        page.set_default_timeout(WAIT_MS)
        expect(page.locator(".ms .foot")).to_be_visible(timeout=WAIT_MS)
        phone = page.viewport_size["width"] < 700
        links = page.locator(".st-key-tabs a") if phone else page.get_by_test_id("stTopNavLink")
        links.filter(has_text=re.compile("Session$")).click()
        expect(page.get_by_role("heading", name="How to record")).to_be_visible(timeout=WAIT_MS)
        return page

    return go


@contextmanager
def live(page: Page, picture: Path) -> Iterator[ClientConnection]:
    """A live session of the page's visitor: the same picture again and again, until the block ends."""
    (key,) = (one["value"] for one in page.context.cookies() if one["name"] == VISITOR_COOKIE)
    origin = re.match(r"https?://[^/]+", page.url)[0]
    jpeg = cv2.imencode(".jpg", cv2.imread(str(picture)))[1].tobytes()
    ended = threading.Event()
    address = f"{origin.replace('http', 'ws', 1)}/moodspace/live"
    with connect(
        address, additional_headers={"Cookie": f"{VISITOR_COOKIE}={key}"}, origin=origin, max_queue=None
    ) as socket:

        def feed() -> None:
            number = 0
            while not ended.wait(1 / FPS):
                number += 1
                socket.send(HEADER.pack(number, 1000 * time.time()) + jpeg)

        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            yield socket
        finally:
            ended.set()
            feeder.join()


def record(socket: ClientConnection, on: bool, min_group: int = 1) -> None:
    socket.send(json.dumps({"type": "record", "on": on, "min_group": min_group}))


def download(page: Page, button: str) -> tuple[str, str]:
    with page.expect_download() as started:
        page.get_by_role("button", name=button, exact=True).click()
    return started.value.suggested_filename, Path(started.value.path()).read_text(encoding="utf-8")


def grows(page: Page) -> None:
    """Waits until what is drawn has become longer."""
    length = page.locator(".ms .figures dd").first
    expect(length).not_to_have_text(length.inner_text(), timeout=WAIT_MS)


def test_a_recording_is_followed_stopped_taken_along_and_discarded(visit, astronaut: Path, open_page, tmp_path) -> None:
    page, other = visit(), visit()
    with live(page, astronaut) as socket:
        record(socket, True)
        expect(page.locator(".ms .state.on")).to_contain_text("Recording", timeout=WAIT_MS)
        expect(page.locator(".ms .legend")).to_contain_text("happy", timeout=WAIT_MS)
        grows(page)
        grows(page)
        page.wait_for_function("() => document.querySelector('.ms .drawing img')?.naturalWidth > 0")
        page.get_by_role("button", name="Stop").click()
        expect(page.locator(".ms .state.on")).to_have_count(0, timeout=WAIT_MS)
    name, report = download(page, "Report")
    assert name == "moodspace-session.html"
    (tmp_path / name).write_text(report, encoding="utf-8")
    expect(open_page(tmp_path / name).locator("#timeline .legend")).to_contain_text("happy")
    name, table = download(page, "CSV")
    rows = list(csv.DictReader(io.StringIO(table)))
    assert name == "moodspace-session.csv" and len(rows) >= 3
    assert {row["faces"] for row in rows[1:-1]} == {"1"} and float(rows[1]["share_happy"]) > 0.5
    document = json.loads(download(page, "JSON")[1])
    assert [second["second"] for second in document["seconds"]] == [int(row["second"]) for row in rows]
    assert document["ended"] and document["smallest_group"] == 1
    expect(other.get_by_role("heading", name="How to record")).to_be_visible()
    page.get_by_role("button", name="Discard", exact=True).click()
    page.get_by_role("button", name="Discard the recording").click()
    expect(page.get_by_role("heading", name="How to record")).to_be_visible(timeout=WAIT_MS)


def test_of_too_few_faces_nothing_is_told_but_why(visit, astronaut: Path) -> None:
    page = visit(width=390, height=844, scheme="dark")
    with live(page, astronaut) as socket:
        record(socket, True, min_group=5)
        expect(page.locator(".ms .notice")).to_contain_text("at least 5 readable faces are needed", timeout=WAIT_MS)
        record(socket, False)
        expect(page.locator(".ms .state.on")).to_have_count(0, timeout=WAIT_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.locator(".ms .drawing")).to_have_count(0)
    document = json.loads(download(page, "JSON")[1])
    assert document["seconds"] and all(second["shares"] is second["faces"] is None for second in document["seconds"])
