"""A headless Chromium for tests of pages: found, or installed where that needs no question, or else the test skips."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Playwright

# As root Chromium has no sandbox; the rest keeps it from calling home, which a closed network would make slow.
_QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--hide-scrollbars",
)  # fmt: skip
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_MAX_FETCH_S = 300
# So long a page may take for what it is expected to show: other tests run on the same processors.
PATIENCE_MS = 60_000

OpenPage = Callable[..., "Page"]


@contextmanager
def chromium(arguments: Sequence[str] = ()) -> Iterator[Browser]:
    """Starts a headless Chromium; skips the test with a clear word where there is none and none can be installed.

    Args:
        arguments: More of its command line, such as those of a fake camera.

    Yields:
        Playwright's browser; each `new_context()` of it has cookies and permissions of its own.
    """
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: make test installs it")
    sync_api.expect.set_options(timeout=PATIENCE_MS)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_executable(playwright), args=[*_QUIET, *arguments])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_opener(browser: Browser) -> Iterator[OpenPage]:
    """Yield `open_page(url_or_path, width=1280, height=800, scheme="light", tolerant=False)`.

    Each page has a context of its own: cookies, storage, permissions. At the end this fails on anything that a page
    threw or wrote to its console as an error, unless it was opened as tolerant.
    """
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    def note(page: Page, trouble: str) -> None:
        troubles.append(f"{page.url}: {trouble}")

    def open_page(
        where: str | Path,
        width: int = 1280,
        height: int = 800,
        scheme: Literal["light", "dark"] = "light",
        tolerant: bool = False,
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        if not tolerant:
            page.on("pageerror", lambda error: note(page, str(error)))
            page.on("console", lambda said: note(page, said.text) if said.type == "error" else None)
        page.goto(where.resolve().as_uri() if isinstance(where, Path) else where)
        return page

    yield open_page
    for context in contexts:
        context.close()
    if troubles:
        pytest.fail("\n".join(troubles))


def _executable(playwright: Playwright) -> str:
    """Path of the system's Chromium, of Playwright's own, or of one that Playwright fetches now."""
    own = playwright.chromium.executable_path
    if found := _present(own):
        return found
    fetch = [sys.executable, "-m", "playwright", "install", "chromium"]
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(fetch, capture_output=True, timeout=_MAX_FETCH_S, check=False)
    if found := _present(own):
        return found
    pytest.skip("expected Chromium, found none and could not fetch it; install it from your system's packages")


def _present(own: str) -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None) or (own if Path(own).exists() else None)
