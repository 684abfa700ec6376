"""The map of the embedding space as one page for a browser: zoom, pan, look at single faces, filter by class.

The page draws on a plain canvas with a script of its own: a hundredth of what plotly would put into the file, it needs
no WebGL, and its content security policy forbids it to load anything at all.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from viz.face_map import HONEST, SUBTITLE, FaceMap, readable_on

FOLDER = Path(__file__).with_name("page")
STEPS = 65535  # of the longer side: finer than a pixel at the strongest useful zoom, and short to write


def write_map_page(face_map: FaceMap, path: Path) -> None:
    """Write the map as one self-contained HTML file of about 50 bytes a face and its source's length.

    Args:
        face_map: The faces; none, one class only and faces without a label are all legal.
        path: The file to write; its folder exists.

    Raises:
        OSError: The file cannot be written.
    """
    page = (FOLDER / "map.html").read_text(encoding="utf-8")
    script = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in ("map_drawing.js", "map_controls.js"))
    page = page.replace("{{style}}", (FOLDER / "map.css").read_text(encoding="utf-8")).replace("{{script}}", script)
    # Last, so that nothing in a source is taken for a placeholder; "<" escaped, so that none ends the element.
    faces = json.dumps(_payload(face_map), separators=(",", ":")).replace("<", "\\u003c")
    path.write_text(page.replace("{{faces}}", faces), encoding="utf-8")


def _payload(face_map: FaceMap) -> dict[str, Any]:
    """The columns that the script reads; ids as text, because JavaScript's numbers end at 53 bits."""
    groups = face_map.groups
    group_of = np.zeros(len(face_map), np.int64)
    for i, group in enumerate(groups):
        group_of[group.rows] = i
    low = face_map.coordinates.min(axis=0, initial=np.inf)
    span = float(np.ptp(face_map.coordinates, axis=0).max()) if len(face_map) else 0.0
    steps = np.rint((face_map.coordinates - low) / (span or 1.0) * STEPS).astype(int)
    return {
        "title": face_map.title,
        "subtitle": SUBTITLE,
        "honest": HONEST,
        "note": face_map.note,
        "groups": [
            {"name": group.name, "shade": group.shade, "ink": readable_on(group.shade), "named": group.labelled}
            for group in groups
        ],
        "x": steps[:, 0].tolist(),
        "y": steps[:, 1].tolist(),
        "group": group_of.tolist(),
        "id": [str(number) for number in face_map.ids.tolist()],
        "source": face_map.sources.tolist(),
    }
