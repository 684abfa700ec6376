"""What the Live page does when its connection, its camera or its visitor goes, and what it says of a recording."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from moodspace.web.live.socket import PATH
from tests.web.app_process import running_app
from tests.web.fake_camera import browser_with_camera, write_clip

WAIT_MS = 40_000
WORD, STATUS = ".curtain .word", ".status"


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
def page(camera: Browser) -> Iterator[Page]:
    """A page of a new visitor, not opened yet; what it throws fails the test."""
    thrown: list[str] = []
    with camera.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: thrown.append(str(error)))
        yield page
    assert thrown == []


class Wire:
    """The live connections of a page, through which nothing goes while it is `cut`."""

    def __init__(self, page: Page) -> None:
        self.routes: list[WebSocketRoute] = []
        self.cut = False
        page.route_web_socket(re.compile(PATH), self._connect)

    def _connect(self, route: WebSocketRoute) -> None:
        self.routes.append(route)
        server = route.connect_to_server()
        route.on_message(lambda message: None if self.cut else server.send(message))
        server.on_message(lambda message: None if self.cut else route.send(message))


def begin(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="Start the camera").click()


def shows(page: Page, words: str = "happy") -> None:
    expect(page.locator(".shown")).to_contain_text(words, timeout=WAIT_MS)


def says(page: Page, where: str, words: str, timeout: float = WAIT_MS) -> None:
    expect(page.locator(where)).to_contain_text(words, timeout=timeout)


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (4429, "all 16 places are taken; come back later", "All 16 places are taken; come back later."),
        (1008, "expected a visitor's cookie", "Reload the page"),
    ],
)
def test_a_server_that_sends_the_visitor_away_says_why(
    page: Page, address: str, code: int, reason: str, words: str
) -> None:
    page.route_web_socket(re.compile(PATH), lambda route: route.close(code=code, reason=reason))
    begin(page, address)
    says(page, WORD, words)
    assert page.locator("video").evaluate("video => video.srcObject === null")


def test_a_connection_that_only_opens_is_given_up_after_five_seconds(page: Page, address: str) -> None:
    page.route_web_socket(re.compile(PATH), lambda route: None)
    begin(page, address)
    says(page, STATUS, "Connecting")
    says(page, WORD, "The Photo page can take single pictures", 8_000)


def test_a_lost_connection_is_taken_up_again_and_shows_nothing_old_meanwhile(page: Page, address: str) -> None:
    wire = Wire(page)
    begin(page, address)
    shows(page)
    wire.routes[0].close(code=1012)
    says(page, STATUS, "Connection lost")
    says(page, ".shown", "No face in view")
    assert not page.locator(".over").evaluate(
        "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
    )
    shows(page)
    assert len(wire.routes) == 2
    expect(page.locator(STATUS)).to_be_empty()


def test_a_network_that_has_gone_without_a_word_is_noticed(page: Page, address: str) -> None:
    wire = Wire(page)
    begin(page, address)
    shows(page)
    wire.cut = True
    says(page, STATUS, "Connection lost", 15_000)
    wire.cut = False
    shows(page)


def test_a_camera_that_is_unplugged_ends_the_session(page: Page, address: str) -> None:
    begin(page, address)
    shows(page)
    page.locator("video").evaluate("video => video.srcObject.getTracks()[0].dispatchEvent(new Event('ended'))")
    says(page, WORD, "The camera was disconnected")


def test_a_page_out_of_sight_gives_the_camera_back_after_a_minute(page: Page, address: str) -> None:
    page.clock.install()
    begin(page, address)
    shows(page)
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => true, configurable: true })")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.clock.fast_forward(59_000)
    expect(page.locator(WORD)).to_be_hidden()
    page.clock.fast_forward(2_000)
    says(page, WORD, "hidden for a minute")
    assert page.locator("video").evaluate("video => video.srcObject === null")


def test_everything_is_reached_by_the_keyboard(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="Start the camera").press("Enter")
    stop = page.get_by_role("button", name="Stop", exact=True)
    expect(stop).to_be_focused()
    shows(page)
    for name in ("Mirror", "Record", "Faces that must be visible", "angry"):
        for _ in range(3):
            page.keyboard.press("Tab")
            if page.locator(":focus").evaluate_all("found => found.length") and page.evaluate(FOCUSED) == name:
                break
        else:
            pytest.fail(f"expected the Tab key to reach {name}")
    stop.press("Enter")
    expect(page.get_by_role("button", name="Start again")).to_be_focused()


# What the keyboard is on, within the component's shadow root, as it is called.
FOCUSED = """() => {
    const on = document.activeElement.shadowRoot.activeElement;
    return on.getAttribute("aria-label") ?? (on.labels?.[0] ?? on).textContent.trim();
}"""


def test_mirrored_boxes_stand_where_the_mirrored_face_is(page: Page, address: str) -> None:
    begin(page, address)
    shows(page)
    mirrored = page.locator(".over").evaluate(MIDDLE)
    page.get_by_label("Mirror").uncheck()
    page.wait_for_timeout(500)
    assert mirrored + page.locator(".over").evaluate(MIDDLE) == pytest.approx(1, abs=0.1)
    assert abs(mirrored - 0.5) > 0.02  # the face is not in the middle, so that the test can tell


# The middle of what is drawn over the picture, as a share of its width.
MIDDLE = """canvas => {
    const { width, height } = canvas, { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    let [sum, count] = [0, 0];
    for (let at = 3; at < data.length; at += 4) if (data[at]) [sum, count] = [sum + ((at - 3) / 4) % width, count + 1];
    return sum / count / width;
}"""


def test_a_recording_that_keeps_nothing_says_what_it_waits_for(page: Page, address: str) -> None:
    begin(page, address)
    shows(page)
    badge, button = page.locator(".recording"), page.locator(".record")
    button.click()  # with the defaults, before one face
    expect(badge).to_have_text("Waiting: 5 faces needed, 1 in view")
    expect(badge).to_have_class(re.compile("waiting"))
    button.click()
    expect(badge).to_be_hidden()


def test_a_recording_is_off_until_it_is_asked_for_and_every_tab_knows_of_it(page: Page, address: str) -> None:
    begin(page, address)
    shows(page)
    badge, button = page.locator(".recording"), page.locator(".record")
    expect(badge).to_be_hidden()
    page.locator(".group").select_option("1")
    button.click()
    expect(badge).to_have_text("Recording")
    says(page, STATUS, "numbers only, no images")
    with page.context.new_page() as session:
        session.goto(f"{address}/session")
        says(session, ".ms .report", "happy")
        session.get_by_role("button", name="Stop", exact=True).click()
        expect(badge).to_be_hidden(timeout=WAIT_MS)
        expect(button).to_have_text("Record")
        says(page, STATUS, "The recording has ended")
        button.click()
        says(page, STATUS, "still on the Session page")
        expect(badge).to_be_hidden()
        session.get_by_role("button", name="Discard").click()
        session.get_by_role("button", name="Discard the recording").click()
        expect(session.get_by_role("heading", name="How to record")).to_be_visible(timeout=WAIT_MS)
    button.click()
    expect(badge).to_be_visible()
