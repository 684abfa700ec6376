"""Which frames of a video to look at: all, every n-th, or one in so many seconds."""

from collections.abc import Callable
from dataclasses import dataclass

from moodspace.errors import MoodspaceError

# Whether to look at a frame, by its number from 0 and its time in seconds; asked once for each frame, in order.
Due = Callable[[int, float], bool]


class SamplingError(MoodspaceError):
    """A text that does not say which frames to look at."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which frames of a video to look at; by default all.

    Attributes:
        frames: Look at every `frames`-th frame, >= 1.
        seconds: Look at the first frame of each interval of this many seconds, > 0; 0 counts frames instead.

    Raises:
        SamplingError: A value is out of range, or both are given.
    """

    frames: int = 1
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.frames < 1 or not 0 <= self.seconds < float("inf") or (self.frames > 1 and self.seconds):
            raise SamplingError(
                f"expected a number of frames >= 1 or of seconds > 0, got {self.frames}, {self.seconds} s"
            )

    @classmethod
    def parse(cls, text: str | int | None) -> "Sampling":
        """Return the sampling that a text asks for: "5" for every fifth frame, "0.5s" for a frame each half second.

        Raises:
            SamplingError: The text is neither.
        """
        if text is None:
            return cls()
        given = str(text).strip()
        try:
            sampling = cls(seconds=float(given[:-1])) if given.endswith("s") else cls(frames=int(given))
        except ValueError as error:
            raise SamplingError(
                f"expected a number of frames, such as 5, or of seconds, such as 0.5s, got {given!r}"
            ) from error
        if given.endswith("s") and not sampling.seconds:
            raise SamplingError(f"expected more than 0 seconds, got {given!r}")
        return sampling

    def __str__(self) -> str:
        if self.seconds:
            return f"{self.seconds:g}s"
        return str(self.frames)

    @property
    def all_frames(self) -> bool:
        """Whether every frame is looked at."""
        return self.frames == 1 and not self.seconds

    def due(self) -> Due:
        """Return a function that decides for each frame of one video, in order."""
        if not self.seconds:
            return lambda index, _time: index % self.frames == 0
        step, interval = self.seconds, -1

        def first_of_interval(_index: int, time: float) -> bool:
            nonlocal interval
            # The tolerance: 3 * 0.1 is a little more than 0.3.
            newest = int(time / step + 1e-6)
            if newest <= interval:
                return False
            interval = newest
            return True

        return first_of_interval


ALL_FRAMES = Sampling()
