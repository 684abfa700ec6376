"""A plot in the project's language: a heading, a line that says how to read it, quiet axes."""

from pathlib import Path
from typing import Any

from moodspace.viz.theme import LIGHT, picture_style

_DPI = 160
# Room above the axes for a heading and one line of words, and for each further line.
_ABOVE_IN, _LINE_IN = 0.8, 0.2


def new_figure(width_in: float, height_in: float, title: str, note: str) -> Any:
    """Return a matplotlib figure with a heading and, below it, how to read it, in lines; its axes come below both."""
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
    """Adds axes, as `Figure.add_subplot` at `place` and `Axes.set` with `labels`."""
    from matplotlib import rc_context

    style: Any = picture_style()
    with rc_context(style):
        axes = figure.add_subplot(*place)
        axes.spines[:].set_visible(False)
        axes.tick_params(labelsize=9.5)
        axes.set(**labels)
    return axes


def in_percent(*sides: Any) -> None:
    """Writes the numbers of axes (`Axes.xaxis`, `Axes.yaxis`) as per cent."""
    from matplotlib.ticker import PercentFormatter

    for side in sides:
        side.set_major_formatter(PercentFormatter(1.0, decimals=0))


def add_legend(axes: Any, **place: Any) -> None:
    """Adds a legend without a frame, as `Axes.legend` with `place`."""
    axes.legend(frameon=False, labelcolor=LIGHT.ink, fontsize=10, **place)


def save(figure: Any, path: Path) -> Path:
    """Writes a figure as PNG and returns the path.

    Raises:
        OSError: It cannot be written.
    """
    figure.savefig(path, dpi=_DPI, facecolor=LIGHT.paper)
    return path
