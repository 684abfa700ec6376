"""Four faces on the Live page of a laptop: everything about the selected one fits, with the form that teaches."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.web.app_process import running_app
from tests.web.fake_camera import browser_with_camera, write_four_faces

WAIT_MS = 60_000


@pytest.mark.slow
def test_four_faces_and_the_form_that_teaches_fit_on_a_laptop(shipped: Path, tmp_path: Path) -> None:
    write_four_faces(tmp_path / "four.mjpeg")
    with running_app() as address, browser_with_camera(tmp_path / "four.mjpeg") as camera:
        page = camera.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.goto(address)
        page.get_by_role("button", name="Start the camera").click(timeout=WAIT_MS)
        expect(page.locator(".face")).to_have_count(4, timeout=WAIT_MS)
        expect(page.locator(".evidence li")).to_have_count(5, timeout=WAIT_MS)
        for part in (".stage", ".faces", ".answer", ".why", ".where", ".teach"):
            box = page.locator(part).bounding_box()
            assert box and box["y"] >= 0 and box["y"] + box["height"] <= 900, part
