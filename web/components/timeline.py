"""The expressions in a video over time, as a stacked chart of their mean probabilities."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.viz.report.figures import clock, percent, stacked_areas
from moodspace.viz.theme import mark, text

# More bins than this are too narrow to tell apart; more labels than this overlap on a phone.
_MAX_BINS, _MAX_LABELS = 200, 6
# Times are rounded to milliseconds: a frame that overlaps a bin by less than this share of either does not count.
_MIN_OVERLAP = 0.1
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
# Expressions that never reach this share are not in the legend.
_VISIBLE = 0.02


def timeline(
    shares: npt.NDArray[np.float64], seconds: float, classes: tuple[str, ...], shades: Mapping[str, str]
) -> str:
    """Return the chart and its legend as HTML; bins without a face stay empty.

    Args:
        shares: `(s, C)`, as `mean_shares` returns them.
        seconds: Length of the video, > 0.
        classes: The C classes.
        shades: A CSS color for each class.
    """
    drawing = picture(stacked_areas(shares, [f'style="fill:{shades[name]}"' for name in classes], 1.0))
    visible = [at for at in range(len(classes)) if (np.nan_to_num(shares[:, at]) >= _VISIBLE).any()]
    seen = [(classes[at], float(np.nanmean(shares[:, at]))) for at in visible]
    legend = "".join(f"<li>{mark(name, shades[name])} <span>{percent(share)}</span></li>" for name, share in seen)
    summary = ", ".join(f"{name} {100 * share:.0f} %" for name, share in seen) or "no face"
    return (
        f'<figure class="timeline"><div class="drawing" role="img" aria-label="On average: {text(summary)}">'
        f'{drawing}</div><div class="times" aria-hidden="true">{_times(seconds)}</div>'
        f'<ul class="legend">{legend}</ul></figure>'
    )


def mean_shares(
    frames: Sequence[Mapping[str, Any]], seconds: float, classes: tuple[str, ...]
) -> npt.NDArray[np.float64]:
    """Return the mean probabilities over the faces in each bin of time.

    A frame counts from its time until the time of the next one, in every bin that it overlaps. So every bin has a
    frame, however times are rounded and frames are spaced.

    Args:
        frames: As in the document of a video: `{"time": seconds, "faces": [...]}`, in the order of their times.
        seconds: Length of the video, > 0.
        classes: The C classes.

    Returns:
        `(s, C)` float64 in [0, 1]; NaN in bins without a face.
    """
    bins = max(1, min(_MAX_BINS, len(frames)))
    sums, faces = np.zeros((bins, len(classes))), np.zeros((bins, 1))
    width = seconds / bins
    starts = [0.0, *(min(float(frame["time"]), seconds) for frame in frames[1:]), seconds]
    for frame, start, end in zip(frames, starts, starts[1:], strict=False):
        shown = [[face["probabilities"].get(name, 0.0) for name in classes] for face in frame["faces"]]
        if not shown or end <= start:
            continue
        for at in range(min(int(start / width), bins - 1), min(int(end / width), bins - 1) + 1):
            overlap = min(end, (at + 1) * width) - max(start, at * width)
            if overlap > _MIN_OVERLAP * min(end - start, width):
                sums[at] += overlap * np.sum(shown, axis=0)
                faces[at] += overlap * len(shown)
    return np.divide(sums, faces, out=np.full(sums.shape, np.nan), where=faces > 0)


def picture(svg: str) -> str:
    """Return a drawing as an `img` element, because Streamlit removes SVG from HTML.

    Args:
        svg: One SVG element of HTML.
    """
    alone = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" style="color-scheme:light dark" ', 1)
    return f'<img src="data:image/svg+xml;base64,{base64.b64encode(alone.encode()).decode()}" decoding="sync" alt="">'


def _times(seconds: float) -> str:
    step = next((one for one in _STEPS_S if seconds / one <= _MAX_LABELS), _STEPS_S[-1])
    return "".join(
        f'<span{" class=last" if at > 0.95 * seconds else ""} style="left:{100 * at / seconds:.4g}%">{clock(at)}</span>'
        for at in range(0, int(seconds) + 1, step)
    )
