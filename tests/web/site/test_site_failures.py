"""What the static site says where the browser lacks something, or the visitor refuses the camera."""

import pytest
from playwright.sync_api import expect

from tests.browser import chromium, page_opener
from tests.web.site.site_pages import ready

# A module with one SIMD instruction.
SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]


def test_no_camera_and_a_refused_one_are_one_sentence_each(site: str) -> None:
    with chromium() as browser, page_opener(browser) as open_page:
        page = ready(open_page(site))
        page.get_by_role("button", name="Start the camera").click()
        expect(page.locator(".word")).to_contain_text("No camera was found")
    refusing = ["--use-fake-device-for-media-stream", "--deny-permission-prompts"]
    with chromium(refusing) as browser, page_opener(browser) as open_page:
        page = ready(open_page(site))
        page.get_by_role("button", name="Start the camera").click()
        expect(page.locator(".word")).to_contain_text("The camera is not allowed here")
        expect(page.get_by_role("button", name="Start again")).to_be_visible()


def test_a_permission_taken_back_ends_the_session_with_a_sentence(site: str) -> None:
    with chromium(["--use-fake-device-for-media-stream"]) as browser, page_opener(browser) as open_page:
        page = ready(open_page(site))
        page.context.grant_permissions(["camera"])
        page.get_by_role("button", name="Start the camera").click()
        expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
        page.context.clear_permissions()
        expect(page.locator(".word")).to_contain_text("The camera is no longer allowed")
        assert page.evaluate("document.querySelector('#page-live video').srcObject") is None


def test_a_browser_without_simd_is_told_so(site: str) -> None:
    with chromium(["--js-flags=--no-enable-sse4-1"]) as browser, page_opener(browser) as open_page:
        page = open_page(site, tolerant=True)
        if page.evaluate(f"WebAssembly.validate(new Uint8Array({SIMD}))"):
            pytest.skip("this processor has SIMD whatever the flags say")
        expect(page.get_by_role("alert")).to_contain_text("SIMD")
