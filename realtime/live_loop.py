"""The loop behind the live window: what was recognised in, a picture out, keys answered."""

from collections.abc import Callable
from typing import Any

from classifier.recognizer import Recognizer
from realtime.background import Background, Seen
from realtime.controls import Action, Command, Controls
from realtime.deeds import Hooks, Subject, save_snapshot, subject_of, teach, undo
from realtime.faces import FloatArray
from realtime.live_draw import draw_live
from realtime.pace import Pace
from realtime.panel import Panel
from realtime.places import Places
from realtime.screen import Window
from realtime.view import Naming, ViewState, window_size

# How long to wait for a key before looking for a frame. OpenCV keeps but the last key, so it is asked often.
_KEY_WAIT_S = 0.004
_MESSAGE_S = 4.0
# A source that gives nothing for so long is said to.
_QUIET_S = 2.0
_QUIET = "waiting for a picture"


class LiveLoop:
    """Shows what frames show until they end or the user leaves.

    Args:
        work: Gives the frames and what they show.
        recognizer: Whose bundle has the map and the known faces.
        window: Opened.
        hooks: What happens beside.
        clock: Seconds.
    """

    def __init__(
        self, work: Background, recognizer: Recognizer, window: Window, hooks: Hooks, *, clock: Callable[[], float]
    ) -> None:
        self._work, self._window, self._hooks, self._clock = work, window, hooks, clock
        self._controls, self._pace = Controls(), Pace()
        self._panel, self._places = Panel(recognizer), Places(recognizer.bundle)
        self._seen: Seen | None = None
        self._on_map: dict[int, FloatArray] = {}
        self._subject: Subject | None = None
        self._message, self._message_ends, self._taken = "", 0.0, 0.0
        self._look: tuple[Any, ...] = ()
        self._count, self._leaving, self._resumed = 0, False, float("-inf")

    def run(self) -> int:
        """Goes on until the end and returns how many frames went through.

        Raises:
            SourceError: the source gives no frames, or a camera stops.
        """
        while not self._leaving:
            if self._controls.paused:
                self._resumed = self._clock()
            elif (seen := self._work.take()) is not None:
                self._take(seen)
            elif self._work.ended:
                break
            self._draw()
            self._answer_keys()
        return self._count

    def _take(self, seen: Seen) -> None:
        """Reports a frame and makes it the one to be shown; a picture then stays until space is pressed."""
        self._count += 1
        self._hooks.report(seen.frame, seen.result)
        self._seen, self._look, self._taken = seen, (), self._clock()
        self._controls.see(seen.result.track_ids.tolist(), seen.result.prediction.classes)
        self._controls.paused = seen.frame.fps is None
        self._on_map = self._places.follow(seen.result)
        if self._window.size is None:
            self._window.open_at(window_size(seen.frame.bgr.shape, panel=True))

    def _draw(self) -> None:
        """Shows the newest frame, unless that is what the window shows already."""
        if self._seen is None:
            return
        keys, size, message = self._controls, self._window.size, self._current_message()
        look = (size, message, keys.selected, keys.evidence, keys.map, keys.help, keys.paused, keys.name)
        if look == self._look:
            return
        seen, is_new, self._look = self._seen, not self._look, look
        self._window.show(draw_live(seen.frame.bgr, seen.result, self._view(seen), self._panel))
        # One that waited for the end of a pause says nothing of the latency.
        if is_new and seen.arrived > self._resumed:
            self._pace.count(seen.arrived, self._clock())

    def _view(self, seen: Seen) -> ViewState:
        keys = self._controls
        return ViewState(
            size=self._window.size,
            selected=keys.selected,
            evidence=keys.evidence,
            map=keys.map,
            places=self._on_map,
            help=keys.help,
            naming=None if keys.name is None or self._subject is None else Naming(keys.name, self._subject.picture_bgr),
            message=self._current_message(),
            paused=keys.paused and seen.frame.fps is not None,
            recording=self._hooks.recording_words,
            fps=self._pace.fps,
            latency_ms=self._pace.latency_ms,
        )

    def _current_message(self) -> str:
        now = self._clock()
        if now < self._message_ends:
            return self._message
        quiet = now - max(self._taken, self._resumed) > _QUIET_S
        return _QUIET if quiet and not self._controls.paused else ""

    def _answer_keys(self) -> None:
        """Does what the keys pressed since the last time ask for."""
        while not self._leaving and (key := self._window.key(_KEY_WAIT_S)) is not None:
            named = self._controls.name is not None
            action = self._controls.press(key)
            if self._controls.name is not None and not named:
                # While the name is typed the face goes on to show something else.
                self._subject = subject_of(self._seen, self._controls.selected)
            if action is not None:
                self._do(action)
            if self._controls.name is None:
                self._subject = None
        if self._window.is_closed:
            self._leaving = True

    def _do(self, action: Action) -> None:
        message = ""
        match action.command:
            case Command.QUIT:
                self._leaving = True
            case Command.SNAPSHOT:
                message = save_snapshot(self._hooks, self._seen)
            case Command.TEACH:
                subject = self._subject or subject_of(self._seen, self._controls.selected)
                message = teach(self._hooks, subject, action.label)
            case Command.UNDO:
                message = undo(self._hooks)
        self._message, self._message_ends = message, self._clock() + _MESSAGE_S
