"""Measure the map's page in headless Chromium: size, time to display, frame times.

    python -m benchmarks map_page                 # synthetic faces: 28,709 and 35,000
    python -m benchmarks map_page out/map.html    # pages written by `moodspace visualize`
    python -m benchmarks map_page --json

Synthetic faces have every column and no images. A page is opened three times, each in a fresh context; the results are
medians. `first_paint_ms` is Chromium's first contentful paint, `map_ms` the time until all dots are drawn. Then a mouse
drags the map and moves over its faces: `*_frame_ms` are the times between frames, 16.7 if none is late, and `*_work_ms`
the time of the page's own script for one frame. Exits with 1 if a target is missed.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodspace.viz.map.face_map import NEIGHBORS, FaceMap
from moodspace.viz.map.page import write_page
from tests.browser import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FACES = (28_709, 35_000)
# Upper limits; frames longer than 33 ms are visible.
TARGETS = {"first_paint_ms": 3000.0, "map_ms": 3000.0, "drag_frame_p95_ms": 34.0, "hover_frame_p95_ms": 34.0}
PLAIN_MB, PICTURED_MB = 8.0, 15.0
_CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
_OPENINGS = 3
# Promises instead of Playwright's wait_for_function, which evaluates strings: the page's policy forbids that.
_FIRST_PAINT_AND_MAP = """() => new Promise((done) => {
    const wait = () => {
        const [paint] = performance.getEntriesByName("first-contentful-paint");
        if (paint && window.drawnAt) done([paint.startTime, drawnAt]);
        else requestAnimationFrame(wait);
    };
    wait();
})"""
_WHEN_DRAWN = """
const wait = () => {
    if (typeof frameRequested !== "undefined" && !frameRequested) window.drawnAt = performance.now();
    else requestAnimationFrame(wait);
};
requestAnimationFrame(wait);
"""
_RECORD = """() => {
    window.frames_ = [];
    const tick = (now) => { frames_.push(now); if (window.frames_) requestAnimationFrame(tick); };
    requestAnimationFrame(tick);
}"""
_WORK = """(step) => {
    const times = [], [x0, y0] = [innerWidth * 0.3, innerHeight * 0.5];
    for (let i = 0; i < 60; i++) {
        const from = performance.now();
        if (step === "drag") { left += i % 2 ? 3 : -3; drawDots(); drawMarks(); placeCard(); }
        else hover(nearest(x0 + 3 * i, y0 + 2 * i));
        times.push(performance.now() - from);
    }
    return times;
}"""


def synthetic(n: int) -> FaceMap:
    """Return faces in one cluster per class, with predictions, neighbors, splits, and some taught faces."""
    draw = np.random.default_rng(0)
    labels = draw.integers(len(_CLASSES), size=n)
    angle = 2 * np.pi * labels / len(_CLASSES)
    places = 6 * np.c_[np.cos(angle), np.sin(angle)] + draw.normal(size=(n, 2)) * (1.2, 0.8)
    return FaceMap.plain(
        coordinates=places.astype(np.float32),
        labels=labels,
        classes=_CLASSES,
        sources=np.array([f"train/{_CLASSES[label]}/Training_{i:08}.png" for i, label in enumerate(labels)]),
        note="Synthetic",
        predicted=np.where(draw.random(n) < 0.9, labels, draw.integers(len(_CLASSES), size=n)),
        confidence=draw.random(n, dtype=np.float32),
        neighbors=draw.integers(n, size=(n, NEIGHBORS)),
        splits=np.where(draw.random(n) < 0.9, "train", "validation"),
        origin=np.where(draw.random(n) < 0.01, "taught", "gallery"),
    )


def measure(browser: "Browser", path: Path) -> dict[str, Any]:
    """Open a page and use it; return the measurements by name."""
    openings = [_opening(browser, path) for _ in range(_OPENINGS)]
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(path.resolve().as_uri())
    page.wait_for_timeout(500)
    found: dict[str, Any] = {
        "page": path.name,
        "faces": page.evaluate("n"),
        "pictures": page.evaluate("faces.picture.filter((place) => place >= 0).length"),
        "mb": round(path.stat().st_size / 1e6, 2),
        "first_paint_ms": round(statistics.median(first for first, _ in openings)),
        "map_ms": round(statistics.median(drawn for _, drawn in openings)),
    }
    for name, move in (("drag", _drag), ("hover", _wander)):
        between = np.diff(_frames(page, move))
        found |= {f"{name}_frame_median_ms": round(float(np.median(between)), 1)}
        found |= {f"{name}_frame_p95_ms": round(float(np.percentile(between, 95)), 1)}
        found |= {f"{name}_work_ms": round(statistics.median(page.evaluate(_WORK, name)), 1)}
    page.context.close()
    return found | {"met": _is_met(found)}


def _opening(browser: "Browser", path: Path) -> tuple[float, float]:
    """Return the milliseconds from the start of loading to the first paint and to the whole map."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.add_init_script(_WHEN_DRAWN)
    page.goto(path.resolve().as_uri())
    first, drawn = page.evaluate(_FIRST_PAINT_AND_MAP)
    page.context.close()
    return first, drawn


def _frames(page: "Page", move: "Callable[[Page], None]") -> list[float]:
    """Return when each frame began while the mouse moved, in milliseconds."""
    page.evaluate(_RECORD)
    move(page)
    return list(page.evaluate("() => { const seen = frames_; frames_ = null; return seen; }"))


def _drag(page: "Page") -> None:
    page.mouse.move(400, 400)
    page.mouse.down()
    for x, y in ((560, 320), (300, 480), (400, 400)):
        page.mouse.move(x, y, steps=60)
    page.mouse.up()


def _wander(page: "Page") -> None:
    page.keyboard.press("Escape")
    for x, y in ((300, 200), (700, 300), (300, 600), (640, 640)):
        page.mouse.move(x, y, steps=60)


def _is_met(found: dict[str, Any]) -> bool:
    most = PICTURED_MB if found["pictures"] else PLAIN_MB
    return bool(found["mb"] <= most and all(found[name] <= target for name, target in TARGETS.items()))


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path, help="pages to measure (default: synthetic pages)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        pages = asked.pages
        for n in () if pages else FACES:
            write_page(synthetic(n), Path(folder, f"synthetic-{n}.html"))
            pages = [*pages, Path(folder, f"synthetic-{n}.html")]
        found = [measure(browser, path) for path in pages]
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        for name in found[0]:
            print(f"| {name} | {' | '.join(str(one[name]) for one in found)} |")
    sys.exit(not all(one["met"] for one in found))


if __name__ == "__main__":
    main()
