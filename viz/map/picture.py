"""The map of the embedding space as a picture for print."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.arrays import FloatArray
from moodspace.viz.map.face_map import (
    DATA,
    GALLERY,
    HONEST,
    SESSION,
    SUBTITLE,
    TAUGHT,
    FaceMap,
    Group,
    densest,
    readable_on,
)
from moodspace.viz.theme import DARK, LIGHT, Tones

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


WIDTH_IN = 12.0  # every picture is laid out this wide and then scaled, so that type keeps its proportion to it
LEFT_IN, ABOVE_IN, BELOW_IN, LEGEND_IN = 0.4, 1.05, 0.95, 2.75
DENSITY_FROM = 500  # with fewer faces the dots are the density
GRID = 320  # cells a side of the density behind the dots
# Who is not of the bundle stands out: the mark, and what the legend calls it.
GUESTS = {TAUGHT: ("D", "taught by you"), SESSION: ("s", "of a session"), DATA: ("^", "your data")}


def draw_map(face_map: FaceMap, path: Path, *, size_px: tuple[int, int] = (2400, 1800), dark: bool = False) -> None:
    """Write a PNG: a dot for each face over their density, classes named where they are densest, a legend with counts.

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

    tones, dpi = DARK if dark else LIGHT, width / WIDTH_IN
    # Half a pixel more, because matplotlib 3.10 cuts off the fraction that dividing by the resolution leaves.
    figure = Figure(figsize=((width + 0.5) / dpi, (height + 0.5) / dpi), dpi=dpi, facecolor=tones.paper)
    canvas = FigureCanvasAgg(figure)
    axes = _axes(figure, face_map)
    groups = tuple(group._replace(shade=group.dark) if dark else group for group in face_map.groups)
    if len(face_map) >= DENSITY_FROM:
        _density(axes, face_map, groups)
    if len(face_map):
        _dots(axes, face_map, _colours(face_map, groups), tones)
        write_names(axes, canvas.get_renderer(), face_map, groups, tones)
    else:
        axes.text(0.5, 0.5, "No faces yet", transform=axes.transAxes, ha="center", size=18, color=tones.faint)
    _legend(figure, face_map, groups, tones)
    _words(figure, face_map, tones)
    figure.savefig(path, format="png", dpi=dpi, facecolor=tones.paper)


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


def _density(axes: Any, face_map: FaceMap, groups: Sequence[Group]) -> None:
    """A soft ground that shows where many dots lie on top of each other, in the mean colour of their classes."""
    from matplotlib.colors import to_rgb
    from scipy.ndimage import gaussian_filter

    bounds = [axes.get_ylim(), axes.get_xlim()]
    total, colour = np.zeros((GRID, GRID)), np.zeros((GRID, GRID, 3))
    for group in groups:
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


def _colours(face_map: FaceMap, groups: Sequence[Group]) -> npt.NDArray[np.float64]:
    from matplotlib.colors import to_rgb

    colours = np.empty((len(face_map), 3))
    for group in groups:
        colours[group.rows] = to_rgb(group.shade)
    return colours


def _dots(axes: Any, face_map: FaceMap, colours: npt.NDArray[np.float64], tones: Tones) -> None:
    """The bundle's dots in one shuffled order, so that no class lies on top by its number; then the others, marked."""
    shuffled = np.random.default_rng(0).permutation(len(face_map))
    own = shuffled[face_map.origin[shuffled] == GALLERY]
    if len(own):
        many = np.log10(len(own))
        style = {"s": float(np.interp(many, [1, 3, 4.5], [110, 18, 2.4])), "linewidths": 0}
        style["alpha"] = float(np.interp(many, [2, 4.5], [0.9, 0.6]))
        axes.scatter(*face_map.coordinates[own].T, c=colours[own], **style)
    for origin, (mark, _) in reversed(GUESTS.items()):
        rows = shuffled[face_map.origin[shuffled] == origin]
        if len(rows):
            size = float(np.interp(np.log10(len(rows)), [0.5, 2, 3.5], [120, 45, 12]))
            style = {"s": size, "linewidths": 0.15 + size / 90, "zorder": 2}
            place = face_map.coordinates[rows].T
            axes.scatter(*place, c=colours[rows], marker=mark, edgecolors=tones.ink, **style)


def _legend(figure: Any, face_map: FaceMap, groups: Sequence[Group], tones: Tones) -> None:
    """Colour, name, count and share of each class in a column on the right; then who is not of the bundle."""
    from matplotlib.patches import Ellipse, Rectangle

    width, height = figure.get_size_inches()
    column = figure.add_axes(((width - LEGEND_IN) / width, 0, LEGEND_IN / width, 1), xlim=(0, LEGEND_IN))
    column.set(ylim=(0, height))
    column.set_axis_off()
    guests = [(mark, words, int((face_map.origin == one).sum())) for one, (mark, words) in GUESTS.items()]
    guests = [guest for guest in guests if guest[2]]
    pitch = min(0.5, (height - ABOVE_IN - BELOW_IN) / (len(groups) + len(guests) + 1))
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
    for row, (mark, words, count) in enumerate(guests, len(groups)):
        y = height - ABOVE_IN - 0.1 - (row + 0.7) * pitch
        style = {"va": "center", "size": size, "color": tones.ink}
        column.plot(left - 0.17, y, mark, ms=6, mfc="none", mec=tones.ink, mew=1.1)
        column.text(left, y, words, **style)
        column.text(right, y, f"{count:,}", ha="right", **style)


def _words(figure: Any, face_map: FaceMap, tones: Tones) -> None:
    width, height = figure.get_size_inches()
    left = LEFT_IN / width
    figure.text(left, 1 - 0.42 / height, face_map.title, size=20, weight="bold", color=tones.ink, va="center")
    figure.text(left, 1 - 0.76 / height, SUBTITLE, size=12, color=tones.faint, va="center")
    caption = "\n".join(textwrap.fill(line, 166) for line in (HONEST, face_map.note) if line)
    figure.text(left, 0.3 / height, caption, size=9, color=tones.faint, va="bottom", linespacing=1.6, parse_math=False)
