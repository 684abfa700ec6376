"""What the map's page knows about its faces, small: one base64 column of little-endian numbers for each property."""

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from embeddings.crops import SIZE
from viz.face_map import FaceMap, Group, densest
from viz.map_atlas import SIDE

STEPS = 65535  # of the longer side: finer than a pixel at the strongest useful zoom, and short to write
UNSURE = 65535  # in the column of confidences, which counts ten thousandths: not predicted


def map_payload(face_map: FaceMap, atlas: npt.NDArray[np.int64]) -> dict[str, Any]:
    """JSON values for `page/map_data.js`.

    Args:
        face_map: The faces.
        atlas: `(m,)` int64, the row in `face_map.crops` of each picture of the atlas (`viz.map_atlas.atlas_order`).
    """
    splits, split = np.unique(face_map.splits, return_inverse=True)
    origins, origin = np.unique(face_map.origin, return_inverse=True)
    x, y = _steps(face_map)
    return {
        "groups": [
            {"name": group.name, "named": group.labelled, "at": _heart(face_map, group)} for group in face_map.groups
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
        "picture": _packed(_places(face_map, atlas), "<i4"),
        "id": _packed(face_map.ids, "<i8"),
        "source": face_map.sources.tolist(),
    }


def _packed(column: npt.NDArray[Any], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(column).astype(kind).tobytes()).decode("ascii")


def _steps(face_map: FaceMap) -> npt.NDArray[np.float64]:
    """`(2, n)`: places in whole steps from the lower left, the longer side `STEPS` long."""
    return _in_steps(face_map, face_map.coordinates).T


def _heart(face_map: FaceMap, group: Group) -> list[int]:
    """Where the name of a class goes, in steps."""
    if not len(group.rows):
        return [0, 0]
    place = densest(face_map.coordinates[group.rows], face_map.span)
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
    """Rounded down, as "100 %" is said of none that is not wholly sure."""
    known = np.isfinite(face_map.confidence) & (face_map.predicted >= 0)
    return np.where(known, np.floor(np.where(known, face_map.confidence, 0.0) * 10_000 + 1e-3), UNSURE)


def _places(face_map: FaceMap, atlas: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """`(n,)`: the place of each face's picture in the atlas, -1 for none."""
    place_of = np.full(len(face_map.crops) + 1, -1, np.int64)  # the last one is that of -1
    place_of[atlas] = np.arange(len(atlas))
    return place_of[face_map.picture]
