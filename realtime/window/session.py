"""The live session: frames in, a window and results out, without falling behind."""

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from moodspace.arrays import FloatArray
from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.capture.newest import NewestFrames, paced_frames
from moodspace.realtime.capture.source import Frame, Source
from moodspace.realtime.pipeline import LivePipeline, LiveResult
from moodspace.realtime.window.background import Background, ProcessedFrame, recognize
from moodspace.realtime.window.draw import draw_live
from moodspace.realtime.window.fps_meter import FPSMeter
from moodspace.realtime.window.key_actions import (
    SelectedFace,
    WindowCallbacks,
    save_snapshot,
    selected_face,
    teach,
    undo,
)
from moodspace.realtime.window.keys import Action, Command, Controls
from moodspace.realtime.window.map_dots import MapDots
from moodspace.realtime.window.panel import Panel
from moodspace.realtime.window.screen import Window
from moodspace.realtime.window.state import ClassNameInput, ViewState, window_size

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
        self,
        work: Background,
        recognizer: Recognizer,
        window: Window,
        hooks: WindowCallbacks,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._work, self._window, self._hooks, self._clock = work, window, hooks, clock
        self._controls, self._pace = Controls(), FPSMeter()
        self._panel, self._places = Panel(recognizer), MapDots(recognizer.bundle)
        self._seen: ProcessedFrame | None = None
        self._on_map: dict[int, FloatArray] = {}
        self._subject: SelectedFace | None = None
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

    def _take(self, seen: ProcessedFrame) -> None:
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

    def _view(self, seen: ProcessedFrame) -> ViewState:
        keys = self._controls
        return ViewState(
            size=self._window.size,
            selected=keys.selected,
            evidence=keys.evidence,
            map=keys.map,
            places=self._on_map,
            help=keys.help,
            naming=None
            if keys.name is None or self._subject is None
            else ClassNameInput(keys.name, self._subject.picture_bgr),
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
                self._subject = selected_face(self._seen, self._controls.selected)
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
                subject = self._subject or selected_face(self._seen, self._controls.selected)
                message = teach(self._hooks, subject, action.label)
            case Command.UNDO:
                message = undo(self._hooks)
        self._message, self._message_ends = message, self._clock() + _MESSAGE_S


def live(
    source: Source,
    pipeline: LivePipeline,
    *,
    show: bool = True,
    fast: bool = False,
    on_result: Callable[[Frame, LiveResult], None] | None = None,
    record: Callable[[Frame, LiveResult], None] | None = None,
    recording: Callable[[], str] | None = None,
    teach_face: Callable[[FloatArray, str], int] | None = None,
    undo: Callable[[], str] | None = None,
    snapshots: Path = Path("snapshots"),
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Runs frames through the pipeline until the source ends or the user leaves: with q, Esc or by closing the window.

    Of a camera or a stream the newest frame is taken and those that came meanwhile are dropped. In a window a video
    file keeps its own speed, for which frames are dropped too, and a picture stays until space is pressed; without a
    window every frame of a file is taken, as fast as it goes.

    Args:
        source: Closed at the end.
        pipeline: What finds and recognises the faces.
        show: Whether there is a window.
        fast: Whether every frame of a file is taken in a window too, as fast as it goes.
        on_result: Called with each frame and what it shows.
        record: The same, of a recorder.
        recording: Says what the recorder keeps right now, for the window; it says "recording" when None.
        teach_face: Teaches a face, `(d,)` float32 of unit length, as a class, and returns its id in the gallery. What
            it raises as a ValueError is told in the window, as with `undo`.
        undo: Takes back what was taught last and says what that was.
        snapshots: The folder for snapshots, made when one is taken.
        clock: Seconds, for a video's speed and for messages.

    Returns:
        How many frames went through.

    Raises:
        SourceError: the source gives no frames, or a camera stops.
        WindowError: there is no display.
    """
    hooks = WindowCallbacks(on_result, record, recording, teach_face, undo, snapshots)
    with ExitStack() as stack:
        newest = stack.enter_context(NewestFrames(source)) if source.live else None
        if newest is None:
            stack.enter_context(source)
        frames = newest or source
        if not show:
            return _report(frames, pipeline, hooks)
        paced = frames if newest or fast else paced_frames(source, clock)
        work = stack.enter_context(Background(paced, pipeline, clock=clock))
        if newest is not None:
            # First out after the window: the thread must not wait for the next frame of a camera that is lost.
            stack.callback(newest.stop)
        # Last in and first out: it closes at once, whatever the source's thread is waiting for.
        window = stack.enter_context(Window())
        return LiveLoop(work, pipeline.recognizer, window, hooks, clock=clock).run()


def _report(frames: Iterable[Frame], pipeline: LivePipeline, hooks: WindowCallbacks) -> int:
    count = 0
    for frame in frames:
        hooks.report(frame, recognize(pipeline, frame))
        count += 1
    return count
