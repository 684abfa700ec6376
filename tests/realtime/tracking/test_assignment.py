"""The Hungarian method finds what SciPy's finds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from moodspace.realtime.tracking.assignment import assign

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
    with pytest.raises(ValueError, match="received 3 rows and 2 columns"):
        assign(np.zeros((3, 2)))
