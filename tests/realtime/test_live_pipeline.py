"""The live pipeline tracks, encodes and smooths: one batch per frame, faces in turn, unreadable ones left out."""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from moodspace.classifier.ensemble import Prediction
from moodspace.classifier.recognizer import Evidence, Recognizer, Shift
from moodspace.embeddings.crops import crop_faces
from moodspace.embeddings.detection.faces import Faces
from moodspace.embeddings.detection.quality import FaceQuality
from moodspace.embeddings.encoder import Encoded
from moodspace.index.taught.faces import NewFaces
from moodspace.index.taught.gallery import TaughtGallery, open_taught
from moodspace.index.taught.search import TaughtIndex
from moodspace.realtime.documents import face_document
from moodspace.realtime.pipeline import LivePipeline, LiveResult
from moodspace.realtime.window.draw import live_label
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle
from tests.realtime.fakes import ByteArray
from tests.realtime.tracking.scenes import PEOPLE, Person, Scene, still, times


@pytest.fixture
def recognizer() -> Recognizer:
    """One of its own, since the tests change it."""
    return Recognizer(fake_bundle(drawn_faces(35, seed=1)))


@pytest.fixture
def batches(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many faces the encoder got at each call."""
    sizes: list[int] = []
    encode = recognizer.bundle.encoder.encode

    def counted(crops: ByteArray) -> Encoded:
        sizes.append(len(crops))
        return encode(crops)

    monkeypatch.setattr(recognizer.bundle.encoder, "encode", counted)
    return sizes


class Flickering(Scene):
    """A scene whose light changes with every frame, so that no two crops are the same."""

    def frame(self, now: float) -> ByteArray:
        return (np.minimum(super().frame(now), 248) + round(30 * now) % 7).astype(np.uint8)


def crowd(count: int, *, side: float = 60, flickers: bool = False) -> Scene:
    people = [Person(PEOPLE[i % 12], still(45 + 78 * (i % 6), 45 + 80 * (i // 6), side)) for i in range(count)]
    return (Flickering if flickers else Scene)(people, size=(490, 270), jitter=0.0)


def bearded(picture: ByteArray) -> ByteArray:
    changed = picture.copy()
    changed[42:, 14:34] //= 2
    return changed


def run(scene: Scene, pipeline: LivePipeline, seconds: float, start: float = 0.0) -> list[LiveResult]:
    return [pipeline.process(scene.frame(start + now), start + now) for now in times(seconds)]


def test_a_result_has_a_row_for_each_face_in_the_order_of_ids(recognizer: Recognizer) -> None:
    scene = crowd(3)
    for result in run(scene, LivePipeline(scene, recognizer), 0.2):
        assert result.track_ids.tolist() == [1, 2, 3]
        assert len(result.faces) == len(result.prediction) == len(result.quality) == 3
        assert result.smoothed.shape == (3, len(recognizer.classes))
        assert result.smoothed.sum(axis=1) == pytest.approx(1, abs=1e-5)
        assert np.linalg.norm(result.embeddings, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_scene_without_faces_has_empty_results(recognizer: Recognizer) -> None:
    scene = crowd(0)
    for result in run(scene, LivePipeline(scene, recognizer), 0.3):
        assert len(result.faces) == len(result.prediction) == 0
        assert result.smoothed.shape == (0, len(recognizer.classes))
        assert list(result.timings_ms) == ["detect", "track", "crop", "encode", "search", "ensemble"]


def test_the_first_look_is_shown_at_once_and_is_the_recognizers(recognizer: Recognizer) -> None:
    scene = crowd(2)
    result = LivePipeline(scene, recognizer).process(scene.frame(0.0), 0.0)
    np.testing.assert_array_equal(result.smoothed, result.prediction.proba)
    sure = ~result.prediction.unknown
    assert result.shown[sure].tolist() == result.prediction.labels[sure].tolist()


def test_every_face_is_in_every_batch_while_there_are_few(recognizer: Recognizer, batches: list[int]) -> None:
    scene = crowd(4, flickers=True)
    run(scene, LivePipeline(scene, recognizer), 0.3)
    assert batches == [4] * 9


def test_a_repeated_picture_is_encoded_once_and_counts_as_often_as_it_is_seen(
    recognizer: Recognizer, batches: list[int]
) -> None:
    still_scene = crowd(3)
    still_scene.people[2] = Person(PEOPLE[2], lambda now: (201 + 20 * now, 45, 60))
    results = run(still_scene, LivePipeline(still_scene, recognizer), 0.4)
    assert batches[0] == 3 and set(batches[1:]) == {1}
    for before, result in itertools.pairwise(results):
        assert result.prediction.proba[:2].tolist() == before.prediction.proba[:2].tolist()
        assert [len(near) for near in result.nearest] == [5, 5, 5]


@pytest.mark.parametrize(("faces", "batch", "wait"), [(6, 4, 2), (12, 6, 2), (18, 8, 3)])
def test_in_a_crowd_each_face_has_its_turn(
    recognizer: Recognizer, batches: list[int], faces: int, batch: int, wait: int
) -> None:
    scene = crowd(faces, flickers=True)
    pipeline = LivePipeline(scene, recognizer)
    first = pipeline.process(scene.frame(0.0), 0.0)
    scene.people = [Person(bearded(person.picture), person.place) for person in scene.people]
    results = run(scene, pipeline, wait / 30, start=1 / 30)
    assert batches == [faces] + [batch] * wait
    changed = np.abs(results[-1].embeddings - first.embeddings).max(axis=1) > 1e-3
    assert changed.all()


def test_a_video_may_ask_for_every_face_in_every_frame(recognizer: Recognizer, batches: list[int]) -> None:
    scene = crowd(12, flickers=True)
    run(scene, LivePipeline(scene, recognizer, every_face=True), 0.2)
    assert batches == [12] * 6


@pytest.fixture
def rows_by_call(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many faces were cropped, encoded and searched so far."""
    counts: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., Any], argument: int) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            counts[name] += len(arguments[argument])
            return function(*arguments, **options)

        return call

    for module in ("moodspace.realtime.tracking.tracker", "moodspace.realtime.pipeline"):
        monkeypatch.setattr(f"{module}.crop_faces", counted("crop", crop_faces, 1))
    monkeypatch.setattr(recognizer.bundle.encoder, "encode", counted("encode", recognizer.bundle.encoder.encode, 0))
    monkeypatch.setattr(recognizer.bundle.index, "search", counted("search", recognizer.bundle.index.search, 0))
    return counts


@pytest.mark.parametrize(("faces", "due"), [(1, 1), (4, 4), (6, 4), (12, 6), (18, 8)])
def test_faces_are_cropped_once_and_searched_only_if_encoded(
    recognizer: Recognizer, rows_by_call: Counter[str], faces: int, due: int
) -> None:
    scene = crowd(faces, flickers=True)
    pipeline, detections = LivePipeline(scene, recognizer), 0
    for number, now in enumerate(times(0.5)):
        rows_by_call.clear()
        result = pipeline.process(scene.frame(now), now)
        detected, detections = len(scene.calls) > detections, len(scene.calls)
        encoded = due if number else faces
        # The tracker crops what it detects; the faces to encode are among these, and are cropped in other frames only.
        assert rows_by_call == {"crop": faces if detected else due, "encode": encoded, "search": encoded}
        found = recognizer.bundle.index.search(result.embeddings, result.prediction.neighbors.ids.shape[1])
        np.testing.assert_array_equal(result.prediction.neighbors.ids, found.ids)
        np.testing.assert_array_equal(result.prediction.neighbors.similarities, found.similarities)
        np.testing.assert_array_equal(result.prediction.neighbors.sources, found.sources)


class TaughtFaces:
    """Taught faces as they are now, or as the n-th call returns them."""

    def __init__(self, gallery: TaughtGallery) -> None:
        self.gallery = gallery
        self.calls = 0
        self.before_call: Callable[[int], None] = lambda number: None

    def current(self) -> TaughtIndex:
        self.calls += 1
        self.before_call(self.calls)
        return self.gallery.snapshot()


def teach(gallery: TaughtGallery, embedding: np.ndarray, label: str) -> None:
    gallery.add(NewFaces(embedding[None], [label], ["taught"], [""]))


def test_what_is_taught_counts_in_the_next_frame_for_faces_that_are_not_due(
    recognizer: Recognizer, rows_by_call: Counter[str], tmp_path: Path
) -> None:
    scene = crowd(12, flickers=True)
    with open_taught(tmp_path, encoder="fake", dim=recognizer.bundle.encoder.dim) as gallery:
        recognizer.taught = TaughtFaces(gallery)
        pipeline = LivePipeline(scene, recognizer)
        before = run(scene, pipeline, 0.2)[-1]
        for number, row in enumerate((0, 11)):
            teach(gallery, before.embeddings[row], f"taught {number}")
        rows_by_call.clear()
        after = pipeline.process(scene.frame(0.2), 0.2)
        assert rows_by_call["encode"] == 6
        assert rows_by_call["search"] == 12
        assert after.prediction.classes == (*before.prediction.classes, "taught 0", "taught 1")
        told = [after.prediction.classes[column] for column in after.prediction.labels]
        assert (told[0], told[11]) == ("taught 0", "taught 1")
        rows_by_call.clear()
        pipeline.process(scene.frame(0.24), 0.24)
        assert rows_by_call["search"] == 6


@pytest.mark.parametrize("at", [1, 2, 3])
def test_teaching_during_the_search_mixes_no_classes(recognizer: Recognizer, tmp_path: Path, at: int) -> None:
    scene = crowd(12)
    with open_taught(tmp_path, encoder="fake", dim=recognizer.bundle.encoder.dim) as gallery:
        recognizer.taught = faces = TaughtFaces(gallery)
        pipeline = LivePipeline(scene, recognizer)
        before = run(scene, pipeline, 0.2)[-1]
        teach(gallery, before.embeddings[3], "first")
        assert run(scene, pipeline, 0.2, start=0.2)[-1].prediction.classes[-1:] == ("first",)
        faces.calls = 0
        faces.before_call = lambda number: teach(gallery, before.embeddings[0], "last") if number == at else None
        for result in run(scene, pipeline, 0.1, start=0.4):
            told = [result.prediction.classes[column] for column in result.prediction.labels]
            assert told[3] == "first"
        assert told[0] == "last"


def test_a_face_that_comes_back_unreadable_keeps_its_embedding(recognizer: Recognizer) -> None:
    scene = crowd(2)
    pipeline = LivePipeline(scene, recognizer)
    before = run(scene, pipeline, 0.5)[-1]
    scene.hidden = lambda now, number: number == 0
    assert run(scene, pipeline, 0.7, start=0.5)[-1].track_ids.tolist() == [2]
    scene.hidden = lambda now, number: False
    blurred = cv2.GaussianBlur(PEOPLE[0], (0, 0), 5)
    scene.people = [Person(blurred, scene.people[0].place), scene.people[1]]
    after = run(scene, pipeline, 0.3, start=1.2)[-1]
    assert (after.track_ids.tolist(), after.quality.good.tolist()) == ([1, 2], [False, True])
    np.testing.assert_array_equal(after.embeddings[0], before.embeddings[0])
    np.testing.assert_array_equal(after.prediction.neighbors.ids[0], before.prediction.neighbors.ids[0])


def test_a_change_takes_its_half_life(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = crowd(1)
    pipeline = LivePipeline(scene, recognizer, half_life=0.5)
    decide = recognizer.decide
    column = {"shown": 0}

    def told(encoded: Encoded, evidence: Evidence, quality: FaceQuality, *, shift: Shift | None) -> Prediction:
        proba = np.tile(np.eye(len(recognizer.classes), dtype=np.float32)[column["shown"]], (len(encoded), 1))
        return replace(decide(encoded, evidence), proba=proba)

    monkeypatch.setattr(recognizer, "decide", told)
    run(scene, pipeline, 1.0)
    column["shown"] = 3
    after = run(scene, pipeline, 1.0, start=1.0)
    assert after[14].smoothed[0, 3] == pytest.approx(0.5, abs=0.01)
    delay = next(result.time for result in after if result.shown[0] == 3) - after[0].time
    assert 0.4 < delay <= 0.7


def test_the_evidence_is_of_the_same_moment_as_the_bars(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, told, decide = crowd(1), {"column": 0}, recognizer.decide
    pipeline = LivePipeline(scene, recognizer, half_life=0.5)
    labels = recognizer.gallery_labels

    def decided(encoded: Encoded, evidence: Evidence, quality: FaceQuality, *, shift: Shift | None) -> Prediction:
        prediction, column = decide(encoded, evidence), told["column"]
        neighbors = prediction.neighbors
        ids = recognizer.bundle.index.gallery.ids[labels == column][: neighbors.ids.shape[1]]
        n = len(ids)
        shape = (len(encoded), n)
        found = replace(
            neighbors,
            ids=np.broadcast_to(ids, shape),
            labels={recognizer.label_set: np.full(shape, column, np.int64)},
            similarities=np.full(shape, 0.9 + 0.05 * column, np.float32),
            valid=np.ones(shape, bool),
            sources=np.full(shape, "a.png"),
        )
        sure = np.tile(np.eye(len(prediction.classes), dtype=np.float32)[column], (len(encoded), 1))
        return replace(prediction, proba=sure, knn_proba=sure, neighbors=found)

    monkeypatch.setattr(recognizer, "decide", decided)
    run(scene, pipeline, 1.0)
    told["column"] = 1
    for result in run(scene, pipeline, 1.0, start=1.0):
        shares = result.smoothed[0]
        np.testing.assert_allclose(result.votes[0], shares, atol=1e-3)
        named = [one.label for one in result.nearest[0]]
        if abs(shares[0] - shares[1]) > 0.1:
            assert set(named) == {result.prediction.classes[int(shares.argmax())]}
    pipeline.reset_smoothing()
    told["column"] = 2
    last = run(scene, pipeline, 0.03, start=2.0)[-1]
    assert {one.label for one in last.nearest[0]} == {recognizer.classes[2]}


def test_classes_may_grow_while_it_runs(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = crowd(2)
    pipeline = LivePipeline(scene, recognizer)
    before = run(scene, pipeline, 0.5)[-1]
    decide = recognizer.decide

    def grown(encoded: Encoded, evidence: Evidence, quality: FaceQuality, *, shift: Shift | None) -> Prediction:
        plain, new = decide(encoded, evidence), np.zeros((len(encoded), 1), np.float32)
        halved = np.hstack([new + 0.9, plain.proba * np.float32(0.1)])
        wide = {"head_proba": np.hstack([new, plain.head_proba]), "knn_proba": np.hstack([new, plain.knn_proba])}
        return replace(plain, proba=halved, classes=("puzzled", *plain.classes), **wide)

    monkeypatch.setattr(recognizer, "decide", grown)
    first, *_, last = run(scene, pipeline, 1.0, start=0.5)
    assert first.prediction.classes[0] == "puzzled"
    assert first.smoothed[:, 1:] == pytest.approx(before.smoothed, abs=0.1)
    assert last.smoothed.shape == (2, len(recognizer.classes) + 1)
    assert last.shown.tolist() == [0, 0]


def test_a_face_that_cannot_be_read_is_not_encoded_and_keeps_what_it_showed(
    recognizer: Recognizer, batches: list[int]
) -> None:
    scene = crowd(1)
    pipeline = LivePipeline(scene, recognizer)
    before = run(scene, pipeline, 0.5)[-1]
    scene.people = [Person(cv2.GaussianBlur(PEOPLE[0], (0, 0), 5), scene.people[0].place)]
    after = run(scene, pipeline, 0.5, start=0.5)
    assert [len(result.faces) for result in after] == [1] * 15
    assert not any(result.quality.good[0] for result in after[3:])
    assert batches == [1] + [0] * 29
    np.testing.assert_array_equal(after[-1].embeddings, before.embeddings)
    certainty = [float(result.smoothed[0].max()) for result in [before, *after]]
    assert certainty == sorted(certainty, reverse=True)
    assert after[-1].smoothed[0].argmax() == before.smoothed[0].argmax()


def test_a_face_that_never_could_be_read_is_unknown(recognizer: Recognizer, batches: list[int]) -> None:
    scene = crowd(1, side=12)
    results = run(scene, LivePipeline(scene, recognizer), 0.3)
    assert all(result.shown.tolist() == [-1] for result in results)
    assert batches == [1] + [0] * 8
    assert results[0].smoothed[0] == pytest.approx(1 / len(recognizer.classes))


def test_the_same_frames_and_times_give_the_same_results(recognizer: Recognizer) -> None:
    def once() -> list[LiveResult]:
        scene = crowd(6)
        scene.jitter = 0.03
        return run(scene, LivePipeline(scene, recognizer), 0.7)

    for first, second in zip(once(), once(), strict=True):
        np.testing.assert_array_equal(first.smoothed, second.smoothed)
        np.testing.assert_array_equal(first.prediction.proba, second.prediction.proba)
        np.testing.assert_array_equal(first.shown, second.shown)


def test_a_face_that_comes_back_is_known_and_one_that_is_forgotten_is_not(recognizer: Recognizer) -> None:
    scene = crowd(1)
    pipeline = LivePipeline(scene, recognizer)
    run(scene, pipeline, 0.5)
    scene.hidden = lambda now, number: now < 1.4
    run(scene, pipeline, 0.9, start=0.5)
    assert run(scene, pipeline, 0.3, start=1.4)[-1].track_ids.tolist() == [1]
    scene.hidden = lambda now, number: now < 5.0
    run(scene, pipeline, 3.3, start=1.7)
    assert pipeline._states == {}
    assert run(scene, pipeline, 0.3, start=5.0)[-1].track_ids.tolist() == [2]


def test_after_a_restart_faces_are_others(recognizer: Recognizer) -> None:
    scene = crowd(1)
    pipeline = LivePipeline(scene, recognizer)
    run(scene, pipeline, 0.2)
    pipeline.restart()
    assert run(scene, pipeline, 0.2, start=0.2)[0].track_ids.tolist() == [2]
    assert set(pipeline._states) == {2}


def test_the_frame_is_left_as_it_is(recognizer: Recognizer) -> None:
    scene = crowd(2)
    frame = scene.frame(0.0)
    LivePipeline(scene, recognizer).process(frame, 0.0)
    np.testing.assert_array_equal(frame, scene.frame(0.0))


def test_timings_are_the_stages_in_milliseconds(recognizer: Recognizer) -> None:
    ticks = iter([0.0, 0.001, 0.021, 0.024, 0.025, 0.033, 0.034, 0.0345])
    scene = crowd(1)
    result = LivePipeline(scene, recognizer, clock=lambda: next(ticks)).process(scene.frame(0.0), 0.0)
    stages = {"detect": 20, "track": 4, "crop": 1, "encode": 8, "search": 1, "ensemble": 0.5}
    assert result.timings_ms == pytest.approx(stages)


def test_rows_must_match(recognizer: Recognizer) -> None:
    scene = crowd(2)
    result = LivePipeline(scene, recognizer).process(scene.frame(0.0), 0.0)
    with pytest.raises(ValueError, match="track_ids: expected 2 rows, one per face, got 1"):
        replace(result, track_ids=result.track_ids[:1])
    with pytest.raises(ValueError, match="prediction: expected 0 rows, one per face, got 2"):
        replace(result, faces=Faces.empty(), track_ids=result.track_ids[:0])
    with pytest.raises(ValueError, match="smoothed: expected 7 columns, one per class, got 6"):
        replace(result, smoothed=result.smoothed[:, :6])


def test_a_masked_face_is_not_read_and_what_it_showed_fades(recognizer: Recognizer, batches: list[int]) -> None:
    def masked(scene: Scene, now: float) -> ByteArray:
        frame = scene.frame(now).copy()
        left, top, side, _ = scene.people[0].box(now)
        points = np.array([[4, 27], [24, 24], [44, 27], [42, 41], [33, 49], [15, 49], [6, 41]]) * side / 48 + (
            left,
            top,
        )
        cv2.fillPoly(frame, [points.round().astype(np.int32)], (200, 200, 200))
        return frame

    scene = Scene([Person(PEOPLE[0], still(150, 130, 120))], jitter=0.0)
    pipeline = LivePipeline(scene, recognizer)
    before = run(scene, pipeline, 1.0)[-1]
    read = sum(batches)
    assert before.quality.reasons == ("",)
    after = [pipeline.process(masked(scene, now), now) for now in (1.0 + step / 10 for step in range(1, 100))][-1]
    assert after.quality.reasons == ("mouth hidden",)
    assert after.shown.tolist() == [-1]
    assert after.prediction.unknown.tolist() == [True]
    assert sum(batches) == read
    assert face_document(after, 0)["quality"]["reason"] == "mouth hidden"
    assert live_label(after, 0, strong=False).text == "unsure · mouth hidden"
