"""Positions in time that come beside a table, whatever they are written as."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from testtime.errors import InputError
from testtime.estimators.beside import moments
from testtime.table.columns import DataWarning

DAYS = pd.date_range("2021-01-01", "2021-10-12")


@pytest.mark.parametrize("form", ["%d.%m.%Y", "%Y-%m-%d", "%d/%m/%Y", "%d %B %Y"])
def test_text_is_read_as_it_is_in_a_column(form: str):
    assert (np.diff(moments(DAYS.strftime(form).tolist(), len(DAYS))) > 0).all()


def test_points_put_the_day_first_and_what_nothing_tells_is_said():
    dates = ["01.02.2021", "02.03.2021", "03.04.2021"]
    with pytest.warns(DataWarning, match="'01/02/2021': the month is taken to come first"):
        assert (np.diff(moments([date.replace(".", "/") for date in dates], 3)) > 0).all()
    assert np.diff(moments(dates, 3)).tolist() == [29 * 86_400e6, 32 * 86_400e6]


@pytest.mark.parametrize(
    "values",
    [
        [3, 10, 200],
        ["3", "10", "200"],
        pd.period_range("2020-01", periods=3, freq="M"),
        pd.to_timedelta([1, 2, 30], unit="h"),
        [dt.time(3), dt.time(5), dt.time(11)],
        [dt.date(2020, 1, 2), dt.date(2020, 2, 1), dt.date(2021, 1, 1)],
        pd.Series(pd.date_range("2020-03-28", periods=3, tz="Europe/Berlin")),
        np.array(["2020-01", "2020-02", "2021-01"], dtype="datetime64[M]"),
        ["2024-W05", "2024-W06", "2025-W01"],
    ],
)
def test_what_has_an_order_is_a_moment(values: object):
    assert (np.diff(moments(values, 3)) > 0).all()


def test_other_words_are_none():
    with pytest.raises(InputError, match="time holds 'soon'; expected numbers or dates"):
        moments(["2021-01-01", "2021-02-01", "soon"], 3)
    with pytest.raises(InputError, match="missing or infinite in 1 of 3 rows"):
        moments(["2021-01-01", None, "2021-02-01"], 3)
