"""The Live page in a real browser with a fake camera: what it shows, teaches, and says when something is missing."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.web.app_process import running_app
from tests.web.fake_camera import browser_with_camera, write_clip

WAIT_MS = 40_000
# The benchmark measures how soon; here the machine may be busy.
LABEL_MS, TAUGHT_MS = 20_000, 10_000
WORD = ".curtain .word"

Visit = Callable[..., Page]


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
def visit(camera: Browser, address: str) -> Iterator[Visit]:
    """Opens the Live page, by default as a new visitor; what it throws fails the test."""
    contexts, thrown = [], []

    def go(context: BrowserContext | None = None, **how) -> Page:
        if context is None:
            context = camera.new_context(**how)
            contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: thrown.append(str(error)))
        page.goto(address)
        expect(page.get_by_role("button", name="Start the camera")).to_be_visible(timeout=WAIT_MS)
        return page

    yield go
    for context in contexts:
        context.close()
    assert thrown == []


def start(page: Page) -> None:
    page.get_by_role("button", name="Start").first.click()


def shown(page: Page, words: str, timeout: int = LABEL_MS) -> None:
    expect(page.locator(".shown")).to_contain_text(words, timeout=timeout)


def teach_as(page: Page, label: str) -> None:
    page.get_by_label("A new class").fill(label)
    page.get_by_role("button", name="Teach", exact=True).click()


def test_the_face_before_the_camera_is_labelled_with_its_evidence(visit: Visit) -> None:
    page = visit()
    start(page)
    shown(page, "happy")
    expect(page.locator(".bars li.best")).to_contain_text("happy")
    expect(page.locator(".evidence li").first).to_contain_text("happy")
    expect(page.locator(".pace")).to_contain_text("ms", timeout=WAIT_MS)
    expect(page.locator(".sight")).to_have_text("One face in view; it shows happy.", timeout=WAIT_MS)
    drawn = page.locator(".over").evaluate(
        "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
    )
    mapped = page.locator(".map").evaluate(
        "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
    )
    assert drawn
    assert mapped


def test_bars_keep_their_order_and_a_class_has_one_color(visit: Visit) -> None:
    page = visit()
    start(page)
    shown(page, "happy")
    teach_as(page, "smirk")
    shown(page, "smirk", TAUGHT_MS)
    names = page.locator(".bars li span")
    page.locator(".bars").evaluate(
        """(bars) => {
            window.orders = new Set();
            const names = () => [...bars.querySelectorAll("li span")].map((one) => one.textContent);
            const note = () => window.orders.add(names().join());
            new MutationObserver(note).observe(bars, { subtree: true, attributes: true, characterData: true });
        }"""
    )
    expect(page.locator(".bars li.best")).to_contain_text("smirk")
    page.wait_for_timeout(1000)
    assert page.evaluate("window.orders.size") <= 1
    assert names.all_text_contents()[-1] == "smirk" and "happy" in names.all_text_contents()
    shades = [
        page.locator(where, has_text="smirk").first.evaluate("one => one.style.getPropertyValue('--shade')")
        for where in (".class", ".bars li", ".evidence b")
    ]
    assert len(set(shades)) == 1
    red, green, blue = (int(shades[0][at : at + 2], 16) for at in (1, 3, 5))
    boxed = page.locator(".over").evaluate(
        """(canvas, shade) => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            for (let at = 0; at < data.length; at += 4) {
                if (data[at + 3] === 255 && shade.every((value, channel) => data[at + channel] === value)) return true;
            }
            return false;
        }""",
        [red, green, blue],
    )
    assert boxed


def test_what_one_visitor_teaches_is_known_there_at_once_and_to_nobody_else(visit: Visit) -> None:
    teacher, other = visit(), visit()
    for page in (teacher, other):
        start(page)
        shown(page, "happy")
    teach_as(teacher, "smirk")
    shown(teacher, "smirk", TAUGHT_MS)
    expect(teacher.locator(".classes")).to_contain_text("smirk")
    expect(teacher.locator(".status")).to_contain_text("1 face")
    shown(other, "happy")
    expect(other.locator(".classes")).not_to_contain_text("smirk")
    teacher.get_by_role("button", name="Undo").click()
    shown(teacher, "happy", TAUGHT_MS)
    expect(teacher.locator(".classes")).not_to_contain_text("smirk")


def test_a_name_that_cannot_be_taught_is_refused_in_words(visit: Visit) -> None:
    page = visit()
    start(page)
    shown(page, "happy")
    page.get_by_label("A new class").fill("a\u200bb")
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator(".status")).to_contain_text("zero width space")
    shown(page, "happy")


def test_a_smile_is_refused_as_a_resting_face(visit: Visit) -> None:
    page = visit()
    start(page)
    shown(page, "happy")
    button = page.locator(".zero")
    expect(button).to_have_text("Set the resting face as baseline")
    button.click()
    expect(button).to_have_text("Stop measuring", timeout=WAIT_MS)
    expect(page.locator(".status")).to_contain_text("it is not at rest; look relaxed and try again.", timeout=WAIT_MS)
    expect(button).to_have_text("Set the resting face as baseline", timeout=WAIT_MS)


def test_stopping_gives_the_camera_back_and_starting_again_works(visit: Visit) -> None:
    page = visit()
    start(page)
    shown(page, "happy")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(WORD)).to_have_text("Stopped.")
    assert page.locator("video").evaluate("video => video.srcObject === null")
    start(page)
    shown(page, "happy")


def test_another_page_ends_the_session(visit: Visit) -> None:
    page = visit()
    start(page)
    shown(page, "happy")
    video = page.locator("video").element_handle()
    track = video.evaluate_handle("video => video.srcObject.getVideoTracks()[0]")
    page.get_by_test_id("stTopNavLink").filter(has_text=re.compile("About$")).click()
    expect(page.locator("h1").first).to_have_text("About", timeout=WAIT_MS)
    assert track.evaluate("track => track.readyState") == "ended"


def test_a_phone_shows_the_same_without_scrolling_sideways(visit: Visit) -> None:
    page = visit(viewport={"width": 390, "height": 844}, color_scheme="dark")
    start(page)
    shown(page, "happy")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ("NotAllowedError", "Allow it in the browser"),
        ("NotFoundError", "No camera was found"),
        ("NotReadableError", "in use by another program"),
        ("UnheardOfError", "could not be opened"),
    ],
)
def test_a_camera_that_cannot_be_had_is_explained(visit: Visit, camera: Browser, refusal: str, words: str) -> None:
    context = camera.new_context()
    context.add_init_script(
        f"navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '{refusal}'));"
    )
    page = visit(context)
    start(page)
    expect(page.locator(WORD)).to_contain_text(words)
    expect(page.get_by_role("button", name="Start again")).to_be_enabled()
    context.close()


def test_a_page_that_is_not_secure_says_so_before_it_starts(visit: Visit, camera: Browser, address: str) -> None:
    page = camera.new_context().new_page()
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false });")
    page.goto(address)
    expect(page.locator(WORD)).to_contain_text("https", timeout=WAIT_MS)
    expect(page.get_by_role("button", name="Start the camera")).to_be_hidden()
    page.context.close()


def test_a_browser_without_websockets_is_told_where_else_to_go(visit: Visit, camera: Browser) -> None:
    context = camera.new_context()
    # The app itself needs its own connection; only the live one is taken away.
    context.add_init_script(
        "const Real = WebSocket; window.WebSocket = class extends Real {"
        "constructor(url, ...rest) { super(String(url).replace('/moodspace/live', '/nowhere'), ...rest); } }"
    )
    page = visit(context)
    start(page)
    expect(page.locator(WORD)).to_contain_text("The Photo page can take single pictures", timeout=WAIT_MS)
    context.close()


def test_a_server_that_stops_is_noticed_and_taken_up_again(camera: Browser, shipped: Path) -> None:
    with running_app() as url:
        page = camera.new_context().new_page()
        page.goto(url)
        page.get_by_role("button", name="Start the camera").click(timeout=WAIT_MS)
        shown(page, "happy")
    expect(page.locator(f".status, {WORD}").filter(has_text=re.compile("Connection lost")).first).to_be_visible(
        timeout=WAIT_MS
    )
    page.context.close()
