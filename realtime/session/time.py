"""Where in a session a frame stands: seconds that go on evenly, whatever the source's time and the clock do."""

from typing import NamedTuple

# Without a frame for longer than this, the time between two is a gap.
LONGEST_STEP_S = 2.0
# A source whose time leaps farther than this, as streams with damaged time stamps do, has to agree with the clock.
_LONGEST_LEAP_S = 60.0

NO_FRAMES = "no frames came"


class Gap(NamedTuple):
    """A time that nothing is known of.

    Attributes:
        start: Seconds since the session began.
        stop: The same; equal to `start` where it is known only that the clock was changed.
        reason: Why, in words.
    """

    start: float
    stop: float
    reason: str


class SessionClock:
    """The time of a session: that of its source where it goes on, the clock's where the source begins anew.

    Attributes:
        position: Seconds since the session began, never less than before.

    Args:
        started: When the session began, unix seconds.
    """

    def __init__(self, started: float) -> None:
        self.position = 0.0
        self._time: float | None = None
        self._wall = started
        self._reason = ""

    def interrupt(self, reason: str) -> None:
        """Takes note of why no frames come, until they come again; what is said later of the same gap is not noted."""
        self._reason = self._reason or reason

    def go_to(self, time: float, wall: float) -> Gap | None:
        """Goes on to the next frame.

        Args:
            time: The frame's, seconds since its source began; less than before where the source begins anew.
            wall: When it came, unix seconds.

        Returns:
            What was missed since the last frame, or None.
        """
        passed = wall - self._wall
        went = 0.0 if self._time is None else time - self._time
        first, self._time = self._time is None, time
        if went > 0:
            return self._move(min(went, max(passed, _LONGEST_LEAP_S)), wall) or self._clock_change(passed - went)
        if first and passed <= LONGEST_STEP_S:
            # A camera takes a moment to open, which is no part of the session, whatever was said of it meanwhile.
            self._reason, passed = "", 0.0
        return self._move(max(passed, 0.0), wall)

    def end(self, wall: float) -> Gap | None:
        """Goes on to the session's end; as `go_to`."""
        return self._move(max(wall - self._wall, 0.0), wall)

    def _move(self, step: float, wall: float) -> Gap | None:
        start, reason = self.position, self._reason
        self.position, self._wall, self._reason = start + step, wall, ""
        if step > LONGEST_STEP_S or reason:
            return Gap(start, self.position, reason or NO_FRAMES)
        return None

    def _clock_change(self, by: float) -> Gap | None:
        """Says that the clock went on differently than the source, by so many seconds."""
        if abs(by) <= LONGEST_STEP_S:
            return None
        what = f"set back by {-by:.0f} s" if by < 0 else f"put forward by {by:.0f} s, or the source was paused"
        return Gap(self.position, self.position, f"the clock was {what}")
