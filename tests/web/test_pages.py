"""The pages but Live and Session in a real browser, with a real server: what a visitor does, sees and takes along."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from moodspace.realtime.drawing.video import VideoWriter
from tests.browser import OpenPage
from tests.web.app_process import running_app

PAGES = ("Live", "Photo", "Video", "Map", "Teach", "Session", "About")
CHOOSER = "input[type=file]"
WAIT_MS = 40_000


@pytest.fixture(scope="module")
def address(shipped: Path) -> Iterator[str]:
    with running_app() as url:
        yield url


@pytest.fixture
def visit(open_page: OpenPage, address: str) -> Callable[..., Page]:
    """Opens the app for a new visitor and goes to a page of it."""

    def go(name: str, **how) -> Page:
        page = open_page(address, **how)
        page.set_default_timeout(WAIT_MS)
        goto(page, name)
        return page

    return go


def goto(page: Page, name: str) -> None:
    expect(page.locator(".ms .foot")).to_be_visible(timeout=WAIT_MS)
    phone = page.viewport_size["width"] < 700
    links = page.locator(".st-key-tabs a") if phone else page.get_by_test_id("stTopNavLink")
    links.filter(has_text=re.compile(f"{name}$")).click()
    expect(page.locator("h1").first).to_have_text(name, timeout=WAIT_MS)
    ready(page)


def ready(page: Page) -> None:
    """Waits until the page's script has run, and looks whether it failed."""
    expect(page.locator('[data-test-script-state="notRunning"]')).to_be_attached(timeout=WAIT_MS)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_text("This page could not be shown")).to_have_count(0)


def upload(page: Page, *files: Path | dict, where: str = CHOOSER) -> None:
    page.set_input_files(where, list(files))


def download(page: Page, button: str) -> tuple[str, bytes]:
    with page.expect_download() as started:
        page.get_by_role("button", name=button, exact=True).first.click()
    return started.value.suggested_filename, Path(started.value.path()).read_bytes()


def notice(page: Page, words: str) -> None:
    expect(page.locator(".ms .notice").filter(has_text=words).first).to_be_visible(timeout=WAIT_MS)


def teach(page: Page, picture: Path, label: str) -> None:
    upload(page, picture)
    expect(page.locator(".ms .crops img")).to_have_count(1, timeout=WAIT_MS)
    page.get_by_label("Or a new class").fill(label)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Teach 1 face").click()
    notice(page, f"{label}: 1 face taught")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_page_opens_and_fits(visit, width: int, scheme: str) -> None:
    page = visit("About", width=width, scheme=scheme)
    for name in PAGES:
        goto(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    assert ground == {"light": "rgb(252, 252, 250)", "dark": "rgb(20, 22, 26)"}[scheme]


def test_the_word_on_pictures_goes_when_it_was_read_and_the_law_stays(visit) -> None:
    page = visit("Teach")
    banner = page.get_by_text("Your pictures go to this server and nowhere else.")
    expect(banner).to_be_visible()
    page.get_by_role("button", name="Got it").click()
    expect(banner).to_be_hidden()
    goto(page, "Map")
    expect(banner).to_be_hidden()
    expect(page.locator(".foot")).to_contain_text("Article 5(1)(f) of Regulation (EU) 2024/1689")


def test_the_word_on_pictures_comes_once_a_browser(visit, address: str) -> None:
    page = visit("About")
    place = page.locator("h1").first.bounding_box()
    page.get_by_role("button", name="Got it").click()
    assert page.locator("h1").first.bounding_box() == place  # nothing moves
    banner = page.get_by_role("region", name="Privacy", include_hidden=True)
    page.context.clear_cookies()  # the browser is a new visitor, as after the server forgot it
    again = page.context.new_page()
    again.goto(address)
    ready(again)
    hidden = again.get_by_role("region", name="Privacy", include_hidden=True)
    expect(hidden).to_be_attached(timeout=WAIT_MS)
    expect(hidden).to_be_hidden()
    # Another text, as when the operator begins to keep what is taught, is shown again.
    again.evaluate("localStorage.setItem('moodspace-notice', 'another')")
    again.reload()
    expect(again.get_by_role("button", name="Got it")).to_be_visible(timeout=WAIT_MS)
    expect(banner).to_be_hidden()


def test_a_browser_without_storage_shows_the_word_until_it_is_dismissed(visit, open_page, address: str) -> None:
    page = open_page("about:blank")
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } });"
    )
    page.goto(address)
    page.get_by_role("button", name="Got it").click(timeout=WAIT_MS)
    goto(page, "About")
    expect(page.get_by_role("button", name="Got it")).to_be_hidden()


def test_a_photo_is_looked_at_and_its_results_taken_along(visit, run, astronaut: Path) -> None:
    page = visit("Photo")
    upload(page, astronaut)
    card = page.locator(".ms .face")
    expect(card.locator("h3")).to_contain_text("happy", timeout=WAIT_MS)
    expect(card.locator(".why li")).to_have_count(5)
    expected = json.loads(run("predict", astronaut, "--json").stdout)
    name, content = download(page, "JSON")
    assert name == "astronaut.json" and json.loads(content) == expected | {"source": astronaut.name}
    name, content = download(page, "CSV")
    (row,) = csv.DictReader(io.StringIO(content.decode()))
    assert name == "astronaut.csv" and row["expression"] == "happy"
    name, content = download(page, "Picture")
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    original = cv2.imread(str(astronaut))
    assert name == "astronaut-annotated.png" and picture.shape == original.shape
    changed = (picture != original).any(axis=2).mean()
    assert 0.001 < changed < 0.1


def test_two_views_of_a_photo_are_shown_side_by_side(visit, astronaut: Path) -> None:
    page = visit("Photo")
    upload(page, astronaut)
    expect(page.locator(".ms .face")).to_have_count(1, timeout=WAIT_MS)
    page.get_by_label("Compare with").click()
    page.get_by_role("option", name="ferplus").click()
    notice(page, "Both agree.")
    expect(page.locator(".ms .face h3")).to_have_text([re.compile("happy"), re.compile("happy")], timeout=WAIT_MS)
    own, second = (page.locator("h2", has_text=name).bounding_box() for name in ("blend", "ferplus"))
    assert own["y"] == second["y"] and own["x"] + 300 < second["x"]
    page.get_by_label("Compare with").click()
    page.get_by_role("option", name="Nothing").click()
    expect(page.locator(".ms .face")).to_have_count(1, timeout=WAIT_MS)


def test_pictures_that_cannot_be_looked_at_are_told_apart(visit, astronaut: Path) -> None:
    page = visit("Photo")
    blank = cv2.imencode(".png", np.full((200, 300, 3), 200, np.uint8))[1].tobytes()
    upload(
        page,
        {"name": "blank.png", "mimeType": "image/png", "buffer": blank},
        {"name": "text.png", "mimeType": "image/png", "buffer": b"no picture"},
        {"name": "half.png", "mimeType": "image/png", "buffer": astronaut.read_bytes()[:9000]},
    )
    notice(page, "blank.png: no face found")
    notice(page, "text.png: expected")
    notice(page, "half.png: expected")
    expect(page.locator(".ms .face")).to_have_count(0)


def test_a_video_is_watched_played_and_taken_along(visit, clip: Path, tmp_path: Path) -> None:
    page = visit("Video")
    upload(page, clip)
    drawing = page.locator(".scrub .drawing")
    expect(drawing).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".scrub .legend")).to_contain_text("happy")
    page.wait_for_function("() => (document.querySelector('video')?.readyState ?? 0) >= 1")
    assert page.evaluate("document.querySelector('video').videoWidth") == 512
    name, content = download(page, "MP4")
    (tmp_path / name).write_bytes(content)
    copy = cv2.VideoCapture(str(tmp_path / name))
    codec = int(copy.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little")
    assert name == "astronaut-annotated.mp4" and codec in (b"avc1", b"h264")
    assert int(copy.get(cv2.CAP_PROP_FRAME_COUNT)) == 5
    document = json.loads(download(page, "JSON")[1])
    assert document["source"] == "astronaut.mp4"
    assert [frame["time"] for frame in document["frames"]] == [0.0, 0.1, 0.2, 0.3, 0.4]
    rows = list(csv.DictReader(io.StringIO(download(page, "CSV")[1].decode())))
    assert [row["expression"] for row in rows] == ["happy"] * 5


def test_a_video_is_scrubbed_and_shows_single_faces_only_with_consent(visit, clip: Path) -> None:
    page = visit("Video")
    upload(page, clip)
    drawing = page.locator(".scrub .drawing")
    expect(drawing).to_be_visible(timeout=WAIT_MS)
    page.wait_for_function("() => (document.querySelector('video')?.readyState ?? 0) >= 1")
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()

    def point(share: float) -> None:
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + 40)

    point(0.5)
    expect(page.locator(".scrub .tip")).to_contain_text("0:00.2")
    expect(page.locator(".scrub .tip")).to_contain_text("happy")
    point(0.25)
    page.mouse.down()
    page.wait_for_function("() => Math.abs(document.querySelector('video').currentTime - 0.125) < 0.02")
    point(0.9)
    page.wait_for_function("() => Math.abs(document.querySelector('video').currentTime - 0.45) < 0.02")
    page.mouse.up()
    expect(page.locator(".scrub .selection")).to_contain_text("Whole video")
    expect(page.locator(".scrub .facts")).to_contain_text("with a face")
    drawing.press("Home")
    page.wait_for_function("() => document.querySelector('video').currentTime === 0")
    expect(page.locator(".scrub")).not_to_contain_text("Single faces")
    page.get_by_text("Show each face over time").click()
    expect(page.locator(".scrub .strips tr")).to_have_count(2, timeout=WAIT_MS)
    expect(page.locator(".scrub .strips")).to_contain_text("face 1")
    assert "happy" in page.locator(".scrub .legend").inner_text()


def test_a_video_is_left_when_the_visitor_cancels(visit, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "long.mp4", 10) as writer:
        for _ in range(150):
            writer.write(np.zeros((480, 640, 3), np.uint8))
    page = visit("Video")
    upload(page, tmp_path / "long.mp4")
    expect(page.get_by_test_id("stProgress")).to_contain_text("of 0:15", timeout=WAIT_MS)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_test_id("stProgress")).to_have_count(0, timeout=WAIT_MS)
    ready(page)
    expect(page.get_by_text("long.mp4")).to_have_count(0)
    expect(page.locator("video")).to_have_count(0)


def test_what_is_no_video_is_refused_in_words(visit) -> None:
    page = visit("Video")
    for name, content, words in (
        ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "expected an MP4, MOV, WebM, MKV or AVI file"),
        ("broken.mp4", b"\x00\x00\x00\x18ftypmp42" + bytes(400), "expected a whole video, got one"),
    ):
        upload(page, {"name": name, "mimeType": "video/mp4", "buffer": content})
        notice(page, f"{name}: {words}")
        expect(page.get_by_text("moodspace-")).to_have_count(0)


def test_what_one_visitor_teaches_only_that_one_sees_until_it_is_undone(visit, astronaut: Path) -> None:
    page, other = visit("Teach"), visit("Photo")
    teach(page, astronaut, "Confused")
    goto(page, "Photo")
    for visitor, expression in ((page, "confused"), (other, "happy")):
        upload(visitor, astronaut)
        expect(visitor.locator(".ms .face h3")).to_contain_text(expression, timeout=WAIT_MS)
    expect(page.locator(".ms .why")).to_contain_text(astronaut.name)
    goto(page, "Map")
    drawn = page.frame_locator("iframe")
    expect(drawn.get_by_text("28,710 faces").first).to_be_visible(timeout=WAIT_MS)
    goto(other, "Map")
    expect(other.frame_locator("iframe").get_by_text("28,709 faces").first).to_be_visible(timeout=WAIT_MS)
    goto(page, "Teach")
    page.get_by_role("button", name="Undo last").click()
    notice(page, "Undone: 1 confused")
    expect(page.locator(".ms .taught")).to_have_count(0)


def test_a_gallery_is_taken_along_and_brought_back(visit, astronaut: Path) -> None:
    page = visit("Teach")
    teach(page, astronaut, "bored")
    name, content = download(page, "Export")
    assert name == "moodspace.parquet" and content.startswith(b"PAR1")
    page.get_by_role("button", name="Forget").click()
    notice(page, "Forgot bored: 1 face")
    other = visit("Teach")
    other.get_by_text("Import a gallery").click()
    where = f".st-key-gallery {CHOOSER}"
    upload(other, {"name": "no.parquet", "mimeType": "application/octet-stream", "buffer": b"PAR1"}, where=where)
    notice(other, "no.parquet: expected an exported gallery")
    other.get_by_role("button", name=re.compile("Remove|Delete|Clear")).first.click()
    upload(other, {"name": name, "mimeType": "application/octet-stream", "buffer": content}, where=where)
    notice(other, "1 face imported")
    expect(other.locator(".ms .taught")).to_contain_text("bored")
