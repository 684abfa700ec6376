"""The map of the embedding space as a picture for print."""

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from index.gallery import FloatArray
from viz.face_map import HONEST, SUBTITLE, FaceMap, readable_on

WIDTH_IN = 12.0  # every picture is laid out this wide and then scaled, so that type keeps its proportion to it
LEFT_IN, ABOVE_IN, BELOW_IN, LEGEND_IN = 0.4, 1.05, 0.95, 2.75
DENSITY_FROM = 500  # with fewer faces the dots are the density
COVER_NONE_UP_TO = 60  # among so few faces, a name may not hide one
GRID = 320  # cells a side of the density behind the dots


@dataclass(frozen=True, slots=True)
class _Theme:
    paper: str
    ink: str
    faint: str
    line: str


LIGHT = _Theme(paper="#fcfcfa", ink="#1d1f23", faint="#666b74", line="#e2e2de")
DARK = _Theme(paper="#14161a", ink="#eceef2", faint="#9aa0aa", line="#2b2f36")


def draw_map(face_map: FaceMap, path: Path, *, size_px: tuple[int, int] = (2400, 1800), dark: bool = False) -> None:
    """Write a PNG: a dot for each face over their density, classes named at their centroids, a legend with counts.

    Args:
        face_map: The faces; none, one class only and faces without a label are all legal.
        path: The file to write; its folder exists.
        size_px: Width and height in pixels, 800 x 600 or more.
        dark: Light type on a dark ground.

    Raises:
        ValueError: The picture would be too small to read.
        OSError: The file cannot be written.
    """
    width, height = size_px
    if width < 800 or height < 600:
        raise ValueError(f"size_px: expected 800 x 600 or more, received {width} x {height}; ask for a larger picture.")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    theme, dpi = DARK if dark else LIGHT, width / WIDTH_IN
    # Half a pixel more, because matplotlib 3.10 cuts off the fraction that dividing by the resolution leaves.
    figure = Figure(figsize=((width + 0.5) / dpi, (height + 0.5) / dpi), dpi=dpi, facecolor=theme.paper)
    canvas = FigureCanvasAgg(figure)
    axes = _axes(figure, face_map)
    if len(face_map) >= DENSITY_FROM:
        _density(axes, face_map)
    if len(face_map):
        _dots(axes, face_map)
        _names(axes, canvas.get_renderer(), face_map, theme)
    else:
        axes.text(0.5, 0.5, "No faces yet", transform=axes.transAxes, ha="center", size=18, color=theme.faint)
    _legend(figure, face_map, theme)
    _words(figure, face_map, theme)
    figure.savefig(path, format="png", dpi=dpi, facecolor=theme.paper)


def _axes(figure: Any, face_map: FaceMap) -> Any:
    """Axes without frame, ticks or distortion: one unit is as long across as it is up."""
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


def _density(axes: Any, face_map: FaceMap) -> None:
    """A soft ground that shows where many dots lie on top of each other, in the mean colour of their classes."""
    from matplotlib.colors import to_rgb
    from scipy.ndimage import gaussian_filter

    bounds = [axes.get_ylim(), axes.get_xlim()]
    total, colour = np.zeros((GRID, GRID)), np.zeros((GRID, GRID, 3))
    for group in face_map.groups:
        x, y = face_map.coordinates[group.rows].T
        counts = gaussian_filter(np.histogram2d(y, x, bins=GRID, range=bounds)[0], GRID / 70)
        total += counts
        colour += counts[:, :, None] * to_rgb(group.shade)
    colour /= np.maximum(total, 1e-9)[:, :, None]
    full = np.quantile(total[total > total.max() / 50], 0.9)
    opacity = 0.45 * np.clip(total / full, 0, 1) ** 0.7
    extent = (*axes.get_xlim(), *axes.get_ylim())
    picture = np.clip(np.dstack([colour, opacity]), 0, 1)
    axes.imshow(picture, origin="lower", extent=extent, aspect="auto", interpolation="bilinear")


def _dots(axes: Any, face_map: FaceMap) -> None:
    """All dots in one shuffled order, so that no class lies on top because of its number."""
    from matplotlib.colors import to_rgb

    n = len(face_map)
    colours = np.empty((n, 4))
    for group in face_map.groups:
        colours[group.rows, :3] = to_rgb(group.shade)
    colours[:, 3] = np.interp(np.log10(n), [2, 4.5], [0.9, 0.6])
    order = np.random.default_rng(0).permutation(n)
    size = float(np.interp(np.log10(n), [1, 3, 4.5], [110, 18, 2.4]))
    axes.scatter(*face_map.coordinates[order].T, s=size, c=colours[order], linewidths=0)


def _names(axes: Any, renderer: Any, face_map: FaceMap, theme: _Theme) -> None:
    """Each class by its name at its centroid, moved as little as it takes to overlap no other name (and few dots).

    The centroid is the median: with the share of wrong labels that such data have, means all drift to the middle.
    """
    from matplotlib.transforms import Bbox, IdentityTransform

    dots = axes.transData.transform(face_map.coordinates) if len(face_map) <= COVER_NONE_UP_TO else np.empty((0, 2))
    taken = [Bbox.from_bounds(x, y, 1, 1).padded(axes.figure.dpi / 10) for x, y in dots]
    for name, shade, rows, labelled, _ in sorted(face_map.groups, key=lambda group: -len(group.rows)):
        if not len(rows) or not labelled:
            continue
        centroid = axes.transData.transform(np.median(face_map.coordinates[rows], axis=0))
        label = axes.text(
            *centroid, _shortened(name), transform=IdentityTransform(), parse_math=False,
            ha="center", va="center", size=11.5, weight="bold", color=readable_on(shade), zorder=5,
            bbox={"boxstyle": "round,pad=0.32,rounding_size=0.7", "fc": shade, "ec": theme.paper, "lw": 1.6},
        )  # fmt: skip
        label.draw(renderer)  # only then does its box know its size
        box = label.get_bbox_patch().get_window_extent(renderer).padded(axes.figure.dpi / 40)
        shift = _free_shift(box, axes.get_window_extent(renderer), taken)
        taken.append(box.translated(*shift))
        label.set_position(centroid + shift)
        if shift.any():
            axes.plot(*np.column_stack([centroid, centroid + shift]), transform=None, color=theme.ink, lw=1.1, zorder=3)
            axes.plot(*centroid, "o", transform=None, ms=4, mfc=shade, mec=theme.ink, mew=1.1, zorder=4)


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


def _legend(figure: Any, face_map: FaceMap, theme: _Theme) -> None:
    """Colour, name, count and share of each class in a column on the right."""
    from matplotlib.patches import Ellipse, Rectangle

    width, height = figure.get_size_inches()
    column = figure.add_axes(((width - LEGEND_IN) / width, 0, LEGEND_IN / width, 1), xlim=(0, LEGEND_IN))
    column.set(ylim=(0, height))
    column.set_axis_off()
    groups = face_map.groups
    pitch = min(0.5, (height - ABOVE_IN - BELOW_IN) / max(len(groups), 1))
    left, right, size = 0.45, LEGEND_IN - 0.4, min(11.5, 26 * pitch)
    largest = max((len(group.rows) for group in groups), default=0) or 1
    for row, (name, shade, rows, _, _) in enumerate(groups):
        y = height - ABOVE_IN - 0.1 - (row + 0.3) * pitch
        style = {"va": "center", "size": size, "color": theme.ink, "parse_math": False}
        column.add_patch(Ellipse((left - 0.17, y), 0.15, 0.15, color=shade, lw=0))
        column.text(left, y, _shortened(name), **style)
        column.text(right, y, f"{len(rows):,}", ha="right", **style)
        bar_y, bar = y - 0.4 * pitch, right - left
        column.add_patch(Rectangle((left, bar_y), bar, 0.05 * pitch, color=theme.line, lw=0))
        column.add_patch(Rectangle((left, bar_y), bar * len(rows) / largest, 0.05 * pitch, color=shade, lw=0))


def _words(figure: Any, face_map: FaceMap, theme: _Theme) -> None:
    width, height = figure.get_size_inches()
    left = LEFT_IN / width
    figure.text(left, 1 - 0.42 / height, face_map.title, size=20, weight="bold", color=theme.ink, va="center")
    figure.text(left, 1 - 0.76 / height, SUBTITLE, size=12, color=theme.faint, va="center")
    caption = "\n".join(textwrap.fill(line, 166) for line in (HONEST, face_map.note) if line)
    figure.text(left, 0.3 / height, caption, size=9, color=theme.faint, va="bottom", linespacing=1.6, parse_math=False)


def _shortened(name: str) -> str:
    return textwrap.shorten(name, 18, placeholder="…") if " " in name else name if len(name) <= 18 else f"{name[:17]}…"
