"""The static site as an app: offline, updates, policy, accessibility, phones, and one sentence for each failure."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser import page_opener
from tests.web.site.site_pages import ROOT, ready, serving, start_camera, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = ROOT / "web" / "browser" / "node_modules" / "axe-core" / "axe.min.js"
PAGES = ("live", "photo", "video", "map", "teach", "session", "about")


def installed(page: "Page") -> "Page":
    """Waits until the service worker has stored all files and answers for the page."""
    until(page, "navigator.serviceWorker.ready.then((one) => one.active?.state === 'activated')")
    until(page, "navigator.serviceWorker.controller !== null")
    return page


def test_the_second_visit_works_without_the_server(camera_browser, site_folder) -> None:
    with page_opener(camera_browser) as open_page:
        with serving(site_folder) as address:
            page = installed(ready(open_page(address)))
        ready(page.reload() and page)
        expect(start_camera(page).locator(".shown")).to_contain_text("happy")
        page.goto(f"{address}index.html#photo")
        ready(page).get_by_role("button", name="Sample picture").click()
        expect(page.locator(".face h2")).to_contain_text("happy")


def test_a_new_version_is_offered_and_taken_over(camera_browser, site_folder, tmp_path) -> None:
    copy = shutil.copytree(site_folder, tmp_path / "site")
    with serving(copy) as address, page_opener(camera_browser) as open_page:
        page = installed(ready(open_page(address)))
        index = copy / "index.html"
        index.write_text(
            index.read_text().replace('<h1 id="title-live" tabindex="-1">Live</h1>', '<h1 id="title-live">New</h1>')
        )
        worker = copy / "sw.js"
        worker.write_text(worker.read_text().replace('"index.html","revision":"', '"index.html","revision":"new'))
        page.reload()
        ready(page)
        expect(page.locator("#title-live")).to_have_text("Live")  # not mixed with the files of the old version
        page.locator("#update").get_by_role("button", name="Reload").click()
        expect(page.locator("#title-live")).to_have_text("New")


def test_another_site_in_a_folder_below_is_left_alone(camera_browser, site_folder, tmp_path) -> None:
    copy = shutil.copytree(site_folder, tmp_path / "site")
    (copy / "below").mkdir()
    (copy / "below" / "index.html").write_text("<h1>Another site</h1>")
    with serving(copy) as address, page_opener(camera_browser) as open_page:
        page = installed(ready(open_page(address, tolerant=True)))
        page.goto(f"{address}below/index.html")
        expect(page.locator("h1")).to_have_text("Another site")


@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "light"), (390, 844, "dark")])
def test_every_page_passes_the_accessibility_checks(open_page, site: str, width, height, scheme) -> None:
    page = start_camera(ready(open_page(site, width=width, height=height, scheme=scheme)))
    page.evaluate(AXE.read_text())
    found = []
    for name in PAGES:
        page.locator(f'.pages a[href="#{name}"]').click()
        if name == "photo":
            page.get_by_role("button", name="Sample picture").click()
            expect(page.locator(".face h2")).to_contain_text("happy")
        for one in page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]:
            where = [node["target"] for node in one["nodes"]]
            found += [f"{name}: {one['impact']}: {one['help']}: {where}"]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name} is {wide} pixels too wide"
    assert [line for line in found if "minor" not in line] == []


def test_pages_are_reached_by_keyboard_and_announced_by_their_title(open_page, site: str) -> None:
    page = ready(open_page(site))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.locator('.pages a[href="#map"]').press("Enter")
    expect(page.locator("#title-map")).to_be_focused()
    expect(page).to_have_title("Map · Moodspace")
    expect(page.locator('.pages a[aria-current="page"]')).to_have_text("Map")
    page.go_back()
    expect(page.locator("#page-live")).to_be_visible()


def test_the_policy_holds_no_inline_parts_and_the_law_is_told_on_every_page(site_folder) -> None:
    html = (site_folder / "index.html").read_text()
    assert "unsafe-inline" not in html and "unsafe-eval'" not in html.replace("'wasm-unsafe-eval'", "")
    assert " style=" not in html and "<style" not in html and "onclick" not in html
    assert "moodspace:" not in html
    for words in (
        "Article 5(1)(f)",
        "Expression shown, not emotion felt.",
        "FER2013's 28,709 training faces",
        "Apache",
    ):
        assert words in html


def broken(folder: Path, site_folder: Path, name: str) -> Path:
    """Copies the site with one damaged file."""
    copy = shutil.copytree(site_folder, folder / "site")
    (path,) = (copy / "assets").glob(name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    return copy


@pytest.mark.parametrize("name", ["encoder.*.bin", "detector.*.bin", "gallery.*.bin"])
def test_a_broken_model_file_is_one_sentence(camera_browser, site_folder, tmp_path, name) -> None:
    with serving(broken(tmp_path, site_folder, name)) as address, page_opener(camera_browser) as open_page:
        page = open_page(address, tolerant=True)
        expect(page.get_by_role("alert")).to_contain_text("is damaged")
        expect(page.get_by_role("button", name="Start the camera")).to_be_disabled()


def test_a_missing_model_file_is_one_sentence(camera_browser, site_folder, tmp_path) -> None:
    copy = shutil.copytree(site_folder, tmp_path / "site")
    next((copy / "assets").glob("encoder.*.bin")).unlink()
    with serving(copy) as address, page_opener(camera_browser) as open_page:
        expect(open_page(address, tolerant=True).get_by_role("alert")).to_contain_text("got status 404")


def test_a_browser_without_storage_says_so_and_works(open_page, site: str) -> None:
    page = open_page("about:blank")
    page.context.add_init_script(
        "delete window.indexedDB; Object.defineProperty(window, 'indexedDB', { value: undefined })"
    )
    page.goto(f"{site}#teach")
    ready(page)
    expect(page.locator(".keep-words")).to_contain_text("This browser keeps no data for this page")
    expect(page.get_by_label("Keep what I teach in this browser")).to_be_disabled()


def test_motion_is_reduced_on_request(open_page, site: str) -> None:
    page = ready(open_page(site))
    page.emulate_media(reduced_motion="reduce")
    moving = page.evaluate("getComputedStyle(document.querySelector('.ring-done')).transitionDuration")
    assert float(moving.removesuffix("s")) == 0
