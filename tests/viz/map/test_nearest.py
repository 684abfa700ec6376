import numpy as np
import pytest

from moodspace.viz.map.projection import majority, nearest_others


def unit_rows(n: int, d: int = 5) -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("among", [None, 25, 3])
def test_the_most_similar_others_best_first(among: int | None) -> None:
    rows = unit_rows(60)
    cosines = (rows @ rows.T)[:, :among]
    np.fill_diagonal(cosines, -2)
    similarities, found = nearest_others(rows, 4, among)
    for row in range(60):
        wanted = [one for one in np.argsort(-cosines[row])[:4] if one != row]
        assert found[row, : len(wanted)].tolist() == wanted
        assert (found[row, len(wanted) :] == -1).all() and (similarities[row, len(wanted) :] == -1).all()
        assert similarities[row, : len(wanted)] == pytest.approx(cosines[row, wanted], abs=1e-6)


def test_a_face_with_many_copies_does_not_find_itself() -> None:
    rows = np.repeat(unit_rows(1), 30, axis=0)
    similarities, found = nearest_others(rows, 6)
    assert not (found == np.arange(30)[:, None]).any()
    assert (found >= 0).all() and similarities == pytest.approx(1)


@pytest.mark.parametrize("n", [0, 1])
def test_who_is_alone_finds_nobody(n: int) -> None:
    similarities, found = nearest_others(unit_rows(n), 3)
    assert found.tolist() == [[-1, -1, -1]] * n
    assert similarities.shape == (n, 3)


def test_the_majority_wins_and_the_first_of_equals() -> None:
    votes = np.array([[1, 1, 0], [2, 0, -1], [-1, -1, -1], [-1, 2, -1]])
    assert majority(votes, 3).tolist() == [1, 0, -1, 2]
    assert majority(np.full((2, 3), -1), 0).tolist() == [-1, -1]
