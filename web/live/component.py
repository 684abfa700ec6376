"""The live session as a component of the page: its markup, style and script, and what they are given."""

import base64
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.web.live.socket import PATH

_FOLDER = Path(__file__).parents[1] / "static" / "live"
# One module made of them, in this order: Streamlit takes a single script.
_SCRIPTS = ("camera.js", "frames.js", "link.js", "overlay.js", "minimap.js", "panel.js", "recorder.js", "page.js")
# So many of the map's faces show its shape in a small picture.
_POINTS = 4000
_SEED = 0


def show_live(recognizer: Recognizer) -> None:
    """Put the live session into the page.

    Args:
        recognizer: The visitor's.
    """
    _component()(data={"path": PATH, "points": _points(recognizer)}, key="live")


def _component() -> Any:
    read = {path.name: path.read_text(encoding="utf-8") for path in _FOLDER.iterdir()}
    script = "\n".join(read[name] for name in _SCRIPTS)
    return st.components.v2.component("moodspace_live", html=read["live.html"], css=read["live.css"], js=script)


def _points(recognizer: Recognizer) -> dict[str, Any] | None:
    """Return some of the map's faces, None without a map."""
    return _packed(recognizer.bundle, recognizer.label_set)


@cache
def _packed(bundle: Bundle, labels: str) -> dict[str, Any] | None:
    """Return places in steps of 1/255 of the map's longer side, and classes, as bytes in base64."""
    recognizer, places = Recognizer(bundle, labels), bundle.map_coordinates
    if places is None or not len(places):
        return None
    column = recognizer.gallery_labels
    rows = np.random.default_rng(_SEED).permutation(np.flatnonzero(column >= 0))[:_POINTS]
    steps = np.rint((places[rows] - places.min(axis=0)) / (float(np.ptp(places, axis=0).max()) or 1.0) * 255)
    parts = {"x": steps[:, 0], "y": steps[:, 1], "group": column[rows]}
    packed = {name: base64.b64encode(values.astype(np.uint8).tobytes()).decode() for name, values in parts.items()}
    return packed | {"classes": list(recognizer.classes)}
