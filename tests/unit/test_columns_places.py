"""Where the columns of a model stand in new tables: by name, whatever the order, and by position without names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.support.columns import fitted
from testtime.errors import InputError
from testtime.table.columns import TableColumns

FRAME = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=list("abc"))


def test_by_name_in_any_order_beside_others():
    columns, encoded = fitted(FRAME)
    assert np.array_equal(columns.transform(FRAME.assign(d=7.0)[["d", "c", "a", "b"]]).x, encoded.x)


def test_names_may_be_numbers():
    columns, encoded = fitted(FRAME.set_axis([3, 1, 2], axis=1))
    shuffled = FRAME.set_axis([3, 1, 2], axis=1)[[1, 2, 3]]
    assert np.array_equal(columns.transform(shuffled).x, encoded.x)


@pytest.mark.parametrize(("at_fit", "later"), [(list("abc"), [0, 1, 2]), ([0, 1, 2], list("abc"))])
def test_by_position_where_one_side_has_no_names(at_fit: list, later: list):
    columns, encoded = fitted(FRAME.set_axis(at_fit, axis=1))
    assert np.array_equal(columns.transform(FRAME.set_axis(later, axis=1)).x, encoded.x)


def test_positions_are_those_among_all_columns_of_the_fit():
    columns, encoded = fitted(FRAME.assign(b=1.0))
    assert columns.required == ("a", "c")
    assert np.array_equal(columns.transform(FRAME.set_axis([0, 1, 2], axis=1)).x, encoded.x)


@pytest.mark.parametrize("later", [list("abx"), ["a", "b", "c2", "d"], [0, 1], [0, 1, 2, 3]])
def test_other_names_or_another_number_of_columns_are_refused(later: list):
    columns = TableColumns().fit(FRAME)
    new = pd.DataFrame(np.zeros((5, len(later))), columns=later)
    absent = next(name for name in "abc" if name not in later)
    with pytest.raises(InputError, match=f"the table has no column '{absent}'.*; expected the 3 columns"):
        columns.transform(new)


def test_an_array_has_no_column_of_a_wider_table():
    columns = TableColumns().fit(FRAME.set_axis([0, 1, 2], axis=1))
    with pytest.raises(InputError, match="has no column '0' and 2 more"):
        columns.transform(FRAME.assign(d=7.0))


def test_only_columns_that_are_used_are_expected():
    columns = TableColumns().fit(FRAME.assign(b=1.0))
    with pytest.raises(InputError, match="has no column 'c'; expected the 2 columns that the model was"):
        columns.transform(FRAME[["a", "b"]])
