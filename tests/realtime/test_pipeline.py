"""The pipeline is detect, crop and recognise, as one batch, and nothing else."""

import numpy as np
import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.crops import crop_faces
from moodspace.embeddings.detection.faces import Faces
from moodspace.embeddings.detection.quality import assess_crops
from moodspace.embeddings.encoder import Encoded
from moodspace.embeddings.pictures import to_crop
from moodspace.realtime.documents import face_documents
from moodspace.realtime.pipeline import FrameResult, Pipeline, WholePicture
from tests.realtime.fakes import ByteArray, FakeDetector, faces_at, noise


def test_process_is_detect_crop_and_recognise(pipeline: Pipeline, told: FakeDetector, recognizer: Recognizer) -> None:
    frame = noise()
    result = pipeline.process(frame, 3.5)
    expected = recognizer.predict(crop_faces(frame, told.faces.landmarks, recognizer.bundle.geometry))
    np.testing.assert_array_equal(result.prediction.proba, expected.proba)
    np.testing.assert_array_equal(result.faces.xywh, told.faces.xywh)
    assert (result.time, told.calls) == (3.5, 1)


def test_all_faces_are_one_batch(told: FakeDetector, recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []
    encode = recognizer.bundle.encoder.encode

    def counted(crops: ByteArray) -> Encoded:
        batches.append(crops.shape)
        return encode(crops)

    monkeypatch.setattr(recognizer.bundle.encoder, "encode", counted)
    Pipeline(told, recognizer).process(noise(), 0.0)
    assert batches == [(2, 48, 48)]


def test_same_frame_same_result_and_an_unchanged_frame(pipeline: Pipeline) -> None:
    frame = noise()
    first = pipeline.process(frame, 0.0)
    pipeline.process(noise(seed=1), 1.0)
    again = pipeline.process(frame, 2.0)
    np.testing.assert_array_equal(first.prediction.proba, again.prediction.proba)
    np.testing.assert_array_equal(frame, noise())


def test_a_frame_without_faces_has_an_empty_result(recognizer: Recognizer) -> None:
    result = Pipeline(FakeDetector(Faces.empty()), recognizer).process(noise(), 0.0)
    assert len(result.faces) == len(result.prediction) == 0
    assert result.prediction.classes == recognizer.classes


def test_timings_are_the_stages_in_milliseconds(told: FakeDetector, recognizer: Recognizer) -> None:
    ticks = iter([1.0, 1.020, 1.021, 1.0255])
    result = Pipeline(told, recognizer, clock=lambda: next(ticks)).process(noise(), 0.0)
    assert result.timings_ms == pytest.approx({"detect": 20, "crop": 1, "recognise": 4.5})


def test_a_whole_picture_is_one_face(recognizer: Recognizer) -> None:
    frame = noise(100, 80)
    result = WholePicture(recognizer).process(frame, 1.0)
    expected = recognizer.predict(to_crop(np.ascontiguousarray(frame[..., ::-1]))[None])
    np.testing.assert_array_equal(result.prediction.proba, expected.proba)
    assert result.faces.xywh.tolist() == [[0, 0, 80, 100]]
    assert list(result.timings_ms) == ["detect", "crop", "recognise"]


def test_a_whole_picture_of_the_crops_size_is_taken_as_it_is(recognizer: Recognizer) -> None:
    grey = noise(48, 48)[..., 0]
    result = WholePicture(recognizer).process(np.repeat(grey[..., None], 3, axis=2), 0.0)
    np.testing.assert_array_equal(result.prediction.proba, recognizer.predict(grey[None]).proba)
    np.testing.assert_allclose(result.faces.landmarks[0], recognizer.bundle.geometry.template, atol=1e-4)


def test_faces_and_predictions_must_match(pipeline: Pipeline) -> None:
    result = pipeline.process(noise(), 0.0)
    with pytest.raises(ValueError, match="prediction: expected 1 rows, one per face, got 2"):
        FrameResult(0.0, result.faces.take([0]), result.prediction, {})


def test_a_face_that_cannot_be_read_is_unknown_and_says_why(recognizer: Recognizer) -> None:
    faces = faces_at((10, 20, 40, 50), (60, 60, 40, 50), (5, 5, 9, 9))
    result = Pipeline(FakeDetector(faces), recognizer).process(noise(), 0.0)
    assert result.quality is not None
    assert result.quality.reasons[1:] == ("cut off", "too small")
    assert result.prediction.unknown[1:].all()
    first, second, third = face_documents(result, recognizer)
    assert (second["unknown"], second["quality"]["good"], second["quality"]["reason"]) == (True, False, "cut off")
    assert third["quality"]["reason"] == "too small"
    assert first["quality"]["reason"] in (None, "mouth hidden")


def test_a_whole_picture_that_is_blurred_away_is_unknown(recognizer: Recognizer) -> None:
    result = WholePicture(recognizer).process(np.full((48, 48, 3), 90, np.uint8), 0.0)
    assert result.quality is not None
    assert result.quality.reasons == ("blurred",)
    assert result.prediction.unknown.all()


def test_quality_has_a_row_a_face(pipeline: Pipeline) -> None:
    result = pipeline.process(noise(), 0.0)
    with pytest.raises(ValueError, match="quality: expected 2 rows, one per face, got 1"):
        FrameResult(
            0.0,
            result.faces,
            result.prediction,
            {},
            assess_crops(result.faces.take([0]), np.zeros((1, 48, 48), np.uint8)),
        )
