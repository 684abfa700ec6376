"""What the keys of the live window do: a state that keys change, and actions for the loop to carry out."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from moodspace.embeddings.data.labels import canonical

# As OpenCV reports them: the codes of ASCII, in which some systems say 127 and 10 for backspace and enter.
TAB, ESCAPE, SPACE = 9, 27, 32
BACKSPACE = (8, 127)
ENTER = (10, 13)

LONGEST_NAME = 24

# What the help tells, in its order.
HELP = (
    ("1-9", "teach the face as that class"),
    ("n", "name a new class for it"),
    ("u", "undo what was taught last"),
    ("tab", "next face"),
    ("space", "pause; next picture"),
    ("e", "evidence on or off"),
    ("m", "map on or off"),
    ("s", "snapshot"),
    ("h", "this help"),
    ("q", "quit"),
)


class Command(Enum):
    """What the loop is to do."""

    QUIT = auto()
    SNAPSHOT = auto()
    TEACH = auto()
    UNDO = auto()


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do.

    Attributes:
        command: What.
        label: As which class to teach, canonical; empty for other commands.
    """

    command: Command
    label: str = ""


class Controls:
    """The state of the window that keys change. Knows no window, no faces and no clock.

    Attributes:
        paused: Whether the picture stands still.
        evidence: Whether the nearest faces are shown.
        map: Whether the map is shown.
        help: Whether the help is shown.
        name: What has been typed of a new class's name; None while none is asked for.
        classes: Names of the classes that 1 to 9 teach, in that order.
        track_ids: The faces in sight, in the order in which tab goes through them.
    """

    def __init__(self) -> None:
        self.paused = False
        self.evidence = True
        self.map = True
        self.help = False
        self.name: str | None = None
        self.classes: tuple[str, ...] = ()
        self.track_ids: tuple[int, ...] = ()
        self._chosen: int | None = None

    @property
    def selected(self) -> int | None:
        """The chosen face's id; the first one's while that is out of sight or none was chosen; None without faces."""
        if self._chosen in self.track_ids:
            return self._chosen
        return self.track_ids[0] if self.track_ids else None

    def see(self, track_ids: Sequence[int], classes: Sequence[str]) -> None:
        """Takes note of the faces in sight and the classes that can be taught."""
        self.track_ids, self.classes = tuple(int(one) for one in track_ids), tuple(classes)

    def press(self, key: int) -> Action | None:
        """Lets a key do what it does.

        Args:
            key: As OpenCV reports it, without flags; any other number does nothing.

        Returns:
            What the loop has to do; None when there is no such thing.
        """
        if self.name is not None:
            return self._type(self.name, key)
        if key == ESCAPE and self.help:
            self.help = False
            return None
        if ord("1") <= key <= ord("9"):
            column = key - ord("1")
            return Action(Command.TEACH, self.classes[column]) if column < len(self.classes) else None
        return self._command(chr(key).lower() if 0 <= key < 128 else "")

    def _command(self, key: str) -> Action | None:
        match key:
            case "q" | "\x1b":
                return Action(Command.QUIT)
            case "s":
                return Action(Command.SNAPSHOT)
            case "u":
                return Action(Command.UNDO)
            case "\t":
                self._select_next()
            case " ":
                self.paused = not self.paused
            case "m":
                self.map = not self.map
            case "e":
                self.evidence = not self.evidence
            case "h" | "?":
                self.help = not self.help
            case "n" if self.track_ids:
                self.name, self.help = "", False
        return None

    def _select_next(self) -> None:
        if self.selected is not None:
            place = self.track_ids.index(self.selected)
            self._chosen = self.track_ids[(place + 1) % len(self.track_ids)]

    def _type(self, name: str, key: int) -> Action | None:
        """Adds a character to the name, takes one away, or ends it."""
        if key in ENTER:
            self.name = None
            return Action(Command.TEACH, canonical(name)) if name.strip() else None
        if key == ESCAPE:
            self.name = None
        elif key in BACKSPACE:
            self.name = name[:-1]
        elif 0 <= key < 0x100 and chr(key).isprintable() and len(name) < LONGEST_NAME:
            self.name = name + chr(key)
        return None
