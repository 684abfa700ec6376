"""Tests of the map's page in Chromium, on synthetic faces."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from playwright.sync_api import expect

from moodspace.viz.map.face_map import FaceMap
from moodspace.viz.map.page import write_page
from tests.browser import OpenPage

if TYPE_CHECKING:
    from playwright.sync_api import Page

N, HOSTILE = 120, '=1+1"</script><img src=x onerror=alert(1)>, of\nnobody.png'


@pytest.fixture
def opened(make_map: Callable[..., FaceMap], open_page: OpenPage, tmp_path: Path) -> Callable[..., "Page"]:
    def opened(n: int = N, *, window: dict[str, Any] | None = None, **changes: Any) -> "Page":
        write_page(make_map(n, **changes), tmp_path / "map.html")
        page = open_page(tmp_path / "map.html", **(window or {}))
        page.evaluate("() => new Promise(requestAnimationFrame)")
        return page

    return opened


@pytest.fixture
def known() -> dict[str, Any]:
    """Every column: the first ten are predicted wrongly, 100 is taught, 110 of a session, 5 has a hostile source."""
    labels = np.arange(N) % 3
    predicted = labels.copy()
    predicted[:10] = (labels[:10] + 1) % 3
    origin = np.full(N, "gallery", dtype="<U7")
    origin[100], origin[110] = "taught", "session"
    folders = np.where(np.arange(N) < 60, "train", "validation")
    sources = np.array([f"{folder}/{i:03}.png" for i, folder in enumerate(folders)], dtype="<U80")
    sources[5] = HOSTILE
    crops = np.empty((N, 48, 48), np.uint8)
    crops[:] = np.arange(N)[:, None, None] * 2
    return {
        "predicted": predicted, "confidence": np.linspace(0, 1, N, dtype=np.float32), "splits": folders,
        "neighbors": (np.arange(N)[:, None] + np.arange(3, 18, 3)) % N, "origin": origin, "sources": sources,
        "ids": np.arange(N) + 2**60, "crops": crops, "picture": np.arange(N),
    }  # fmt: skip


def shown(page: "Page") -> int:
    return int(page.evaluate("shown.reduce((sum, one) => sum + one, 0)"))


def at(page: "Page", row: int) -> tuple[float, float]:
    x, y = page.evaluate(f"position({row})")
    return x, y


def colors_around(page: "Page", row: int) -> int:
    """Return the number of colors on the dots' canvas near a face."""
    x, y = (place - 12 for place in at(page, row))
    return int(page.evaluate(f"new Set(new Uint32Array(pen.getImageData({x}, {y}, 24, 24).data.buffer)).size"))


def test_a_face_under_the_pointer_tells_what_it_is(opened: Callable[..., "Page"], known: dict[str, Any]) -> None:
    page = opened(**known)
    page.mouse.move(*at(page, 4))
    card, row = page.locator("#card"), page.evaluate("hovered")
    words = card.inner_text()
    assert f"{row:03}.png" in words and str(2**60 + row) in words
    assert page.evaluate("cardRow") == row and card.locator(".mark").count() == 7  # label, prediction, five neighbours
    assert "confident" in words and ("wrong" in words) == (row < 10)
    # Every picture is the face's own: of one grey, twice its row.
    page.evaluate("Promise.all(sheets.values()).then(() => null)")
    grey = page.evaluate("document.querySelector('.head canvas').getContext('2d').getImageData(9, 9, 1, 1).data[0]")
    assert abs(grey - 2 * row) <= 3
    page.mouse.move(5, 400)
    assert card.is_hidden()


def test_a_click_keeps_a_face_and_its_neighbours_can_be_walked(
    opened: Callable[..., "Page"], known: dict[str, Any]
) -> None:
    page = opened(**known)
    page.mouse.click(*at(page, 40))
    assert (row := page.evaluate("pinned")) >= 0
    page.mouse.move(5, 400)
    assert page.locator("#card").is_visible()
    page.locator(".neighbors button").first.click()
    assert page.evaluate("pinned") == (row + 3) % N
    page.keyboard.press("Escape")
    assert page.locator("#card").is_hidden()


def test_filters_leave_what_passes_all_of_them(opened: Callable[..., "Page"], known: dict[str, Any]) -> None:
    page = opened(**known)
    page.click("#splits button >> text=validation")
    assert shown(page) == 60
    page.click("#verdict button >> text=wrong")
    assert shown(page) == 10
    page.click("#legend li:nth-child(1) .toggle")  # rows 0, 3, 6, 9 are happy
    assert shown(page) == 6
    assert page.locator("#legend b").first.inner_text() == "4"
    page.fill("#source", "TRAIN/00")
    assert shown(page) == 5  # the hostile one begins otherwise
    assert page.locator("#shown").inner_text() == "5 faces shown"
    page.click("#all")
    assert shown(page) == N and page.input_value("#source") == ""
    page.evaluate("byId('below').value = 50, byId('below').dispatchEvent(new Event('input'))")
    assert shown(page) == N // 2
    page.click("#origins button >> text=gallery")
    assert shown(page) == 0  # the taught face and the session's are surer
    assert "No face" in page.locator("#shown").inner_text()


def test_search_finds_by_id_and_by_source(opened: Callable[..., "Page"], known: dict[str, Any]) -> None:
    page = opened(**known)
    for keys in ("/", *str(2**60 + 77), "Enter"):
        page.keyboard.press(keys)
    assert page.evaluate("pinned") == 77
    page.fill("#search", "validation/09")
    assert page.locator("#found").inner_text().startswith("10 faces")
    for row in (90, 91):
        page.press("#search", "Enter")
        assert page.evaluate("pinned") == row
    page.fill("#search", "nobody has this")
    assert page.locator("#found").inner_text().startswith("No face")
    assert page.evaluate("focus") is None


def test_search_finds_by_class(opened: Callable[..., "Page"], known: dict[str, Any]) -> None:
    page = opened(**known)
    name = page.evaluate("faces.groups[1].name")
    page.fill("#search", name.upper())
    assert page.locator("#found").inner_text().startswith("40 faces")
    assert page.evaluate("rowsWhere((i) => focus[i]).every((i) => faces.group[i] === 1)")
    page.press("#search", "Enter")
    assert page.evaluate("faces.group[pinned]") == 1


TELL = "(told) => new BroadcastChannel('moodspace-live').postMessage(told)"


def test_faces_before_the_camera_are_drawn_where_they_are(
    make_map: Callable[..., FaceMap], open_page: OpenPage, tmp_path: Path
) -> None:
    write_page(make_map(N), tmp_path / "map.html", live=True)
    page = open_page(tmp_path / "map.html")
    face = {"id": 3, "place": [0.25, 0.5], "expression": "happy", "shade": "#12ab34"}
    page.evaluate(TELL, [face])
    expect(page.locator("#live")).to_have_text("1 face before the camera")
    where = "[(left + 0.25 * 65535 * scale) / ratio, (top_ - 0.5 * 65535 * scale) / ratio]"
    x, y = page.evaluate(where)
    color = f"Array.from(marker.getImageData({x} * ratio, {y} * ratio, 1, 1).data)"
    assert page.evaluate(color) == [0x12, 0xAB, 0x34, 255]
    page.mouse.wheel(0, -400)  # the points stay at their places on the map
    page.wait_for_function("scale > fitted")
    page.evaluate("() => new Promise(requestAnimationFrame)")
    x, y = page.evaluate(where)
    if 0 < x < 1280 and 0 < y < 800:
        assert page.evaluate(f"Array.from(marker.getImageData({x} * ratio, {y} * ratio, 1, 1).data)")[3] == 255
    page.evaluate(TELL, [{**face, "place": [0.3, 0.5]}])
    page.wait_for_function("live[0]?.trail.length === 1")
    expect(page.locator("#live")).to_have_text("")  # the Live page says nothing more
    assert page.evaluate("live.length") == 0


def test_a_map_as_a_file_listens_to_nobody(opened: Callable[..., "Page"]) -> None:
    page = opened()
    page.evaluate(TELL, [{"id": 1, "place": [0.5, 0.5], "expression": None, "shade": "#888888"}])
    page.wait_for_timeout(300)
    assert page.evaluate("live.length") == 0


def draw_lasso(page: "Page", row: int, *, shift: bool) -> None:
    """Draw a diamond around a face."""
    x, y = at(page, row)
    if shift:
        page.keyboard.down("Shift")
    else:
        page.click("#lasso")
    page.mouse.move(x - 70, y)
    page.mouse.down()
    for dx, dy in ((0, -70), (70, 0), (0, 70)):
        page.mouse.move(x + dx, y + dy, steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")


@pytest.mark.parametrize("shift", [True, False])
def test_a_lasso_makes_a_list_that_can_be_taken_along(
    opened: Callable[..., "Page"], known: dict[str, Any], tmp_path: Path, shift: bool
) -> None:
    page = opened(**known)
    places = np.array(page.evaluate("Array.from(faces.id, (_, i) => position(i))"))
    inside = np.flatnonzero(np.abs(places - places[5]).sum(axis=1) < 70).tolist()
    assert len(inside) < (np.abs(places - places[5]).max(axis=1) < 70).sum()  # than in the square around it
    draw_lasso(page, 5, shift=shift)
    assert page.evaluate("listed") == inside and 1 < len(inside) < N
    assert page.locator("#picked").inner_text() == f"{len(inside)} faces"
    assert page.locator("#rows li").count() == len(inside)
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "faces.csv")
    with (tmp_path / "faces.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["id"]) - 2**60 for row in rows] == inside
    own = rows[inside.index(5)]
    assert own["source"] == f"'{HOSTILE}"  # else a spreadsheet would run it
    assert (own["label"], own["predicted"], own["split"], own["origin"]) == ("confused", "happy", "train", "gallery")
    assert float(own["confidence"]) == pytest.approx(5 / 119, abs=1e-4)
    page.locator("#rows button").first.click()
    assert page.evaluate("pinned") == inside[0]
    page.click("#drop")
    assert page.locator("#list").is_hidden()


def test_all_shown_faces_can_be_listed_and_copied(opened: Callable[..., "Page"], known: dict[str, Any]) -> None:
    page = opened(**known, note="long " * 200)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#verdict button >> text=wrong")
    page.click("#take")
    page.click("#copy")
    page.get_by_text("Copied").wait_for()
    lines = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert lines[0] == "id,source,label,predicted,confidence,split,origin"
    assert page.locator("#right").inner_text() == "0 of 10 predictions right"
    assert page.evaluate("byId('list').getBoundingClientRect().bottom < byId('note').parentNode.offsetTop")


def test_taught_and_session_faces_stand_out(opened: Callable[..., "Page"], known: dict[str, Any]) -> None:
    page = opened(**known)
    assert page.locator("#origins .glyph").all_inner_texts() == ["gallery 118", "this session 1", "taught by you 1"]
    outlined = [colors_around(page, row) for row in (100, 110)]
    page.evaluate("highlighted.length = 0; drawDots()")
    assert all(with_rim > colors_around(page, row) for with_rim, row in zip(outlined, (100, 110), strict=True))


def test_a_face_without_a_label_has_the_color_of_its_prediction(opened: Callable[..., "Page"]) -> None:
    page = opened(3, labels=np.array([0, -1, -1]), predicted=np.array([0, 1, -1]))
    assert page.evaluate("Array.from(colorGroups)") == [0, 1, 3]
    assert "color of their prediction" in page.locator("footer").inner_text()


def test_the_keyboard_alone_is_enough(opened: Callable[..., "Page"], known: dict[str, Any]) -> None:
    page = opened(**known)
    page.focus("#dots")
    page.keyboard.press("Shift+ArrowRight")
    assert (first := page.evaluate("hovered")) >= 0
    page.keyboard.press("Shift+ArrowRight")
    assert at(page, second := page.evaluate("hovered"))[0] > at(page, first)[0]
    page.keyboard.press("Enter")
    assert page.evaluate("pinned") == second
    before = at(page, 0)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("+")
    assert page.evaluate("scale > fitted") and at(page, 0) != before
    page.keyboard.press("0")
    assert page.evaluate("scale === fitted")


def test_a_narrow_page_folds_its_filters_away_and_hides_nothing_below_the_card(
    opened: Callable[..., "Page"], known: dict[str, Any]
) -> None:
    page = opened(window={"width": 390, "height": 844, "scheme": "dark"}, **known)
    assert page.locator("#filters").is_hidden()
    for visible in (True, False):
        page.click("#open")
        assert page.locator("#filters").is_visible() == visible
    lowest = page.evaluate("rowsWhere(() => true).sort((a, b) => position(b)[1] - position(a)[1])[0]")
    page.mouse.click(*at(page, lowest))
    assert at(page, page.evaluate("pinned"))[1] < page.evaluate("card.getBoundingClientRect().top")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


LITTLE = [
    (0, {}), (1, {}), (3, {"labels": np.array([-1, -1, -1])}), (40, {"classes": ("happy",)}),
    (40, {"coordinates": np.ones((40, 2), np.float32)}),
]  # fmt: skip


@pytest.mark.parametrize(("n", "changes"), LITTLE)
def test_little_is_still_a_page(opened: Callable[..., "Page"], n: int, changes: dict[str, Any]) -> None:
    page = opened(n, **changes)
    assert shown(page) == n
    assert (page.locator("#shown").inner_text() == "No faces yet") == (n == 0)
    for filter_ in ("#origins", "#splits", "#verdict", "#sureness"):  # there is nothing to choose from
        assert page.locator(filter_).is_hidden()
    if n:
        page.mouse.click(*at(page, 0))
        assert "predicted" not in page.locator("#card").inner_text()
        assert page.locator("#card").is_visible()


@pytest.mark.parametrize(
    "window", [{"width": 1280, "height": 800}, {"width": 900, "height": 700}, {"width": 390, "height": 800}]
)
def test_an_open_list_does_not_move_the_map(
    opened: Callable[..., "Page"], known: dict[str, Any], window: dict[str, int]
) -> None:
    page = opened(**known, window=window)
    before = page.evaluate("[left, top_, scale]")
    page.evaluate("list(rowsWhere((i) => shown[i]))")
    assert page.locator("#list").is_visible()
    assert page.evaluate("[left, top_, scale]") == before
    page.evaluate("list([])")
    assert page.evaluate("[left, top_, scale]") == before


def test_the_list_has_room_beside_the_map_in_a_wide_window(
    opened: Callable[..., "Page"], known: dict[str, Any]
) -> None:
    page = opened(**known, window={"width": 1440, "height": 800})
    page.evaluate("list(rowsWhere((i) => shown[i]))")
    assert page.evaluate("left / ratio") > page.evaluate("byId('list').getBoundingClientRect().right")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("part", ["header", "footer"])
def test_no_dot_runs_through_the_words_of_a_zoomed_map(
    opened: Callable[..., "Page"], known: dict[str, Any], part: str, scheme: str
) -> None:
    page = opened(**known, window={"width": 1100, "height": 700, "scheme": scheme})
    area = page.locator(part).bounding_box()
    # Its corners are round.
    inner = {"x": area["x"] + 8, "y": area["y"] + 4, "width": area["width"] - 16, "height": area["height"] - 8}
    before = page.screenshot(clip=inner)
    x, y = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    there = f"left = {x} * ratio - faces.x[60] * scale; top_ = {y} * ratio + faces.y[60] * scale"
    page.evaluate(f"scale *= 3; {there}; redraw()")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert colors_around(page, 60) > 1, "expected dots behind the words"
    assert page.screenshot(clip=inner) == before
