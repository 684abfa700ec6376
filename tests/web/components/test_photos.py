"""What the Photo page shows and gives away, without a browser."""

import csv
import io
import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from moodspace.realtime.capture.files import open_source
from moodspace.realtime.predict import predict_source
from moodspace.web.components.face_cards import crop_row, face_cards, notice
from moodspace.web.components.photos import (
    Photo,
    analyze_photo,
    annotated,
    annotated_suffix,
    differences,
    safely,
)
from moodspace.web.components.results import as_csv, as_json, named_after
from moodspace.web.server.decoding import UploadError, decode_picture
from moodspace.web.server.settings import Limits
from tests.web.looked_at import PIPELINE, RECOGNIZER, recognize

BGR = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
SHADES = dict.fromkeys(RECOGNIZER.classes, "#123456")


@pytest.fixture
def photo() -> Photo:
    return analyze_photo("party.png", BGR, recognize, RECOGNIZER)


def decoded(content: bytes):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def test_the_json_is_that_of_predict(photo, tmp_path) -> None:
    path = tmp_path / "party.png"
    path.write_bytes(cv2.imencode(".png", BGR)[1])
    (expected,) = predict_source(open_source(str(path)), PIPELINE)
    assert json.loads(as_json([photo.document])) == expected | {"source": "party.png"}
    assert as_json([photo.document] * 2).count(b"\n") == 2


def test_the_table_has_a_row_a_face_and_a_column_a_class(photo) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv([photo.document]).decode())))
    assert [row["face"] for row in rows] == ["1", "2"]
    for row, face in zip(rows, photo.document["faces"], strict=True):
        assert [float(row[side]) for side in ("left", "top", "width", "height")] == face["xywh"]
        assert {name: float(row[name]) for name in RECOGNIZER.classes} == face["probabilities"]
        assert (row["neighbor"], float(row["similarity"])) == (
            face["neighbors"][0]["label"],
            face["neighbors"][0]["similarity"],
        )


def test_a_table_of_videos_tells_the_time_and_an_empty_one_has_a_head(photo) -> None:
    video = {"source": "a.mp4", "frames": [{"time": 0.5, "faces": photo.document["faces"]}, {"time": 1.0, "faces": []}]}
    rows = list(csv.DictReader(io.StringIO(as_csv([video]).decode())))
    assert [(row["source"], row["time"]) for row in rows] == [("a.mp4", "0.5")] * 2
    assert as_csv([{"source": "b.png", "faces": []}]).decode().startswith("source,time,face,")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("party.png", "party.json"),
        ("../../etc/passwd", "passwd.json"),
        ("C:\\x\\y.jpg", "y.json"),
        ("", "moodspace.json"),
    ],
)
def test_a_download_is_named_after_its_picture_without_its_folder(source, name) -> None:
    assert named_after(source, ".json") == name


@pytest.mark.parametrize(("name", "suffix", "mark"), [("a.JPG", ".jpg", b"\xff\xd8"), ("a.webp", ".png", b"\x89PNG")])
def test_the_annotated_picture_keeps_jpeg_and_has_boxes(name, suffix, mark) -> None:
    bgr = np.zeros((300, 400, 3), np.uint8)
    content = annotated(analyze_photo(name, bgr, recognize, RECOGNIZER), bgr)
    assert annotated_suffix(name) == suffix and content.startswith(mark)
    assert decoded(content).shape == (300, 400, 3) and decoded(content).any()


def test_a_page_shows_a_large_picture_smaller() -> None:
    large = analyze_photo("a.png", np.zeros((1500, 3000, 3), np.uint8), recognize, RECOGNIZER)
    assert decoded(large.shown).shape == (1000, 2000, 3)


def test_thumbnails_are_square_and_show_their_face() -> None:
    bgr = np.zeros((90, 120, 3), np.uint8)
    bgr[20:70, 10:50] = (0, 0, 255)
    first, second = (decoded(one) for one in analyze_photo("a.png", bgr, recognize, RECOGNIZER).thumbnails)
    assert first.shape == second.shape == (152, 152, 3)
    assert first[76, 76, 2] > 240 and second[76, 76].max() < 20


def test_a_card_tells_what_a_face_shows_and_why(photo) -> None:
    html = face_cards(photo.document["faces"], photo.thumbnails, SHADES)
    face = photo.document["faces"][0]
    assert html.count("<article") == 2 and "Face 2" in html
    assert f"{100 * face['confidence']:.0f} %" in html
    assert face["neighbors"][0]["source"] in html and f"{face['neighbors'][0]['similarity']:.3f}" in html


def test_a_card_says_why_it_differs_from_the_votes_beside_it(photo) -> None:
    says = ("Together, the neighbors vote <b>sad</b>.", "")
    html = face_cards(photo.document["faces"], photo.thumbnails, SHADES, says)
    assert html.count("Together, the neighbors vote &lt;b&gt;sad") == 1
    assert len(photo.reasons) == len(photo.result.faces)


def test_a_doubtful_face_is_called_unsure(photo) -> None:
    face = photo.document["faces"][0] | {"unknown": True}
    hidden = face | {"quality": {"good": False, "reason": "mouth hidden"}}
    assert "mouth hidden" in face_cards([hidden], [b""], SHADES)
    assert ",mouth hidden," in as_csv([{"source": "a.png", "faces": [hidden]}]).decode()
    assert "Unsure" in face_cards([face], [b""], SHADES)
    assert "Unsure" not in face_cards([face | {"unknown": False}], [b""], SHADES)


def test_names_from_anywhere_stay_text(photo) -> None:
    evil = '<img src=x onerror="alert(1)">'
    neighbor = {"id": 1, "label": evil, "similarity": 0.5, "source": evil}
    face = photo.document["faces"][0] | {"neighbors": [neighbor], "expression": evil, "probabilities": {evil: 1.0}}
    html = face_cards([face], [b""], {evil: "#000000"}) + notice(evil, evil) + crop_row([b""], evil)
    assert "<img src=x" not in html and len(re.findall("<img ", html)) == 2


def test_a_box_has_the_number_of_its_card(monkeypatch) -> None:
    texts: list[str] = []
    monkeypatch.setattr("moodspace.realtime.drawing.faces.write", lambda picture, text, *rest: texts.append(text))
    again = analyze_photo("a.jpg", np.zeros((480, 640, 3), np.uint8), recognize, RECOGNIZER)
    html = face_cards(again.document["faces"], again.thumbnails, SHADES)
    numbers = [text for text in texts if text.isdigit()]
    assert numbers == ["1", "2"] and all(f"Face {number}" in html for number in numbers)
    texts.clear()
    annotated(again, np.zeros((480, 640, 3), np.uint8))
    assert [text for text in texts if text.isdigit()] == numbers


@pytest.mark.parametrize("error", [MemoryError(), cv2.error("resize"), ValueError("/srv/secret"), RecursionError()])
def test_one_upload_that_fails_is_told_and_does_not_stop_the_others(error, caplog) -> None:
    def fail() -> None:
        raise error

    told = [safely(one) for one in (lambda: 1, fail, lambda: 2)]
    assert told[0] == 1 and told[2] == 2 and isinstance(told[1], UploadError)
    assert "could not be analyzed" in str(told[1]) and "secret" not in str(told[1]) and len(caplog.records) == 1
    known = safely(lambda: decode_picture(b"no picture", Limits()))
    assert isinstance(known, UploadError) and "\n" not in str(known) and len(caplog.records) == 1


def test_an_unsure_face_gets_no_reason_for_an_answer() -> None:
    def unsure(bgr):
        result = recognize(bgr)
        n = len(result.faces)
        votes = np.roll(result.prediction.knn_proba, 1, axis=1)
        prediction = replace(result.prediction, unknown=np.ones(n, bool), knn_proba=votes)
        return replace(result, prediction=prediction)

    assert analyze_photo("a.png", BGR, unsure, RECOGNIZER).reasons == ("", "")


def read_as(*expressions: str | None) -> Photo:
    """A result with faces that show these expressions, None for unknown."""
    faces = [{"expression": one or "sad", "unknown": one is None} for one in expressions]
    return Photo("a.png", None, {"faces": faces}, b"", (), (), {})


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (["happy"], ["happy"], "Both agree."),
        (["happy"], ["sad"], "They differ."),
        (["happy", None, "sad"], ["happy", None, "sad"], "Both agree on every face."),
        (["happy", None, "sad"], ["happy", "sad", "sad"], "They differ on face 2."),
        (["happy", "sad", "sad"], ["sad", "happy", "fear"], "They differ on faces 1, 2 and 3."),
    ],
)
def test_two_results_are_compared_face_by_face(one: list[str | None], other: list[str | None], words: str) -> None:
    assert differences(read_as(*one), read_as(*other)) == words
