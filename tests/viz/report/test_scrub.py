"""The report in a real browser: pointing, dragging, keys, zoom, spans, and a recording that plays in step."""

import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from moodspace.realtime.session.file import PLAYABLE
from moodspace.sessions import Gap, Mark
from moodspace.viz.report import beside as beside_module
from moodspace.viz.report.beside import put_beside
from moodspace.viz.report.page import write_report
from tests.browser import PATIENCE_MS, OpenPage, chromium, page_opener
from tests.viz.report.test_page import CALM, GLAD, report, seconds

MARKS = (Mark(20.4, "joke", "web"), Mark(90.0, "<b>film</b>", "http"))


@pytest.fixture(scope="module")
def open_page() -> Iterator[OpenPage]:
    with chromium() as browser, page_opener(browser) as opener:
        yield opener


def session(**changed):
    """A hundred seconds: calm, then glad for 20 s, then calm; five to seven faces, too few from 60 to 69."""
    shares = [CALM] * 20 + [GLAD] * 20 + [CALM] * 60
    few = [-1 if 60 <= at < 70 else 5 for at in range(100)]
    group = seconds(shares, faces=[7 if n > 0 else n for n in few], readable=few)
    return report(group, **({"marks": MARKS} | changed))


@pytest.fixture
def page(open_page: OpenPage, tmp_path: Path) -> Page:
    write_report(session(), tmp_path / "a.html")
    return open_page(tmp_path / "a.html")


def drawing(page: Page, section: str = "timeline") -> Locator:
    found = page.locator(f"#{section} .drawing")
    found.scroll_into_view_if_needed()
    return found


def point(page: Page, second: float, section: str = "timeline") -> None:
    box = drawing(page, section).bounding_box()
    page.mouse.move(box["x"] + box["width"] * second / 100, box["y"] + box["height"] / 2)


def wait(page: Page, condition: str) -> None:
    """Wait for a condition in the page; its policy forbids Playwright's own way."""
    until = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < until, condition
        page.wait_for_timeout(30)


def tip(page: Page) -> Locator:
    return page.locator(".tip:visible")


def test_pointing_shows_the_shares_of_that_second(page: Page) -> None:
    point(page, 30.5)
    expect(tip(page)).to_contain_text("0:30")
    assert [line.inner_text().replace("\n", " ") for line in tip(page).locator("p").all()[1:]] == [
        "happy 70 %", "neutral 20 %", "sad 10 %", "faces 7", "readable 5", "unsure 0",
    ]  # fmt: skip
    point(page, 65.5)
    expect(tip(page)).to_contain_text("fewer than 5 faces visible")
    point(page, 20.5)
    expect(tip(page)).to_contain_text("joke")
    point(page, 30.5, "certainty")
    expect(tip(page)).to_have_count(1)
    expect(tip(page)).to_contain_text("happy")
    page.mouse.move(5, 5)
    expect(tip(page)).to_have_count(0)


def test_dragging_selects_a_span_and_summarizes_it(page: Page) -> None:
    box = page.locator("#timeline .selection")
    expect(box).to_be_hidden()
    point(page, 30)
    page.mouse.down()
    point(page, 45)
    expect(tip(page)).to_contain_text("0:45")  # the second under the pointer meanwhile
    point(page, 70)
    page.mouse.up()
    expect(box.locator(".facts")).to_have_text("0:30 to 1:10 · 30 of 40 s recorded · 7.0 faces on average")
    rows = [row.inner_text().split() for row in box.locator("tbody tr").all()]
    # Ten seconds of 70 % happy and twenty of 20 %; in all, twenty of ninety seconds have 70 %.
    assert rows[1] == ["happy", "37", "%", "31", "%", "+6"] and rows[0] == ["neutral", "53", "%", "59", "%", "-6"]
    point(page, 10)
    page.mouse.down()
    page.mouse.up()
    expect(box).to_be_hidden()


def test_it_zooms_to_seconds_and_back(page: Page) -> None:
    point(page, 30)
    page.mouse.down()
    point(page, 50)
    page.mouse.up()
    coarse = page.locator("#timeline path").first.get_attribute("d")
    page.locator("#timeline [data-do=zoom-span]").click()
    wide = page.locator("#timeline .wide").bounding_box()["width"]
    across = page.locator("#timeline .scroller").bounding_box()["width"]
    assert wide / across == pytest.approx(4.5, rel=0.02)
    assert page.locator("#timeline path").first.get_attribute("d") and coarse
    # The span is in view, in both drawings, and what is under the pointer is right.
    middle = page.locator("#timeline .scroller").bounding_box()
    page.mouse.move(middle["x"] + middle["width"] / 2, middle["y"] + 100)
    expect(tip(page)).to_contain_text("0:40")
    lefts = [page.locator(f"#{name} .scroller").evaluate("box => box.scrollLeft") for name in ("timeline", "certainty")]
    assert lefts[0] == lefts[1] > 0
    assert len(page.locator("#timeline .times span").all()) > 20
    page.locator("[data-do=zoom-all]").click()
    assert page.locator("#timeline .wide").bounding_box()["width"] == pytest.approx(across)
    expect(page.locator("[data-do=zoom-out]")).to_be_disabled()


def test_a_zoomed_drawing_shows_each_second(open_page: OpenPage, tmp_path: Path) -> None:
    shares = [GLAD if at % 2 else CALM for at in range(1500)]
    write_report(report(seconds(shares)), tmp_path / "a.html")
    page = open_page(tmp_path / "a.html")
    first = page.locator("#timeline path").first
    assert first.get_attribute("d").count("L") < 1500  # drawn over five seconds each, so that all look the same
    page.locator("[data-do=zoom-in]").click()
    assert first.get_attribute("d").count("L") > 3000
    # From 5 to 15 units of ten a second, heights change between the shares of the two classes that lie lowest.
    points = first.get_attribute("d").removeprefix("M").split("L")[1:7]
    assert points[0].split()[0] == "5" and len({point.split()[1] for point in points}) == 2


def test_keys_do_the_same(page: Page) -> None:
    slider = drawing(page)
    slider.focus()
    expect(slider).to_have_attribute("role", "slider")
    for key, second in [
        ("ArrowRight", 0), ("ArrowRight", 1), ("PageDown", 11), ("ArrowLeft", 10), ("End", 99), ("Home", 0), ("n", 20),
        ("n", 90), ("n", 90), ("p", 20),
    ]:  # fmt: skip
        slider.press(key)
        assert slider.get_attribute("aria-valuenow") == str(second), key
    assert slider.get_attribute("aria-valuetext").startswith("0:20 joke, happy 70 %, neutral 20 %")
    slider.press("Shift+PageDown")
    slider.press("Shift+ArrowLeft")
    expect(page.locator(".selection .facts")).to_contain_text("0:20 to 0:30 · 10 of 10 s recorded")
    slider.press("Enter")
    width = "document.querySelector('#timeline {}').clientWidth"
    zoom = f"{width.format('.wide')} / {width.format('.scroller')}"
    assert page.evaluate(zoom) > 3
    slider.press("0")
    assert page.evaluate(zoom) == pytest.approx(1, abs=0.01)
    slider.press("+")
    assert page.evaluate(zoom) == pytest.approx(2, abs=0.01)
    slider.press("Escape")
    expect(page.locator(".selection")).to_be_hidden()
    expect(tip(page)).to_have_count(0)


def test_events_are_lines_and_rows_that_lead_there(page: Page) -> None:
    lines = page.locator("#timeline .event")
    assert [line.evaluate("one => one.style.left") for line in lines.all()] == ["20.4%", "90%"]
    expect(lines.nth(1)).to_have_text("<b>film</b>")
    rows = page.locator("#events tr")
    expect(rows.nth(1)).to_contain_text("joke")
    expect(rows.nth(1)).to_contain_text("happy 20 % → 70 %")
    page.locator("#events .jump").nth(1).click()
    assert drawing(page).get_attribute("aria-valuenow") == "90"
    expect(tip(page)).to_contain_text("1:30")


def test_a_finger_scrubs_on_a_phone(open_page: OpenPage, tmp_path: Path) -> None:
    write_report(session(), tmp_path / "a.html")
    page = open_page(tmp_path / "a.html", 390, 844, "dark")
    box = drawing(page).bounding_box()
    y = box["y"] + 50
    touch = page.context.new_cdp_session(page)
    for kind, second in [("touchStart", 20), ("touchMove", 25), ("touchMove", 30.5)]:
        at = [{"x": box["x"] + box["width"] * second / 100, "y": y}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})
    expect(tip(page)).to_contain_text("0:30")
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.locator(".selection .facts")).to_contain_text("0:20 to 0:31")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_anything_recorded_the_page_still_works(open_page: OpenPage, tmp_path: Path) -> None:
    write_report(report(seconds([]), duration=0.0), tmp_path / "a.html")
    page = open_page(tmp_path / "a.html")
    drawing(page).focus()
    page.keyboard.press("ArrowRight")
    expect(tip(page)).to_contain_text("no frames received")


def sound(path: Path, length: float = 30.0) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.zeros(round(8000 * length), np.int16).tobytes())
    return path


@pytest.mark.parametrize("way", ["embedded", "copied", "already there"])
def test_a_recording_plays_in_step(open_page: OpenPage, tmp_path: Path, monkeypatch, way: str) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    file = sound((folder if way == "already there" else tmp_path) / "a stimulus #1.wav")
    if way == "copied":
        monkeypatch.setattr(beside_module, "_MAX_EMBEDDED", 1000)
    player = put_beside(file, folder / "a.html", session(), offset=20.0)
    write_report(session(), folder / "a.html", player)
    if way != "already there":
        file.unlink()
    assert len(list(folder.iterdir())) == (1 if way == "embedded" else 2)
    page = open_page(folder / "a.html")
    wait(page, "document.querySelector('audio').duration > 29")
    expect(page.locator("#beside")).to_contain_text("begins at 0:20 of the session")
    now = "document.querySelector('audio').currentTime"
    point(page, 30.5)
    page.mouse.down()
    page.mouse.up()
    wait(page, f"Math.abs({now} - 10.5) < 0.2")
    drawing(page).focus()
    page.keyboard.press("ArrowRight")
    wait(page, f"Math.abs({now} - 11) < 0.05")
    # Before and after the recording there is nothing to play.
    page.keyboard.press("Home")
    expect(page.locator("audio")).to_have_class("elsewhere")
    page.keyboard.press("End")
    expect(page.locator("audio")).to_have_class("elsewhere")
    # The other way round: the player moves the position.
    page.evaluate("document.querySelector('audio').currentTime = 5")
    wait(page, "Math.abs(parseFloat(document.querySelector('#timeline .cursor').style.left) - 25) < 0.5")
    page.keyboard.press(" ")
    wait(page, f"{now} > 5.3 && !document.querySelector('audio').paused")
    page.keyboard.press(" ")
    wait(page, "document.querySelector('audio').paused")
    left, time = page.evaluate(f"[parseFloat(document.querySelector('#timeline .cursor').style.left), {now}]")
    assert left == pytest.approx(20 + time, abs=0.2)


def test_the_sessions_own_video_leaves_its_gaps_out(tmp_path: Path) -> None:
    file = sound(tmp_path / "session.wav", 1)
    gaps = (Gap(10.0, 20.0, "lost"), Gap(30.0, 31.0, "slow"), Gap(40.0, 40.0, "clock"))
    kept = session(folder=tmp_path, keeps_video=True, gaps=gaps)
    assert put_beside(file, tmp_path / "a.html", kept).pieces == [(0.0, 0.0, 10.0), (20.0, pytest.approx(10.04), None)]
    assert put_beside(file, tmp_path / "a.html", kept, offset=-3.0).pieces == [(-3.0, 0.0, None)]


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.avi: expected a recording that browsers play \(\.mp4, .*got \.avi"):
        put_beside(tmp_path / "a.avi", tmp_path / "a.html", session())
    with pytest.raises(ValueError, match="expected a number of seconds"):
        put_beside(tmp_path / "a.mp4", tmp_path / "a.html", session(), offset=float("nan"))
    with pytest.raises(FileNotFoundError):
        put_beside(tmp_path / "a.mp4", tmp_path / "page" / "a.html", session())
    assert tuple(beside_module._TYPES) == PLAYABLE
