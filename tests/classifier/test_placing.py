import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from moodspace.classifier.map_positions import map_positions
from moodspace.index.search import Neighbors

MAP = np.array([[0, 0], [10, 0], [7, 7]], np.float32)


def neighbors(similarities: np.ndarray | list[list[float]], valid: np.ndarray | list[list[bool]]) -> Neighbors:
    cosines = np.array(similarities, np.float32)
    ids = np.tile(np.arange(cosines.shape[1]), (len(cosines), 1))
    return Neighbors(ids, {}, cosines, np.array(valid, bool).reshape(cosines.shape), np.zeros(cosines.shape, "U1"))


def test_equal_neighbours_pull_equally() -> None:
    places = map_positions(neighbors([[0.9, 0.9]], [[True, True]]), np.array([[0, 1]]), MAP)
    np.testing.assert_allclose(places, [[5, 0]], atol=1e-5)


def test_the_closer_neighbour_pulls_more() -> None:
    ((x, y),) = map_positions(neighbors([[0.92, 0.9]], [[True, True]]), np.array([[0, 1]]), MAP)
    assert 1 < x < 4
    assert y == 0


@pytest.mark.parametrize("similarity", [-1.0, 0.0, 1.0])
def test_one_neighbour_is_the_place(similarity: float) -> None:
    assert map_positions(neighbors([[similarity]], [[True]]), np.array([[2]]), MAP).tolist() == [[7, 7]]


def test_neighbours_that_are_missing_or_not_on_the_map_do_not_pull() -> None:
    found = neighbors([[0.5, 0.99], [0.5, 0.99]], [[True, False], [True, True]])
    assert map_positions(found, np.array([[2, 1], [2, -1]]), MAP).tolist() == [[7, 7]] * 2


def test_without_neighbours_there_is_no_place() -> None:
    assert np.isnan(map_positions(neighbors([[0.9, 0.8]], [[False, False]]), np.array([[0, 1]]), MAP)).all()
    on_nothing = map_positions(neighbors([[0.9]], [[True]]), np.array([[-1]]), np.empty((0, 2), np.float32))
    assert np.isnan(on_nothing).all()


def test_nobody() -> None:
    nobody = neighbors(np.zeros((0, 5)), np.zeros((0, 5), bool))
    assert map_positions(nobody, np.zeros((0, 5), np.int64), MAP).shape == (0, 2)


@given(
    arrays(np.float32, (6, 2), elements=st.floats(-20, 20, width=32)),
    arrays(np.float32, (3, 4), elements=st.floats(-1, 1, width=32)),
    arrays(np.int64, (3, 4), elements=st.integers(0, 5)),
)
def test_a_face_stays_among_its_neighbours(spots: np.ndarray, similarities: np.ndarray, rows: np.ndarray) -> None:
    places = map_positions(neighbors(similarities, np.ones((3, 4), bool)), rows, spots)
    assert (places >= spots[rows].min(axis=1) - 1e-4).all()
    assert (places <= spots[rows].max(axis=1) + 1e-4).all()
