"""The drawings of a session's report, as HTML with SVG in it: they need no script, and type stays type at any width."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from moodspace.sessions import FaceSeconds
from moodspace.viz.report.data import Kept, Stretches
from moodspace.viz.theme import text

# SVG units of a drawing's height, and of a stretch's width: whole numbers are fine enough and short to write.
_HEIGHT, _STEP = 1000, 10

# Seconds between the labels of a time axis.
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MOST_LABELS = 8


def clock(seconds: float) -> str:
    """Time since the session began, as 4:05 or 1:02:33."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def percent(share: float) -> str:
    """A share in [0, 1] as whole per cent; what is more than nothing is not called 0 %."""
    return "&lt;1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def stacked(values: npt.NDArray[np.floating], fills: Sequence[str], top: float) -> str:
    """Areas on top of each other, broken where values are missing.

    Args:
        values: `(s, k)`, heights of the k areas over s stretches; rows of NaN are left out.
        fills: The k areas' attributes, as `fill="#000000"`.
        top: The height of the drawing in the values' unit, > 0.

    Returns:
        An SVG element that fills its place, whatever that place's proportions.
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
    """The outline of an area over the stretches from `start`, from the middle of each to that of the next."""
    middles = (np.arange(len(above)) + start) * _STEP + _STEP // 2
    x = [start * _STEP, *middles.tolist(), (start + len(above)) * _STEP]
    upper = zip(x, [above[0], *above, above[-1]], strict=True)
    lower = zip(x[::-1], [below[-1], *below[::-1], below[0]], strict=True)
    return "M" + "L".join(f"{at} {height:.0f}" for at, height in (*upper, *lower)) + "z"


def strip(faces: FaceSeconds, rows: npt.NDArray[np.intp], cut: Stretches, fills: Sequence[str]) -> str:
    """One face's time in view as a band, coloured by the label it showed last in each stretch.

    Args:
        faces: All faces.
        rows: Those of this one, ascending.
        cut: The stretches.
        fills: Attributes for each class, and last for unsure.
    """
    shown = np.full(len(cut.kept), -2, np.int64)
    shown[faces.second[rows] // cut.width] = faces.shown[rows] % len(fills)
    paths = []
    for column, fill in enumerate(fills):
        shape = "".join(
            f"M{_STEP * start} 0h{_STEP * (stop - start)}v{_HEIGHT}h-{_STEP * (stop - start)}z"
            for start, stop in _runs(shown == column)
        )
        if shape:
            paths.append(f'<path {fill} d="{shape}"/>')
    return _svg(len(shown), "".join(paths))


def voids(cut: Stretches, reasons: dict[Kept, str]) -> str:
    """Marks over a drawing where nothing was kept, each with the reason."""
    marks = []
    for kept, reason in reasons.items():
        for start, stop in _runs(cut.kept == kept):
            times = f"{clock(start * cut.width)} to {clock(stop * cut.width)}"
            place = f"left:{_share(start, cut)};width:{_share(stop - start, cut)}"
            marks.append(f'<i class="void kind{kept:d}" style="{place}" title="{times}: {text(reason)}"></i>')
    return "".join(marks)


def plot(drawing: str, levels: Iterable[tuple[float, str]], length_s: float, cut: Stretches, label: str) -> str:
    """A drawing between its axes.

    Args:
        drawing: What is drawn, as `stacked` makes it, and what lies over it.
        levels: Heights in [0, 1] with their labels.
        length_s: Seconds that the session took.
        cut: The stretches that are drawn.
        label: What is to be seen, in words, for those who do not see it.
    """
    across = "".join(f'<span style="bottom:{100 * at:.4g}%">{name}</span>' for at, name in levels)
    end = len(cut.kept) * cut.width
    along = "".join(
        f'<span{" class=last" if at > 0.95 * end else ""} style="left:{100 * at / end:.5g}%">{clock(at)}</span>'
        for at in _ticks(length_s)
    )
    return (
        f'<figure class="plot"><div class="levels" aria-hidden="true">{across}</div>'
        f'<div class="drawing" role="img" tabindex="0" aria-label="{text(label)}">{drawing}</div>'
        f'<div class="times" aria-hidden="true">{along}</div></figure>'
    )


def moment(number: int, second: float, cut: Stretches) -> str:
    """A numbered line over a drawing."""
    return f'<i class="moment" style="left:{_share(second / cut.width, cut)}"><b>{number}</b></i>'


def bar(shares: npt.NDArray[np.floating], shades: Sequence[str]) -> str:
    """Shares that sum to 1 side by side in a bar."""
    parts = (f'<i style="flex:{s:.4f};--shade:{c}"></i>' for s, c in zip(shares, shades, strict=True) if s > 0)
    return f'<span class="shares">{"".join(parts)}</span>'


def _ticks(length_s: float) -> range:
    step = next((one for one in _STEPS_S if length_s / one <= _MOST_LABELS), _STEPS_S[-1])
    return range(0, int(length_s) + 1, step)


def _share(stretches: float, cut: Stretches) -> str:
    return f"{100 * stretches / len(cut.kept):.5g}%"


def _svg(n: int, paths: str) -> str:
    box = f"0 0 {n * _STEP} {_HEIGHT}"
    return f'<svg viewBox="{box}" preserveAspectRatio="none" aria-hidden="true">{paths}</svg>'


def _runs(chosen: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where True follows True: the first of each run and the one after its last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
