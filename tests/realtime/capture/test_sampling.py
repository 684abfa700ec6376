"""Which frames of a video are looked at, and that the others change nothing."""

from pathlib import Path

import numpy as np
import pytest

from moodspace.realtime.capture.files import open_source
from moodspace.realtime.capture.sampling import ALL_FRAMES, Sampling, SamplingError
from tests.made_videos import INTERLACED, greys, write_video


@pytest.mark.parametrize(
    ("text", "sampling"),
    [(None, ALL_FRAMES), ("1", ALL_FRAMES), (5, Sampling(5)), ("5", Sampling(5)), ("0.5s", Sampling(seconds=0.5))],
)
def test_a_text_says_which_frames(text: str | int | None, sampling: Sampling) -> None:
    assert Sampling.parse(text) == sampling
    assert Sampling.parse(str(sampling)) == sampling


@pytest.mark.parametrize("text", ["", "0", "-1", "0s", "-1s", "s", "nans", "infs", "1.5", "half"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(SamplingError, match=r"^expected .*, got "):
        Sampling.parse(text)


def test_seconds_choose_the_first_frame_of_each_interval() -> None:
    due = Sampling(seconds=0.3).due()
    assert [index for index in range(30) if due(index, index / 10)] == list(range(0, 30, 3))
    due = Sampling(seconds=1.0).due()
    times = [0.0, 0.9, 1.4, 1.9, 5.2, 5.9, 6.0]  # of a video of varying rate, with a gap
    assert [time for index, time in enumerate(times) if due(index, time)] == [0.0, 1.4, 5.2, 6.0]


@pytest.mark.parametrize("options", [{}, INTERLACED], ids=["progressive", "interlaced"])
@pytest.mark.parametrize("every", ["3", "0.2s"])
def test_the_frames_of_a_video_are_those_of_all_frames(tmp_path: Path, every: str, options: dict[str, str]) -> None:
    path = write_video(tmp_path / "a.mkv", greys(range(40, 240, 10)), "mpeg2video", options=options)
    with open_source(str(path)) as source:
        everything = {frame.index: frame for frame in source}
    with open_source(str(path), sampling=Sampling.parse(every)) as source:
        some = list(source)
    step = 3 if every == "3" else 5
    assert [frame.index for frame in some] == list(range(0, 20, step))
    for frame in some:
        assert frame.time == everything[frame.index].time
        np.testing.assert_array_equal(frame.bgr, everything[frame.index].bgr)


def test_a_damaged_video_says_how_much_of_it_was_read(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", greys([90] * 50), options={"g": "5"})
    path = tmp_path / "cut.mkv"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    reasons = []
    for every in (None, "10"):
        with open_source(str(path), sampling=Sampling.parse(every)) as source:
            list(source)
            reasons.append([one.reason for one in source.incomplete])
    assert reasons[0] == reasons[1] and "were read" in reasons[0][0]
