"""Measure Moodspace without a server: the static site in a browser, its answers against Python's, its speed and size.

    python -m benchmarks browser
    python -m benchmarks browser --faces fer2013/validation.parquet --pictures holiday/ --clip one.mp4 --clip four.mp4
    python -m benchmarks browser --minutes 10 --isolated --json

Write the site of a bundle, serve it, and open it in a headless Chromium, with WebAssembly only:

- `crop_difference`: largest difference of a probability between browser and Python, over all views, on 500 faces.
- `picture_iou`, `picture_labels`: on whole pictures, the least overlap of a face's boxes and the share of equal labels;
  `picture_faces` is the share of pictures in which both find the same number of faces.
- For each clip, as the camera of the Live page: `fps`, `latency_ms` (median, from a frame to its answer), `faces`, and
  `cpu_ms`, the processor time of the engine for a frame, which depends less on what else the machine does.
- `download_mb`: what the first visit fetches, compressed with gzip. `label_s`: from opening the page to the first
  label. `offline_s`: the same on the second visit without network.
- `requests_live`: requests while the camera runs. `taught_s`: from a lesson to the taught class. `memory_growth`: of
  the whole browser over `--minutes`, as a share.

Exit with 1 if a target is missed. The browser runs on the same processors as the clips are decoded on. Linux only.
"""

import argparse
import contextlib
import gzip
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodspace import __version__
from moodspace.bundles import shipped_bundle
from moodspace.classifier.bundle.bundle import Bundle, load_bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.data.readers import read_labelled_faces
from moodspace.embeddings.detection.detectors import open_picture_detector
from moodspace.embeddings.pictures import read_rgb
from moodspace.realtime.demo import picture_path
from moodspace.realtime.pipeline import Pipeline
from moodspace.web.site.write import write_site
from tests.browser import chromium
from tests.web.fake_camera import browser_with_camera, write_clip
from tests.web.site.engine import Engine, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

# Upper bounds, or lower bounds where the second value is True.
TARGETS = {
    "crop_difference": (0.01, False),
    "picture_faces": (1.0, True),
    "picture_iou": (0.9, True),
    "picture_labels": (0.98, True),
    "fps_1": (15.0, True),
    "fps_4": (8.0, True),
    "latency_ms_1": (120.0, False),
    "latency_ms_4": (120.0, False),
    "download_mb": (20.0, False),
    "label_s": (4.0, False),
    "offline_s": (2.0, False),
    "requests_live": (0.0, False),
    "taught_s": (0.3, False),
    "memory_growth": (0.05, False),
}
_WAIT_MS = 60_000
_FACES = 500
_KINDS = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
# Notes when each frame is sent to the engine and answered.
_NOTE = """() => {
    window.__answers = [];
    const sent = new Map();
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (message, ...rest) {
        if (message?.method === "frame") {
            if (!this.__noted) this.addEventListener("message", ({ data }) => {
                if (!sent.has(data.id)) return;
                const now = performance.now();
                window.__answers.push([now, now - sent.get(data.id), data.result?.faces.length ?? 0]);
                sent.delete(data.id);
            });
            this.__noted = true;
            sent.set(message.id, performance.now());
        }
        return post.call(this, message, ...rest);
    };
}"""


def compare_crops(engine: Engine, bundle: Bundle, faces: Path) -> dict[str, float]:
    """Return the largest difference of a probability over all views."""
    crops = read_labelled_faces(faces).crops[:_FACES]
    largest = 0.0
    for view in bundle.views:
        engine.call("setView", view)
        wanted = Recognizer(bundle, view).predict(crops).proba
        found = np.array([one["proba"] for one in engine.crops(crops)])
        largest = max(largest, float(np.abs(found - wanted).max()))
    return {"crop_difference": largest, "crops": float(len(crops))}


def compare_pictures(engine: Engine, bundle: Bundle, pictures: Sequence[Path]) -> dict[str, float]:
    """Return how far the faces of whole pictures agree."""
    pipeline = Pipeline(open_picture_detector(), Recognizer(bundle))
    engine.call("setView", bundle.default_labels)
    same_count, ious, labels = [], [], []
    for path in pictures:
        frame = np.ascontiguousarray(read_rgb(path)[..., ::-1])
        wanted = pipeline.process(frame, 0.0)
        found = engine.photo(path.read_bytes(), _KINDS[path.suffix.lower()])["faces"]
        same_count.append(len(found) == len(wanted.faces))
        boxes = np.array([[face["box"][name] for name in ("x", "y", "width", "height")] for face in found])
        for row, box in enumerate(wanted.faces.xywh):
            overlaps = [_overlap(box, other) for other in boxes]
            best = int(np.argmax(overlaps)) if overlaps else -1
            ious.append(overlaps[best] if overlaps else 0.0)
            unknown, column = bool(wanted.prediction.unknown[row]), int(wanted.prediction.labels[row])
            label = None if unknown else wanted.prediction.classes[column]
            labels.append(bool(overlaps) and found[best]["expression"] == label)
    return {
        "pictures": float(len(pictures)),
        "picture_faces": float(np.mean(same_count)),
        "picture_iou": float(np.min(ious, initial=1.0)),
        "picture_labels": float(np.mean(labels)) if labels else 1.0,
    }


def _overlap(one: Any, other: Any) -> float:
    low = np.maximum(one[:2], other[:2])
    high = np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    shared = float(np.clip(high - low, 0, None).prod())
    return shared / float(one[2:].prod() + other[2:].prod() - shared)


def measure_visit(browser: "Browser", address: str, site: Path) -> dict[str, float]:
    """Return bytes and times of a first visit, and of a second one without network."""
    context = browser.new_context()
    paths: list[str] = []
    context.on("response", lambda response: paths.append(response.url.removeprefix(address).partition("?")[0]))
    first = _first_label(context, address)
    page = context.pages[0]
    page.wait_for_function("navigator.serviceWorker.ready.then(() => true)", timeout=_WAIT_MS)
    page.close()
    files = {path or "index.html" for path in paths}
    size = sum(len(gzip.compress((site / path).read_bytes(), 9)) for path in files if (site / path).is_file())
    context.set_offline(True)
    second = _first_label(context, address)
    context.close()
    return {"download_mb": size / 1e6, "label_s": first, "offline_s": second}


def _first_label(context: "BrowserContext", address: str) -> float:
    page = context.new_page()
    started = time.perf_counter()
    page.goto(address)
    _start(page)
    return time.perf_counter() - started


def _start(page: "Page") -> None:
    page.get_by_role("button", name="Start the camera").click(timeout=_WAIT_MS)
    page.locator(".shown", has_text="%").first.wait_for(timeout=_WAIT_MS)


def measure_live(browser: "Browser", address: str, seconds: float, minutes: float) -> dict[str, float]:
    """Return the figures of a live session."""
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(f"({_NOTE})()")
    page.goto(address)
    _start(page)
    page.wait_for_function("navigator.serviceWorker.ready.then(() => true)", timeout=_WAIT_MS)
    page.wait_for_timeout(2000)
    requests: list[str] = []
    context.on("request", lambda request: requests.append(request.url))
    page.evaluate("window.__answers.length = 0")
    busy = _engine_time()
    page.wait_for_timeout(1000 * seconds)
    answers = page.evaluate("window.__answers")
    busy = _engine_time() - busy
    length = (answers[-1][0] - answers[0][0]) / 1000
    figures = {
        "fps": (len(answers) - 1) / length,
        "latency_ms": statistics.median(one[1] for one in answers),
        "faces": statistics.fmean(one[2] for one in answers),
        "cpu_ms": 1000 * busy / len(answers),
        "requests_live": float(len(requests)),
    }
    if minutes:
        figures["memory_growth"] = _memory_growth(browser, page, minutes)
    context.close()
    return figures


def measure_teaching(engine: Engine, bundle: Bundle) -> dict[str, float]:
    """Return the time from a lesson to an answer with the taught class, as the worker gives it."""
    content = picture_path().read_bytes()
    engine.call("reset")
    for at in range(3):
        engine.frame(content, 0.1 * at, "image/webp")
    started = time.perf_counter()
    engine.call("teach", "smirk", [{"from": "live", "id": 1}])
    result = engine.frame(content, 0.4, "image/webp")
    spent = time.perf_counter() - started
    if result["faces"][0]["expression"] != "smirk":
        raise SystemExit(f"expected the taught class smirk, got {result['faces'][0]['expression']}")
    engine.call("undo")
    return {"taught_s": spent}


def _memory_growth(browser: "Browser", page: "Page", minutes: float) -> float:
    # The browser frees memory late: it takes some minutes until what it holds no longer grows.
    page.wait_for_timeout(min(180.0, 60 * minutes) * 1000)
    before = _browser_memory()
    page.wait_for_timeout(60_000 * minutes)
    return _browser_memory() / before - 1


def _browser_memory() -> float:
    """Return the memory of the processes of the browser that no other process shares, in MB."""
    return sum(_own_memory(pid) for pid in _descendants())


def _engine_time() -> float:
    """Return the seconds of processor time that the workers of the browser have taken."""
    ticks = 0
    for pid in _descendants():
        for task in Path(f"/proc/{pid}/task").glob("*/stat"):
            with contextlib.suppress(OSError):
                name, _, rest = task.read_text().partition("(")[2].rpartition(")")
                ticks += sum(map(int, rest.split()[11:13])) if name.startswith("DedicatedWorker") else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def _descendants() -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout.split()[2:]
    parents = {int(pid): int(parent) for pid, parent in zip(listed[::2], listed[1::2], strict=True)}
    return [pid for pid in parents if _descends(pid, os.getpid(), parents)]


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while (pid := parents.get(pid, 0)) not in (0, ancestor):
        pass
    return pid == ancestor


def _own_memory(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Dirty:", "Swap:"))) / 1024


def camera_clip(video: Path, folder: Path) -> Path:
    """Convert a video to the JPEGs that Chromium's fake camera reads, at 640x480 and 30 frames per second."""
    out = folder / f"{video.stem}.mjpeg"
    size = "scale=640:480:force_original_aspect_ratio=decrease,pad=640:480:(ow-iw)/2:(oh-ih)/2"
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(video), "-vf", f"{size},fps=30", "-q:v", "3", str(out)]
    subprocess.run(command, check=True)
    return out


def measure(
    bundle_path: Path,
    faces: Path | None,
    pictures: Sequence[Path],
    clips: Sequence[Path],
    *,
    seconds: float,
    minutes: float,
    isolated: bool,
) -> dict[str, float]:
    """Return all figures; see the module."""
    bundle = load_bundle(bundle_path)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        write_site(bundle, site, version=__version__)
        made = Path(folder) / "made.mjpeg"
        write_clip(made)
        with served(site, isolated=isolated) as server:
            with chromium() as browser:
                engine = Engine(browser, server.address)
                info = engine.load()
                figures["threads"] = float(info["runtime"]["threads"])
                figures |= compare_pictures(engine, bundle, pictures)
                figures |= measure_teaching(engine, bundle)
                if faces is not None:
                    figures |= compare_crops(engine, bundle, faces)
            with browser_with_camera(made) as browser:
                figures |= measure_visit(browser, server.address, site)
            for at, clip in enumerate(clips or [made]):
                camera = clip if clip == made else camera_clip(clip, Path(folder))
                with browser_with_camera(camera) as browser:
                    live = measure_live(browser, server.address, seconds, minutes if not at else 0)
                count = max(1, round(live["faces"]))
                own = ("fps", "latency_ms", "cpu_ms", "faces")
                figures |= {f"{name}_{count}": live[name] for name in own}
                figures["requests_live"] = figures.get("requests_live", 0.0) + live["requests_live"]
                if "memory_growth" in live:
                    figures["memory_growth"] = live["memory_growth"]
    return figures


def _pictures(given: Iterable[Path]) -> list[Path]:
    found = [one for path in given for one in (sorted(path.iterdir()) if path.is_dir() else [path])]
    return [path for path in found if path.suffix.lower() in _KINDS] or [picture_path()]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=shipped_bundle())
    parser.add_argument("--faces", type=Path, help="labelled face crops to compare on")
    parser.add_argument("--pictures", type=Path, nargs="*", default=[], help="pictures or folders of them")
    parser.add_argument("--clip", type=Path, action="append", default=[], help="a video for the camera; repeatable")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long answers are counted")
    parser.add_argument("--minutes", type=float, default=0.0, help="how long memory is watched; 0 for not at all")
    parser.add_argument("--isolated", action="store_true", help="serve with the headers that allow threads")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    options = parser.parse_args()
    figures = measure(
        options.bundle,
        options.faces,
        _pictures(options.pictures),
        options.clip,
        seconds=options.seconds,
        minutes=options.minutes,
        isolated=options.isolated,
    )
    if options.json:
        print(json.dumps({name: round(value, 6) for name, value in figures.items()}))
    else:
        for name, value in figures.items():
            print(f"{name:<20}{value:>12.4f}")
    missed = [
        name
        for name, (bound, least) in TARGETS.items()
        if name in figures and (figures[name] < bound if least else figures[name] > bound)
    ]
    if missed:
        raise SystemExit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
