"""A label takes the place that covers least of the other faces and labels; of equal ones the first."""

import numpy as np

from moodspace.realtime.drawing.canvas import Rectangle
from moodspace.realtime.drawing.faces import _covered, _place

PICTURE = (200, 300, 3)
BOX = Rectangle(100, 80, 150, 130)


def test_a_label_stands_above_its_box_if_nothing_is_there() -> None:
    assert _place((60, 20), BOX, PICTURE, []) == Rectangle(100, 60, 160, 80)


def test_a_label_moves_below_its_box_if_something_is_above() -> None:
    assert _place((60, 20), BOX, PICTURE, [Rectangle(90, 50, 130, 70)]) == Rectangle(100, 130, 160, 150)


def test_the_place_that_covers_least_wins() -> None:
    taken = [Rectangle(90, 50, 170, 80), Rectangle(100, 130, 110, 150), Rectangle(100, 80, 160, 100)]
    assert _place((60, 20), BOX, PICTURE, taken).top == BOX.bottom


def test_covered_pixels_count_once_for_each_that_takes_them() -> None:
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 100, (12, 2, 2))
    boxes = [Rectangle(*np.concatenate([c.min(axis=0), c.max(axis=0) + 1]).tolist()) for c in corners]
    wanted = [sum(place.shared(other) for other in boxes[3:]) for place in boxes[:3]]
    assert _covered(boxes[:3], boxes[3:]).tolist() == wanted
    assert _covered(boxes[:3], []).tolist() == [0, 0, 0]
