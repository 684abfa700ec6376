"""Progress: plain lines in a pipe, bars in a terminal."""

import io
import re
import threading

import pytest

from moodspace.realtime.progress import ProgressLines, VideosProgress, duration, progress_bars, videos_bar


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_at_most_every_ten_seconds() -> None:
    told, clock = [], Clock()
    step = ProgressLines(told.append, 10, clock).start("index")
    for second in range(36):
        clock.now = second
        step(second * 100, 3600)
    assert told == [
        "index: 1,000 of 3,600 (28%), 10 s", "index: 2,000 of 3,600 (56%), 20 s", "index: 3,000 of 3,600 (83%), 30 s",
    ]  # fmt: skip


def test_a_short_job_says_nothing() -> None:
    told, clock = [], Clock()
    step = ProgressLines(told.append, 10, clock).start("index")
    step(0, 5)
    clock.now = 9.9
    step(5, 5)
    assert told == []


def test_the_stage_that_goes_on_is_told_not_one_that_waits_or_is_done() -> None:
    told, clock = [], Clock()
    lines = ProgressLines(told.append, 10, clock)
    first, second = lines.start("first"), None
    first(1, 4)
    lines.start("waits")
    clock.now = 10
    lines.report()
    first(4, 4)
    second = lines.start("second")
    clock.now = 20
    lines.report()
    second(0, 0)
    clock.now = 30
    lines.report()
    assert told == ["first: 1 of 4 (25%), 10 s", "second: in progress, 20 s", "second: in progress, 30 s"]


def test_a_step_that_takes_long_is_told_of_while_it_lasts() -> None:
    told, heard = [], threading.Event()

    def say(line: str) -> None:
        told.append(line)
        heard.set()

    with progress_bars(io.StringIO(), say, every=0.01) as start:
        start("train, epochs")(0, 3)
        assert heard.wait(30)
    assert told[0].startswith("train, epochs: 0 of 3 (0%)")
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_the_watch_ends_with_an_error() -> None:
    with pytest.raises(ValueError, match="stop"), progress_bars(io.StringIO(), print) as start:
        start("index")(0, 1)
        raise ValueError("stop")
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_in_a_terminal_bars_reach_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich import console, progress

    made: list[progress.Progress] = []
    drawn = io.StringIO()

    class Watched(progress.Progress):
        def __init__(self, **settings: object) -> None:
            super().__init__(console=console.Console(file=drawn, force_terminal=True, width=100))
            made.append(self)

    monkeypatch.setattr(progress, "Progress", Watched)
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    with progress_bars(terminal, print) as start:
        announced, nothing, counted = start("announced"), start("nothing to do"), start("counted")
        announced(0, 100)
        # At 0 it moves to and fro instead of standing still.
        assert made[0].tasks[0].total is None
        announced(100, 100)
        nothing(0, 0)
        counted(1, 2)
        assert [(task.completed, task.total) for task in made[0].tasks] == [(100, 100), (1, 1), (1, 2)]
    assert re.search("announced", drawn.getvalue())


def test_videos_are_told_in_lines_that_say_how_long_it_takes() -> None:
    now, lines = iter([0.0, 4.0, 11.0, 11.0, 12.0, 30.0, 30.0]), list[str]()
    with videos_bar(io.StringIO(), lines.append, every=10, clock=lambda: next(now)) as show:
        show(VideosProgress(0, 3, 0.1, 8.0, 4.0))
        show(VideosProgress(1, 3, 0.25, 22.0, 11.0))
        show(VideosProgress(1, 3, 0.25, 22.0, 12.0))
        show(VideosProgress(1, 3, 0.001, 22.0, 30.0))
    assert lines == [
        "1 of 3 videos, 2.0 s of video a second, about 33 s left, 11 s so far",
        "1 of 3 videos, 0.7 s of video a second, 30 s so far",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (5000, "83 min"), (12000, "3 h 20 min")]
)
def test_a_duration_is_told_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
