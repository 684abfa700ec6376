"""The map of the embedding space as one page for a browser: zoom, pan, hover, filter, search, pick with a lasso.

The page draws on a plain canvas with a script of its own: a hundredth of what plotly would put into the file, it needs
no WebGL, and its content security policy forbids it to load anything at all.
"""

import json
import re
from pathlib import Path

import numpy as np

from viz.face_map import HONEST, SUBTITLE, FaceMap
from viz.map_atlas import atlas_order, atlas_sheets
from viz.map_payload import map_payload
from viz.theme import page, text

FOLDER = Path(__file__).with_name("page")
SCRIPTS = ("data", "drawing", "marks", "filters", "pictures", "card", "list", "search", "controls")


def write_map_page(face_map: FaceMap, path: Path) -> None:
    """Write the map as one self-contained HTML file: about 60 bytes a face, its source, and 390 bytes a picture.

    Args:
        face_map: The faces; none, one class only, faces without a label, prediction or picture are all legal.
        path: The file to write; its folder exists.

    Raises:
        OSError: The file cannot be written.
    """
    atlas = atlas_order(face_map.coordinates, face_map.picture)
    payload = json.dumps(map_payload(face_map, atlas), separators=(",", ":"))
    parts = {
        "title": text(face_map.title),
        "subtitle": text(_subtitle(face_map)),
        "honest": text(_honest(face_map)),
        "note": text(face_map.note),
        "faces": payload.replace("<", "\\u003c"),  # so that no source ends the element
        "script": "\n".join((FOLDER / f"map_{name}.js").read_text(encoding="utf-8") for name in SCRIPTS),
        # After the script, which draws the map before the browser has read them.
        "sheets": "".join(f'<script type="text/plain" class="sheet">{sheet}</script>\n'
                          for sheet in atlas_sheets(face_map.crops, atlas)),
    }  # fmt: skip
    body = (FOLDER / "map.html").read_text(encoding="utf-8")
    # In one pass, so that nothing in a source or note is taken for a placeholder.
    body = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], body)
    style = (FOLDER / "map.css").read_text(encoding="utf-8") + _shades(face_map)
    path.write_text(page(f"Moodspace: {face_map.title}", body, style=style), encoding="utf-8")


def _subtitle(face_map: FaceMap) -> str:
    if not len(face_map):
        return "No faces yet"
    if len(face_map) > 1 and not np.ptp(face_map.coordinates, axis=0).any():
        return "All of them lie in one place, one on top of the other"
    return SUBTITLE


def _honest(face_map: FaceMap) -> str:
    if ((face_map.labels < 0) & (face_map.predicted >= 0)).any():
        return f"{HONEST} Faces without a label have the colour of what is predicted."
    return HONEST


def _shades(face_map: FaceMap) -> str:
    """CSS custom properties `--g0`, `--g1`, ...: the colour of each group, light and dark."""
    light = "".join(f" --g{number}: {group.shade};" for number, group in enumerate(face_map.groups))
    dark = "".join(f" --g{number}: {group.dark};" for number, group in enumerate(face_map.groups))
    return f":root {{{light} }}\n@media (prefers-color-scheme: dark) {{ :root {{{dark} }} }}\n"
