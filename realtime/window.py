"""The live session: frames in, a window and results out, without falling behind."""

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from realtime.background import Background, recognise
from realtime.capture import NewestFrames
from realtime.deeds import Hooks
from realtime.faces import FloatArray
from realtime.live_loop import LiveLoop
from realtime.live_pipeline import LivePipeline, LiveResult
from realtime.pacing import at_own_speed
from realtime.screen import Window, WindowError
from realtime.sources import Frame, Source

__all__ = ["WindowError", "live"]


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
    hooks = Hooks(on_result, record, recording, teach_face, undo, snapshots)
    with ExitStack() as stack:
        newest = stack.enter_context(NewestFrames(source)) if source.live else None
        if newest is None:
            stack.enter_context(source)
        frames = newest or source
        if not show:
            return _report(frames, pipeline, hooks)
        paced = frames if newest or fast else at_own_speed(source, clock)
        work = stack.enter_context(Background(paced, pipeline, clock=clock))
        if newest is not None:
            # First out after the window: the thread must not wait for the next frame of a camera that is lost.
            stack.callback(newest.stop)
        # Last in and first out: it closes at once, whatever the source's thread is waiting for.
        window = stack.enter_context(Window())
        return LiveLoop(work, pipeline.recognizer, window, hooks, clock=clock).run()


def _report(frames: Iterable[Frame], pipeline: LivePipeline, hooks: Hooks) -> int:
    count = 0
    for frame in frames:
        hooks.report(frame, recognise(pipeline, frame))
        count += 1
    return count
