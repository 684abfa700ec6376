"""The map as one self-contained page: zoom, pan, hover, filter, search, select with a lasso.

The page draws on a plain canvas with its own scripts: a hundredth of the size of plotly, no WebGL, and a content
security policy that forbids loading anything.
"""

import base64
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from moodspace.arrays import BoolArray, ByteArray, FloatArray, IntArray
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.files.names import write_whole
from moodspace.viz.map.face_map import EXPLANATION, SUBTITLE, FaceMap, Group, density_peak
from moodspace.viz.theme import page, text

FOLDER = Path(__file__).with_name("assets")
SCRIPTS = (
    "data", "drawing", "marks", "live", "filters", "pictures", "card", "outside", "list", "search", "controls",
)  # fmt: skip
STEPS = 65535  # length of the longer side: finer than a pixel at maximum zoom, in 16 bits
UNSURE = 65535  # confidence (in ten-thousandths) of faces without a prediction
# Faces per side of a sheet; decoding one takes 5 ms.
SIDE = 16
# WebP quality: 290 bytes per FER2013 face, 11 MB of base64 for 28,709 faces, without visible loss of expression.
QUALITY = 32
_STRIPS = 40


def write_page(
    face_map: FaceMap, path: Path, *, served: BoolArray | None = None, at: str = "", live: bool = False
) -> None:
    """Write the map as one self-contained HTML file: about 60 bytes a face, its source, and 390 bytes an image.

    Args:
        face_map: The faces; none, one class only, faces without a label, prediction or image are all legal.
        path: The file to write; its folder exists.
        served: `(n,)` bool, the faces whose image the server has that the page will come from; None for none.
        at: The path of these images on the server, before their ids.
        live: Whether the page shows the faces before the camera, as a Live page of the same browser tells them.

    Raises:
        OSError: The file cannot be written.
    """
    atlas = atlas_order(face_map.coordinates, face_map.picture)
    values = _payload(face_map, atlas) | {"live": live}
    if served is not None:
        values |= {"served": _packed(served, "<u1"), "at": at}
    payload = json.dumps(values, separators=(",", ":"))
    parts = {
        "title": text(face_map.title),
        "subtitle": text(_subtitle(face_map)),
        "explanation": text(_explanation(face_map)),
        "note": text(face_map.note),
        "faces": payload.replace("<", "\\u003c"),  # so that no source can end the script element
        "script": "\n".join((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS),
        # After the script, so that the map is drawn before the browser has read the sheets.
        "sheets": "".join(f'<script type="text/plain" class="sheet">{sheet}</script>\n'
                          for sheet in atlas_sheets(face_map.crops, atlas)),
    }  # fmt: skip
    body = (FOLDER / "map.html").read_text(encoding="utf-8")
    # In one pass, so that placeholders in sources or notes are not replaced.
    body = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], body)
    style = (FOLDER / "map.css").read_text(encoding="utf-8") + _shades(face_map)
    document = page(f"Moodspace: {face_map.title}", body, style=style, own_images=served is not None)
    write_whole(path, lambda file: file.write_text(document, encoding="utf-8"))


def _subtitle(face_map: FaceMap) -> str:
    if not len(face_map):
        return "No faces yet"
    if len(face_map) > 1 and not np.ptp(face_map.coordinates, axis=0).any():
        return "All faces are in the same place"
    return SUBTITLE


def _explanation(face_map: FaceMap) -> str:
    if ((face_map.labels < 0) & (face_map.predicted >= 0)).any():
        return f"{EXPLANATION} Faces without a label have the color of their prediction."
    return EXPLANATION


def _shades(face_map: FaceMap) -> str:
    """Return CSS custom properties `--g0`, `--g1`, ...: the color of each group, light and dark."""
    light = "".join(f" --g{number}: {group.shade};" for number, group in enumerate(face_map.groups))
    dark = "".join(f" --g{number}: {group.dark};" for number, group in enumerate(face_map.groups))
    return f":root {{{light} }}\n@media (prefers-color-scheme: dark) {{ :root {{{dark} }} }}\n"


def _payload(face_map: FaceMap, atlas: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Return the JSON values that `assets/data.js` reads.

    Args:
        face_map: The faces.
        atlas: `(m,)` int64, the row in `face_map.crops` of each image in the atlas (`atlas_order`).
    """
    splits, split = np.unique(face_map.splits, return_inverse=True)
    origins, origin = np.unique(face_map.origin, return_inverse=True)
    x, y = _steps(face_map)
    return {
        "groups": [
            {"name": group.name, "named": group.labeled, "at": _name_position(face_map, group)}
            for group in face_map.groups
        ],
        "splits": splits.tolist(),
        "origins": origins.tolist(),
        "nearest": face_map.neighbors.shape[1],
        "atlas": {"side": SIDE, "size": SIZE},
        "x": _packed(x, "<u2"),
        "y": _packed(y, "<u2"),
        "group": _packed(_group_of(face_map), "<i2"),
        "predicted": _packed(face_map.predicted, "<i2"),
        "confidence": _packed(_ten_thousandths(face_map), "<u2"),
        "split": _packed(split, "<u2"),
        "origin": _packed(origin, "<u2"),
        "neighbors": _packed(face_map.neighbors, "<i4"),
        "picture": _packed(_atlas_positions(face_map, atlas), "<i4"),
        "id": _packed(face_map.ids, "<i8"),
        "source": face_map.sources.tolist(),
    }


def _packed(column: npt.NDArray[Any], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(column).astype(kind).tobytes()).decode("ascii")


def _steps(face_map: FaceMap) -> npt.NDArray[np.float64]:
    """Return `(2, n)`: integer coordinates from the lower left; the longer side is `STEPS` long."""
    return _in_steps(face_map, face_map.coordinates).T


def _name_position(face_map: FaceMap, group: Group) -> list[int]:
    """Return where the name of a class goes, in steps."""
    if not len(group.rows):
        return [0, 0]
    place = density_peak(face_map.coordinates[group.rows], face_map.span)
    return [int(step) for step in _in_steps(face_map, place)]


def _in_steps(face_map: FaceMap, places: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    low = face_map.coordinates.min(axis=0, initial=np.inf)
    return np.asarray(np.rint((places - low) / (face_map.span or 1.0) * STEPS), np.float64)


def _group_of(face_map: FaceMap) -> npt.NDArray[np.int64]:
    group_of = np.zeros(len(face_map), np.int64)
    for number, group in enumerate(face_map.groups):
        group_of[group.rows] = number
    return group_of


def _ten_thousandths(face_map: FaceMap) -> npt.NDArray[np.float64]:
    """Return confidences in ten-thousandths, rounded down so that only certainty shows as 100 %."""
    known = np.isfinite(face_map.confidence) & (face_map.predicted >= 0)
    return np.where(known, np.floor(np.where(known, face_map.confidence, 0.0) * 10_000 + 1e-3), UNSURE)


def _atlas_positions(face_map: FaceMap, atlas: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return `(n,)`: the position of each face's image in the atlas, -1 for none."""
    position_of = np.full(len(face_map.crops) + 1, -1, np.int64)  # the last entry stands for -1
    position_of[atlas] = np.arange(len(atlas))
    return position_of[face_map.picture]


def atlas_order(coordinates: FloatArray, picture: IntArray) -> IntArray:
    """Order the crops so that neighbors on the map share a sheet, because they are viewed together.

    Args:
        coordinates: `(n, 2)` float32, finite, the map coordinates.
        picture: `(n,)` int64, the row of each face in the crops, -1 for none.

    Returns:
        `(m,)` int64: the rows of the crops that belong to a face, in the order of the atlas.
    """
    shown, first = np.unique(picture, return_index=True)
    shown, first = shown[shown >= 0], first[shown >= 0]
    x, y = coordinates[first].T
    strip = np.argsort(np.argsort(x, kind="stable"), kind="stable") * _STRIPS // max(1, len(x))
    # Strips alternate between up and down, so that the end of one is next to the beginning of the next.
    return np.asarray(shown[np.lexsort((np.where(strip % 2, -y, y), strip))], np.int64)


def atlas_sheets(crops: ByteArray, order: IntArray) -> list[str]:
    """Return sheets of `SIDE` x `SIDE` faces as data URLs of WebP images.

    Args:
        crops: `(m, 48, 48)` uint8 in [0, 255], gray.
        order: `(k,)` int64, the row in `crops` of each face, row by row, sheet after sheet.
    """
    parts = [order[start : start + SIDE * SIDE] for start in range(0, len(order), SIDE * SIDE)]
    with ThreadPoolExecutor() as threads:  # Pillow encodes WebP without holding the GIL
        return list(threads.map(lambda part: _sheet(crops[part]), parts))


def _sheet(crops: ByteArray) -> str:
    rows = -(-len(crops) // SIDE)
    filled = np.zeros((rows * SIDE, SIZE, SIZE), np.uint8)
    filled[: len(crops)] = crops
    sheet = filled.reshape(rows, SIDE, SIZE, SIZE).swapaxes(1, 2).reshape(rows * SIZE, SIDE * SIZE)
    encoded = io.BytesIO()
    Image.fromarray(sheet).save(encoded, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(encoded.getvalue()).decode('ascii')}"
