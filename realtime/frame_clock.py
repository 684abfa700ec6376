"""The times of a video's frames, whatever its own clock says."""

# A clock that goes back, or on by so much in a broadcast, was set anew.
_SET_BACK_S, _SET_ON_S = 1.0, 10.0


class FrameClock:
    """Turns the times that frames state into seconds since the first one, never less than the frame before.

    Args:
        fps: Frames a second, for frames that state no time.
        jumps: Whether the clock may jump ahead, as that of a broadcast does between two programmes.
    """

    def __init__(self, fps: float, *, jumps: bool = False) -> None:
        self._step, self._jumps = 1 / fps, jumps
        self._last: float | None = None
        self._begun: float | None = None

    def time(self, stated: float | None) -> float:
        """Returns a frame's time.

        Args:
            stated: Seconds by the video's clock; None where it does not say.
        """
        expected = 0.0 if self._last is None else self._last + self._step
        if stated is None:
            self._last = expected
            return expected
        if self._begun is None:
            self._begun = stated - expected
        time = stated - self._begun
        if self._last is not None and (
            time < self._last - _SET_BACK_S or (self._jumps and time > self._last + _SET_ON_S)
        ):
            self._begun, time = stated - expected, expected
        self._last = time if self._last is None else max(time, self._last)
        return self._last
