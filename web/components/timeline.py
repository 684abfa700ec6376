"""The expressions in a video over time: their mean probabilities in bins, and drawings that Streamlit shows."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

# More bins than this are too narrow to tell apart, even zoomed.
_MAX_BINS = 600
# Times are rounded to milliseconds: a frame that overlaps a bin by less than this share of either does not count.
_MIN_OVERLAP = 0.1


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
