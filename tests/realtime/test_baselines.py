"""Resting faces of a live session: measured, refused, cleared, and found again by looks."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from moodspace.classifier.baseline import Baseline
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.quality import FaceQuality
from moodspace.realtime import baselines as module
from moodspace.realtime.baselines import LiveBaselines
from moodspace.realtime.capture.source import Frame
from moodspace.realtime.documents import face_documents, live_document
from moodspace.realtime.pipeline import LivePipeline
from tests.drawn_faces import draw_person, plain_faces
from tests.fake_encoder import fake_bundle
from tests.realtime.fakes import ByteArray, FakeDetector, faces_at

PLAIN = plain_faces(14, seed=2)


def face(name: str) -> ByteArray:
    return PLAIN.crops[PLAIN.classes.index(name)]


def looks(person: int) -> ByteArray:
    """Return a person who looks unlike the others: a gradient in another direction."""
    down, right = np.mgrid[:48, :48]
    angle = 2.1 * person
    return np.clip(128 + 3 * (np.cos(angle) * (right - 24) + np.sin(angle) * (down - 24)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(fake_bundle(plain_faces(70, seed=1)))


@pytest.fixture
def accepting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every face for one at rest."""
    monkeypatch.setattr("moodspace.classifier.baseline.refusal", lambda *args, **options: "")


@dataclass
class Room:
    """Show faces to the baselines, ten frames a second."""

    recognizer: Recognizer
    baselines: LiveBaselines
    now: float = 0.0
    changed: list[int] = field(default_factory=list)

    def show(
        self, people: dict[int, ByteArray], seconds: float = 0.1, *, good: bool = True, yaw: float = 0.0,
        remembered: tuple[int, ...] = (),
    ) -> None:  # fmt: skip
        ids, n = list(people), len(people)
        crops = np.array(list(people.values()), np.uint8).reshape(-1, 48, 48)
        size, sharpness, turned = (np.full(n, value, np.float32) for value in (60, 0.05, yaw))
        quality = FaceQuality(size, sharpness, turned, np.full(n, good), ("",) * n if good else ("blurred",) * n)
        for _ in range(round(10 * seconds)):
            encoded = self.recognizer.bundle.encoder.encode(crops)
            rows = self.baselines.update(ids, {*ids, *remembered}, np.arange(n), crops, encoded, quality, self.now)
            self.changed = [ids[row] for row in rows]
            self.now += 0.1

    def in_use(self, *ids: int) -> list[bool]:
        return [state.in_use for state in self.baselines.states(ids, self.now)]

    def note(self, track_id: int) -> str:
        return self.baselines.states([track_id], self.now)[0].note


@pytest.fixture
def room(recognizer: Recognizer) -> Room:
    return Room(recognizer, LiveBaselines(recognizer))


def test_a_relaxed_face_is_measured_for_three_seconds(room: Room) -> None:
    room.show({1: face("neutral"), 2: face("sad")})
    assert room.baselines.shifts([1, 2]) is None
    room.baselines.measure(1)
    room.show({1: face("neutral"), 2: face("sad")}, 2.5)
    state = room.baselines.states([1], room.now)[0]
    assert not state.in_use and state.left == pytest.approx(0.6, abs=0.15) and state.rest is None
    while not room.in_use(1)[0]:
        room.show({1: face("neutral"), 2: face("sad")})
        assert room.now < 4
    assert room.changed == [1]
    assert room.in_use(1, 2) == [True, False]
    shifts = room.baselines.shifts([1, 2])
    assert shifts is not None and list(shifts) == ["fer2013"]
    first, second = shifts["fer2013"]
    assert np.abs(first).max() > 0 and not second.any()
    rest = room.baselines.states([1], room.now)[0].rest
    assert rest is not None and rest.argmax() == room.recognizer.classes.index("neutral")


def test_nothing_is_measured_without_being_asked(room: Room) -> None:
    room.show({1: face("neutral")}, 5)
    assert room.baselines.states([1], room.now)[0] is module.NO_BASELINE


def test_a_smile_is_refused_and_the_note_goes_away(room: Room, recognizer: Recognizer) -> None:
    refusals: list[str] = []
    room.baselines = LiveBaselines(recognizer, on_refused=refusals.append)
    room.show({1: face("happy")})
    room.baselines.measure(1)
    room.show({1: face("happy")}, 3.3)
    assert "shows happy" in room.note(1) and room.in_use(1) == [False]
    assert refusals == [f"face 1: {room.note(1)}"]
    room.show({1: face("happy")}, 6)
    assert room.note(1) == ""


@pytest.mark.parametrize("wrong", [{"good": False}, {"yaw": 40.0}])
def test_only_readable_frontal_frames_count(room: Room, wrong: dict) -> None:
    room.show({1: face("neutral")})
    room.baselines.measure(1)
    room.show({1: face("neutral")}, 3.3, **wrong)
    assert "could be read in 0 of 3" in room.note(1)


def test_a_face_that_changes_is_refused(room: Room) -> None:
    room.show({1: face("neutral")})
    room.baselines.measure(1)
    room.show({1: face("neutral")}, 1.5)
    room.show({1: face("surprise")}, 1.8)
    assert "changed" in room.note(1)


def test_a_face_that_leaves_is_not_measured(room: Room, recognizer: Recognizer) -> None:
    refusals: list[str] = []
    room.baselines = LiveBaselines(recognizer, on_refused=refusals.append)
    room.show({1: face("neutral")})
    room.baselines.measure(1)
    room.show({1: face("neutral")}, 1)
    room.show({}, 3)
    assert refusals == ["face 1: it left while it was measured; try again"]
    room.show({2: face("neutral")})
    room.baselines.measure(2, 1.0)
    room.show({2: face("neutral")}, 0.5)
    room.show({}, 1, remembered=(2,))
    assert refusals[1:] == ["face 2: it left while it was measured; try again"]


def test_the_key_measures_stops_and_clears(room: Room) -> None:
    room.show({1: face("neutral")})
    room.baselines.toggle(1)
    room.show({1: face("neutral")})
    assert room.baselines.states([1], room.now)[0].left is not None
    room.baselines.toggle(1)
    room.show({1: face("neutral")}, 4)
    assert room.in_use(1) == [False] and room.note(1) == ""
    room.baselines.toggle(1)
    room.show({1: face("neutral")}, 3.3)
    assert room.in_use(1) == [True]
    room.baselines.toggle(1)
    room.show({1: face("neutral")})
    assert room.in_use(1) == [False] and room.changed == [1] and room.baselines.shifts([1]) is None


def test_an_unknown_face_is_ignored(room: Room) -> None:
    room.baselines.toggle(7)
    room.show({1: face("neutral")}, 4)
    assert room.in_use(1) == [False]


@pytest.mark.usefixtures("accepting")
def test_a_baseline_follows_its_face_through_absence(room: Room) -> None:
    room.show({1: looks(1), 2: looks(2)})
    for one in (1, 2):
        room.baselines.measure(one)
    room.show({1: looks(1), 2: looks(2)}, 3.3)
    first, second = room.baselines.shifts([1, 2])["fer2013"]
    room.show({1: looks(1)}, 2)
    room.show({}, 60)
    room.show({3: looks(3)}, 1)
    assert room.in_use(3) == [False]
    room.show({3: looks(3), 4: looks(2), 5: looks(1)})
    assert room.in_use(3, 4, 5) == [False, True, True] and sorted(room.changed) == [4, 5]
    np.testing.assert_array_equal(room.baselines.shifts([4, 5])["fer2013"], [second, first])


@pytest.mark.usefixtures("accepting")
def test_two_that_look_the_same_are_not_told_apart(room: Room) -> None:
    room.show({1: looks(1), 2: looks(1)})
    for one in (1, 2):
        room.baselines.measure(one)
    room.show({1: looks(1), 2: looks(1)}, 3.3)
    room.show({}, 2)
    room.show({3: looks(1)}, 2)
    assert room.in_use(3) == [False]


@pytest.mark.usefixtures("accepting")
def test_a_baseline_is_given_to_one_face_only(room: Room) -> None:
    room.show({1: looks(1)})
    room.baselines.measure(1)
    room.show({1: looks(1)}, 3.3)
    room.show({}, 2)
    room.show({2: looks(1), 3: looks(1)}, 2)
    assert sorted(room.in_use(2, 3)) == [False, True]


def test_each_new_face_is_measured_if_wanted(room: Room, recognizer: Recognizer) -> None:
    measured: list[Baseline] = []
    room.baselines = LiveBaselines(recognizer, seconds=1.0, on_measured=measured.append)
    room.show({1: face("neutral")}, 1.3)
    assert room.in_use(1) == [True] and len(measured) == 1
    room.baselines.clear(1)
    room.show({1: face("neutral")}, 3)
    assert room.in_use(1) == [False] and len(measured) == 1


def test_a_refused_face_is_measured_again_up_to_three_times(room: Room, recognizer: Recognizer) -> None:
    refusals: list[str] = []
    room.baselines = LiveBaselines(recognizer, seconds=1.0, on_refused=refusals.append)
    room.show({1: face("happy")}, 10)
    assert len(refusals) == 3
    room.show({2: face("happy")}, 1.2)
    room.show({2: face("neutral")}, 1.3)
    assert room.in_use(2) == [True]


def test_measuring_unasked_is_more_careful(room: Room, recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def note(*args: object, **options: bool) -> str:
        asked.append(options["asked"])
        return "no"

    monkeypatch.setattr("moodspace.classifier.baseline.refusal", note)
    room.baselines = LiveBaselines(recognizer, seconds=1.0)
    room.show({1: face("neutral")}, 1.3)
    assert asked == [False]
    room.baselines.measure(1, 1.0)
    room.show({1: face("neutral")}, 1.3)
    assert asked == [False, True]


def test_a_kept_baseline_is_for_the_first_readable_face(room: Room, recognizer: Recognizer) -> None:
    first = Baseline.mean(recognizer.bundle.encoder.encode(face("sad")[None]), "fake")
    room.baselines = LiveBaselines(recognizer, first=first)
    room.show({1: face("neutral")}, 1, good=False)
    assert room.in_use(1) == [False]
    room.show({1: face("neutral")})
    room.show({1: face("neutral"), 2: face("neutral")}, 1)
    assert room.in_use(1, 2) == [True, False]


def test_the_pipeline_shifts_what_is_measured_and_says_so() -> None:
    recognizer = Recognizer(fake_bundle(plain_faces(70, seed=1)))
    rng = np.random.default_rng(1)
    frame = np.repeat(np.kron(draw_person("neutral", 3, rng), np.ones((4, 4), np.uint8))[..., None], 3, axis=2)
    detector = FakeDetector(faces_at((0, 0, 192, 192)))
    pipeline = LivePipeline(detector, recognizer)
    before = pipeline.process(frame, 0.0)
    assert [one.in_use for one in before.baselines] == [False]
    first = Baseline.mean(recognizer.bundle.encoder.encode(plain_faces(14, seed=3).crops[:1]), "fake")  # angry
    shifted = LivePipeline(detector, recognizer, baselines=LiveBaselines(recognizer, first=first))
    after = shifted.process(frame, 0.0)
    assert [one.in_use for one in after.baselines] == [True]
    assert np.abs(after.prediction.proba - before.prediction.proba).max() > 0.01
    np.testing.assert_array_equal(after.smoothed, after.prediction.proba)
    shown = [live_document(Frame("a.png", 0, 0.0, frame, None), one)["faces"][0]["baseline"] for one in (before, after)]
    assert shown == [False, True]
    assert ["baseline" in face_documents(one, recognizer)[0] for one in (before, after)] == [False, True]
    # Cleared, the next frame is read as without, at once.
    shifted.baselines.clear(1)
    np.testing.assert_allclose(shifted.process(frame, 0.1).smoothed, before.smoothed, atol=1e-5)
