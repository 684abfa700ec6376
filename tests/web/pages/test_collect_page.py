"""Teach by holding, on the Teach page in a real browser with a fake camera."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.app_process import running_app
from tests.web.fake_camera import browser_with_camera, write_clip

WAIT_MS = 40_000


@pytest.fixture(scope="module")
def address(shipped: Path) -> Iterator[str]:
    with running_app() as url:
        yield url


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    clip = tmp_path_factory.mktemp("clip") / "face.mjpeg"
    write_clip(clip)
    with browser_with_camera(clip) as browser:
        yield browser


@pytest.fixture
def visit(camera: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens the Teach page of a new visitor with the camera; what it throws fails the test."""
    contexts, thrown = [], []

    def go(**how) -> Page:
        contexts.append(camera.new_context(**how))
        page = contexts[-1].new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: thrown.append(str(error)))
        page.goto(address)
        expect(page.locator(".ms .foot")).to_be_visible()
        phone = page.viewport_size["width"] < 700
        links = page.locator(".st-key-tabs a") if phone else page.get_by_test_id("stTopNavLink")
        links.filter(has_text=re.compile("Teach$")).click()
        page.get_by_text("Camera", exact=True).click()
        page.get_by_role("button", name="Start the camera").click()
        expect(page.locator(".status")).to_contain_text("Hold the button", timeout=WAIT_MS)
        return page

    yield go
    for context in contexts:
        context.close()
    assert thrown == []


def count(page: Page) -> int:
    return page.locator(".examples li").count()


def hold(page: Page, at_least: int) -> None:
    """Hold the button until there are so many examples."""
    button = page.locator(".hold").bounding_box()
    page.mouse.move(button["x"] + button["width"] / 2, button["y"] + button["height"] / 2)
    page.mouse.down()
    expect(page.locator(".hold")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".examples li").nth(at_least - 1)).to_be_visible(timeout=WAIT_MS)
    page.mouse.up()
    expect(page.locator(".hold")).to_have_attribute("aria-pressed", "false")


def test_held_frames_are_reviewed_taught_as_one_lesson_and_undone(visit: Callable[..., Page]) -> None:
    page = visit()
    hold(page, 4)
    held = count(page)
    page.wait_for_timeout(1500)
    assert count(page) == held >= 4, "nothing is collected after the button was released"
    page.get_by_role("button", name="Remove example 2").click(force=True)
    expect(page.locator(".examples li")).to_have_count(held - 1)
    assert page.locator(".examples img").evaluate_all("all => all.every((one) => one.naturalWidth === 48)")
    page.get_by_label("A new class").fill("Smirk")
    page.get_by_role("button", name=f"Teach {held - 1} examples").click()
    expect(page.locator(".ms .taught")).to_contain_text(f"smirk{held - 1}", timeout=WAIT_MS)
    expect(page.locator(".ms .taught")).to_contain_text("recognized")
    expect(page.locator(".examples li")).to_have_count(0)
    expect(page.locator(".classes")).to_contain_text("smirk")
    page.get_by_role("button", name="Undo last").click()
    expect(page.locator(".ms .notice").filter(has_text=f"Undone: {held - 1} smirk")).to_be_visible()
    expect(page.locator(".ms .taught")).to_have_count(0)


def test_a_short_press_collects_until_the_next_one_and_known_classes_can_be_chosen(visit: Callable[..., Page]) -> None:
    page = visit()
    page.locator(".hold").click()
    expect(page.locator(".examples li").nth(2)).to_be_visible(timeout=WAIT_MS)
    page.locator(".hold").click()
    expect(page.locator(".lesson")).to_be_visible()
    page.get_by_role("button", name=re.compile("Teach .* example")).click()
    expect(page.locator(".status")).to_contain_text("Choose an expression")
    page.get_by_role("radio", name="surprise").click()
    page.get_by_role("button", name=re.compile("Teach .* example")).click()
    expect(page.locator(".ms .taught")).to_contain_text("surprise", timeout=WAIT_MS)


def test_the_space_bar_holds_and_everything_can_be_discarded(visit: Callable[..., Page]) -> None:
    page = visit()
    page.evaluate("document.activeElement?.blur()")
    page.keyboard.down(" ")
    expect(page.locator(".examples li").nth(1)).to_be_visible(timeout=WAIT_MS)
    page.keyboard.up(" ")
    expect(page.locator(".hold")).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="Discard").click()
    expect(page.locator(".examples li")).to_have_count(0)
    page.locator(".hold").focus()
    page.keyboard.down(" ")
    expect(page.locator(".examples li").first).to_be_visible(timeout=WAIT_MS)
    page.keyboard.up(" ")
    expect(page.locator(".lesson")).to_be_visible()
    page.get_by_label("A new class").focus()
    before = count(page)
    page.keyboard.press(" ")
    page.wait_for_timeout(700)
    assert count(page) == before and page.get_by_label("A new class").input_value() == " "


@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "light"), (390, 844, "dark")])
def test_the_form_fits_the_screen(visit: Callable[..., Page], width: int, height: int, scheme: str) -> None:
    page = visit(viewport={"width": width, "height": height}, color_scheme=scheme)
    hold(page, 3)
    expect(page.locator(".lesson")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width > 1000:
        box = page.locator(".lesson").bounding_box()
        assert box["y"] + box["height"] <= height
