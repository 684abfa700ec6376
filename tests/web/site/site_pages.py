"""The static site of the shipped bundle, served under a sub-path, and a Chromium whose camera shows a smiling face."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.web.site.serve import SiteServer
from moodspace.web.site.write import BUILT, write_site

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "bundles" / "fer2013"
SUB_PATH = "/a/moodspace/"


def written_site(folder: Path) -> Path:
    """Writes the site once its pages are built, as `make site` and `.ci/run` build them."""
    if not (BUILT / "index.html").is_file():
        pytest.skip("needs the built pages of the static site: make site")
    write_site(load_bundle(SHIPPED), folder, version="test")
    return folder


@contextmanager
def serving(folder: Path, path: str = SUB_PATH) -> Iterator[str]:
    """Serves a site until the block ends; yields its address."""
    with SiteServer(folder, path=path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{path}"
        finally:
            server.shutdown()


def ready(page: "Page", *, timeout: float = 60_000) -> "Page":
    """Waits until the network runs."""
    page.wait_for_selector("html[data-ready]", timeout=timeout)
    return page


def start_camera(page: "Page") -> "Page":
    """Starts the camera and waits for the first face."""
    page.get_by_role("button", name="Start the camera").click()
    page.wait_for_selector(".shown:has-text('%')")
    return page


def until(page: "Page", expression: str, *, seconds: float = 60) -> None:
    """Waits until an expression is true; Playwright's own waiting evaluates text, which the page's policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)
