"""Drawing changes only pixels at the faces, stays within the frame, and is readable on any picture."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moodspace.classifier.ensemble import Prediction
from moodspace.classifier.palette import COLORS
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.data.labels import FERPLUS_CLASSES
from moodspace.embeddings.detection.faces import Faces
from moodspace.realtime.drawing.canvas import class_colors
from moodspace.realtime.drawing.faces import Label, draw, draw_faces, label_of
from moodspace.realtime.pipeline import FrameResult
from tests.realtime.fakes import ByteArray, faces_at, noise


def shown(faces: Faces, recognizer: Recognizer, name: str = "happy", *, sure: bool = True) -> FrameResult:
    """Return a result in which all faces show this expression at 87 %."""
    n, classes = len(faces), recognizer.classes
    proba = np.full((n, len(classes)), 0.13 / (len(classes) - 1), np.float32)
    proba[:, classes.index(name)] = 0.87
    guess = recognizer.predict(np.zeros((n, 48, 48), np.uint8))
    return FrameResult(0.0, faces, replace(guess, proba=proba, unknown=np.full(n, not sure)), {})


def bgr(name: str) -> list[int]:
    return list(bytes.fromhex(COLORS[name][1:]))[::-1]


def changed(before: ByteArray, after: ByteArray) -> tuple[int, int, int, int]:
    """Return the first and last changed column and row: left, top, right, bottom."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def test_without_faces_the_frame_is_copied(recognizer: Recognizer) -> None:
    frame = noise()
    drawn = draw(frame, shown(Faces.empty(), recognizer))
    np.testing.assert_array_equal(drawn, frame)
    assert not np.shares_memory(drawn, frame)


def test_only_the_faces_surroundings_change(recognizer: Recognizer) -> None:
    frame = noise(360, 640)
    drawn = draw(frame, shown(faces_at((200, 150, 120, 140)), recognizer))
    np.testing.assert_array_equal(frame, noise(360, 640))
    left, top, right, bottom = changed(frame, drawn)
    assert 194 <= left <= 200
    assert 125 <= top < 140
    assert 319 <= right <= 326
    assert 289 <= bottom <= 296
    np.testing.assert_array_equal(drawn[160:280, 210:310], frame[160:280, 210:310])


def test_box_and_plate_have_the_expressions_color(recognizer: Recognizer) -> None:
    for name in recognizer.classes:
        drawn = draw(np.zeros((360, 640, 3), np.uint8), shown(faces_at((200, 150, 120, 140)), recognizer, name))
        count = (drawn == bgr(name)).all(axis=2).sum()
        assert count > 500, name


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_the_box_stands_out_on_any_ground(recognizer: Recognizer, ground: int) -> None:
    for name in ("happy", "sad", "neutral"):
        drawn = draw(np.full((360, 640, 3), ground, np.uint8), shown(faces_at((200, 150, 120, 140)), recognizer, name))
        line = drawn[220, 190:212].astype(int).mean(axis=1)
        assert np.abs(line - ground).max() > 60, name


@pytest.mark.parametrize(("height", "width"), [(360, 640), (1080, 1920)])
def test_letters_grow_with_the_frame(recognizer: Recognizer, height: int, width: int) -> None:
    frame = np.zeros((height, width, 3), np.uint8)
    box = (0.4 * width, 0.4 * height, 0.2 * width, 0.3 * height)
    _, top, _, _ = changed(frame, draw(frame, shown(faces_at(box), recognizer)))
    assert 0.045 < (box[1] - top) / height < 0.065


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.lists(st.tuples(*[st.floats(-3e4, 3e4, width=32)] * 2, *[st.floats(0, 3e4, width=32)] * 2), max_size=4),
)
def test_any_box_in_any_frame_can_be_drawn(
    recognizer: Recognizer, height: int, width: int, boxes: list[tuple[float, float, float, float]]
) -> None:
    drawn = draw(np.zeros((height, width, 3), np.uint8), shown(faces_at(*boxes), recognizer))
    assert drawn.shape == (height, width, 3)
    assert drawn.any() == bool(boxes)


@pytest.mark.parametrize("box", [(-30, -20, 120, 90), (540, -5, 120, 90), (-9, 300, 120, 90), (540, 320, 120, 90)])
def test_a_label_at_the_border_is_whole(recognizer: Recognizer, box: tuple[float, float, float, float]) -> None:
    """A label at the border has as many text pixels as one in the middle."""
    frame = np.full((360, 640, 3), 128, np.uint8)

    def ink(xywh: tuple[float, float, float, float]) -> int:
        return int((draw(frame, shown(faces_at(xywh), recognizer)) == 0).all(axis=2).sum())

    assert ink(box) == ink((300, 150, 120, 90)) > 50


def test_a_label_gives_way_to_a_face_above(recognizer: Recognizer) -> None:
    frame = np.zeros((360, 640, 3), np.uint8)
    above, below = (200, 60, 120, 120), (200, 190, 120, 120)
    drawn = draw(frame, shown(faces_at(below, above), recognizer))
    assert not drawn[70:170, 210:310].any()  # the upper face is not covered


def test_a_small_face_in_a_large_frame_has_a_small_label(recognizer: Recognizer) -> None:
    frame = np.zeros((1080, 1920, 3), np.uint8)
    left, top, right, _ = changed(frame, draw(frame, shown(faces_at((900, 500, 60, 70)), recognizer)))
    assert right - left < 130
    assert top > 470


def test_a_label_that_would_hide_neighbors_is_shortened() -> None:
    frame, faces = np.zeros((1080, 1920, 3), np.uint8), faces_at((900, 500, 30, 40))

    def width(label: Label) -> int:
        drawn = frame.copy()
        draw_faces(drawn, faces.xywh, [label])
        left, _, right, _ = changed(frame, drawn)
        return right - left

    whole = Label("surprise 87%", (0, 255, 255), tag="1")
    assert width(replace(whole, short="surprise")) < width(whole) - 20
    assert width(replace(whole, short="surprise", strong=True)) >= width(whole)


def test_what_is_not_sure_says_so(recognizer: Recognizer) -> None:
    result = shown(faces_at((1, 2, 3, 4)), recognizer, sure=False)
    assert label_of(result.prediction, 0).text == "unsure"
    assert label_of(result.prediction, 0, "mouth hidden").text == "unsure · mouth hidden"
    assert label_of(shown(result.faces, recognizer).prediction, 0) == Label("happy 87%", tuple(bgr("happy")), "happy")


def test_classes_of_the_users_own_have_colors_of_their_own(recognizer: Recognizer) -> None:
    prediction = shown(faces_at((1, 2, 3, 4)), recognizer).prediction
    names = ("angry", "happy", "müde", "bored", "neutral", "sad", "surprise")
    own: Prediction = replace(prediction, classes=names, proba=np.eye(7, dtype=np.float32)[2:3])
    assert label_of(own, 0) == Label("müde 100%", class_colors(names)[2], "müde")
    assert len(set(class_colors(names))) == len(names)


def test_every_expression_has_a_color_of_its_own() -> None:
    assert set(COLORS) == set(FERPLUS_CLASSES)
    assert len(set(COLORS.values())) == len(COLORS)
    assert all(len(bytes.fromhex(color.removeprefix("#"))) == 3 for color in COLORS.values())


def written(monkeypatch: pytest.MonkeyPatch, frame: ByteArray, result: FrameResult, *, numbered: bool) -> list[str]:
    """Return the texts drawn at each face, tags and texts as separate items."""
    texts: list[str] = []
    monkeypatch.setattr("moodspace.realtime.drawing.faces.write", lambda picture, text, *rest: texts.append(text))
    draw(frame, result, numbered=numbered)
    return texts


def test_faces_of_a_picture_are_numbered_in_their_order(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, faces = noise(400, 600), faces_at((20, 60, 150, 150), (220, 60, 150, 150), (420, 60, 150, 150))
    texts = written(monkeypatch, frame, shown(faces, recognizer), numbered=True)
    assert texts[::2] == ["1", "2", "3"] and all(text.startswith("happy") for text in texts[1::2])


def test_a_number_stays_where_nothing_else_has_room(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = faces_at(*((20 + 30 * at, 60, 14, 14) for at in range(29)))
    texts = written(monkeypatch, noise(400, 900), shown(faces, recognizer), numbered=True)
    assert texts == [str(number) for number in range(1, 30)]
    unsure = shown(faces, recognizer, sure=False)
    assert written(monkeypatch, noise(400, 900), unsure, numbered=True) == texts


def test_a_face_alone_and_a_frame_of_a_video_have_no_number(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, alone = noise(400, 600), faces_at((20, 60, 150, 150))
    assert len(written(monkeypatch, frame, shown(alone, recognizer), numbered=True)) == 1
    two = shown(faces_at((20, 60, 150, 150), (220, 60, 150, 150)), recognizer)
    assert len(written(monkeypatch, frame, two, numbered=False)) == 2
