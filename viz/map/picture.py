"""The map as a picture for print."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.arrays import FloatArray
from moodspace.viz.map.face_map import (
    DATA,
    EXPLANATION,
    GALLERY,
    SESSION,
    SUBTITLE,
    TAUGHT,
    FaceMap,
    Group,
    density_peak,
    readable_on,
)
from moodspace.viz.theme import DARK, LIGHT, Tones

WIDTH_IN = 12.0  # every picture has this width in inches, so that text scales with it
LEFT_IN, ABOVE_IN, BELOW_IN, LEGEND_IN = 0.4, 1.05, 0.95, 2.75
DENSITY_FROM = 500  # with fewer faces, dots do not overlap
GRID = 320  # cells per side of the density
# Marker and legend text of faces outside the bundle.
MARKERS = {TAUGHT: ("D", "taught by you"), SESSION: ("s", "session"), DATA: ("^", "your data")}
_UNCOVERED_UP_TO = 60  # up to this number of faces, names do not cover dots


def draw_map(face_map: FaceMap, path: Path, *, size_px: tuple[int, int] = (2400, 1800), dark: bool = False) -> None:
    """Write a PNG: dots over their density, class names, a legend with counts, and a caption.

    Args:
        face_map: The faces; none, one class only and faces without a label are all legal.
        path: The file to write; its folder exists.
        size_px: Width and height in pixels, 800 x 600 or more.
        dark: Draw on a dark background.

    Raises:
        ValueError: `size_px` is too small.
        OSError: The file cannot be written.
    """
    width, height = size_px
    if width < 800 or height < 600:
        raise ValueError(f"size_px: expected 800 x 600 or more, got {width} x {height}")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tones, dpi = DARK if dark else LIGHT, width / WIDTH_IN
    # matplotlib 3.10 rounds the size in pixels down; half a pixel more gives the exact size.
    figure = Figure(figsize=((width + 0.5) / dpi, (height + 0.5) / dpi), dpi=dpi, facecolor=tones.paper)
    canvas = FigureCanvasAgg(figure)
    axes = _axes(figure, face_map)
    groups = tuple(group._replace(shade=group.dark) if dark else group for group in face_map.groups)
    if len(face_map) >= DENSITY_FROM:
        _density(axes, face_map, groups)
    if len(face_map):
        _dots(axes, face_map, _colors(face_map, groups), tones)
        _write_names(axes, canvas.get_renderer(), face_map, groups, tones)
    else:
        axes.text(0.5, 0.5, "No faces yet", transform=axes.transAxes, ha="center", size=18, color=tones.faint)
    _legend(figure, face_map, groups, tones)
    _captions(figure, face_map, tones)
    figure.savefig(path, format="png", dpi=dpi, facecolor=tones.paper)


def _axes(figure: Any, face_map: FaceMap) -> Any:
    """Add axes without frame and ticks, with equal scales."""
    width, height = figure.get_size_inches()
    room = np.array([width - LEFT_IN - LEGEND_IN, height - ABOVE_IN - BELOW_IN])
    axes = figure.add_axes((LEFT_IN / width, BELOW_IN / height, room[0] / width, room[1] / height))
    axes.set_axis_off()
    low, high = np.zeros(2), np.ones(2)
    if len(face_map):
        low, high = face_map.coordinates.min(axis=0), face_map.coordinates.max(axis=0)
    half = room / 2 * max(float(((high - low) / room).max()), 1e-3) * 1.1
    middle = (low + high) / 2
    axes.set(xlim=(middle[0] - half[0], middle[0] + half[0]), ylim=(middle[1] - half[1], middle[1] + half[1]))
    return axes


def _density(axes: Any, face_map: FaceMap, groups: Sequence[Group]) -> None:
    """Draw a smooth background that shows where many dots overlap, in the mean color of their classes."""
    from matplotlib.colors import to_rgb
    from scipy.ndimage import gaussian_filter

    bounds = [axes.get_ylim(), axes.get_xlim()]
    total, color = np.zeros((GRID, GRID)), np.zeros((GRID, GRID, 3))
    for group in groups:
        x, y = face_map.coordinates[group.rows].T
        counts = gaussian_filter(np.histogram2d(y, x, bins=GRID, range=bounds)[0], GRID / 70)
        total += counts
        color += counts[:, :, None] * to_rgb(group.shade)
    color /= np.maximum(total, 1e-9)[:, :, None]
    full = np.quantile(total[total > total.max() / 50], 0.9)
    opacity = 0.45 * np.clip(total / full, 0, 1) ** 0.7
    extent = (*axes.get_xlim(), *axes.get_ylim())
    picture = np.clip(np.dstack([color, opacity]), 0, 1)
    axes.imshow(picture, origin="lower", extent=extent, aspect="auto", interpolation="bilinear")


def _colors(face_map: FaceMap, groups: Sequence[Group]) -> npt.NDArray[np.float64]:
    from matplotlib.colors import to_rgb

    colors = np.empty((len(face_map), 3))
    for group in groups:
        colors[group.rows] = to_rgb(group.shade)
    return colors


def _dots(axes: Any, face_map: FaceMap, colors: npt.NDArray[np.float64], tones: Tones) -> None:
    """Draw the bundle's dots in random order, so that no class hides others; then the other faces with markers."""
    shuffled = np.random.default_rng(0).permutation(len(face_map))
    gallery_rows = shuffled[face_map.origin[shuffled] == GALLERY]
    if len(gallery_rows):
        many = np.log10(len(gallery_rows))
        style = {"s": float(np.interp(many, [1, 3, 4.5], [110, 18, 2.4])), "linewidths": 0}
        style["alpha"] = float(np.interp(many, [2, 4.5], [0.9, 0.6]))
        axes.scatter(*face_map.coordinates[gallery_rows].T, c=colors[gallery_rows], **style)
    for origin, (mark, _) in reversed(MARKERS.items()):
        rows = shuffled[face_map.origin[shuffled] == origin]
        if len(rows):
            size = float(np.interp(np.log10(len(rows)), [0.5, 2, 3.5], [120, 45, 12]))
            style = {"s": size, "linewidths": 0.15 + size / 90, "zorder": 2}
            place = face_map.coordinates[rows].T
            axes.scatter(*place, c=colors[rows], marker=mark, edgecolors=tones.ink, **style)


def _write_names(axes: Any, renderer: Any, face_map: FaceMap, groups: Sequence[Group], tones: Tones) -> None:
    """Write each class name where the class is densest, moved as little as needed to avoid other names.

    On a map of few faces, names also avoid the dots; else only those of faces outside the bundle, if they are few.
    """
    from matplotlib.transforms import Bbox, IdentityTransform

    kept_free = np.flatnonzero((face_map.origin != GALLERY) | (len(face_map) <= _UNCOVERED_UP_TO))
    dots = axes.transData.transform(face_map.coordinates[kept_free if len(kept_free) <= _UNCOVERED_UP_TO else []])
    taken = [Bbox.from_bounds(x, y, 1, 1).padded(axes.figure.dpi / 10) for x, y in dots]
    for name, shade, rows, labeled, _ in sorted(groups, key=lambda group: -len(group.rows)):
        if not len(rows) or not labeled:
            continue
        peak = axes.transData.transform(density_peak(face_map.coordinates[rows], face_map.span))
        label = axes.text(
            *peak, shortened(name), transform=IdentityTransform(), parse_math=False,
            ha="center", va="center", size=11.5, weight="bold", color=readable_on(shade), zorder=5,
            bbox={"boxstyle": "round,pad=0.32,rounding_size=0.7", "fc": shade, "ec": tones.paper, "lw": 1.6},
        )  # fmt: skip
        label.draw(renderer)  # computes the size of its box
        box = label.get_bbox_patch().get_window_extent(renderer).padded(axes.figure.dpi / 40)
        shift = _free_shift(box, axes.get_window_extent(renderer), taken)
        taken.append(box.translated(*shift))
        label.set_position(peak + shift)
        if shift.any():
            axes.plot(*np.column_stack([peak, peak + shift]), transform=None, color=tones.ink, lw=1.1, zorder=3)
            axes.plot(*peak, "o", transform=None, ms=4, mfc=shade, mec=tones.ink, mew=1.1, zorder=4)


def _free_shift(box: Any, frame: Any, taken: list[Any]) -> FloatArray:
    """Return the smallest shift on a spiral that moves a box into the frame and off the others; 0 if none is free."""
    for step in range(1500):
        radius, angle = 0.1 * box.height * step**0.5, 2.4 * step  # the golden angle, 2.4, covers all directions evenly
        shift = radius * np.array([1.6 * np.cos(angle), np.sin(angle)], np.float32)
        moved = box.translated(*shift)
        inside = frame.x0 <= moved.x0 and moved.x1 <= frame.x1 and frame.y0 <= moved.y0 and moved.y1 <= frame.y1
        if inside and not moved.count_overlaps(taken):
            return shift
    return np.zeros(2, np.float32)


def shortened(name: str) -> str:
    """Return a name, cut to the width of the legend."""
    return textwrap.shorten(name, 18, placeholder="…") if " " in name else name if len(name) <= 18 else f"{name[:17]}…"


def _legend(figure: Any, face_map: FaceMap, groups: Sequence[Group], tones: Tones) -> None:
    """Draw the legend: color, name and count of each class, then the markers of faces outside the bundle."""
    from matplotlib.patches import Ellipse, Rectangle

    width, height = figure.get_size_inches()
    column = figure.add_axes(((width - LEGEND_IN) / width, 0, LEGEND_IN / width, 1), xlim=(0, LEGEND_IN))
    column.set(ylim=(0, height))
    column.set_axis_off()
    marked = [(mark, words, int((face_map.origin == one).sum())) for one, (mark, words) in MARKERS.items()]
    marked = [entry for entry in marked if entry[2]]
    pitch = min(0.5, (height - ABOVE_IN - BELOW_IN) / (len(groups) + len(marked) + 1))
    left, right, size = 0.45, LEGEND_IN - 0.4, min(11.5, 26 * pitch)
    largest = max((len(group.rows) for group in groups), default=0) or 1
    for row, (name, shade, rows, _, _) in enumerate(groups):
        y = height - ABOVE_IN - 0.1 - (row + 0.3) * pitch
        style = {"va": "center", "size": size, "color": tones.ink, "parse_math": False}
        column.add_patch(Ellipse((left - 0.17, y), 0.15, 0.15, color=shade, lw=0))
        column.text(left, y, shortened(name), **style)
        column.text(right, y, f"{len(rows):,}", ha="right", **style)
        bar_y, bar = y - 0.4 * pitch, right - left
        column.add_patch(Rectangle((left, bar_y), bar, 0.05 * pitch, color=tones.line, lw=0))
        column.add_patch(Rectangle((left, bar_y), bar * len(rows) / largest, 0.05 * pitch, color=shade, lw=0))
    for row, (mark, words, count) in enumerate(marked, len(groups)):
        y = height - ABOVE_IN - 0.1 - (row + 0.7) * pitch
        style = {"va": "center", "size": size, "color": tones.ink}
        column.plot(left - 0.17, y, mark, ms=6, mfc="none", mec=tones.ink, mew=1.1)
        column.text(left, y, words, **style)
        column.text(right, y, f"{count:,}", ha="right", **style)


def _captions(figure: Any, face_map: FaceMap, tones: Tones) -> None:
    width, height = figure.get_size_inches()
    left = LEFT_IN / width
    figure.text(left, 1 - 0.42 / height, face_map.title, size=20, weight="bold", color=tones.ink, va="center")
    figure.text(left, 1 - 0.76 / height, SUBTITLE, size=12, color=tones.faint, va="center")
    caption = "\n".join(textwrap.fill(line, 166) for line in (EXPLANATION, face_map.note) if line)
    figure.text(left, 0.3 / height, caption, size=9, color=tones.faint, va="bottom", linespacing=1.6, parse_math=False)
