"""Detected faces are matched with tracked ones by position, size and appearance; the assignment is SciPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from moodspace.realtime.tracking.association import appearances, assign, associate, overlaps
from tests.drawn_faces import drawn_faces

CROPS = drawn_faces(3, seed=5).crops
SEEN = appearances(CROPS)
HERE = (100.0, 100.0, 50.0, 50.0)


def boxes(*xywh: tuple[float, ...]) -> np.ndarray:
    return np.array(xywh, np.float32).reshape(-1, 4)


def paired(expected, known, found, seen, *, undetected=0.1, whole=True) -> list[tuple[int, int]]:
    lost, part = np.full(len(expected), undetected), np.full(len(found), whole)
    return associate(expected, SEEN[known], lost, found, SEEN[seen], part)


def test_each_face_is_paired_with_the_one_in_its_place() -> None:
    expected, found = boxes(HERE, (300, 100, 50, 50)), boxes((305, 98, 52, 50), (98, 103, 50, 51), (500, 10, 50, 50))
    assert sorted(paired(expected, [0, 1], found, [1, 0, 2])) == [(0, 1), (1, 0)]


def test_between_two_positions_appearances_decide() -> None:
    expected, found = boxes((100, 100, 50, 50), (120, 100, 50, 50)), boxes((108, 100, 50, 50), (112, 100, 50, 50))
    alike = SEEN[0] + SEEN[1:2]
    known = np.vstack([SEEN[:1], alike / np.linalg.norm(alike)])
    assert known[0] @ known[1] > 0.5
    undetected, whole = np.full(2, 0.1), np.full(2, True)
    assert sorted(associate(expected, known, undetected, found, known[::-1], whole)) == [(0, 1), (1, 0)]
    assert sorted(associate(expected, known, undetected, found, known, whole)) == [(0, 0), (1, 1)]


def test_between_faces_that_look_the_same_positions_decide() -> None:
    expected, found = boxes((100, 100, 50, 50), (140, 100, 50, 50)), boxes((137, 100, 50, 50), (104, 100, 50, 50))
    assert sorted(paired(expected, [0, 0], found, [0, 0])) == [(0, 1), (1, 0)]


def test_nothing_far_away_is_paired_unless_it_was_out_of_sight_for_long() -> None:
    assert paired(boxes(HERE), [0], boxes((180, 100, 50, 50)), [0]) == []
    assert paired(boxes(HERE), [0], boxes((180, 100, 50, 50)), [0], undetected=0.8) == [(0, 0)]
    assert paired(boxes(HERE), [0], boxes((400, 100, 50, 50)), [0], undetected=60.0) == []


def test_a_face_of_twice_the_size_is_another_one() -> None:
    assert paired(boxes(HERE), [0], boxes((70, 70, 110, 110)), [0]) == []
    assert paired(boxes(HERE), [0], boxes((95, 95, 60, 60)), [0]) == [(0, 0)]


def test_a_face_that_looks_different_is_another_one_unless_it_may_be_hidden_in_part() -> None:
    found, other = boxes(HERE), appearances(255 - CROPS[:1])
    known, undetected = SEEN[:1], np.array([0.1])
    assert associate(boxes(HERE), known, undetected, found, other, np.array([True])) == []
    assert associate(boxes(HERE), known, undetected, found, other, np.array([False])) == [(0, 0)]


@pytest.mark.parametrize(("followed", "found"), [(0, 2), (2, 0), (0, 0)])
def test_nothing_is_paired_with_nothing(followed: int, found: int) -> None:
    some = boxes(*[HERE] * 2)
    assert paired(some[:followed], [0] * followed, some[:found], [0] * found) == []


def test_appearances_do_not_depend_on_the_light() -> None:
    darker = appearances((CROPS * 0.4 + 20).astype(np.uint8))
    assert (SEEN * darker).sum(axis=1).min() > 0.99
    assert np.linalg.norm(SEEN, axis=1) == pytest.approx(1)
    assert not appearances(np.full((1, 48, 48), 70, np.uint8)).any()
    assert appearances(CROPS[:0]).shape == (0, 64)


def test_overlaps_are_intersection_over_union() -> None:
    found = overlaps(boxes((0, 0, 10, 10)), boxes((0, 0, 10, 10), (5, 0, 10, 10), (20, 0, 5, 5), (0, 0, 0, 0)))
    assert found[0].tolist() == pytest.approx([1, 1 / 3, 0, 0])


SIZES = st.integers(0, 6).flatmap(lambda n: st.tuples(st.just(n), st.integers(max(n, 1), 8)))
COSTS = SIZES.flatmap(lambda shape: arrays(np.float64, shape, elements=st.integers(-5, 5).map(float)))


@given(COSTS)
def test_no_other_assignment_is_cheaper(cost: np.ndarray) -> None:
    columns = assign(cost)
    rows = np.arange(len(cost))
    assert len(set(columns.tolist())) == len(cost)
    assert cost[rows, columns].sum() == cost[linear_sum_assignment(cost)].sum()


def test_the_nearest_is_given_up_where_that_helps_the_whole() -> None:
    assert assign(np.array([[1.0, 2.0], [1.5, 9.0]])).tolist() == [1, 0]


def test_more_rows_than_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="got 3 rows and 2 columns"):
        assign(np.zeros((3, 2)))
