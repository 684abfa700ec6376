"""A line of JSON has everything of a frame, in numbers that JSON has."""

import json
from dataclasses import replace

import numpy as np
import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.capture.source import Frame
from moodspace.realtime.documents import live_document
from moodspace.realtime.pipeline import LiveResult
from tests.realtime.fakes import faces_at
from tests.realtime.live_results import live_result

FRAME = Frame("camera 0", 7, 1.23456, np.zeros((60, 80, 3), np.uint8), 30.0)


@pytest.fixture
def result(recognizer: Recognizer) -> LiveResult:
    faces = faces_at((10, 20, 40, 50), (60.04, 15, 30, 40))
    result = live_result(recognizer, faces, [recognizer.classes[2], ""])
    return replace(result, timings_ms={"detect": 10.5, "encode": 4.25})


def test_a_frame_is_described(result: LiveResult) -> None:
    document = live_document(FRAME, result)
    assert {name: document[name] for name in ("source", "frame", "time", "size")} == {
        "source": "camera 0",
        "frame": 7,
        "time": 1.235,
        "size": [80, 60],
    }
    assert document["timings_ms"] == {"detect": 10.5, "encode": 4.25, "total": 14.75}
    assert [face["id"] for face in document["faces"]] == [1, 2]
    assert document["faces"][1]["xywh"] == [60, 15, 30, 40]


def test_a_face_shows_its_label_or_is_unknown(result: LiveResult) -> None:
    sure, unsure = live_document(FRAME, result)["faces"]
    assert (sure["expression"], sure["unknown"]) == (result.prediction.classes[2], False)
    assert (unsure["expression"], unsure["unknown"]) == (None, True)


def test_smoothed_and_raw_probabilities_are_both_there(result: LiveResult) -> None:
    smoothed = np.roll(result.smoothed, 1, axis=1)
    face = live_document(FRAME, replace(result, smoothed=smoothed))["faces"][0]
    assert list(face["smoothed"]) == list(face["probabilities"]) == list(result.prediction.classes)
    np.testing.assert_allclose(list(face["smoothed"].values()), smoothed[0], atol=1e-6)
    np.testing.assert_allclose(list(face["probabilities"].values()), result.prediction.proba[0], atol=1e-6)


def test_quality_is_told(result: LiveResult) -> None:
    assert live_document(FRAME, result)["faces"][0]["quality"] == {
        "size": 50.0,
        "sharpness": 500.0,
        "yaw": 0.0,
        "good": True,
        "reason": None,
    }


def test_it_is_json_whatever_the_numbers(result: LiveResult) -> None:
    quality = replace(result.quality, yaw=np.array([np.nan, np.inf], np.float32))
    document = live_document(FRAME, replace(result, quality=quality, timings_ms={"detect": float("nan")}))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert [face["quality"]["yaw"] for face in document["faces"]] == [None, None]
    assert document["timings_ms"] == {"detect": None, "total": None}


def test_no_faces_are_a_line_too(recognizer: Recognizer) -> None:
    assert live_document(FRAME, live_result(recognizer, faces_at(), []))["faces"] == []
