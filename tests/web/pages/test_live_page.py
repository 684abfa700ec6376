"""The Live page in a real browser with a fake camera: what it shows, teaches, and says when something is missing."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

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


def go_to(page: Page, name: str) -> None:
    phone = page.viewport_size["width"] < 700
    links = page.locator(".st-key-tabs a") if phone else page.get_by_test_id("stTopNavLink")
    links.filter(has_text=re.compile(f"{name}$")).click()
    expect(page.locator("h1").first).to_have_text(name, timeout=WAIT_MS)


def drawn(canvas: Locator) -> bool:
    return canvas.evaluate("one => one.getContext('2d').getImageData(0, 0, one.width, one.height).data.some(Boolean)")


@pytest.mark.parametrize("width", [1280, 390])
def test_on_another_page_the_session_goes_on_with_a_sign_until_it_is_stopped(visit: Visit, width: int) -> None:
    page = visit(viewport={"width": width, "height": 844})
    start(page)
    shown(page, "happy")
    teach_as(page, "smirk")
    shown(page, "smirk", TAUGHT_MS)
    video = page.locator("video").element_handle()
    track = video.evaluate_handle("video => video.srcObject.getVideoTracks()[0]")
    sign = page.locator(".moodspace-dock")
    expect(sign).to_have_count(0)
    go_to(page, "About")
    expect(sign).to_be_visible()
    expect(sign).to_contain_text("Live session running")
    assert track.evaluate("track => track.readyState") == "live"
    # It still sends frames: its picture moves.
    time = video.evaluate("video => video.currentTime")
    page.wait_for_function("([video, time]) => video.currentTime > time + 0.3", arg=[video, time])
    page.get_by_role("button", name="Back to Live").click()
    expect(page.locator("h1").first).to_have_text("Live", timeout=WAIT_MS)
    expect(sign).to_have_count(0)
    shown(page, "smirk")  # the same session, with what it knows, and no new start
    assert track.evaluate("track => track.readyState") == "live" and drawn(page.locator(".over"))
    go_to(page, "Photo")
    sign.get_by_role("button", name="Stop").click()
    expect(sign).to_have_count(0)
    assert track.evaluate("track => track.readyState") == "ended"
    go_to(page, "Live")
    expect(page.get_by_role("button", name="Start the camera")).to_be_visible(timeout=WAIT_MS)


def test_a_page_without_a_session_leaves_no_sign(visit: Visit) -> None:
    page = visit()
    go_to(page, "About")
    expect(page.locator(".moodspace-dock")).to_have_count(0)


def test_the_last_minutes_are_under_the_picture(visit: Visit) -> None:
    page = visit()
    expect(page.locator(".recent")).to_be_hidden()
    page.get_by_role("button", name="Got it").click(timeout=WAIT_MS)  # it may lie over the end of the page
    start(page)
    shown(page, "happy")
    page.wait_for_timeout(1500)
    assert drawn(page.locator(".recent canvas"))
    page.locator(".recent canvas").scroll_into_view_if_needed()
    box = page.locator(".recent canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * (1 - 0.5 / 180), box["y"] + 10)
    expect(page.locator(".recent figcaption")).to_contain_text(re.compile(r"^[01] s ago: happy \d+ %"))
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".recent")).to_be_hidden()


def test_an_event_is_marked_when_the_button_was_pressed(visit: Visit) -> None:
    page = visit()
    start(page)
    shown(page, "happy")
    button = page.get_by_role("button", name="Mark event")
    expect(button).to_be_hidden()
    page.locator(".group").select_option("1")
    page.get_by_role("button", name="Record", exact=True).click()
    expect(button).to_be_visible()
    page.wait_for_timeout(2500)
    page.locator(".over").press("x")
    page.wait_for_timeout(1500)
    page.keyboard.type("joke")
    page.keyboard.press("Enter")
    status = page.locator(".status")
    expect(status).to_contain_text(re.compile("Marked joke at 0:0[234] of the recording"))
    expect(page.locator(".event-name")).to_be_hidden()
    button.click()
    page.keyboard.press("Escape")
    expect(page.locator(".event-name")).to_be_hidden()
    button.click()
    page.get_by_role("button", name="Save").click()
    expect(status).to_contain_text("Marked event at")
    go_to(page, "Session")
    expect(page.locator(".moodspace-dock")).to_contain_text("Recording")
    expect(page.locator("#events, .ms section").filter(has_text="Events")).to_contain_text("joke", timeout=WAIT_MS)


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


def test_a_map_in_another_window_shows_the_face_before_the_camera(visit: Visit, address: str) -> None:
    page = visit()
    first = page.context.new_page()  # the first map takes some seconds to draw, later ones do not
    first.goto(f"{address}/moodspace/map", timeout=120_000)
    first.close()
    start(page)
    shown(page, "happy")
    with page.context.expect_page(timeout=60_000) as opened:
        page.get_by_role("button", name="Open the map in a window").click()
    beside = opened.value
    assert beside.url == f"{address}/moodspace/map"
    page.bring_to_front()  # browsers show few frames of a camera to a page in the background
    expect(beside.locator("#live")).to_have_text("1 face before the camera", timeout=WAIT_MS)
    page.get_by_role("button", name="Stop").click()
    expect(beside.locator("#live")).to_have_text("", timeout=WAIT_MS)
