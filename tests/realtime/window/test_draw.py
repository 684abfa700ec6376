"""The drawn window: every part in its place and color at any size; the frame is not changed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moodspace.classifier.face_pictures import FacePictures
from moodspace.classifier.palette import COLORS
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.faces import Faces
from moodspace.realtime.baselines import FaceBaseline
from moodspace.realtime.drawing.canvas import AMBER, GRAY, GROUND, RED, Rectangle, from_hex
from moodspace.realtime.drawing.faces import draw_faces
from moodspace.realtime.window.draw import draw_live, live_label
from moodspace.realtime.window.holding import HeldView
from moodspace.realtime.window.overlays import Overlays
from moodspace.realtime.window.panel import Panel
from moodspace.realtime.window.state import ClassNameInput, ViewState, arrange
from tests.realtime.fakes import ByteArray, faces_at, noise
from tests.realtime.live_results import crowd, live_result, quality

FACE = (100, 80, 90, 110)
OPEN = ViewState(evidence=True, map=True, selected=1, fps=30, latency_ms=20)


@pytest.fixture(scope="module")
def panel(recognizer: Recognizer) -> Panel:
    return Panel(recognizer)


def count(picture: ByteArray, color: tuple[int, int, int]) -> int:
    return int((picture == color).all(axis=2).sum())


def part(picture: ByteArray, area: Rectangle) -> ByteArray:
    return picture[area.top : area.bottom, area.left : area.right]


@pytest.mark.parametrize("n", [0, 1, 4, 16])
@pytest.mark.parametrize(("width", "height"), [(640, 360), (1920, 1080)])
def test_the_frame_keeps_its_size_and_stays_as_it_is(
    recognizer: Recognizer, panel: Panel, n: int, width: int, height: int
) -> None:
    frame = noise(height, width)
    result = live_result(recognizer, crowd(n, width, height), ["happy"] * n)
    for view in (ViewState(), OPEN):
        drawn = draw_live(frame, result, view, panel)
        assert drawn.shape == frame.shape
        assert not np.shares_memory(drawn, frame)
        assert (drawn != frame).any() == bool(n or view.map)
    np.testing.assert_array_equal(frame, noise(height, width))


@settings(deadline=None, max_examples=80)
@given(
    frame=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    size=st.none() | st.tuples(st.integers(1, 1500), st.integers(1, 900)),
    n=st.integers(0, 5),
    parts=st.tuples(*[st.booleans()] * 6),
)
def test_anything_can_be_drawn_at_any_size(
    recognizer: Recognizer,
    panel: Panel,
    frame: tuple[int, int],
    size: tuple[int, int] | None,
    n: int,
    parts: tuple[bool, ...],
) -> None:
    evidence, with_map, helped, paused, recording, naming = parts
    view = ViewState(
        size=size,
        selected=2,
        evidence=evidence,
        map=with_map,
        positions={1: np.zeros(2, np.float32), 2: np.full(2, np.nan, np.float32)},
        help=helped,
        naming=ClassNameInput("a long name to type", noise(9, 7)[:, : 7 * (n % 2)]) if naming else None,
        message="something was done that needs many words to tell",
        paused=paused,
        recording="waiting for 5 faces, 1 in view" if recording else "",
        fps=29.9,
        latency_ms=17,
    )
    result = live_result(recognizer, crowd(n, frame[1], frame[0]), (["happy", "", "sad"] * 2)[:n])
    drawn = draw_live(noise(*frame), result, view, panel)
    assert drawn.dtype == np.uint8
    assert drawn.shape == ((size[1], size[0], 3) if size else (*frame, 3))


def test_box_and_label_have_the_expressions_color(recognizer: Recognizer) -> None:
    for name in recognizer.classes:
        drawn = draw_live(np.zeros((360, 640, 3), np.uint8), live_result(recognizer, faces_at(FACE), [name]))
        assert count(drawn, from_hex(COLORS[name])) > 500, name


def test_classes_that_were_taught_are_drawn(recognizer: Recognizer, panel: Panel) -> None:
    result = live_result(recognizer, faces_at(FACE), ["bored"], taught=("bored", "tired"))
    assert live_label(result, 0, strong=False).text == "bored 80%"
    drawn = draw_live(np.zeros((360, 640, 3), np.uint8), result, replace(OPEN, size=(960, 540)), panel)
    assert drawn.shape == (540, 960, 3)


def test_what_is_not_sure_is_grey_and_says_so(recognizer: Recognizer) -> None:
    result = live_result(recognizer, faces_at(FACE), [""])
    label = live_label(result, 0, strong=False)
    assert (label.text, label.tag, label.share, label.color) == ("unsure", "1", None, GRAY)
    assert count(draw_live(np.zeros((360, 640, 3), np.uint8), result), GRAY) > 500


def test_a_poor_picture_has_a_word(recognizer: Recognizer) -> None:
    small, large = faces_at((5, 5, 8, 9)), faces_at(FACE)
    assert quality(large).reasons[0] == ""
    assert quality(small, good=False).reasons[0] == "too small"
    assert quality(large, good=False, yaw=-70).reasons[0] == "turned away"
    assert quality(large, good=False).reasons[0] == "blurred"
    result = replace(live_result(recognizer, large, [""]), quality=quality(large, good=False))
    assert live_label(result, 0, strong=False).text == "unsure · blurred"


def test_the_selected_face_stands_out(recognizer: Recognizer) -> None:
    frame = np.zeros((360, 640, 3), np.uint8)
    result = live_result(recognizer, faces_at(FACE, (400, 80, 90, 110)), ["happy", "happy"])
    drawn = draw_live(frame, result, ViewState(selected=2))
    left, right = drawn[100:185, 60:230], drawn[100:185, 360:530]
    assert count(right, from_hex(COLORS["happy"])) > 1.5 * count(left, from_hex(COLORS["happy"]))


@pytest.mark.parametrize("ground", [0, 255])
def test_the_panel_lies_beside_the_picture_in_a_wide_window(recognizer: Recognizer, panel: Panel, ground: int) -> None:
    frame = np.full((360, 640, 3), ground, np.uint8)
    result, view = live_result(recognizer, faces_at(FACE), ["sad"]), replace(OPEN, size=(1280, 720))
    layout = arrange(frame.shape, view)
    assert layout.beside
    assert layout.panel is not None
    drawn = draw_live(frame, result, view, panel)
    assert layout.picture.right <= layout.panel.left
    assert count(part(drawn, layout.panel), from_hex(COLORS["sad"])) > 300
    assert count(part(drawn, layout.panel), GROUND) > 0.4 * layout.panel.width * layout.panel.height


@pytest.mark.parametrize("ground", [0, 255])
def test_the_panel_on_the_picture_is_dark_enough_for_its_letters(
    recognizer: Recognizer, panel: Panel, ground: int
) -> None:
    frame = np.full((360, 640, 3), ground, np.uint8)
    drawn = draw_live(frame, live_result(recognizer, Faces.empty(), []), OPEN, panel)
    layout = arrange(frame.shape, OPEN)
    assert not layout.beside
    assert layout.panel is not None
    below = part(drawn, layout.panel._replace(top=layout.panel.bottom - 12))
    assert np.median(below) < 60
    np.testing.assert_array_equal(drawn[100:, : layout.panel.left], frame[100:, : layout.panel.left])


def test_evidence_and_map_are_shown_when_asked_for(recognizer: Recognizer, panel: Panel) -> None:
    frame, result = np.zeros((540, 960, 3), np.uint8), live_result(recognizer, faces_at(FACE), ["happy"])

    def shown(**changes: bool) -> ByteArray:
        return draw_live(frame, result, replace(OPEN, size=(1260, 900), **changes), panel)

    both, no_evidence, no_map = shown(), shown(evidence=False), shown(map=False)
    assert (both[260:420, 970:] != no_evidence[260:420, 970:]).any()
    assert (both[600:, 970:] != no_map[600:, 970:]).any()
    bare = shown(evidence=False, map=False)
    assert arrange(frame.shape, replace(OPEN, size=(1260, 900), evidence=False, map=False)).panel is None
    assert count(bare[:, 970:], from_hex(COLORS["happy"])) == 0


def test_marks_tell_of_recording_and_pause(recognizer: Recognizer) -> None:
    frame, result = np.full((360, 640, 3), 255, np.uint8), live_result(recognizer, Faces.empty(), [])
    np.testing.assert_array_equal(draw_live(frame, result), frame)
    assert count(draw_live(frame, result, ViewState(recording="recording"))[:40, :120], RED) > 15
    waiting = draw_live(frame, result, ViewState(recording="waiting for 5 faces, 1 in view"))
    assert count(waiting[:40], RED) == 0
    assert count(waiting[:40], AMBER) > 5
    for words in ("sending", "recording, sending"):
        told = draw_live(frame, result, ViewState(recording=words))
        assert count(told[:40], RED) > 5 and count(told[:40], AMBER) == 0
    assert (draw_live(frame, result, ViewState(paused=True))[:40, :120] < 128).any()


@pytest.mark.parametrize(("height", "width"), [(360, 640), (1080, 1920)])
@pytest.mark.parametrize(
    "view",
    [
        ViewState(help=True),
        ViewState(message="taught"),
        ViewState(naming=ClassNameInput("a", noise())),
        ViewState(naming=ClassNameInput("a", None)),
    ],
)
def test_what_lies_over_the_picture_has_white_letters_on_a_dark_plate(
    recognizer: Recognizer, height: int, width: int, view: ViewState
) -> None:
    frame = np.full((height, width, 3), 255, np.uint8)
    drawn = draw_live(frame, live_result(recognizer, Faces.empty(), []), view)
    rows, columns = np.nonzero((drawn < 90).all(axis=2))
    plate = drawn[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert plate.shape[0] >= 18
    assert count(plate, (255, 255, 255)) > 20
    # Inside the picture, with the same room on both sides.
    assert abs(int(columns.min()) - (width - 1 - int(columns.max()))) <= 2
    assert 0 < rows.min() <= rows.max() < height - 1


NOTICES = [
    ViewState(message="taught: face 1 shows happy"),
    ViewState(naming=ClassNameInput("quizzical", noise())),
    ViewState(help=True),
    ViewState(recording="waiting for 5 faces, 1 in view", paused=True, fps=30, latency_ms=20),
    ViewState(naming=ClassNameInput("film", None)),
]


@pytest.mark.parametrize("view", NOTICES)
def test_nothing_shines_through_a_notice(recognizer: Recognizer, view: ViewState) -> None:
    result = live_result(recognizer, Faces.empty(), [])
    black, white = (draw_live(np.full((360, 640, 3), shade, np.uint8), result, view) for shade in (0, 255))
    same = (black == white).all(axis=2)
    assert same.sum() > 500
    # Letters are written anti-aliased on their plate, so a plate as a whole is the same on any picture.
    between = (~same) & ((black != 0).any(axis=2) | (white != 255).any(axis=2))
    assert between.sum() == 0


@pytest.mark.parametrize("view", [NOTICES[0], NOTICES[1], NOTICES[3]])
@pytest.mark.parametrize(
    "box",
    [(240, 2, 160, 330), (240, 300, 60, 40), (20, 40, 60, 60), (200, 10, 250, 300), (260, 180, 90, 60)],
    ids=["close-up", "low", "corner", "large", "middle"],
)
def test_no_notice_covers_the_label_of_a_face(
    recognizer: Recognizer, view: ViewState, box: tuple[int, int, int, int]
) -> None:
    frame = np.zeros((360, 640, 3), np.uint8)
    result = live_result(recognizer, faces_at(box), ["happy"])
    layout = arrange(frame.shape, view)
    overlays = Overlays(layout.picture, view, speed=True)
    boxes = np.array([box], np.float32)
    (label,) = draw_faces(frame.copy(), boxes, [live_label(result, 0, strong=False)], overlays.marks)
    plain = frame.copy()
    draw_faces(plain, boxes, [live_label(result, 0, strong=False)], overlays.marks)
    np.testing.assert_array_equal(part(draw_live(frame, result, view), label), part(plain, label))


def test_a_notice_stays_where_it_is_while_a_face_moves_a_little(recognizer: Recognizer) -> None:
    frame, view = np.zeros((360, 640, 3), np.uint8), NOTICES[0]
    drawn = []
    for shift in range(4):
        result = live_result(recognizer, faces_at((240 + shift, 330 - shift, 60, 25)), ["happy"])
        drawn.append(draw_live(frame, result, view)[:120])
    assert all((one == drawn[0]).all() for one in drawn)


def test_a_taught_neighbor_is_marked(recognizer: Recognizer, panel: Panel) -> None:
    frame, result = np.zeros((540, 960, 3), np.uint8), live_result(recognizer, faces_at(FACE), ["happy"])
    first, *others = result.nearest[0]
    taught = replace(result, nearest=((replace(first, taught=True), *others),))
    view = replace(OPEN, size=(1260, 700))
    assert count(draw_live(frame, result, view, panel), AMBER) == 0
    assert count(draw_live(frame, taught, view, panel), AMBER) > 20


def test_the_dots_on_the_map_have_the_faces_colors(recognizer: Recognizer, panel: Panel) -> None:
    frame = np.zeros((540, 960, 3), np.uint8)
    result = live_result(recognizer, faces_at(FACE, (300, 80, 90, 110)), ["angry", "sad"])
    view = replace(OPEN, size=(1260, 700), evidence=False)
    coordinates = recognizer.bundle.map_coordinates
    assert coordinates is not None
    positions = {1: coordinates[0], 2: coordinates[1], 3: coordinates[2]}
    area = (slice(300, None), slice(970, None))
    for name in ("angry", "sad"):
        without = draw_live(frame, result, view, panel)[area]
        dotted = draw_live(frame, result, replace(view, positions=positions), panel)[area]
        assert count(dotted, from_hex(COLORS[name])) >= count(without, from_hex(COLORS[name])) + 15


@pytest.mark.parametrize("size", [(960, 720), (640, 480)])
def test_known_faces_are_shown_with_their_pictures_where_there_are_some(
    recognizer: Recognizer, size: tuple[int, int]
) -> None:
    gallery = recognizer.bundle.index.gallery
    pictured = Recognizer(recognizer.bundle, recognizer.label_set)
    pictured.pictures = FacePictures(np.full((len(gallery), 48, 48), 201, np.uint8), gallery.ids)
    frame, result = noise(360, 640), live_result(recognizer, faces_at(FACE), ["happy"])
    view = replace(OPEN, size=size, map=False)
    plain, shown = (draw_live(frame, result, view, Panel(one)) for one in (recognizer, pictured))
    assert count(shown, (201, 201, 201)) > 200 and count(plain, (201, 201, 201)) < 20


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (640, 480), (320, 240), (60, 40), (9, 9)])
@pytest.mark.parametrize("n", [0, 1, 13, 24])
def test_collected_frames_fit_into_any_window(panel: Panel, recognizer: Recognizer, width, height, n: int) -> None:
    frame, result = noise(90, 120), live_result(recognizer, faces_at(FACE), ["happy"])
    crops = [np.full((48, 48), 203, np.uint8)] * n
    for marked in (None, *range(n)[:2]):
        held = HeldView("collecting face 1: 3 of 24", "c: stop", n / 24, crops, marked)
        drawn = draw_live(frame, result, ViewState(size=(width, height), held=held), panel)
        assert drawn.shape == (height, width, 3)
        if width > 300 and n:
            assert count(drawn, (203, 203, 203)) > 100 * n
            assert count(drawn, AMBER) > (100 if marked is not None else 5)


def test_the_ring_fills_with_the_share(panel: Panel, recognizer: Recognizer) -> None:
    frame, result = noise(90, 120), live_result(recognizer, faces_at(FACE), ["happy"])
    amber = [
        count(draw_live(frame, result, ViewState(size=(640, 480), held=HeldView("", "", share, [], None))), AMBER)
        for share in (0.0, 0.25, 0.5, 1.0)
    ]
    assert amber[0] == 0 and amber[1] > 20 and amber[1] * 1.6 < amber[2] < amber[3] / 1.6


@pytest.mark.parametrize(
    ("baseline", "text"),
    [
        (FaceBaseline(), "happy 80%"),
        (FaceBaseline(in_use=True), "happy 80% · baseline"),
        (FaceBaseline(left=2.3), "happy 80% · look relaxed 3 s"),
        (FaceBaseline(in_use=True, left=0.4), "happy 80% · look relaxed 1 s"),
    ],
)
def test_a_face_shows_that_it_has_a_baseline(recognizer: Recognizer, baseline: FaceBaseline, text: str) -> None:
    result = replace(live_result(recognizer, crowd(1, 300, 200), ["happy"]), baselines=(baseline,))
    assert live_label(result, 0, strong=False).text == text
