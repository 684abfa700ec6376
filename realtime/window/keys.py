"""The keys of the live window: the state that they change, and the actions that they ask the loop to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from moodspace.embeddings.data.labels import canonical

# Codes as OpenCV reports them: ASCII, with 127 for backspace and 10 for enter on some systems.
TAB, ESCAPE, SPACE = 9, 27, 32
BACKSPACE = (8, 127)
ENTER = (10, 13)

LONGEST_NAME = 24
# The name of an event that is marked without typing one.
UNNAMED = "event"

# The lines of the help.
HELP = (
    ("1-9", "teach the selected face as this class; hold to collect examples"),
    ("c", "collect examples of an expression, again to stop"),
    ("n", "teach it as a new class"),
    ("u", "undo the last teaching"),
    ("x", "mark an event in the recording"),
    ("b", "take its resting face as zero, or stop"),
    ("tab", "select the next face"),
    ("space", "pause, or next picture"),
    ("e", "nearest faces on or off"),
    ("m", "map on or off"),
    ("s", "save a snapshot"),
    ("h", "help on or off"),
    ("q", "quit"),
)


class Command(Enum):
    """What the loop can do."""

    QUIT = auto()
    SNAPSHOT = auto()
    TEACH = auto()
    COLLECT = auto()
    UNDO = auto()
    MARK = auto()
    BASELINE = auto()


@dataclass(frozen=True, slots=True)
class Action:
    """A command with its argument.

    Attributes:
        command: What to do.
        label: The class to teach, canonical, or the name of the event to mark; empty for other commands.
    """

    command: Command
    label: str = ""


class Controls:
    """The state that keys change; independent of the window, the faces and the clock.

    Attributes:
        paused: Whether the picture is paused.
        evidence: Whether the nearest faces are shown.
        map: Whether the map is shown.
        help: Whether the help is shown.
        name: The typed part of the name of a new class or event; None unless a name is being typed.
        marking: Whether it is the name of an event.
        classes: Names of the classes; the first nine are taught by the keys 1 to 9.
        track_ids: The faces in view, in the order in which tab selects them.
    """

    def __init__(self) -> None:
        self.paused = False
        self.evidence = True
        self.map = True
        self.help = False
        self.name: str | None = None
        self.marking = False
        self.classes: tuple[str, ...] = ()
        self.track_ids: tuple[int, ...] = ()
        self._chosen: int | None = None

    @property
    def selected(self) -> int | None:
        """Track id of the chosen face or, if it is not in view, of the first face; None without faces."""
        if self._chosen in self.track_ids:
            return self._chosen
        return self.track_ids[0] if self.track_ids else None

    def update(self, track_ids: Sequence[int], classes: Sequence[str]) -> None:
        """Set the faces in view and the classes that can be taught."""
        self.track_ids, self.classes = tuple(int(one) for one in track_ids), tuple(classes)

    def press(self, key: int) -> Action | None:
        """Handle a key.

        Args:
            key: Code as OpenCV reports it, without flags; unknown codes do nothing.

        Returns:
            What the loop has to do, or None.
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
            case "b":
                return Action(Command.BASELINE)
            case "c":
                return Action(Command.COLLECT)
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
                self.name, self.marking, self.help = "", False, False
            case "x":
                self.name, self.marking, self.help = "", True, False
        return None

    def _select_next(self) -> None:
        if self.selected is not None:
            index = self.track_ids.index(self.selected)
            self._chosen = self.track_ids[(index + 1) % len(self.track_ids)]

    def _type(self, name: str, key: int) -> Action | None:
        """Add a character to the name, delete one, or finish the name."""
        if key in ENTER:
            self.name = None
            if self.marking:
                return Action(Command.MARK, name.strip() or UNNAMED)
            return Action(Command.TEACH, canonical(name)) if name.strip() else None
        if key == ESCAPE:
            self.name = None
        elif key in BACKSPACE:
            self.name = name[:-1]
        elif 0 <= key < 0x100 and chr(key).isprintable() and len(name) < LONGEST_NAME:
            self.name = name + chr(key)
        return None
