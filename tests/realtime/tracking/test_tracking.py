"""Faces keep their numbers through crossings, occlusion, growth and gaps; flicker gets none."""

import gc

import numpy as np
import pytest

from moodspace.embeddings.crops import DEFAULT_GEOMETRY
from moodspace.embeddings.detection.faces import Faces
from moodspace.realtime.tracking.tracker import Track, Tracker
from tests.realtime.fakes import faces_at
from tests.realtime.tracking.scenes import FPS, PEOPLE, Box, Person, Scene, held, play, still, times


def tracker_of(scene: Scene) -> Tracker:
    return Tracker(scene, DEFAULT_GEOMETRY)


def crossing(speed: float, *, near: int = 0, far: int = 1) -> Scene:
    return Scene(
        [
            Person(PEOPLE[near], lambda now: (60 + speed * now, 130, 64)),
            Person(PEOPLE[far], lambda now: (420 - speed * now, 122, 60)),
        ]
    )


@pytest.mark.parametrize(("speed", "near", "far"), [(100, 0, 1), (250, 0, 1), (120, 2, 3), (160, 4, 8)])
def test_two_faces_that_cross_keep_their_ids(speed: float, near: int, far: int) -> None:
    scene = crossing(speed, near=near, far=far)
    assert held(scene, tracker_of(scene), 360 / speed) == {0: {1}, 1: {2}}


@pytest.mark.parametrize("fps", [12.0, 30.0])
def test_a_crossing_is_told_at_any_frame_rate(fps: float) -> None:
    scene = crossing(100)
    assert held(scene, tracker_of(scene), 3.4, fps) == {0: {1}, 1: {2}}


def test_faces_that_turn_back_behind_a_pillar_are_told_by_their_looks() -> None:
    def turned(now: float, start: float, speed: float) -> float:
        return start + speed * min(now, 3.0 - now)

    scene = Scene(
        [
            Person(PEOPLE[0], lambda now: (turned(now, 100, 90), 130, 64)),
            Person(PEOPLE[1], lambda now: (turned(now, 360, -90), 122, 60)),
        ],
        hidden=lambda now, number: 1.0 <= now < 2.0,
    )
    assert held(scene, tracker_of(scene), 3.0) == {0: {1}, 1: {2}}


@pytest.mark.parametrize("speed", [0, 40])
def test_an_id_stays_through_a_second_of_occlusion(speed: float) -> None:
    scene = Scene(
        [Person(PEOPLE[0], lambda now: (100 + speed * now, 130, 60)), Person(PEOPLE[1], still(400, 130))],
        hidden=lambda now, number: number == 0 and 1.0 <= now < 2.0,
    )
    tracker = tracker_of(scene)
    assert held(scene, tracker, 3.5) == {0: {1}, 1: {2}}


def test_a_hidden_face_is_not_shown() -> None:
    scene = Scene([Person(PEOPLE[0], still(200, 130))], hidden=lambda now, number: now >= 1.0)
    shown = {now: len(sight.ids) for now, sight in zip(times(3), play(scene, tracker_of(scene), 3), strict=True)}
    assert all(count == 1 for now, count in shown.items() if now < 1.0)
    assert not any(count for now, count in shown.items() if now > 1.5)


def test_a_face_that_the_detector_misses_is_followed_for_a_moment_and_is_not_fresh() -> None:
    class Failing(Scene):
        def detect(self, frame_bgr):
            found = super().detect(frame_bgr)
            return found if self.now < 1.0 else Faces.empty()

    scene = Failing([Person(PEOPLE[0], lambda now: (150 + 30 * now, 130, 60))])
    updates = list(zip(times(2), play(scene, tracker_of(scene), 2), strict=True))
    moment = [sight for now, sight in updates if 1.05 < now < 1.2]
    assert all(sight.ids.tolist() == [1] and not sight.fresh.any() for sight in moment)
    assert moment[-1].faces.xywh[0, 0] == pytest.approx(120 + 30 * 1.17, abs=4)
    assert not any(len(sight.ids) for now, sight in updates if now > 1.35)


def test_a_face_out_of_sight_for_long_is_forgotten_and_its_id_is_not_used_again() -> None:
    scene = Scene([Person(PEOPLE[0], still(200, 130))], hidden=lambda now, number: 1.0 <= now < 3.5)
    tracker = tracker_of(scene)
    updates = list(play(scene, tracker, 5))
    assert updates[90].remembered == frozenset()
    assert updates[-1].ids.tolist() == [2]


def test_faces_of_the_first_frame_are_known_at_once_and_later_ones_when_found_twice() -> None:
    scene = Scene(
        [Person(PEOPLE[0], still(100, 130)), Person(PEOPLE[1], lambda now: (300, 130, 60) if now > 0.5 else None)]
    )
    updates = list(zip(times(1), play(scene, tracker_of(scene), 1), strict=True))
    assert updates[0][1].ids.tolist() == [1]
    appeared = next(now for now, sight in updates if len(sight.ids) == 2)
    looks = [at for at in scene.calls if 0.5 < at <= appeared]
    assert len(looks) == 2
    assert appeared <= 0.5 + 5 / FPS


def test_false_detections_that_flicker_never_appear() -> None:
    class Flickering(Scene):
        def detect(self, frame_bgr):
            faces = super().detect(frame_bgr)
            if len(self.calls) % 2:
                return faces
            return faces_at(*(tuple(xywh) for xywh in faces.xywh), (350, 60, 40, 40))

    scene = Flickering([Person(PEOPLE[0], still(150, 130))])
    updates = list(play(scene, tracker_of(scene), 3))
    assert {one for sight in updates for one in sight.ids.tolist()} == {1}
    assert len(scene.calls) > 20


def test_a_false_detection_of_the_first_frame_is_gone_after_the_second_look() -> None:
    class Once(Scene):
        def detect(self, frame_bgr):
            faces = super().detect(frame_bgr)
            return faces if len(self.calls) > 1 else faces_at((20, 20, 50, 50))

    scene = Once([])
    counts = [len(sight.ids) for sight in play(scene, tracker_of(scene), 0.5)]
    assert counts == [1] * 2 + [0] * 13


def test_a_face_that_comes_nearer_is_followed_between_detections() -> None:
    scene = Scene([Person(PEOPLE[0], lambda now: (240 + 30 * now, 135, 50 + 60 * now))], jitter=0.0)
    for now, sight in zip(times(2), play(scene, tracker_of(scene), 2), strict=True):
        expected = 50 + 60 * now
        assert sight.ids.tolist() == [1]
        assert sight.faces.xywh[0, 2] == pytest.approx(expected, rel=0.05)
        assert sight.faces.xywh[0, 0] == pytest.approx(240 + 30 * now - expected / 2, abs=3)
    assert len(scene.calls) == 30


def test_a_gap_in_time_keeps_a_face_that_stayed_in_its_place() -> None:
    scene = Scene([Person(PEOPLE[0], still(150, 130)), Person(PEOPLE[1], still(350, 130))])
    tracker = tracker_of(scene)
    for now in (0.0, 0.03, 4.0, 9.0):
        assert tracker.update(scene.frame(now), now).ids.tolist() == [1, 2]


def test_another_face_in_the_same_place_is_another_face() -> None:
    scene = Scene([Person(PEOPLE[0], still(200, 130))])
    tracker = tracker_of(scene)
    list(play(scene, tracker, 1))
    scene.people = [Person(255 - PEOPLE[0], still(200, 130))]
    ids = [tracker.update(scene.frame(1 + now), 1 + now).ids.tolist() for now in times(1)]
    assert ids[-1] == [2]


def test_frames_may_change_their_size() -> None:
    scene = Scene([Person(PEOPLE[0], still(120, 100)), Person(PEOPLE[1], still(350, 130))])
    tracker = tracker_of(scene)
    list(play(scene, tracker, 0.5))
    larger = Scene([Person(PEOPLE[0], still(240, 200, 120)), Person(PEOPLE[1], still(700, 260, 120))], size=(960, 540))
    tracker._detector = larger
    for now in times(0.5):
        sight = tracker.update(larger.frame(0.5 + now), 0.5 + now)
        assert sight.ids.tolist() == [1, 2]
        assert sight.faces.xywh[:, 2] == pytest.approx(120, rel=0.1)


def test_time_that_goes_back_begins_another_source() -> None:
    scene = Scene([Person(PEOPLE[0], still(120, 100))])
    tracker = tracker_of(scene)
    assert [sight.ids.tolist() for sight in play(scene, tracker, 0.2)][-1] == [1]
    assert [sight.ids.tolist() for sight in play(scene, tracker, 0.2)] == [[2]] * 6


@pytest.mark.parametrize(("faces", "calls"), [(0, 11), (1, 15), (4, 8), (12, 6)])
def test_the_more_faces_the_fewer_detections(faces: int, calls: int) -> None:
    people = [
        Person(PEOPLE[number], still(40 + 80 * (number % 6), 60 + 100 * (number // 6))) for number in range(faces)
    ]
    scene = Scene(people, size=(480, 270), jitter=0.0)
    list(play(scene, tracker_of(scene), 1.0))
    assert len(scene.calls) == pytest.approx(calls, abs=1)


def test_faces_that_touch_are_looked_for_more_often() -> None:
    scene = Scene([Person(PEOPLE[0], still(100, 100)), Person(PEOPLE[1], still(145, 110))], jitter=0.0)
    list(play(scene, tracker_of(scene), 1.0))
    assert len(scene.calls) == 15


def test_slow_frames_are_all_looked_at() -> None:
    scene = Scene([Person(PEOPLE[0], still(120, 100))])
    list(play(scene, tracker_of(scene), 3, fps=2))
    assert len(scene.calls) == 6


def test_the_same_frames_and_times_give_the_same_faces() -> None:
    def run() -> list[Faces]:
        scene = crossing(200)
        return [sight.faces for sight in play(scene, tracker_of(scene), 1.5)]

    for first, second in zip(run(), run(), strict=True):
        np.testing.assert_array_equal(first.xywh, second.xywh)
        np.testing.assert_array_equal(first.landmarks, second.landmarks)


def test_faces_that_are_gone_leave_nothing_behind() -> None:
    def visiting(now: float) -> Box | None:
        return (60 + (97 * round(now / 2.5)) % 360, 130, 60) if now % 2.5 < 0.5 else None

    scene = Scene([Person(PEOPLE[0], visiting)])
    tracker = tracker_of(scene)
    updates = list(play(scene, tracker, 10, fps=15))
    assert {one for sight in updates for one in sight.ids.tolist()} == {1, 2, 3, 4}
    assert updates[-1].remembered == frozenset()
    gc.collect()
    assert not [one for one in gc.get_objects() if isinstance(one, Track)]


def test_the_detectors_time_is_told() -> None:
    ticks = iter([1.0, 1.025])
    scene = Scene([Person(PEOPLE[0], still(120, 100))])
    tracker = Tracker(scene, DEFAULT_GEOMETRY, clock=lambda: next(ticks))
    assert tracker.update(scene.frame(0.0), 0.0).detect_s == pytest.approx(0.025)
    assert tracker.update(scene.frame(0.03), 0.03).detect_s == 0.0


@pytest.mark.parametrize(("step", "shown_at"), [(1 / FPS, 1.0 + 1 / FPS), (0.5, 1.0), (2.0, 2.0)])
def test_a_face_has_its_id_at_once_where_frames_are_far_apart(step: float, shown_at: float) -> None:
    """At a camera's rate a second detection tells a face from flicker; half a second later it may be gone."""
    scene = Scene(
        [Person(PEOPLE[0], still(100, 130)), Person(PEOPLE[1], still(400, 130))],
        hidden=lambda now, number: number == 1 and now < 1.0,
    )
    tracker = tracker_of(scene)
    seen = {now: tracker.update(scene.frame(now), now).ids.tolist() for now in np.arange(0, 4 + step / 2, step)}
    first = min(now for now, ids in seen.items() if len(ids) == 2)
    assert shown_at - 1e-6 <= first <= shown_at + 3 / FPS
    assert seen[max(seen)] == [1, 2]
