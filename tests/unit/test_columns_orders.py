"""Which of three numbers is the day, the month and the year: what a column shows, what is remembered, what is said."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from tests.support.columns import fitted
from testtime.errors import InputError
from testtime.table.columns import DataWarning, TableColumns
from testtime.table.columns.cells import read_cells
from testtime.table.columns.kinds.base import Habits
from testtime.table.columns.kinds.date import DateColumn

RNG = np.random.default_rng(0)
DAYS = pd.Timestamp("2019-01-01") + pd.to_timedelta(RNG.integers(0, 2000, 200), "D")
LONG = pd.Timestamp("1995-01-01") + pd.to_timedelta(RNG.integers(0, 10_000, 200), "D")
MONTHS = pd.date_range("2021-01-01", periods=36, freq="MS")


def in_days(dates: pd.DatetimeIndex) -> list[float]:
    return ((dates - pd.Timestamp(0)) / pd.Timedelta("1D")).tolist()


def read(
    values: object, new: object = ("2020-05-06",), **beside: object
) -> tuple[TableColumns, list, list, list]:
    """The columns, days of `values` and of `new`, and what is said of the new ones, but that some are missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        columns, encoded = fitted(pd.DataFrame({"c": values, **beside}))
    assert columns.records[0].kind == "date"
    columns = TableColumns.from_state(columns.to_state())
    others = {name: pd.Series([None] * len(list(new)), dtype=object) for name in beside}
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", DataWarning)
        found = columns.transform(pd.DataFrame({"c": new, **others})).x[:, 0].tolist()
    told = [str(one.message) for one in seen]
    return columns, encoded.x[:, 0].tolist(), found, [one for one in told if not one.startswith("Missing in")]


class TestYearsOfTwoDigits:
    @pytest.mark.parametrize("form", ["%y-%m-%d", "%y/%m/%d", "%y.%m.%d", "%y-%m-%d 00:00"])
    @pytest.mark.parametrize("days", [DAYS, LONG, DAYS[:40]], ids=["six years", "two centuries", "few rows"])
    def test_they_may_come_first(self, form: str, days: pd.DatetimeIndex):
        """Only 98-04-21 can be read in one way; else days run over a month and years do not."""
        columns, found, later, said = read(days.strftime(form), ["22-08-19", None, "24/05/06"])
        assert found == in_days(days)
        assert columns.records[0].parsed.endswith(", year first")
        assert columns.notes == ()
        assert [later[0], later[2]] == in_days(pd.DatetimeIndex(["2022-08-19", "2024-05-06"]))
        assert said == []

    @pytest.mark.parametrize("form", ["%d-%m-%y", "%d.%m.%y", "%m/%d/%y", "%d/%m/%y %H:%M", "%m-%d-%y"])
    @pytest.mark.parametrize(
        "days",
        [
            DAYS,
            LONG,
            DAYS[DAYS.year == 2022],
            pd.DatetimeIndex(pd.date_range("2001-01-01", "2026-12-31", freq="37D")),
        ],
        ids=["six years", "two centuries", "one year", "26 years"],
    )
    def test_or_last_as_ever(self, form: str, days: pd.DatetimeIndex):
        columns, found, _, _ = read(days.strftime(form))
        assert found == in_days(days)
        assert columns.notes == ()

    @pytest.mark.parametrize("form", ["01.%m.%y", "01-%m-%y", "15.%m.%y", "28-%m-%y"])
    def test_one_day_of_each_month_is_no_year(self, form: str):
        days = pd.date_range("2005-01-01", periods=220, freq="MS")
        columns, found, _, _ = read(days.strftime(form))
        assert found == in_days(days + pd.Timedelta(int(form[:2]) - 1, "D"))
        assert all("the day is taken to come first" in note for note in columns.notes)

    @pytest.mark.parametrize("freq", ["YE", "QE", "ME", "MS"])
    def test_ends_of_months_are_no_years(self, freq: str):
        """As plans reach ahead: years from 2001 to 2029 run like the days of a month."""
        days = pd.date_range("2001-01-01", "2029-12-31", freq=freq)
        columns, found, _, _ = read(days.strftime("%d.%m.%y"))
        assert found == in_days(days)
        assert all("though it may be the year" in note for note in columns.notes)

    def test_what_is_a_guess_is_said(self):
        kids = pd.date_range("2001-01-01", "2026-12-31", freq="37D")
        columns, found, _, _ = read(kids.strftime("%y-%m-%d"))
        assert found == in_days(kids)
        assert columns.notes == (
            "Column 'c' holds '01-02-07': the year is taken to come first, though it may be the day.",
        )
        columns, found, _, _ = read(["22-08-19", "22-08-20"])
        assert found == in_days(pd.DatetimeIndex(["2019-08-22", "2020-08-22"]))
        assert columns.notes == (
            "Column 'c' holds '22-08-19': the day is taken to come first, though it may be the year.",
        )

    def test_both_ways_in_one_column_are_said(self):
        columns, _, _, _ = read([*DAYS[:100].strftime("%d-%m-%y"), *DAYS[100:].strftime("%y-%m-%d")])
        assert "the day is taken to come first, though it may be the year" in columns.notes[0]

    def test_days_that_are_not_known_are_no_years(self):
        words = [
            ("00" if at % 25 == 0 else f"{day.day:02d}") + day.strftime(".%m.%y")
            for at, day in enumerate(DAYS)
        ]
        with pytest.warns(DataWarning, match="counted as missing: '00\\."):
            _, encoded = fitted(pd.DataFrame({"c": words}))
        assert np.isnan(encoded.x[::25, 0]).all()
        assert encoded.x[1:25, 0].tolist() == in_days(DAYS[1:25])

    def test_a_new_file_shows_its_own_order(self):
        _, _, found, said = read(DAYS.strftime("%d.%m.%y"), ["98-04-21", "22-08-19"])
        assert found == in_days(pd.DatetimeIndex(["1998-04-21", "2022-08-19"]))
        assert said == ["Dates of column 'c' have the year first; at fit it was the day."]
        _, _, found, said = read(DAYS.strftime("%y-%m-%d"), ["21.04.98", "19.08.22"])
        assert found == in_days(pd.DatetimeIndex(["1998-04-21", "2022-08-19"]))
        assert said == ["Dates of column 'c' have the day first; at fit it was the year."]

    @pytest.mark.parametrize("form", ["%Y-%m-%d", None])
    def test_also_where_fit_did_not_tell(self, form: str | None):
        fit = DAYS if form is None else DAYS.strftime(form)
        assert read(fit, DAYS.strftime("%y-%m-%d"))[2:] == (in_days(DAYS), [])
        assert read(fit, DAYS.strftime("%d.%m.%y"))[2:] == (in_days(DAYS), [])
        assert "may be the year" in read(fit, ["22-08-19"])[3][0]

    def test_dates_in_full_are_not_touched(self):
        mixed = [*DAYS[:100].strftime("%d/%m/%Y"), *DAYS[100:].strftime("%y-%m-%d")]
        assert read(mixed)[1] == in_days(DAYS)

    def test_they_tell_nothing_of_days_and_months_elsewhere(self):
        open_ = pd.DatetimeIndex(["2020-05-06", "2020-07-08"]).repeat(100)
        _, found, _, _ = read(open_.strftime("%m/%d/%Y"), d=DAYS.strftime("%y-%m-%d"))
        assert found == in_days(open_)

    def test_models_that_were_saved_before_are_read(self):
        old = DateColumn.model_validate({"name": "c", "form": "date", "day_first": True, "parts": ["year"]})
        told: list[str] = []
        cells = read_cells(pd.Series(["05/06/2020", "05/06/20"]), "c")
        days = old.transform(cells, Habits(), told)[0].values.tolist()
        assert (days, told) == (in_days(pd.DatetimeIndex(["2020-06-05"] * 2)), [])


class TestOneDayOfEachMonth:
    @pytest.mark.parametrize("form", ["01/%m/%Y", "1/%m/%Y", "01-%m-%Y", "01/%m/%y", "01.%m.%Y"])
    @pytest.mark.parametrize("n", [3, 12, 36])
    def test_what_is_always_1_is_the_day(self, form: str, n: int):
        columns, found, later, said = read(list(MONTHS[:n].strftime(form)) * 3, ["01/05/2020"])
        assert found == in_days(MONTHS[:n]) * 3
        if "." not in form:
            assert len(columns.notes) == 1
            assert columns.notes[0].endswith(
                "the day is taken to come first, since the first number, always 1, seems to be the day."
            )
        assert later == in_days(pd.DatetimeIndex(["2020-05-01"]))
        assert said == []

    def test_also_the_second_number(self):
        columns, found, _, _ = read(MONTHS.strftime("%m/01/%Y"), d=["31/12/2020", "30/12/2020"] * 18)
        assert found != in_days(MONTHS), "another column shows the day first"
        columns, found, _, _ = read(MONTHS.strftime("%m/01/%Y"))
        assert found == in_days(MONTHS)
        assert columns.notes == (
            "Column 'c' holds '02/01/2021': the month is taken to come first, since the second number, always 1, "
            "seems to be the day.",
        )

    @pytest.mark.parametrize(
        ("words", "first"),
        [
            (["01/02/2020", "01/03/2020"], "2020-01-02"),  # two are no months of a year
            (["05/02/2020", "05/03/2020", "05/04/2020", "05/06/2020"], "2020-05-02"),
            (["01/02/2020", "01/03/2020", "01/04/2020", "01/13/2020"], "2020-01-02"),
            (["01/02/2020", "01/03/2020", "01/04/2020", "02/05/2020"], "2020-01-02"),
            (["05.01.2020", "06.01.2020", "07.01.2020", "08.01.2020"], "2020-01-05"),  # a point says it
        ],
    )
    def test_otherwise_it_decides_nothing(self, words: list[str], first: str):
        assert read(words * 5)[1][:1] == in_days(pd.DatetimeIndex([first]))

    def test_what_other_columns_or_fit_show_comes_first(self):
        us = ["12/31/2020", "12/30/2020"] * 18
        january = [f"01/{day:02d}/2020" for day in range(1, 13)] * 3
        assert read(january, d=us)[1][1:2] == in_days(pd.DatetimeIndex(["2020-01-02"]))
        assert read(DAYS.strftime("%m/%d/%Y"), january[:12])[2][1:2] == in_days(
            pd.DatetimeIndex(["2020-01-02"])
        )
        assert read(DAYS, january[:12])[2][1:2] == in_days(pd.DatetimeIndex(["2020-02-01"]))

    def test_dates_that_are_none_are_refused_as_ever(self):
        with pytest.raises(InputError, match="expected dates, as at fit"):
            read(MONTHS.strftime("01/%m/%Y"), ["01/13/20201", "x"])


class TestMonthsWithTwoDigits:
    @pytest.mark.parametrize("n", [40, 400])
    def test_days_without_a_year_are_no_months_of_1930_and_2029(self, n: int):
        rng = np.random.default_rng(0)
        days = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 365, n), "D")
        words = [*days.strftime("%b-%d"), "Jan-31", "Jan-29"] * 2
        with pytest.warns(
            DataWarning, match="it looks like dates that are not read, such as '[A-Z][a-z]{2}-[0-9]{2}'"
        ):
            columns, _ = fitted(pd.DataFrame({"c": words}))
        assert columns.records[0].kind == "nominal"

    @pytest.mark.parametrize(
        ("first", "n"),
        [("1995-01", 60), ("2012-11", 30), ("2003-01", 250), ("1928-01", 500), ("1931-01", 12)],
    )
    def test_years_stay_years(self, first: str, n: int):
        months = pd.date_range(first, periods=n, freq="MS")
        months = months[months.year >= 1930]
        columns, found, _, said = read(list(months.strftime("%b-%y")) * 2, months.strftime("%b-%y"))
        assert found == in_days(months) * 2
        assert (columns.notes, said) == ((), [])

    @pytest.mark.parametrize("freq", ["MS", "YS"])
    def test_what_may_be_either_is_said(self, freq: str):
        """Years from 2001 to 2029 run like the days of a month."""
        months = pd.date_range("2001-01-01", "2029-12-01", freq=freq)
        columns, found, _, said = read(list(months.strftime("%b-%y")) * 2, months.strftime("%b-%y"))
        assert found == in_days(months) * 2
        doubt = "Column 'c' holds 'Jan-01': its number is taken for the year, though it may be the day."
        assert (columns.notes, said) == ((doubt,), [doubt])

    def test_days_that_are_asked_to_be_dates_are_months_with_a_doubt(self):
        words = pd.date_range("2023-01-01", periods=365).strftime("%b-%d")
        with pytest.warns(DataWarning, match="its number is taken for the year, though it may be the day"):
            fitted(pd.DataFrame({"c": words}), {"c": "date"})
