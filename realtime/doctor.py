"""Check the installation: packages, bundle, gallery, detector and camera."""

import importlib.metadata
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from moodspace.classifier.bundle.bundle import BundleError, load_bundle
from moodspace.embeddings.detection.detectors import DetectorError, open_detector
from moodspace.errors import install_command
from moodspace.realtime.capture.files import open_source
from moodspace.realtime.capture.source import SourceError

# The dependencies in pyproject.toml.
_REQUIRED = (
    "numpy", "opencv-python", "pillow", "pillow-heif", "av", "ai-edge-litert", "faiss-cpu", "filelock", "typer", "rich",
    "platformdirs", "markdown-it-py", "backports-strenum",
)  # fmt: skip
# The packages of the extras: what they are for, and an extra that has them.
_OPTIONAL = {
    "streamlit": ("serve the web app", "web"),
    "tensorflow": ("train", "train"),
    "keras": ("train", "train"),
    "pandas": ("train", "train"),
    "scikit-learn": ("train and draw the map", "train"),
    "scipy": ("train and draw the map", "train"),
    "pyarrow": ("read and write parquet", "train"),
    "umap-learn": ("draw the map", "map"),
    "matplotlib": ("draw the map", "map"),
    "ray": ("use --engine ray", "ray"),
    "websockets": ("send to browsers and OBS", "sinks"),
    "python-osc": ("send over OSC", "sinks"),
    "paho-mqtt": ("send over MQTT", "sinks"),
    "pylsl": ("send over LSL", "sinks"),
}
# Other distributions that provide the same package.
_SUBSTITUTES = {"opencv-python": ("opencv-python-headless", "opencv-contrib-python")}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        what: What was checked.
        state: "ok", "absent" if only some commands need it, or "broken".
        found: What was found.
        remedy: How to get it; empty if nothing is missing.
        exit_code: The exit code of the command line for this finding; 0 if it is not broken.
    """

    what: str
    state: str
    found: str
    remedy: str = ""
    exit_code: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def examine(bundle: Path, camera: str = "0") -> list[Finding]:
    """Check packages, bundle, gallery, detector and camera.

    Args:
        bundle: The bundle's folder.
        camera: The camera's number. A missing camera is "absent" and not "broken": files need none.
    """
    found = [Finding("python", "ok", platform.python_version())]
    found += [_package(name, f"pip install {name}", 1) for name in _REQUIRED]
    for name, (purpose, extra) in _OPTIONAL.items():
        found.append(_package(name, f"to {purpose}: {install_command(extra)}", 0))
    return [*found, *_bundle(bundle), _detector(), _camera(camera)]


def _package(name: str, remedy: str, exit_code: int) -> Finding:
    for candidate in (name, *_SUBSTITUTES.get(name, ())):
        try:
            version = importlib.metadata.version(candidate)
        except importlib.metadata.PackageNotFoundError:
            continue
        return Finding(name, "ok", version if candidate == name else f"{version} ({candidate})")
    return Finding(name, "broken" if exit_code else "absent", "not installed", remedy, exit_code)


def _bundle(path: Path) -> list[Finding]:
    try:
        bundle = load_bundle(path)
    except BundleError as error:
        return [Finding("bundle", "broken", str(error), "train one: moodspace train DATA --out BUNDLE", 3)]
    sets = ", ".join(f"{name} ({len(classes)} classes)" for name, classes in bundle.classes.items())
    drawn = "with a map" if bundle.map_coordinates is not None else "without a map"
    gallery = Finding("gallery", "ok", f"{len(bundle.index)} faces, {drawn}")
    if not len(bundle.index):
        gallery = Finding("gallery", "absent", "no faces", f"moodspace index DATA --bundle {path}")
    return [Finding("bundle", "ok", f"{path}: {sets}"), gallery]


def _detector() -> Finding:
    try:
        open_detector()
    except DetectorError as error:
        return Finding("detector", "broken", str(error), "install Moodspace again: it contains the detector", 1)
    return Finding("detector", "ok", "centerface")


def _camera(number: str) -> Finding:
    try:
        open_source(number).close()
    except SourceError as error:
        return Finding("camera", "absent", str(error), "pictures, videos and streams need none")
    return Finding("camera", "ok", number)
