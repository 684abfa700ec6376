"""The live session as a Streamlit component: its markup, style, script and data."""

import base64
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.web.components.map import PATH as MAP_PATH
from moodspace.web.live.socket import PATH

_FOLDER = Path(__file__).parents[1] / "static" / "live"
_FOLDERS = _FOLDER, _FOLDER.with_name("collect")
# Joined into one module in this order, because Streamlit takes a single script.
_SCRIPTS = (
    "camera.js", "frames.js", "link.js", "overlay.js", "minimap.js", "beside.js", "panel.js", "recorder.js",
    "marker.js", "recent.js", "dock.js", "page.js",
)  # fmt: skip
# Number of faces that show the shape of the map in the minimap.
_POINTS = 4000
_SEED = 0


def show_live(recognizer: Recognizer) -> None:
    """Show the live session on the page.

    Args:
        recognizer: The visitor's recognizer.
    """
    points = _minimap(recognizer.bundle, recognizer.label_set)
    _component()(data={"path": PATH, "map": MAP_PATH, "points": points}, key="live")


def show_collect(*, keep_pictures: bool) -> dict[str, Any] | None:
    """Show the camera that collects examples of a held expression.

    Args:
        keep_pictures: Whether to keep the pictures of what is taught.

    Returns:
        What was just taught or undone in it, for one run of the script: `label` and `faces`; None for nothing.
    """
    texts = {path.name: path.read_text(encoding="utf-8") for folder in _FOLDERS for path in folder.iterdir()}
    component = st.components.v2.component(
        "moodspace_collect",
        html=texts["collect.html"],
        css=texts["live.css"] + texts["collect.css"],
        js="\n".join(texts[name] for name in ("camera.js", "frames.js", "link.js", "overlay.js", "collect.js")),
    )
    shown = component(data={"path": PATH, "keep": keep_pictures}, key="collect", on_taught_change=lambda: None)
    taught: dict[str, Any] | None = shown.get("taught")
    return taught


def _component() -> Any:
    texts = {path.name: path.read_text(encoding="utf-8") for path in _FOLDER.iterdir()}
    script = "\n".join(texts[name] for name in _SCRIPTS)
    return st.components.v2.component("moodspace_live", html=texts["live.html"], css=texts["live.css"], js=script)


@cache
def _minimap(bundle: Bundle, labels: str) -> dict[str, Any] | None:
    """Return a sample of the map's faces; None without a map.

    Coordinates are in steps of 1/255 of the map's longer side; coordinates and classes are bytes in base64.
    """
    recognizer, places = Recognizer(bundle, labels), bundle.map_coordinates
    if places is None or not len(places):
        return None
    column = recognizer.gallery_labels
    rows = np.random.default_rng(_SEED).permutation(np.flatnonzero(column >= 0))[:_POINTS]
    steps = np.rint((places[rows] - places.min(axis=0)) / (float(np.ptp(places, axis=0).max()) or 1.0) * 255)
    parts = {"x": steps[:, 0], "y": steps[:, 1], "group": column[rows]}
    packed = {name: base64.b64encode(values.astype(np.uint8).tobytes()).decode() for name, values in parts.items()}
    return packed | {"classes": list(recognizer.classes)}
