"""How fast frames are shown, and how long after they came."""

from collections import deque

# The frame rate is that of this time, seconds.
_WINDOW_S = 1.5
# So much of the latency shown is the newest frame's: a number that changes at every frame cannot be read.
_NEWEST = 0.1


class FPSMeter:
    """Counts frames.

    Attributes:
        latency_ms: From a frame's arrival until it is shown, about the last ten frames' mean.
    """

    def __init__(self) -> None:
        self._shown: deque[float] = deque()
        self.latency_ms = 0.0

    @property
    def fps(self) -> float:
        """Frames a second, of late; 0 before the second frame."""
        if len(self._shown) < 2 or self._shown[-1] <= self._shown[0]:
            return 0.0
        return (len(self._shown) - 1) / (self._shown[-1] - self._shown[0])

    def count(self, arrived: float, shown: float) -> None:
        """Takes note of a frame, by the times in seconds at which it came and was shown."""
        latency = 1000 * (shown - arrived)
        self.latency_ms = latency if not self._shown else (1 - _NEWEST) * self.latency_ms + _NEWEST * latency
        self._shown.append(shown)
        while shown - self._shown[0] > _WINDOW_S:
            self._shown.popleft()
