"""A track keeps its face's position, speed and appearance."""

import numpy as np
import pytest

from moodspace.realtime.tracking.tracker import Track
from tests.realtime.fakes import faces_at

LOOKS = np.eye(3, dtype=np.float32)


def seen_at(track: Track, x: float, now: float) -> None:
    faces = faces_at((x, 100, 50, 50))
    track.update(faces.xywh[0], faces.landmarks[0], np.float32(0.8), now)


@pytest.fixture
def track() -> Track:
    """A face that was found at 100 and a tenth of a second later at 110."""
    faces = faces_at((100, 100, 50, 50))
    found = Track(faces.xywh[0], faces.landmarks[0], faces.confidence[0], LOOKS[0], 0.0)
    assert not found.confirmed
    seen_at(found, 110, 0.1)
    return found


def test_out_of_sight_it_goes_on_and_comes_to_rest(track: Track) -> None:
    lefts = []
    for seconds in (0.02, 0.5, 1.0, 100.0):
        track.drift(0.1 + seconds)
        lefts.append(track.xywh[0])
        assert track.landmarks.mean(axis=0)[0] - track.xywh[0] == pytest.approx(25, abs=2)
    assert lefts == sorted(lefts)
    assert lefts[0] == pytest.approx(112, abs=0.1)
    assert lefts[-1] == pytest.approx(160, abs=0.1)
    assert not track.flowing


def test_drifting_does_not_depend_on_the_number_of_steps(track: Track) -> None:
    for now in np.linspace(0.1, 0.8, 50):
        track.drift(now)
    stepwise = track.xywh.copy()
    track.drift(0.8)
    np.testing.assert_array_equal(track.xywh, stepwise)


def test_found_again_it_is_where_it_was_found(track: Track) -> None:
    track.miss()
    track.drift(0.9)
    seen_at(track, 300, 1.0)
    assert (track.xywh[0], track.fresh, track.flowing, track.confirmed) == (300, True, True, True)


def test_it_moves_with_its_pixels(track: Track) -> None:
    before = track.landmarks.copy()
    track.move(np.array([[1.1, 0, 4.0], [0, 1.1, -3.0]]))
    assert track.xywh == pytest.approx([1.1 * 110 + 4, 1.1 * 100 - 3, 55, 55])
    assert track.landmarks == pytest.approx(1.1 * before + [4, -3])


def test_its_appearance_follows_slowly_and_stay_of_length_1(track: Track) -> None:
    track.update_appearance(LOOKS[1])
    assert np.linalg.norm(track.appearance) == pytest.approx(1)
    assert track.appearance[0] > track.appearance[1] > 0


def test_it_goes_with_the_picture_to_another_size(track: Track) -> None:
    track.rescale(2.0, 3.0)
    assert track.xywh == pytest.approx([220, 300, 100, 150])
    track.drift(100.0)
    assert track.xywh[0] == pytest.approx(2 * 160, abs=0.1)
