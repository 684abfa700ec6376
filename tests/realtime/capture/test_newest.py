"""The reader gets the newest frame, all errors, and a source that is closed."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from moodspace.realtime.capture.newest import NewestFrames
from moodspace.realtime.capture.source import Frame, Source, SourceError
from tests.realtime.fakes import ListSource, clip_frames

ROOT = Path(__file__).parents[3]


class GatedSource(Source):
    """Return the next frame when released, and tell when the one before was taken."""

    def __init__(self, frames: list[Frame]) -> None:
        super().__init__(live=True)
        self.frames = frames
        self.gate = threading.Semaphore(0)
        self.asked = threading.Semaphore(0)
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        for frame in self.frames:
            self.asked.release()
            self.gate.acquire()
            yield frame
        self.asked.release()

    def stop(self) -> None:
        self.gate.release(len(self.frames))

    def close(self) -> None:
        self.closed.set()

    def let(self, count: int) -> None:
        """Return when `count` more frames have been taken over by the reader's side."""
        for _ in range(count):
            self.gate.release()
        for _ in range(count):
            assert self.asked.acquire(timeout=5)


def test_frames_that_came_meanwhile_are_dropped() -> None:
    source = GatedSource(clip_frames(6))
    with NewestFrames(source) as newest:
        source.asked.acquire()
        frames = iter(newest)
        source.let(1)
        assert next(frames).index == 0
        source.let(3)
        assert next(frames).index == 3
        source.let(2)
        assert [frame.index for frame in frames] == [5]
    assert source.closed.wait(5)


def test_the_source_is_closed_when_the_reader_leaves() -> None:
    source = GatedSource(clip_frames(20))
    with NewestFrames(source) as newest:
        source.gate.release()
        next(iter(newest))
        for _ in range(19):
            source.gate.release()
    assert source.closed.wait(5)


def test_an_error_reaches_the_reader_after_the_last_frame() -> None:
    source = ListSource(clip_frames(2), live=True, error=SourceError("unplugged"))
    seen = []
    with NewestFrames(source) as newest, pytest.raises(SourceError, match="unplugged"):
        for frame in newest:
            seen.append(frame.index)
    assert seen[-1] == 1
    assert source.closed


def test_a_source_without_frames_just_ends() -> None:
    with NewestFrames(ListSource([], live=True)) as newest:
        assert list(newest) == []


def test_frames_that_nobody_saw_are_counted() -> None:
    source = GatedSource(clip_frames(6))
    with NewestFrames(source) as newest:
        source.asked.acquire()
        assert newest.latest(0) is None
        source.let(3)
        assert newest.dropped == 2
        assert (frame := newest.latest(0)) is not None
        assert frame.index == 2
        assert newest.latest(0) is None
        source.let(1)
        assert (frame := newest.latest(0)) is not None
        assert frame.index == 3
        assert newest.dropped == 2
        assert not newest.ended


def test_who_waits_gets_the_frame_as_it_comes() -> None:
    source = GatedSource(clip_frames(1))
    with NewestFrames(source) as newest:
        threading.Timer(0.05, source.gate.release).start()
        assert newest.latest(5) is not None
        assert newest.latest(5) is None
        assert newest.ended


def test_an_error_is_raised_once() -> None:
    with NewestFrames(ListSource([], live=True, error=SourceError("unplugged"))) as newest:
        with pytest.raises(SourceError, match="unplugged"):
            newest.latest(5)
        assert newest.ended
        assert newest.latest(0) is None


def test_who_waits_in_another_thread_is_let_go() -> None:
    source = GatedSource(clip_frames(1))
    seen: list[Frame] = []
    with NewestFrames(source) as newest:
        waiting = threading.Thread(target=lambda: seen.extend(newest))
        waiting.start()
        newest.stop()
        waiting.join(5)
        assert not waiting.is_alive()
        assert newest.ended
        source.gate.release()
    assert seen == []


HANGING = """
import sys, time
from moodspace.realtime.capture.newest import NewestFrames
from moodspace.realtime.capture.source import Source

class Hanging(Source):
    def __iter__(self):
        print("ready", flush=True)
        time.sleep(600)
        yield

with NewestFrames(Hanging(live=True)) as frames:
    for frame in frames:
        pass
"""


def test_ctrl_c_ends_a_program_whose_camera_hangs() -> None:
    command = [sys.executable, "-c", HANGING]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGINT)
        assert program.wait(60) != 0
        assert "KeyboardInterrupt" in program.communicate()[1]
