"""Run a live session: frames in, a window and results out, without falling behind."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.arrays import ByteArray, FloatArray
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.crops import crop_faces
from moodspace.realtime.baselines import MEASURE_S, NO_BASELINE, LiveBaselines
from moodspace.realtime.capture.newest import NewestFrames, paced_frames
from moodspace.realtime.capture.source import Frame, Source
from moodspace.realtime.collector import Collector
from moodspace.realtime.drawing.annotate import write_picture
from moodspace.realtime.drawing.video import OutputError
from moodspace.realtime.pipeline import LivePipeline, LiveResult
from moodspace.realtime.window.background import Background, ProcessedFrame, recognize
from moodspace.realtime.window.draw import draw_live
from moodspace.realtime.window.holding import Answer, Holding, KeyHold, Press
from moodspace.realtime.window.keys import Action, Command, Controls
from moodspace.realtime.window.minimap import MapDots
from moodspace.realtime.window.panel import Panel
from moodspace.realtime.window.screen import Window
from moodspace.realtime.window.state import RECORDING, ClassNameInput, ViewState, window_size

# How long to wait for a key before checking for a frame. OpenCV keeps only the last key, so poll often.
_KEY_WAIT_S = 0.004
_MESSAGE_S = 4.0
# Say so when the source has given no frame for this long.
_NO_FRAME_S = 2.0
_NO_FRAME = "waiting for frames"
_NO_FACE = "no face in view to teach"

Teach = Callable[[FloatArray, str, ByteArray], object]

# The frame rate is the mean over this time, in seconds.
_FPS_WINDOW_S = 1.5
# Weight of the newest frame in the latency; a number that changes with every frame cannot be read.
_LATENCY_WEIGHT = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class WindowCallbacks:
    """What a live session calls besides showing frames; None for nothing.

    Attributes:
        on_result: Called with each frame and its result.
        record: Called like `on_result`; belongs to a recorder.
        recording: Returns what is recorded and sent, in a few words; without it, the window says "recording" of a
            recorder.
        teach: Adds faces to the gallery as one lesson: embeddings `(n, d)` float32 of unit length, their class, and
            their crops `(n, 48, 48)` uint8 gray.
        undo: Undoes the last teaching; returns what was undone.
        mark: Records an event by its name and when it happened, unix seconds; returns its time in the recording.
        snapshots: Folder for snapshots; created when needed.
        baselines: The resting faces of the session.
    """

    on_result: Callable[[Frame, LiveResult], None] | None = None
    record: Callable[[Frame, LiveResult], None] | None = None
    recording: Callable[[], str] | None = None
    teach: Teach | None = None
    undo: Callable[[], str] | None = None
    mark: Callable[[str, float], float] | None = None
    snapshots: Path = Path("snapshots")
    baselines: LiveBaselines | None = None

    @property
    def recording_words(self) -> str:
        """What is recorded and sent; empty for nothing."""
        if self.recording is not None:
            return self.recording()
        return "" if self.record is None else RECORDING

    def report(self, frame: Frame, result: LiveResult) -> None:
        """Call `on_result` and `record`."""
        for callback in (self.on_result, self.record):
            if callback is not None:
                callback(frame, result)


def live(
    source: Source,
    pipeline: LivePipeline,
    *,
    show: bool = True,
    fast: bool = False,
    on_result: Callable[[Frame, LiveResult], None] | None = None,
    record: Callable[[Frame, LiveResult], None] | None = None,
    recording: Callable[[], str] | None = None,
    teach: Teach | None = None,
    undo: Callable[[], str] | None = None,
    mark: Callable[[str, float], float] | None = None,
    snapshots: Path = Path("snapshots"),
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Run frames through the pipeline until the source ends or the user leaves: with q, Esc or by closing the window.

    From a camera or a stream, always take the newest frame and drop those that came meanwhile. In a window, play a
    video file at its own speed, dropping frames if needed, and keep a picture until space is pressed. Without a
    window, take every frame of a file as fast as possible.

    Args:
        source: Gives the frames; closed at the end.
        pipeline: Finds and recognizes the faces.
        show: Whether to open a window.
        fast: Whether to take every frame of a file, as fast as possible, in a window too.
        on_result: Called with each frame and its result.
        record: Called like `on_result`; belongs to a recorder.
        recording: Returns what is recorded and sent, for the window; without it, the window says "recording" of a
            recorder.
        teach: Adds faces to the gallery as one lesson: embeddings `(n, d)` float32 of unit length, their class, and
            their crops `(n, 48, 48)` uint8 gray. The window shows the text of a ValueError; the same holds for `undo`.
        undo: Undoes the last teaching; returns what was undone.
        mark: Records an event by its name and when it happened, unix seconds; returns its time in the recording.
        snapshots: Folder for snapshots; created when needed.
        clock: Returns seconds; sets the speed of a video and the duration of messages.

    Returns:
        The number of processed frames.

    Raises:
        SourceError: The source gives no frames, or a camera stops.
        WindowError: There is no display.
    """
    callbacks = WindowCallbacks(on_result, record, recording, teach, undo, mark, snapshots, pipeline.baselines)
    with ExitStack() as stack:
        newest = stack.enter_context(NewestFrames(source)) if source.live else None
        if newest is None:
            stack.enter_context(source)
        frames = newest or source
        if not show:
            return _run_headless(frames, pipeline, callbacks)
        paced = frames if newest or fast else paced_frames(source, clock)
        work = stack.enter_context(Background(paced, pipeline, clock=clock))
        if newest is not None:
            # Runs right after the window closes: the thread must not wait for the next frame of a lost camera.
            stack.callback(newest.stop)
        # Entered last, so it closes first and at once, whatever the source's thread is waiting for.
        window = stack.enter_context(Window())
        return LiveLoop(work, pipeline.recognizer, window, callbacks, clock=clock).run()


def _run_headless(frames: Iterable[Frame], pipeline: LivePipeline, callbacks: WindowCallbacks) -> int:
    count = 0
    for frame in frames:
        callbacks.report(frame, recognize(pipeline, frame))
        count += 1
    return count


class LiveLoop:
    """Show results in a window and answer keys until the frames end or the user leaves.

    Args:
        work: Gives the frames and their results.
        recognizer: Its bundle has the map and the known faces.
        window: An open window.
        callbacks: What to call besides showing frames.
        clock: Returns seconds.
    """

    def __init__(
        self,
        work: Background,
        recognizer: Recognizer,
        window: Window,
        callbacks: WindowCallbacks,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._work, self._window, self._callbacks, self._clock = work, window, callbacks, clock
        self._controls, self._fps_meter = Controls(), FPSMeter()
        self._panel, self._map_dots = Panel(recognizer), MapDots(recognizer.bundle)
        self._current: ProcessedFrame | None = None
        self._positions: dict[int, FloatArray] = {}
        self._face: SelectedFace | None = None
        self._marked = 0.0
        self._numbers = KeyHold()
        self._holding: Holding | None = None
        # Whether the last tap of a number taught a face, which becomes the first example if the key is held.
        self._tap_taught = False
        self._message, self._message_ends = "", 0.0
        self._notes: dict[int, str] = {}
        self._drawn: tuple[Any, ...] = ()
        self._count, self._leaving = 0, False
        self._taken, self._resumed = 0.0, float("-inf")

    def run(self) -> int:
        """Run until the end; return the number of processed frames.

        Raises:
            SourceError: The source gives no frames, or a camera stops.
        """
        while not self._leaving:
            if self._controls.paused:
                self._resumed = self._clock()
            elif (processed := self._work.take()) is not None:
                self._take(processed)
            elif self._work.ended:
                break
            self._draw()
            self._handle_keys()
        return self._count

    def _take(self, processed: ProcessedFrame) -> None:
        """Report a frame and make it the current one. A picture pauses the loop until space is pressed."""
        self._count += 1
        self._callbacks.report(processed.frame, processed.result)
        self._current, self._drawn, self._taken = processed, (), self._clock()
        self._controls.update(processed.result.track_ids.tolist(), processed.result.prediction.classes)
        self._controls.paused = processed.frame.fps is None
        self._positions = self._map_dots.follow(processed.result)
        self._tell_refusals(processed.result)
        self._collect()
        if self._window.size is None:
            self._window.open_at(window_size(processed.frame.bgr.shape, panel=True))

    def _tell_refusals(self, result: LiveResult) -> None:
        """Show why a face's resting face was refused, once."""
        notes = {int(one): found.note for one, found in zip(result.track_ids, result.baselines, strict=True)}
        for one, note in notes.items():
            if note and note != self._notes.get(one):
                self._say(f"face {one}: {note}")
        self._notes = notes

    def _say(self, message: str) -> None:
        self._message, self._message_ends = message, self._clock() + _MESSAGE_S

    def _draw(self) -> None:
        """Show the current frame, unless nothing has changed since it was drawn."""
        if self._current is None:
            return
        keys, size, message = self._controls, self._window.size, self._current_message()
        held = self._holding.state if self._holding else None
        wanted = (size, message, keys.selected, keys.evidence, keys.map, keys.help, keys.paused, keys.name, held)
        if wanted == self._drawn:
            return
        current, is_new, self._drawn = self._current, not self._drawn, wanted
        self._window.show(draw_live(current.frame.bgr, current.result, self._view(current), self._panel))
        # A frame that waited for the end of a pause says nothing about the latency.
        if is_new and current.arrived > self._resumed:
            self._fps_meter.count(current.arrived, self._clock())

    def _view(self, current: ProcessedFrame) -> ViewState:
        keys = self._controls
        return ViewState(
            size=self._window.size,
            selected=keys.selected,
            evidence=keys.evidence,
            map=keys.map,
            positions=self._positions,
            help=keys.help,
            naming=self._name_input(),
            held=self._holding.view() if self._holding else None,
            message=self._current_message(),
            paused=keys.paused and current.frame.fps is not None,
            recording=self._callbacks.recording_words,
            fps=self._fps_meter.fps,
            latency_ms=self._fps_meter.latency_ms,
        )

    def _name_input(self) -> ClassNameInput | None:
        name = self._controls.name
        if name is not None and self._controls.marking:
            return ClassNameInput(name, None)
        return None if name is None or self._face is None else ClassNameInput(name, self._face.picture_bgr)

    def _current_message(self) -> str:
        now = self._clock()
        if now < self._message_ends:
            return self._message
        waiting = now - max(self._taken, self._resumed) > _NO_FRAME_S
        return _NO_FRAME if waiting and not self._controls.paused else ""

    def _handle_keys(self) -> None:
        """Do what the keys pressed since the last call ask for, and note a key that is held no longer."""
        while not self._leaving and (key := self._window.key(_KEY_WAIT_S)) is not None:
            if self._controls.name is None and ord("1") <= key <= ord("9"):
                self._hear(self._numbers.press(key, self._clock()))
            else:
                self._hear(self._numbers.end())
                self._press(key)
        self._hear(self._numbers.poll(self._clock()))
        if self._window.is_closed:
            self._leaving = True

    def _press(self, key: int) -> None:
        """Handle a key that is not a number, or that is part of a name."""
        if self._holding is not None and self._controls.name is None:
            self._press_while_holding(self._holding, key)
            return
        was_naming = self._controls.name is not None
        action = self._controls.press(key)
        if self._controls.name is not None and not was_naming:
            # Keep the face and the time as they are now; they change while the name is typed.
            self._face = self._selected_face()
            self._marked = time.time()
            if self._controls.marking and self._callbacks.mark is None:
                self._controls.name = None
                self._say("cannot mark: nothing is recorded; start with --record")
        if action is not None:
            self._do(action)
        if self._controls.name is None:
            self._face = None

    def _press_while_holding(self, holding: Holding, key: int) -> None:
        match holding.press(key):
            case Answer.TEACH:
                self._do(Action(Command.TEACH, holding.label))
            case Answer.NAME:
                self._controls.name, self._controls.marking, self._controls.help = "", False, False
                crop = holding.collector.examples[-1].crop
                picture = np.repeat(crop[..., None], 3, axis=2)
                self._face = SelectedFace(holding.track_id, holding.collector.embeddings[-1], picture, crop)
            case Answer.CANCEL:
                self._holding = None
                self._say("examples discarded")

    def _hear(self, presses: list[tuple[Press, int]]) -> None:
        """Do what presses of number keys mean."""
        for press, key in presses:
            if press is Press.RELEASE:
                self._stop_collecting()
            elif (action := self._controls.press(key)) is None:
                continue
            elif press is Press.HOLD:
                if self._holding is None:
                    self._hold(action.label)
            elif self._holding is None or not self._holding.collecting:
                self._do(action)

    def _hold(self, label: str) -> None:
        """Begin to collect a class whose key is held; the face that the first press taught is the first example."""
        if self._tap_taught:
            undo(self._callbacks)
        self._begin_collecting(label)

    def _begin_collecting(self, label: str) -> None:
        face = self._controls.selected
        if self._callbacks.teach is None or face is None:
            self._say(teach(self._callbacks, None, label)[0])
            return
        self._holding = Holding(Collector.for_recognizer(self._panel.recognizer), face, label)
        self._collect()

    def _collect(self) -> None:
        """Offer the current frame to the collector, if there is one."""
        holding, current = self._holding, self._current
        if holding is not None and current is not None and holding.collecting:
            holding.offered(
                holding.collector.offer_frame(
                    current.frame.bgr, current.result, holding.track_id, self._panel.recognizer
                )
            )

    def _stop_collecting(self) -> None:
        holding = self._holding
        if holding is not None and holding.collecting:
            holding.stop()
            if not len(holding.collector):
                self._holding = None
                self._say("no example collected: the face could not be read")

    def _selected_face(self) -> "SelectedFace | None":
        return selected_face(self._current, self._controls.selected, self._panel.recognizer)

    def _do(self, action: Action) -> None:
        message = ""
        match action.command:
            case Command.QUIT:
                self._leaving = True
            case Command.SNAPSHOT:
                message = save_snapshot(self._callbacks, self._current)
            case Command.TEACH:
                faces = self._holding or self._face or self._selected_face()
                message, taught = teach(self._callbacks, faces, action.label)
                self._tap_taught = taught and self._holding is None
                if taught:
                    self._holding = None
            case Command.COLLECT:
                self._begin_collecting("")
                return
            case Command.UNDO:
                message = undo(self._callbacks)
            case Command.MARK:
                message = mark(self._callbacks, action.label, self._marked)
            case Command.BASELINE:
                message = toggle_baseline(self._callbacks, self._current, self._controls.selected)
        self._say(message)


@dataclass(frozen=True, slots=True, eq=False)
class SelectedFace:
    """The face to teach, as it was when the key was pressed.

    Attributes:
        track_id: Its number.
        embedding: `(d,)` float32 of unit length.
        picture_bgr: `(h, w, 3)` uint8 in [0, 255], BGR, the face's box; empty if it is outside of the frame.
        crop: `(48, 48)` uint8 gray in [0, 255], as the network sees it.
    """

    track_id: int
    embedding: FloatArray
    picture_bgr: ByteArray
    crop: ByteArray


def selected_face(current: ProcessedFrame | None, track_id: int | None, recognizer: Recognizer) -> SelectedFace | None:
    """Return a face of a frame; None if there is no such face or no frame. The bundle says how it is cropped."""
    if current is None or track_id is None:
        return None
    rows = np.flatnonzero(current.result.track_ids == track_id)
    if not len(rows):
        return None
    row = int(rows[0])
    left, top, width, height = np.round(current.result.faces.xywh[row]).astype(int).tolist()
    picture = current.frame.bgr[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    crop = crop_faces(current.frame.bgr, current.result.faces.landmarks[[row]], recognizer.bundle.geometry)[0]
    return SelectedFace(track_id, current.result.embeddings[row], picture.copy(), crop)


def teach(callbacks: WindowCallbacks, faces: SelectedFace | Holding | None, label: str) -> tuple[str, bool]:
    """Teach a face, or held frames of one, as a class; return the message to show, and whether it was taught."""
    if callbacks.teach is None:
        return "cannot teach: no gallery is open", False
    if faces is None:
        return _NO_FACE, False
    what = f"face {faces.track_id}"
    if isinstance(faces, Holding):
        n = len(faces.collector)
        what = f"{n} {'example' if n == 1 else 'examples'} of {what}"
        rows, crops = faces.collector.embeddings, faces.collector.crops
    else:
        rows, crops = faces.embedding[None], faces.crop[None]
    try:
        callbacks.teach(rows, label, crops)
    except ValueError as error:
        return str(error), False
    return f"taught {what} as {label} · press u to undo", True


def undo(callbacks: WindowCallbacks) -> str:
    """Undo the last teaching; return the message to show."""
    if callbacks.undo is None:
        return "nothing to undo"
    try:
        return callbacks.undo()
    except ValueError as error:
        return str(error)


def mark(callbacks: WindowCallbacks, name: str, wall_time: float) -> str:
    """Record an event that happened at a unix time; return the message to show."""
    if callbacks.mark is None:
        return "cannot mark: nothing is recorded; start with --record"
    try:
        minutes, seconds = divmod(callbacks.mark(name, wall_time), 60)
    except ValueError as error:
        return str(error)
    return f"marked {name} at {minutes:.0f}:{seconds:04.1f}"


def toggle_baseline(callbacks: WindowCallbacks, current: ProcessedFrame | None, track_id: int | None) -> str:
    """Measure a face's resting face, or stop using it; return the message to show."""
    if callbacks.baselines is None or current is None or track_id is None:
        return "no face in view to measure"
    callbacks.baselines.toggle(track_id)
    rows = np.flatnonzero(current.result.track_ids == track_id)
    found = current.result.baselines[int(rows[0])] if len(rows) else NO_BASELINE
    if found.in_use:
        return f"face {track_id}: its resting face is no longer its zero"
    if found.left is not None:
        return f"face {track_id}: stopped measuring"
    return f"face {track_id}: look relaxed for {MEASURE_S:g} seconds"


def save_snapshot(callbacks: WindowCallbacks, current: ProcessedFrame | None) -> str:
    """Save the annotated frame in its own size without replacing a file; return the message to show."""
    if current is None:
        return "no frame to save yet"
    name = time.strftime("moodspace-%Y%m%d-%H%M%S")
    try:
        callbacks.snapshots.mkdir(parents=True, exist_ok=True)
        path, number = callbacks.snapshots / f"{name}.png", 1
        while path.exists():
            number += 1
            path = path.with_name(f"{name}-{number}.png")
        write_picture(path, draw_live(current.frame.bgr, current.result))
    except (OutputError, OSError) as error:
        return str(error)
    return f"saved {path}"


class FPSMeter:
    """Measure the frame rate and the latency of shown frames.

    Attributes:
        latency_ms: Milliseconds from a frame's arrival until it is shown, averaged over about the last ten frames.
    """

    def __init__(self) -> None:
        self._shown: deque[float] = deque()
        self.latency_ms = 0.0

    @property
    def fps(self) -> float:
        """Recent frames per second; 0 before the second frame."""
        if len(self._shown) < 2 or self._shown[-1] <= self._shown[0]:
            return 0.0
        return (len(self._shown) - 1) / (self._shown[-1] - self._shown[0])

    def count(self, arrived: float, shown: float) -> None:
        """Count a frame that arrived and was shown at these times, in seconds."""
        latency = 1000 * (shown - arrived)
        first = not self._shown
        self.latency_ms = latency if first else (1 - _LATENCY_WEIGHT) * self.latency_ms + _LATENCY_WEIGHT * latency
        self._shown.append(shown)
        while shown - self._shown[0] > _FPS_WINDOW_S:
            self._shown.popleft()
