"""Pictures of taught faces: shown as evidence where the visitor keeps them, to this visitor only."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import OpenPage
from tests.web.app_process import running_app

WAIT_MS = 40_000
# The first map of a server takes seconds of computing, and the machine may be busy.
MAP_MS = 180_000
LOADED = "one => one.complete && one.naturalWidth"


@pytest.fixture(scope="module")
def address(shipped: Path) -> Iterator[str]:
    with running_app() as url:
        yield url


@pytest.fixture
def visit(open_page: OpenPage, address: str) -> Callable[[], Page]:
    def go() -> Page:
        page = open_page(address)
        page.set_default_timeout(WAIT_MS)
        goto(page, "Teach")
        return page

    return go


def goto(page: Page, name: str) -> None:
    expect(page.locator(".ms .foot")).to_be_visible(timeout=WAIT_MS)
    page.get_by_test_id("stTopNavLink").filter(has_text=re.compile(f"{name}$")).click()
    expect(page.locator("h1").first).to_have_text(name, timeout=WAIT_MS)
    expect(page.locator('[data-test-script-state="notRunning"]')).to_be_attached(timeout=WAIT_MS)


def teach(page: Page, picture: Path, *, keep: bool) -> None:
    page.set_input_files("input[type=file]", picture)
    expect(page.locator(".ms .crops img")).to_have_count(1, timeout=WAIT_MS)
    if keep:
        page.get_by_text("Keep pictures of taught faces").click()
        expect(page.get_by_role("switch", name="Keep pictures of taught faces")).to_be_checked()
    page.get_by_label("Or a new class").fill("smirk")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Teach 1 face").click()
    expect(page.locator(".ms .notice").filter(has_text="smirk: 1 face taught")).to_be_visible(timeout=WAIT_MS)


@pytest.mark.parametrize("keep", [True, False])
def test_evidence_shows_the_pictures_that_were_kept(visit, address: str, astronaut: Path, keep: bool) -> None:
    page, other = visit(), visit()
    teach(page, astronaut, keep=keep)
    goto(page, "Photo")
    page.set_input_files("input[type=file]", astronaut)
    taught = page.locator(".ms .why li", has_text=astronaut.name)
    expect(taught).to_be_visible(timeout=WAIT_MS)
    assert taught.locator("img").count() == keep
    if keep:
        assert taught.locator("img").evaluate(LOADED) == 48
    goto(page, "Map")
    heading = page.frame_locator("iframe").get_by_role("heading", name=re.compile("28,710 faces"))
    expect(heading).to_be_visible(timeout=MAP_MS)
    frame = next(one for one in page.frames if "/moodspace/map" in one.url)
    number = frame.evaluate("String(faces.id[28709])")
    frame.evaluate("jump(28709)")
    shown = page.frame_locator("iframe").locator("#card .head img")
    assert shown.count() == keep
    if keep:
        expect(shown).to_have_js_property("naturalWidth", 48)
    route = f"{address}/moodspace/face/{number}"
    assert page.request.get(route).status == (200 if keep else 404)
    assert other.request.get(route).status == 404 and other.request.get(f"{address}/moodspace/face/7").status == 404
