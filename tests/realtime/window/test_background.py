"""Frames processed in a thread: all of them, in order, with the thread's errors; the thread can stop at any time."""

import threading
import time
from collections.abc import Iterator

import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.capture.source import Frame, SourceError
from moodspace.realtime.window.background import Background, ProcessedFrame
from moodspace.realtime.window.loop import FPSMeter
from tests.realtime.fakes import ListSource, clip_frames, faces_at
from tests.realtime.live_results import PlainPipeline

WAIT = 30.0


@pytest.fixture
def pipeline(recognizer: Recognizer) -> PlainPipeline:
    return PlainPipeline(recognizer, faces_at((10, 20, 40, 50)))


def take_all(work: Background) -> list[ProcessedFrame]:
    seen = []
    while not work.ended:
        if (one := work.take(WAIT)) is not None:
            seen.append(one)
    return seen


def test_every_frame_comes_once_in_order(pipeline: PlainPipeline) -> None:
    with Background(clip_frames(5), pipeline, clock=lambda: 7.0) as work:
        seen = take_all(work)
    assert [one.frame.index for one in seen] == [0, 1, 2, 3, 4]
    assert [one.result.time for one in seen] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert all(one.arrived == 7.0 for one in seen)
    assert work.take() is None


def test_each_video_and_picture_begins_anew(pipeline: PlainPipeline) -> None:
    frames = [*clip_frames(3, "a"), *clip_frames(1, "b", None), *clip_frames(1, "c", None)]
    with Background(frames, pipeline, clock=time.monotonic) as work:
        take_all(work)
    assert pipeline.restarts == 3


def test_nobody_waits_for_a_frame_unasked(pipeline: PlainPipeline) -> None:
    held = threading.Event()

    def frames() -> Iterator[Frame]:
        held.wait(WAIT)
        yield from clip_frames(1)

    with Background(frames(), pipeline, clock=time.monotonic) as work:
        assert work.take() is None
        assert not work.ended
        held.set()
        assert len(take_all(work)) == 1


def test_an_error_of_the_source_reaches_the_owner(pipeline: PlainPipeline) -> None:
    with Background(ListSource(clip_frames(2), error=SourceError("unplugged")), pipeline, clock=time.monotonic) as work:
        with pytest.raises(SourceError, match="unplugged"):
            take_all(work)
        assert work.ended


def test_it_ends_with_results_untaken(pipeline: PlainPipeline) -> None:
    before = threading.active_count()
    started = time.monotonic()
    with Background(clip_frames(20), pipeline, clock=time.monotonic) as work:
        work.take(WAIT)
    assert threading.active_count() == before
    assert time.monotonic() - started < WAIT


def test_the_frame_rate_is_the_recent_one() -> None:
    pace = FPSMeter()
    assert pace.fps == 0
    for number in range(100):
        pace.count(number / 10, number / 10 + 0.02)
    assert pace.fps == pytest.approx(10)
    assert pace.latency_ms == pytest.approx(20)
    for number in range(100):
        pace.count(10 + number / 50, 10 + number / 50 + 0.05)
    assert pace.fps == pytest.approx(50, rel=0.05)
    assert pace.latency_ms == pytest.approx(50, rel=0.01)
