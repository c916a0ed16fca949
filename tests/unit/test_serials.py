"""Days of a spreadsheet among dates."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from testtime.errors import InputError
from testtime.table.columns import TableColumns

DAYS = pd.date_range("2020-01-01", periods=200)
SINCE_1970 = ((DAYS - pd.Timestamp(0)) / pd.Timedelta("1D")).to_numpy(np.float64)
EPOCH = pd.Timestamp("1899-12-30")


def mixed(form: str = "%d/%m/%Y", every: int = 5) -> list[object]:
    return [
        str((day - EPOCH).days) if place % every == 0 else day.strftime(form)
        for place, day in enumerate(DAYS)
    ]


def fit(cells: Sequence[object]) -> TableColumns:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TableColumns().fit(pd.DataFrame({"c": pd.Series(cells, dtype=object)}))


def days(columns: TableColumns, cells: Sequence[object]) -> list[float]:
    return columns.transform(pd.DataFrame({"c": pd.Series(cells, dtype=object)})).x[:, 0].tolist()


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%Y-%m-%d", "%d %b %Y"])
def test_they_are_the_days_that_they_count(form: str):
    columns = fit(mixed(form))
    assert columns.records[0].kind == "date"
    assert (
        "Column 'c' holds numbers among dates, read as days of a spreadsheet: '43831' is 2020-01-01."
        in columns.notes
    )
    assert days(columns, mixed(form)) == SINCE_1970.tolist()


def test_also_as_cells_of_several_types():
    cells = [(day - EPOCH).days if place % 2 else day.to_pydatetime() for place, day in enumerate(DAYS)]
    assert days(fit(cells), cells) == SINCE_1970.tolist()


def test_new_rows_are_read_as_at_fit_whatever_stands_beside_them():
    columns = fit(mixed())
    assert days(columns, ["43831.25"]) == [SINCE_1970[0] + 0.25]
    assert days(columns, ["43831", "1 Mar 2020"]) == [SINCE_1970[0], SINCE_1970[60]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it was said at fit
        days(columns, ["43831"])
    with pytest.raises(InputError, match="'99999'; expected dates"):
        days(columns, ["99999"])  # of 2173
    with pytest.raises(InputError, match="'43831'; expected dates"):
        days(fit([day.strftime("%d/%m/%Y") for day in DAYS]), ["43831", "01/02/2020"])


def test_numbers_far_from_the_dates_are_no_days():
    columns = fit([*mixed("%Y-%m-%d", 10_000)[1:], "12345"])  # 1933
    assert columns.records[0].missing == 1


def test_a_few_dates_among_numbers_make_no_days_of_them():
    cells = [str(43_831 + i) for i in range(95)] + ["2020-01-01"] * 5
    assert fit(cells).records[0].kind != "date"


def test_what_was_read_is_kept_when_saved():
    columns = fit(mixed())
    again = TableColumns.from_state(json.loads(json.dumps(columns.to_state())))
    assert days(again, ["43831"]) == [SINCE_1970[0]]
