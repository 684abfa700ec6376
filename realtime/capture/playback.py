"""The frames of video files when they are due by the files' own speed."""

import time
from collections.abc import Callable, Iterable, Iterator

from moodspace.realtime.capture.source import Frame

# A reader that is later than this paused or cannot keep up: the video goes on from where it is, then.
_PATIENCE_S = 0.5


def paced_frames(frames: Iterable[Frame], clock: Callable[[], float]) -> Iterator[Frame]:
    """Yields the frames of video files when they are due, without those that are overdue; pictures at once.

    Args:
        frames: Of one file or several.
        clock: Seconds.
    """
    start = 0.0
    for frame in frames:
        if frame.fps is None:
            yield frame
            continue
        early = start + frame.time - clock()
        if frame.index == 0 or early < -_PATIENCE_S:
            start, early = clock() - frame.time, 0.0
        if early > 0:
            time.sleep(early)
        if early > -1 / frame.fps:
            yield frame
