"""The reader gets the newest frame, all errors, and a source that is closed; no test sleeps."""

import threading
from collections.abc import Iterator

import pytest

from realtime.capture import NewestFrames
from realtime.sources import Frame, Source, SourceError
from tests.realtime.stand_ins import ListSource, clip_frames


class GatedSource(Source):
    """Gives its next frame when let, and tells when the one before was taken over."""

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

    def close(self) -> None:
        self.closed.set()

    def let(self, count: int) -> None:
        """Returns when `count` more frames have been taken over by the reader's side."""
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
