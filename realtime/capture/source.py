"""The interface of all sources, and the frames that they yield."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import time as unix_now
from types import TracebackType
from typing import Self

from moodspace.arrays import ByteArray
from moodspace.embeddings.data.labelled import Skipped
from moodspace.errors import MoodspaceError

# For files and streams without a frame rate.
_DEFAULT_FPS = 25.0


class SourceError(MoodspaceError):
    """A source gives no frames: there is no such camera or file, or it cannot be read."""

    exit_code = 4


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame of a source.

    Attributes:
        source: Its file's path, its stream's address without the password, or "camera 0".
        index: Its number in that file or stream, from 0.
        time: Seconds since the first frame of that file or stream; never decreases; 0 for a picture.
        bgr: `(h, w, 3)` uint8 in [0, 255], BGR, upright.
        fps: Frames per second of the video; None for a picture.
        captured: When the camera or stream gave it, or when it was read from a file, unix seconds.
    """

    source: str
    index: int
    time: float
    bgr: ByteArray
    fps: float | None
    captured: float = field(default_factory=unix_now)


class Source(ABC):
    """Frames to iterate once, in a `with` block; the end of the block releases the camera or file.

    Attributes:
        live: Whether frames arrive in real time, so that old ones should be dropped.
        root: The folder of the frames' files if the source is a folder; else None.
        skipped: Files that could not be read so far, with the reason.
        incomplete: Files that were read only in part so far, with what is missing.
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
        """Yield the frames in order.

        Raises:
            SourceError: There are none, or a camera fails.
        """

    def stop(self) -> None:  # noqa: B027 (most sources never wait)
        """End the frames of a live source at once; callable from any thread."""

    def close(self) -> None:  # noqa: B027 (most sources hold nothing)
        """Release the camera or file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def usable_fps(stated: float) -> float:
    """Return the frame rate that a video states, in frames per second; 25 if it cannot be right."""
    return stated if 1 <= stated <= 1000 else _DEFAULT_FPS
