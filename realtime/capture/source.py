"""One picture out of a source, and what a source is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from moodspace.arrays import ByteArray
from moodspace.embeddings.data.labelled import Skipped
from moodspace.errors import MoodspaceError

# For files and streams that do not say how fast they are.
_USUAL_FPS = 25.0


class SourceError(MoodspaceError):
    """A source that gives no frames: no camera, no such file, nothing readable in it."""

    exit_code = 4


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture out of a source.

    Attributes:
        source: What it came from: the file's path, the stream's address without password, or "camera 0".
        index: Its number within that, from 0.
        time: Seconds since the first frame of that, never less than the frame before; 0 for a picture.
        bgr: `(h, w, 3)` uint8 in [0, 255], BGR, upright.
        fps: Frames a second of the video; None for a picture.
    """

    source: str
    index: int
    time: float
    bgr: ByteArray
    fps: float | None


class Source(ABC):
    """Frames to go through once, in a `with` block, whose end frees the camera or file.

    Attributes:
        live: Whether frames keep coming in their own time, so that old ones should be dropped.
        root: The folder that the frames' files lie in, where the source is a folder.
        skipped: What could not be read so far, and why.
        incomplete: What was read so far but for a part, and what is missing.
        left_out: Files of a folder that are neither pictures nor videos.
    """

    def __init__(self, *, live: bool = False, root: Path | None = None) -> None:
        self.live = live
        self.root = root
        self.skipped: list[Skipped] = []
        self.incomplete: list[Skipped] = []
        self.left_out: list[str] = []

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yields the frames, in order.

        Raises:
            SourceError: there is none, or a camera stops.
        """

    def stop(self) -> None:  # noqa: B027 (those that never wait have nothing to do)
        """Ends the frames at once, from any thread, where a live source waits for one."""

    def close(self) -> None:  # noqa: B027 (most have nothing to do)
        """Frees what the source holds; most hold nothing between two frames."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def usable_fps(stated: float) -> float:
    """Returns the frames a second that a video states, or a usual number where that cannot be right."""
    return stated if 1 <= stated <= 1000 else _USUAL_FPS
