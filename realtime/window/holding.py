"""Teach by holding, in the window: collect frames while a key is held or until it is pressed again, review, teach.

OpenCV reports presses only. A key that is held repeats, so a key that keeps coming back is held, and it was released
when it stays away. Where keys do not repeat, `c` starts and stops.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from moodspace.arrays import ByteArray
from moodspace.realtime.collector import Collector, Offer
from moodspace.realtime.window.keys import BACKSPACE, ENTER, ESCAPE, SPACE, TAB

# Seconds. Keyboards begin to repeat after 0.25 to 0.7 s, then every 0.02 to 0.1 s; a busy window sees fewer repeats.
FIRST_REPEAT_S, REPEAT_S, RELEASE_S = 0.9, 0.25, 0.5


class Press(Enum):
    """What presses of a key mean."""

    TAP = auto()
    HOLD = auto()
    RELEASE = auto()


class KeyHold:
    """Tells taps of keys from a key that is held.

    A first press is a tap at once. A second one soon after may be another tap or the first repeat: closely followed by
    a third one, the key is held; otherwise it was a tap.
    """

    def __init__(self) -> None:
        self._key = 0
        self._last = 0.0
        self._state: str = "idle"  # idle, tapped, unclear, held

    def press(self, key: int, now: float) -> list[tuple[Press, int]]:
        """Handle a press; return what it and those before it mean, in order, each with its key.

        Args:
            key: The key's code.
            now: Seconds, not before the last press.
        """
        if key != self._key:
            means = self.end()
        else:
            means = self.poll(now)
            if self._state == "tapped" and now - self._last >= FIRST_REPEAT_S:
                self._state = "idle"
        self._key, self._last = key, now
        match self._state:
            case "idle":
                self._state = "tapped"
                means.append((Press.TAP, key))
            case "tapped":
                self._state = "unclear"
            case "unclear":
                self._state = "held"
                means.append((Press.HOLD, key))
        return means

    def poll(self, now: float) -> list[tuple[Press, int]]:
        """Return what the time since the last press means."""
        gap = now - self._last
        if (self._state == "held" and gap >= RELEASE_S) or (self._state == "unclear" and gap >= REPEAT_S):
            return self.end()
        return []

    def end(self) -> list[tuple[Press, int]]:
        """Treat the key as released; return what that means."""
        state, self._state = self._state, "idle"
        return {"unclear": [(Press.TAP, self._key)], "held": [(Press.RELEASE, self._key)]}.get(state, [])


class Answer(Enum):
    """What a key asks for while frames are collected or reviewed."""

    TEACH = auto()
    NAME = auto()
    CANCEL = auto()


@dataclass(frozen=True, slots=True, eq=False)
class HeldView:
    """The collected frames, to be drawn.

    Attributes:
        title: What is collected.
        hint: What to do.
        share: How full the ring is, in [0, 1].
        crops: The examples, `(48, 48)` uint8 gray each.
        marked: Place of the example that backspace removes; None while frames are collected.
    """

    title: str
    hint: str
    share: float
    crops: Sequence[ByteArray]
    marked: int | None


class Holding:
    """The frames of one face that are collected for a lesson, then reviewed.

    Args:
        collector: Collects the frames.
        track_id: The face.
        label: The class that they will be taught as; empty if it is chosen at the end.

    Attributes:
        collecting: Whether frames are still collected.
    """

    def __init__(self, collector: Collector, track_id: int, label: str = "") -> None:
        self.collector, self.track_id, self.label = collector, track_id, label
        self.collecting = True
        self._marked = 0
        self._offer = Offer.ADDED

    @property
    def state(self) -> tuple[object, ...]:
        """Changes whenever the view does."""
        numbers = tuple(one.number for one in self.collector.examples)
        return numbers, self.label, self.collecting, self._marked, self._offer.hint

    def offered(self, offer: Offer) -> None:
        """Note what became of a frame that was offered to the collector; a full one ends collecting."""
        self._offer = offer
        if self.collector.full:
            self.stop()

    def stop(self) -> None:
        """End collecting, begin the review; the newest example is marked."""
        self.collecting = False
        self._marked = max(len(self.collector) - 1, 0)

    def press(self, key: int) -> Answer | None:
        """Handle a key that is not a number."""
        letter = chr(key).lower() if 0 <= key < 128 else ""
        if key == ESCAPE or letter == "q":
            return Answer.CANCEL
        if self.collecting:
            if letter == "c" or key in ENTER or key == SPACE:
                self.stop()
            elif key in BACKSPACE or letter == "d":
                self.collector.remove_last()
            return None if len(self.collector) or self.collecting else Answer.CANCEL
        if key in ENTER or letter == "n":
            return Answer.TEACH if self.label and letter != "n" else Answer.NAME
        if key == TAB:
            self._marked = (self._marked + 1) % len(self.collector)
        elif key in BACKSPACE or letter == "d":
            self.collector.remove(self.collector.examples[self._marked].number)
            if not len(self.collector):
                return Answer.CANCEL
            self._marked = min(self._marked, len(self.collector) - 1)
        return None

    def view(self) -> HeldView:
        """Return what to draw."""
        n = len(self.collector)
        what = f"face {self.track_id}" + (f" as {self.label}" if self.label else "")
        crops = [one.crop for one in self.collector.examples]
        if self.collecting:
            title = f"collecting {what}: {n} of {self.collector.capacity}"
            hint = self._offer.hint or ("let the key go to stop" if self.label else "c: stop · esc: cancel")
            return HeldView(title, hint, self.collector.share, crops, None)
        title = f"{n} {'example' if n == 1 else 'examples'} of {what}"
        teach = f"enter: teach as {self.label}" if self.label else "1-9 or n: name and teach"
        hint = f"{teach} · tab: next · backspace: remove · esc: cancel"
        return HeldView(title, hint, self.collector.share, crops, self._marked)
