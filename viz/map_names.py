"""Names of classes on a picture of the map, each where its faces are and none on another."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from index.gallery import FloatArray
from viz.face_map import GALLERY, FaceMap, Group, densest, readable_on
from viz.theme import Tones

_COVER_NONE_UP_TO = 60  # among so few faces, a name may not hide one


def write_names(axes: Any, renderer: Any, face_map: FaceMap, groups: Sequence[Group], tones: Tones) -> None:
    """Each class by its name where it is densest, moved as little as it takes to lie on no other name.

    Where dots are few, or those that are not of the bundle, it lies on none of them either.
    """
    from matplotlib.transforms import Bbox, IdentityTransform

    spared = np.flatnonzero((face_map.origin != GALLERY) | (len(face_map) <= _COVER_NONE_UP_TO))
    dots = axes.transData.transform(face_map.coordinates[spared if len(spared) <= _COVER_NONE_UP_TO else []])
    taken = [Bbox.from_bounds(x, y, 1, 1).padded(axes.figure.dpi / 10) for x, y in dots]
    for name, shade, rows, labelled, _ in sorted(groups, key=lambda group: -len(group.rows)):
        if not len(rows) or not labelled:
            continue
        heart = axes.transData.transform(densest(face_map.coordinates[rows], face_map.span))
        label = axes.text(
            *heart, shortened(name), transform=IdentityTransform(), parse_math=False,
            ha="center", va="center", size=11.5, weight="bold", color=readable_on(shade), zorder=5,
            bbox={"boxstyle": "round,pad=0.32,rounding_size=0.7", "fc": shade, "ec": tones.paper, "lw": 1.6},
        )  # fmt: skip
        label.draw(renderer)  # only then does its box know its size
        box = label.get_bbox_patch().get_window_extent(renderer).padded(axes.figure.dpi / 40)
        shift = _free_shift(box, axes.get_window_extent(renderer), taken)
        taken.append(box.translated(*shift))
        label.set_position(heart + shift)
        if shift.any():
            axes.plot(*np.column_stack([heart, heart + shift]), transform=None, color=tones.ink, lw=1.1, zorder=3)
            axes.plot(*heart, "o", transform=None, ms=4, mfc=shade, mec=tones.ink, mew=1.1, zorder=4)


def _free_shift(box: Any, frame: Any, taken: list[Any]) -> FloatArray:
    """The smallest shift on a spiral that puts a box into the frame and off the others; none where all is full."""
    for step in range(1500):
        radius, angle = 0.1 * box.height * step**0.5, 2.4 * step  # 2.4, the golden angle, spreads the tries evenly
        shift = radius * np.array([1.6 * np.cos(angle), np.sin(angle)], np.float32)
        moved = box.translated(*shift)
        inside = frame.x0 <= moved.x0 and moved.x1 <= frame.x1 and frame.y0 <= moved.y0 and moved.y1 <= frame.y1
        if inside and not moved.count_overlaps(taken):
            return shift
    return np.zeros(2, np.float32)


def shortened(name: str) -> str:
    """Returns a name, or as much of it as there is room for."""
    return textwrap.shorten(name, 18, placeholder="…") if " " in name else name if len(name) <= 18 else f"{name[:17]}…"
