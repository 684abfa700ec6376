"""The minimap: classes and dots at their positions, and dots that move toward the faces' neighbors."""

from dataclasses import replace

import numpy as np
import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.index.search import Neighbors
from moodspace.realtime.drawing.canvas import Rectangle
from moodspace.realtime.window.minimap import MapDots, Minimap
from tests.realtime.fakes import ByteArray, faces_at
from tests.realtime.live_results import live_result

RED, BLUE = (0, 0, 255), (255, 0, 0)
AREA = Rectangle(20, 10, 220, 110)


def minimap(spread: float = 0.2) -> Minimap:
    """Return a map with the first class at the upper left and the second at the lower right."""
    rng = np.random.default_rng(0)
    low, high = rng.normal([-5, 5], spread, (300, 2)), rng.normal([5, -5], spread, (300, 2))
    return Minimap(np.concatenate([low, high]).astype(np.float32), np.repeat([0, 1], 300), (RED, BLUE))


def drawn(places: dict[int, list[float]], selected: int | None = None) -> ByteArray:
    picture = np.full((120, 240, 3), 255, np.uint8)
    at = {one: np.array(place, np.float32) for one, place in places.items()}
    minimap().draw(picture, AREA, at, dict.fromkeys(at, (0, 255, 0)), selected)
    return picture


def middle(picture: ByteArray, color: tuple[int, int, int]) -> tuple[float, float]:
    rows, columns = np.nonzero((picture == color).all(axis=2))
    return float(columns.mean()), float(rows.mean())


def test_the_ground_shows_each_class_where_it_is() -> None:
    picture = drawn({})[AREA.top : AREA.bottom, AREA.left : AREA.right].astype(int)
    redder, bluer = picture[..., 2] - picture[..., 0] > 60, picture[..., 0] - picture[..., 2] > 60
    assert np.argwhere(redder).mean(axis=0)[0] < 20  # y points up
    assert np.argwhere(redder).mean(axis=0)[1] < 40
    assert np.argwhere(bluer).mean(axis=0)[0] > 80
    assert np.argwhere(bluer).mean(axis=0)[1] > 160


def test_nothing_is_drawn_around_it() -> None:
    picture = drawn({1: [-5, 5], 2: [5, -5], 3: [99, 99]})
    picture[AREA.top : AREA.bottom, AREA.left : AREA.right] = 255
    assert (picture == 255).all()


def test_a_dot_stands_where_its_face_does() -> None:
    left, top = middle(drawn({1: [0, 0]}), (0, 255, 0))
    assert left == pytest.approx(120, abs=2)
    assert top == pytest.approx(60, abs=2)
    left, top = middle(drawn({1: [-5, 5]}), (0, 255, 0))
    assert left < 45
    assert top < 25


def test_the_selected_dot_is_larger() -> None:
    def size(selected: int) -> int:
        return int((drawn({1: [0, 0]}, selected) == 255)[20:100, 50:190].all(axis=2).sum())

    assert size(1) > size(2)


def test_a_face_that_stands_nowhere_has_no_dot() -> None:
    np.testing.assert_array_equal(drawn({1: [np.nan, np.nan]}), drawn({}))


@pytest.mark.parametrize("n", [0, 1])
def test_a_map_of_next_to_nothing_can_be_drawn(n: int) -> None:
    picture = np.zeros((120, 240, 3), np.uint8)
    tiny = Minimap(np.ones((n, 2), np.float32), np.zeros(n, np.int64), (RED,))
    tiny.draw(picture, AREA, {1: np.ones(2, np.float32)}, {1: BLUE}, 1)
    assert picture.any()


def test_faces_move_half_of_the_way_in_a_fifth_of_a_second(recognizer: Recognizer) -> None:
    places = MapDots(recognizer.bundle)
    first = live_result(recognizer, faces_at((0, 0, 9, 9), (20, 0, 9, 9)), ["happy", "sad"])
    start = places.follow(first)
    swapped = replace(
        first,
        time=0.2,
        prediction=replace(first.prediction, neighbors=_swapped(first.prediction.neighbors)),
    )
    halfway = places.follow(swapped)
    for place in halfway.values():
        np.testing.assert_allclose(place, (start[1] + start[2]) / 2, atol=1e-5)
    assert set(places.follow(live_result(recognizer, faces_at(), [], time=0.3))) == set()


def test_without_a_map_nobody_stands_anywhere(recognizer: Recognizer) -> None:
    bare = replace(recognizer.bundle, map_coordinates=None)
    assert MapDots(bare).follow(live_result(recognizer, faces_at((0, 0, 9, 9)), ["happy"])) == {}


def _swapped(found: Neighbors) -> Neighbors:
    labels = {name: column[::-1] for name, column in found.labels.items()}
    return Neighbors(found.ids[::-1], labels, found.similarities[::-1], found.valid[::-1], found.sources[::-1])
