"""Documents follow the schema, tell of groups by the recorder's rule, and of single faces only where asked to."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.documents import VERSION, live_document, mark_document
from tests.realtime.fakes import faces_at
from tests.realtime.live_results import live_result
from tests.realtime.sinks.made_documents import check, frame, group_of, schema


def test_the_schema_is_one() -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(schema())
    assert schema()["$id"].endswith(f":{VERSION}")
    for kind in ("frame", "mark"):
        assert schema()["$defs"][kind]["properties"]["version"]["const"] == VERSION


@pytest.mark.parametrize("count", [0, 1, 4, 5, 9])
@pytest.mark.parametrize("individuals", [False, True])
def test_frames_follow_the_schema(recognizer: Recognizer, count: int, individuals: bool) -> None:
    document = check(live_document(frame(), group_of(recognizer, count), individuals=individuals))
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_marks_follow_the_schema() -> None:
    assert check(mark_document("stimulus", 12.5, by="key")) == {
        "kind": "mark", "version": VERSION, "source": None, "frame": None, "time": None, "captured": 12.5,
        "label": "stimulus", "by": "key",
    }  # fmt: skip
    check(mark_document("stimulus", 12.5, by="lsl", source="camera 0", frame=3, time=0.1))


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("kind", "other"), ("version", VERSION + 1), ("frame", -1), ("captured", None), ("group", {}), ("size", [80])],
)
def test_the_schema_refuses_other_documents(recognizer: Recognizer, field: str, wrong: Any) -> None:
    from jsonschema import ValidationError

    document = live_document(frame(), group_of(recognizer, 5))
    with pytest.raises(ValidationError):
        check({**document, field: wrong})
    with pytest.raises(ValidationError):
        check({name: value for name, value in document.items() if name != field})


def test_the_schema_describes_every_field(recognizer: Recognizer) -> None:
    parts = schema()["$defs"]
    document = live_document(frame(), group_of(recognizer, 5))
    face = document["faces"][0]
    pairs = [
        (document, parts["frame"]),
        (document["group"], parts["group"]),
        (face, parts["face"]),
        (face["quality"], parts["face"]["properties"]["quality"]),
        (mark_document("a", 0.0, by="key"), parts["mark"]),
    ]
    for told, part in pairs:
        assert list(told) == list(part["properties"]) == part["required"]


def test_the_moment_of_capture_is_told(recognizer: Recognizer) -> None:
    document = live_document(frame(7), group_of(recognizer, 1))
    assert (document["frame"], document["captured"]) == (7, 1_000_000.95)


def test_a_group_is_told_as_the_recorder_does(recognizer: Recognizer) -> None:
    result = group_of(recognizer, 6)
    good = np.array([True] * 5 + [False])
    smoothed = np.roll(result.smoothed, 1, axis=0)
    smoothed[:2] = np.roll(smoothed[:2], 1, axis=1)
    shown = result.shown.copy()
    shown[0] = -1
    result = replace(result, smoothed=smoothed, shown=shown, quality=replace(result.quality, good=good))
    group = live_document(frame(), result)["group"]
    assert (group["faces"], group["readable"], group["unsure"], group["withheld"]) == (6, 5, 1, None)
    np.testing.assert_allclose(list(group["shares"].values()), smoothed[:5].mean(axis=0), atol=5e-5)
    assert list(group["shares"]) == list(result.prediction.classes)


def test_a_small_group_is_withheld(recognizer: Recognizer) -> None:
    group = live_document(frame(), group_of(recognizer, 4))["group"]
    assert group == {
        "min_group": 5, "faces": None, "readable": None, "unsure": None, "shares": None,
        "withheld": "fewer than 5 faces",
    }  # fmt: skip
    assert live_document(frame(), group_of(recognizer, 4), min_group=4)["group"]["readable"] == 4


def test_faces_in_view_that_cannot_be_read_do_not_make_a_group(recognizer: Recognizer) -> None:
    result = group_of(recognizer, 5)
    result = replace(result, quality=replace(result.quality, good=np.array([True] * 4 + [False])))
    group = live_document(frame(), result)["group"]
    assert (group["faces"], group["readable"], group["shares"]) == (5, None, None)
    assert group["withheld"] == "fewer than 5 faces that could be read"


def test_without_individuals_nothing_of_a_single_face_and_no_folder_is_told(recognizer: Recognizer) -> None:
    result = live_result(recognizer, faces_at((10, 20, 40, 50)), [recognizer.classes[2]])
    document = live_document(frame(), result, individuals=False)
    assert document["faces"] is None and document["source"] == "clip.mp4"
    assert recognizer.classes[2] not in json.dumps(document) and "anna" not in json.dumps(document)
    whole = live_document(frame(), result)
    assert whole["faces"][0]["expression"] == recognizer.classes[2] and whole["source"] == "/home/anna/talks/clip.mp4"


@pytest.mark.parametrize("source", ["camera 0", "rtsp://10.0.0.2/stream"])
def test_cameras_and_streams_keep_their_names(recognizer: Recognizer, source: str) -> None:
    document = live_document(frame(source=source), group_of(recognizer, 1), individuals=False)
    assert document["source"] == source


def test_a_windows_folder_is_left_out_too(recognizer: Recognizer) -> None:
    document = live_document(frame(source=r"C:\Users\anna\clip.mp4"), group_of(recognizer, 1), individuals=False)
    assert document["source"] == "clip.mp4"
