"""Frames of a held expression are collected: readable ones that differ, until there are enough."""

import numpy as np
import pytest

from moodspace.arrays import FloatArray
from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.collector import Collector, Offer
from moodspace.realtime.pipeline import LiveResult
from tests.realtime.fakes import faces_at, noise
from tests.realtime.live_results import live_result

CROP = np.zeros((48, 48), np.uint8)


def direction(degrees: float) -> FloatArray:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)


@pytest.fixture
def collector() -> Collector:
    """Takes at most four frames, half a second and 10 degrees apart."""
    return Collector(lambda rows: rows, float(np.cos(np.radians(10))), capacity=4, least_gap=0.5)


def hurried(*degrees: float) -> list[tuple[float, float]]:
    """Half a second apart, as soon as a frame may count."""
    return [(angle, at / 2) for at, angle in enumerate(degrees)]


def offer(collector: Collector, degrees: float, time: float, *, readable: bool = True) -> Offer:
    return collector.offer(direction(degrees), CROP, readable=readable, time=time)


def test_the_ring_fills_with_frames_that_differ(collector: Collector) -> None:
    told = [offer(collector, degrees, time) for degrees, time in hurried(0, 12, 17, 25, 40, 60)]
    assert told == [Offer.ADDED, Offer.ADDED, Offer.SIMILAR, Offer.ADDED, Offer.ADDED, Offer.FULL]
    assert collector.share == 1 and collector.full
    assert [one.time for one in collector.examples] == [0, 0.5, 1.5, 2]
    np.testing.assert_allclose(collector.embeddings[1], direction(12))
    assert collector.crops.shape == (4, 48, 48)


def test_a_frame_is_compared_with_all_others(collector: Collector) -> None:
    for degrees, time in hurried(0, 40, 80):
        offer(collector, degrees, time)
    assert offer(collector, 2, 1.5) is Offer.SIMILAR


def test_a_still_face_fills_the_ring_more_slowly_and_one_picture_never(collector: Collector) -> None:
    added = [now for now in np.arange(0, 9, 0.05).tolist() if offer(collector, 4 * now, now) is Offer.ADDED]
    assert len(added) == 4 and all(0.5 < gap <= 1.1 for gap in np.diff(added))
    frozen = Collector(lambda rows: rows, 0.9, least_gap=0.5)
    assert [offer(frozen, 0, now) for now in range(100)].count(Offer.ADDED) == 1


def test_faces_that_cannot_be_read_do_not_count(collector: Collector) -> None:
    assert offer(collector, 0, 0, readable=False) is Offer.UNREADABLE and not collector.examples


def test_examples_are_some_time_apart_and_a_new_source_may_begin_at_zero(collector: Collector) -> None:
    offer(collector, 0, 10)
    assert offer(collector, 40, 10.4) is Offer.EARLY
    assert offer(collector, 40, 10.5) is Offer.ADDED
    assert offer(collector, 80, 0.0) is Offer.ADDED


def test_a_removed_example_makes_room_for_one_like_it(collector: Collector) -> None:
    for at in range(4):
        offer(collector, 30 * at, at)
    numbers = [one.number for one in collector.examples]
    assert collector.remove(numbers[1]) and not collector.remove(numbers[1])
    assert offer(collector, 31, 3.5) is Offer.ADDED
    assert [one.number for one in collector.examples] == [1, 3, 4, 5]
    assert collector.remove_last() and [one.number for one in collector.examples] == [1, 3, 4]
    while collector.examples:
        collector.remove_last()
    assert not collector.remove_last() and offer(collector, 0, 10) is Offer.ADDED


def test_its_examples_are_its_own(collector: Collector) -> None:
    row, crop = direction(0), CROP.copy()
    collector.offer(row, crop, readable=True, time=0)
    row[:], crop[:] = 9, 9
    assert collector.embeddings.max() <= 1 and collector.crops.max() == 0


def test_a_ring_has_room() -> None:
    with pytest.raises(ValueError, match="expected at least 1, got 0"):
        Collector(lambda rows: rows, 0.9, capacity=0)


@pytest.fixture
def result(recognizer: Recognizer) -> LiveResult:
    return live_result(recognizer, faces_at((10, 10, 40, 40), (60, 10, 40, 40)), ["happy", "sad"])


def test_one_face_of_a_frame_is_collected(recognizer: Recognizer, result: LiveResult) -> None:
    collector = Collector.for_recognizer(recognizer)
    frame = noise()
    assert collector.offer_frame(frame, result, 2, recognizer) is Offer.ADDED
    assert collector.offer_frame(frame, result, 7, recognizer) is Offer.UNREADABLE
    np.testing.assert_array_equal(collector.embeddings[0], result.embeddings[1])
    assert collector.crops[0].std() > 0 and len(collector) == 1


def test_what_is_near_identical_follows_the_bundle(recognizer: Recognizer) -> None:
    """The limit lies between the bundle's own near copies and the same picture, and moves with them."""
    gate = recognizer.bundle.gate
    limits = []
    for degrees in range(90):
        collector = Collector.for_recognizer(recognizer)
        collector._measure = lambda rows: rows  # what counts here is the limit
        offer(collector, 0, 0)
        limits.append(offer(collector, degrees, 0.25) is Offer.SIMILAR)
    most = np.cos(np.radians(limits.index(False)))
    assert gate.closeness < most < 1
