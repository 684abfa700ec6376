"""The drawings of a report as HTML with inline SVG: no script is needed, and text stays text at any width."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from moodspace.arrays import IntArray
from moodspace.sessions import Mark
from moodspace.viz.report.data import Kept, TimeBins
from moodspace.viz.theme import text

# Height of a drawing and width of a bin in SVG units, so that whole numbers are precise enough.
_HEIGHT, _STEP = 1000, 10

# Possible distances between the labels of a time axis, in seconds.
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MAX_LABELS = 8
# Share of the drawing's width that the name of an event needs.
_LABEL_SHARE = 0.1


def clock(seconds: float) -> str:
    """Format seconds since the session began as 4:05 or 1:02:33."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def percent(share: float) -> str:
    """Format a share in [0, 1] as a whole percentage, as HTML; small shares become &lt;1 %, not 0 %."""
    return "&lt;1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def stacked_areas(values: npt.NDArray[np.floating], fills: Sequence[str], top: float) -> str:
    """Draw stacked areas, with gaps where values are missing.

    Args:
        values: `(s, k)`, heights of the k areas in s bins; rows with NaN are left out.
        fills: Attributes of the k areas, such as `fill="#000000"`.
        top: Height of the drawing in the unit of the values, > 0.

    Returns:
        An SVG element that stretches to its container.
    """
    edges = np.cumsum(np.column_stack([np.zeros(len(values)), values]), axis=1)
    heights = np.rint(_HEIGHT * (1 - edges / top))
    runs = _runs(~np.isnan(values).any(axis=1))
    paths = []
    for area, fill in enumerate(fills):
        shape = "".join(_band(heights[start:stop, area], heights[start:stop, area + 1], start) for start, stop in runs)
        if shape:
            paths.append(f'<path {fill} d="{shape}"/>')
    return _svg(len(values), "".join(paths))


def _band(below: npt.NDArray[np.floating], above: npt.NDArray[np.floating], start: int) -> str:
    """Return the outline of an area over the bins from `start`, with its corners at the middle of each bin."""
    middles = (np.arange(len(above)) + start) * _STEP + _STEP // 2
    x = [start * _STEP, *middles.tolist(), (start + len(above)) * _STEP]
    upper = zip(x, [above[0], *above, above[-1]], strict=True)
    lower = zip(x[::-1], [below[-1], *below[::-1], below[0]], strict=True)
    return "M" + "L".join(f"{at} {height:.0f}" for at, height in (*upper, *lower)) + "z"


def strip(shown: IntArray, fills: Sequence[str]) -> str:
    """Draw when one face was visible, colored by the last label it showed in each bin.

    Args:
        shown: `(s,)` int64, the column of that label in each of s bins, -1 for unsure, -2 if it was not visible.
        fills: Attributes for each class, and last for unsure.
    """
    shown = np.where(shown == -1, len(fills) - 1, shown)
    paths = []
    for column, fill in enumerate(fills):
        shape = "".join(
            f"M{_STEP * start} 0h{_STEP * (stop - start)}v{_HEIGHT}h-{_STEP * (stop - start)}z"
            for start, stop in _runs(shown == column)
        )
        if shape:
            paths.append(f'<path {fill} d="{shape}"/>')
    return _svg(len(shown), "".join(paths))


def gap_overlays(bins: TimeBins, reasons: dict[Kept, str]) -> str:
    """Return hatched overlays for bins without recorded shares, each with the reason."""
    marks = []
    for kept, reason in reasons.items():
        for start, stop in _runs(bins.kept == kept):
            times = f"{clock(start * bins.width)} to {clock(stop * bins.width)}"
            place = f"left:{_share(start, bins)};width:{_share(stop - start, bins)}"
            marks.append(f'<i class="void kind{kept:d}" style="{place}" title="{times}: {text(reason)}"></i>')
    return "".join(marks)


def plot(
    drawing: str,
    levels: Iterable[tuple[float, str]],
    length_s: float,
    bins: TimeBins,
    label: str,
    values: str = "shares",
) -> str:
    """Return a drawing with its axes.

    Args:
        drawing: The drawing, as `stacked_areas` returns it, and its overlays.
        levels: Heights in [0, 1] with their labels.
        length_s: Length of the session in seconds.
        bins: The bins of the drawing.
        label: Description for screen readers.
        values: What `scrub.js` draws when it zooms: "shares" or "counts".
    """
    across = "".join(f'<span style="bottom:{100 * at:.4g}%">{name}</span>' for at, name in levels)
    end = len(bins.kept) * bins.width
    along = "".join(
        f'<span{" class=last" if at > 0.95 * end else ""} style="left:{100 * at / end:.5g}%">{clock(at)}</span>'
        for at in _ticks(length_s)
    )
    return (
        f'<figure class="plot"><div class="levels" aria-hidden="true">{across}</div>'
        f'<div class="scroller"><div class="wide"><div class="drawing" role="img" tabindex="0" data-values="{values}" '
        f'aria-label="{text(label)}">{drawing}</div>'
        f'<div class="times" aria-hidden="true">{along}</div></div></div></figure>'
    )


def moment_line(number: int, second: float, bins: TimeBins) -> str:
    """Return a numbered vertical line over a drawing."""
    return f'<i class="moment" style="left:{_share(second / bins.width, bins)}"><b>{number}</b></i>'


def event_lines(marks: Sequence[Mark], bins: TimeBins, *, named: bool = True) -> str:
    """Return a dashed line for each marked event, with its name where the next one leaves room for it."""
    end, lines = len(bins.kept) * bins.width, []
    following = [mark.time for mark in marks[1:]] + [float("inf")]
    for mark, later in zip(marks, following, strict=False):
        name = f"<b>{text(mark.name)}</b>" if named else ""
        bare = "" if later - mark.time > _LABEL_SHARE * end else " bare"
        lines.append(f'<i class="event{bare}" style="left:{100 * mark.time / end:.5g}%">{name}</i>')
    return "".join(lines)


def bar(shares: npt.NDArray[np.floating], shades: Sequence[str]) -> str:
    """Return shares that sum to 1 as one horizontal bar."""
    parts = (f'<i style="flex:{s:.4f};--shade:{c}"></i>' for s, c in zip(shares, shades, strict=True) if s > 0)
    return f'<span class="shares">{"".join(parts)}</span>'


def _ticks(length_s: float) -> range:
    step = next((one for one in _STEPS_S if length_s / one <= _MAX_LABELS), _STEPS_S[-1])
    return range(0, int(length_s) + 1, step)


def _share(n_bins: float, bins: TimeBins) -> str:
    return f"{100 * n_bins / len(bins.kept):.5g}%"


def _svg(n: int, paths: str) -> str:
    box = f"0 0 {n * _STEP} {_HEIGHT}"
    return f'<svg viewBox="{box}" preserveAspectRatio="none" aria-hidden="true">{paths}</svg>'


def _runs(chosen: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return start and stop of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
