"""The Map page in a real browser: what is drawn around on the map is taught, relabeled and undone."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Frame, Page, expect

from tests.browser import OpenPage
from tests.web.app_process import running_app

WAIT_MS = 40_000
# The first map of a server takes seconds of computing, and the machine may be busy.
MAP_MS = 180_000


@pytest.fixture(scope="module")
def address(shipped: Path) -> Iterator[str]:
    with running_app() as url:
        yield url


@pytest.fixture
def visit(open_page: OpenPage, address: str) -> Callable[..., Page]:
    def go(**how) -> Page:
        page = open_page(address, **how)
        page.set_default_timeout(WAIT_MS)
        expect(page.locator(".ms .foot")).to_be_visible(timeout=WAIT_MS)
        page.get_by_test_id("stTopNavLink").filter(has_text=re.compile("Map$")).click()
        expect(page.frame_locator("iframe").get_by_text(re.compile("faces by expression"))).to_be_visible(
            timeout=MAP_MS
        )
        return page

    return go


def map_of(page: Page) -> Frame:
    return next(frame for frame in page.frames if "/moodspace/map" in frame.url)


def drawn(page: Page, faces: int) -> None:
    """Wait until the map shows so many faces."""
    heading = page.frame_locator("iframe").get_by_role("heading", name=re.compile(f"^{faces:,} faces"))
    expect(heading).to_be_visible(timeout=MAP_MS)


def lasso(page: Page, row: int, reach: int = 25, *, zoom: int = 60) -> int:
    """Zoom in on a face and draw around it with the mouse; return how many faces are inside."""
    frame = map_of(page)
    middle = "innerWidth / 2 * ratio - faces.x[%d] * scale; top_ = innerHeight / 2 * ratio + faces.y[%d] * scale"
    frame.evaluate(f"() => {{ scale = fitted * {zoom}; left = {middle % (row, row)}; redraw(); }}")
    box = page.locator("iframe").bounding_box()
    x, y = frame.evaluate(f"position({row})")
    x, y = box["x"] + x, box["y"] + y
    page.keyboard.down("Shift")
    page.mouse.move(x - reach, y)
    page.mouse.down()
    for dx, dy in ((0, -reach), (reach, 0), (0, reach), (-reach, 0)):
        page.mouse.move(x + dx, y + dy, steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")
    return int(frame.evaluate("listed.length"))


def notice(page: Page, words: str) -> None:
    expect(page.locator(".ms .notice").filter(has_text=words).first).to_be_visible(timeout=WAIT_MS)


def test_what_is_drawn_around_is_taught_relabeled_and_undone(visit: Callable[..., Page]) -> None:
    page = visit(width=1280, height=1100)
    drawn(page, 28_709)
    n = lasso(page, 4000, 70, zoom=25)
    assert 1 < n <= 200
    faces = "face" if n == 1 else "faces"
    expect(page.get_by_text(f"{n} {faces} selected: {n} from the gallery")).to_be_visible()
    page.get_by_label("Or a new class").fill("Puzzled")
    page.keyboard.press("Enter")
    page.get_by_role("button", name=f"Teach {n} {faces}").click()
    notice(page, f"puzzled: {n} taught.")
    drawn(page, 28_709 + n)
    expect(page.get_by_text(re.compile("selected: "))).to_have_count(0)

    map_of(page).evaluate("apply({ origins: faces.origins.map((name) => name === 'taught') })")
    assert lasso(page, 28_709, 60) >= 1
    own = int(map_of(page).evaluate("listed.length"))
    words = "1 face selected: 1 that you taught" if own == 1 else f"{own} faces selected: {own} that you taught"
    expect(page.get_by_text(words)).to_be_visible()
    page.get_by_label("Or a new class").fill("tired")
    page.keyboard.press("Enter")
    page.get_by_role("button", name=f"Relabel {own} {'face' if own == 1 else 'faces'}").click()
    notice(page, f"tired: {own} relabeled.")
    page.get_by_role("button", name="Undo last").click()
    notice(page, f"Undone: {own} tired; {own} {'is' if own == 1 else 'are'} puzzled again.")
    page.get_by_role("button", name="Undo last").click()
    notice(page, f"Undone: {n} puzzled.")
    drawn(page, 28_709)
    expect(page.get_by_role("button", name="Undo last")).to_have_count(0)


def test_a_selection_without_a_class_is_not_taught(visit: Callable[..., Page]) -> None:
    page = visit(width=1280, height=1100)
    lasso(page, 9000)
    page.get_by_role("button", name=re.compile("^Teach ")).click()
    notice(page, "expected the name of a class, got none")
