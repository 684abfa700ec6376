"""The browser engine without its pages: a headless Chromium with a site's worker, and calls to it from Python."""

import base64
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodspace.arrays import ByteArray
from moodspace.web.site.serve import SiteServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Starts the worker as `client.ts` does; pictures and camera frames become what the pages send.
_HARNESS = """async () => {
    const site = await (await fetch("site.json")).json();
    const worker = new Worker(site.worker.url);
    const waiting = new Map();
    let next = 1;
    worker.onmessage = ({ data }) => {
        if ("progress" in data) return;
        const { resolve, reject } = waiting.get(data.id);
        waiting.delete(data.id);
        if ("error" in data) reject(new Error(`${data.error.code}: ${data.error.message}`));
        else resolve(data.result);
    };
    worker.onerror = (event) => waiting.forEach(({ reject }) => reject(new Error(event.message)));
    window.call = (method, ...values) => new Promise((resolve, reject) => {
        waiting.set(next, { resolve, reject });
        worker.postMessage({ id: next++, method, values });
    });
    window.bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    window.bitmap = (text, type) => createImageBitmap(new Blob([bytes(text)], { type }));
}"""


@contextmanager
def served(site: Path, **options: Any) -> Iterator[SiteServer]:
    """Serves a site on a free port of loopback."""
    with SiteServer(site, **options) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Engine:
    """The engine of a site in a page of its own.

    Args:
        browser: A running Chromium.
        address: The site's address.
    """

    def __init__(self, browser: "Browser", address: str) -> None:
        self.page: Page = browser.new_page()
        # An empty page of the same origin: the site's own would start a second engine.
        self.page.route(address, lambda route: route.fulfill(response=route.fetch(), body="<!doctype html>"))
        self.page.goto(address)
        self.page.evaluate(_HARNESS)

    def load(self, threads: int | None = None) -> dict[str, Any]:
        """Loads the engine; returns the bundle's description without the map."""
        script = (
            "async ([base, threads]) => { const info = await call('load', base, threads); info.map = !!info.map; "
            "return info; }"
        )
        return dict(self.page.evaluate(script, [self.page.url, threads]))

    def call(self, method: str, *values: Any) -> Any:
        """Calls the worker; returns the result."""
        return self.page.evaluate("([method, values]) => call(method, ...values)", [method, list(values)])

    def crops(self, crops: ByteArray) -> list[dict[str, Any]]:
        """Recognizes `(n, 48, 48)` uint8 gray crops."""
        script = "(text) => call('crops', bytes(text))"
        return list(self.page.evaluate(script, base64.b64encode(crops.tobytes()).decode()))

    def photo(self, content: bytes, kind: str = "image/png") -> dict[str, Any]:
        """Recognizes the faces of a picture file."""
        script = "async ([text, kind]) => call('photo', await bitmap(text, kind))"
        return dict(self.page.evaluate(script, [base64.b64encode(content).decode(), kind]))

    def frame(self, content: bytes, now: float, kind: str = "image/png") -> dict[str, Any]:
        """Tracks and recognizes the faces of a frame, given as a picture file."""
        script = "async ([text, now, kind]) => call('frame', await bitmap(text, kind), now)"
        return dict(self.page.evaluate(script, [base64.b64encode(content).decode(), now, kind]))

    def imported(self, content: bytes) -> dict[str, Any]:
        """Imports a file of taught faces."""
        script = "(text) => call('importTaught', bytes(text).buffer)"
        return dict(self.page.evaluate(script, base64.b64encode(content).decode()))

    def exported(self) -> bytes:
        """Returns the file of the taught faces."""
        script = "async () => Array.from((await call('exportTaught')).bytes)"
        return bytes(self.page.evaluate(script))


def columns(result: dict[str, Any]) -> Sequence[str]:
    """Returns the names of a result's classes."""
    return [one["name"] for one in result["classes"]]
