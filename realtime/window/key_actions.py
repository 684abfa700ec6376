"""What the keys of the live window have done: teach a face, undo that, save a snapshot; each tells what came of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moodspace.arrays import ByteArray, FloatArray
from moodspace.realtime.capture.source import Frame
from moodspace.realtime.drawing.annotate import write_picture
from moodspace.realtime.drawing.video import OutputError
from moodspace.realtime.pipeline import LiveResult
from moodspace.realtime.window.background import ProcessedFrame
from moodspace.realtime.window.draw import draw_live
from moodspace.realtime.window.state import RECORDING


@dataclass(frozen=True, slots=True, eq=False)
class WindowCallbacks:
    """What happens beside showing; None for nothing.

    Attributes:
        on_result: Called with each frame and what it shows.
        record: As `on_result`, of a recorder.
        recording: Says what the recorder keeps right now, in a few words; "recording" when None.
        teach_face: Teaches a face, `(d,)` float32 of unit length, as a class, and returns its id in the gallery.
        undo: Takes back what was taught last and says what that was.
        snapshots: The folder for snapshots, made when it is needed.
    """

    on_result: Callable[[Frame, LiveResult], None] | None = None
    record: Callable[[Frame, LiveResult], None] | None = None
    recording: Callable[[], str] | None = None
    teach_face: Callable[[FloatArray, str], int] | None = None
    undo: Callable[[], str] | None = None
    snapshots: Path = Path("snapshots")

    @property
    def recording_words(self) -> str:
        """What the recorder keeps right now; empty without one."""
        if self.record is None:
            return ""
        return self.recording() if self.recording else RECORDING

    def report(self, frame: Frame, result: LiveResult) -> None:
        """Calls what wants to know of every frame."""
        for told in (self.on_result, self.record):
            if told is not None:
                told(frame, result)


@dataclass(frozen=True, slots=True, eq=False)
class SelectedFace:
    """A face to be taught, as it was when the key was pressed.

    Attributes:
        track_id: Its number.
        embedding: `(d,)` float32 of unit length.
        picture_bgr: `(h, w, 3)` uint8 in [0, 255], BGR, the face cut out; without pixels where it is out of the frame.
    """

    track_id: int
    embedding: FloatArray
    picture_bgr: ByteArray


def selected_face(seen: ProcessedFrame | None, track_id: int | None) -> SelectedFace | None:
    """Returns a face as a frame shows it; None when there is no such face or no frame."""
    if seen is None or track_id is None:
        return None
    rows = np.flatnonzero(seen.result.track_ids == track_id)
    if not len(rows):
        return None
    row = int(rows[0])
    left, top, width, height = np.round(seen.result.faces.xywh[row]).astype(int).tolist()
    picture = seen.frame.bgr[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    return SelectedFace(track_id, seen.result.embeddings[row], picture.copy())


def teach(hooks: WindowCallbacks, subject: SelectedFace | None, label: str) -> str:
    """Teaches a face as a class and says so."""
    if hooks.teach_face is None:
        return "nothing can be taught here: there is no gallery to keep it"
    if subject is None:
        return "no face to teach"
    try:
        hooks.teach_face(subject.embedding, label)
    except ValueError as error:
        return str(error)
    return f"taught: face {subject.track_id} shows {label} · u undoes it"


def undo(hooks: WindowCallbacks) -> str:
    """Takes back what was taught last and says what that was."""
    if hooks.undo is None:
        return "nothing was taught here"
    try:
        return hooks.undo()
    except ValueError as error:
        return str(error)


def save_snapshot(hooks: WindowCallbacks, seen: ProcessedFrame | None) -> str:
    """Writes a frame with its boxes, in its own size, and says where; no file is replaced."""
    if seen is None:
        return "nothing to save yet"
    name = time.strftime("moodspace-%Y%m%d-%H%M%S")
    try:
        hooks.snapshots.mkdir(parents=True, exist_ok=True)
        path, number = hooks.snapshots / f"{name}.png", 1
        while path.exists():
            number += 1
            path = path.with_name(f"{name}-{number}.png")
        write_picture(path, draw_live(seen.frame.bgr, seen.result))
    except (OutputError, OSError) as error:
        return str(error)
    return f"saved {path}"
