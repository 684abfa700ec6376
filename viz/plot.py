"""Plots in the common style: a title, a note, and axes without a frame."""

from pathlib import Path
from typing import Any

from moodspace.embeddings.files.names import write_whole
from moodspace.viz.theme import LIGHT, picture_style

_DPI = 160
# Space above the axes for the title and one line of the note, and for each further line, in inches.
_ABOVE_IN, _LINE_IN = 0.8, 0.2


def new_figure(width_in: float, height_in: float, title: str, note: str) -> Any:
    """Return a matplotlib figure with a title, a note of one or more lines below it, and space for axes."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    style: Any = picture_style()
    above = _ABOVE_IN + _LINE_IN * note.count("\n")
    with rc_context(style):
        layout = ConstrainedLayoutEngine(rect=(0.02, 0.02, 0.96, 0.98 - above / height_in))
        figure = Figure(figsize=(width_in, height_in), dpi=_DPI, layout=layout)
        FigureCanvasAgg(figure)
        figure.text(0.03, 1 - 0.3 / height_in, title, va="center", size=15, weight="bold")
        figure.text(0.03, 1 - 0.52 / height_in, note, va="top", size=9.5, linespacing=1.4, color=LIGHT.faint)
    return figure


def add_axes(figure: Any, *place: Any, **labels: Any) -> Any:
    """Add axes: `place` as for `Figure.add_subplot`, `labels` as for `Axes.set`."""
    from matplotlib import rc_context

    style: Any = picture_style()
    with rc_context(style):
        axes = figure.add_subplot(*place)
        axes.spines[:].set_visible(False)
        axes.tick_params(labelsize=9.5)
        axes.set(**labels)
    return axes


def in_percent(*sides: Any) -> None:
    """Format the ticks of axes (`Axes.xaxis`, `Axes.yaxis`) as percentages."""
    from matplotlib.ticker import PercentFormatter

    for side in sides:
        side.set_major_formatter(PercentFormatter(1.0, decimals=0))


def add_legend(axes: Any, **place: Any) -> None:
    """Add a legend without a frame; arguments as for `Axes.legend`."""
    axes.legend(frameon=False, labelcolor=LIGHT.ink, fontsize=10, **place)


def save(figure: Any, path: Path) -> Path:
    """Write a figure as PNG and return the path.

    Raises:
        OSError: The file cannot be written.
    """
    write_whole(path, lambda file: figure.savefig(file, dpi=_DPI, facecolor=LIGHT.paper))
    return path
