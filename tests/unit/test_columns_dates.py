"""Dates as programs and people of all countries write them; what looks like one and is not read is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.support.columns import fitted
from testtime.errors import InputError
from testtime.table.columns import DataWarning, TableColumns

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")
RNG = np.random.default_rng(0)
SECONDS = pd.Timestamp("2018-01-01") + pd.to_timedelta(RNG.integers(0, 1800 * 86_400, 120), "s")
DAYS = SECONDS.floor("D")
MONTHS = pd.date_range("2019-03-01", periods=48, freq="MS")


def read(values: object, new: object | None = None) -> list[float]:
    """Days of a column that is read as dates, or of new values of it."""
    columns, encoded = fitted(pd.DataFrame({"c": values}))
    assert columns.records[0].kind == "date", columns.records[0]
    if new is not None:
        encoded = columns.transform(pd.DataFrame({"c": new}))
    return encoded.x[:, 0].tolist()


def in_days(dates: pd.DatetimeIndex) -> list[float]:
    return ((dates - pd.Timestamp(0)) / pd.Timedelta("1D")).tolist()


def notes(values: object) -> tuple[str, list[str]]:
    columns, _ = fitted(pd.DataFrame({"c": values, "z": np.arange(len(list(values))) ** 2}))
    return columns.records[0].kind, [
        note for note in columns.notes if "looks like dates that are not read" in note
    ]


class TestForms:
    @pytest.mark.parametrize(
        "form",
        [
            "%d%b%Y",  # SAS
            "%d%b%y",
            "%Y-%b-%d",
            "%b-%d-%Y",
            "%Y. %m. %d.",
            "%Y.%m.%d.",
            "%d. %m. %Y",
            "%Y年%m月%d日",
            "%Y년 %m월 %d일",
            "%d de %B de %Y",
            "%d/%b/%Y",
        ],
    )
    def test_days(self, form: str):
        assert read(DAYS.strftime(form)) == in_days(DAYS)
        assert read(DAYS.strftime(form).str.lower()) == in_days(DAYS)

    @pytest.mark.parametrize(
        "form",
        [
            "%d%b%Y %H:%M:%S",  # Stata
            "%d%b%Y:%H:%M:%S",  # SAS
            "%d-%b-%y %I.%M.%S %p",  # Oracle
            "%d-%b-%y %I.%M.%S.000000 %p",
            "%a %b %d %H:%M:%S %Y",  # C
            "%a %b %d %H:%M:%S UTC %Y",
            "%d/%b/%Y:%H:%M:%S +0000",
            "%Y%m%d%H%M%S",
        ],
    )
    def test_points_in_time(self, form: str):
        assert read(SECONDS.strftime(form)) == pytest.approx(in_days(SECONDS), abs=1e-9)

    @pytest.mark.parametrize(
        "form", ["%m-%Y", "%m/%Y", "%YM%m", "%Ym%m", "%b%Y", "%Y %b", "%Y年%m月", "%B de %Y", "%Y-%b"]
    )
    def test_months(self, form: str):
        assert read(list(MONTHS.strftime(form)) * 2) == in_days(MONTHS) * 2

    @pytest.mark.parametrize(
        ("zone", "hours"), [("CET", 1), ("CEST", 2), ("EST", -5), ("PDT", -7), ("UTC", 0), ("MESZ", 2)]
    )
    def test_zones(self, zone: str, hours: int):
        words = SECONDS.strftime(f"%Y-%m-%d %H:%M:%S {zone}")
        assert read(words) == pytest.approx(in_days(SECONDS - pd.Timedelta(hours=hours)), abs=1e-9)

    @pytest.mark.parametrize(
        "months",
        [
            "jan fev mar abr mai jun jul ago set out nov dez",
            "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        ],
        ids=["short", "in full"],
    )
    def test_months_of_portuguese(self, months: str):
        words = [f"{day.day}/{months.split()[day.month - 1]}/{day.year}" for day in DAYS]
        assert read(words) == in_days(DAYS)


class TestDigitsAlone:
    @pytest.mark.parametrize("form", ["%Y%m%d%H%M%S", "%Y%m%d%H%M"])
    @pytest.mark.parametrize("dtype", ["str", "int64"])
    def test_twelve_and_fourteen_are_points_in_time(self, form: str, dtype: str):
        words = pd.Series(SECONDS.strftime(form)).astype(dtype)
        expected = in_days(SECONDS if "S" in form else SECONDS.floor("min"))
        assert read(words) == pytest.approx(expected, abs=1e-9)
        assert read(words, words[:5]) == pytest.approx(expected[:5], abs=1e-9)

    @pytest.mark.parametrize(
        "odd", ["20220230101010", "20221301101010", "20220101241010", "20220101106010", "18990101101010", "7"]
    )
    @pytest.mark.parametrize("dtype", ["str", "int64"])
    def test_unless_one_of_them_is_none(self, odd: str, dtype: str):
        words = pd.Series([*SECONDS.strftime("%Y%m%d%H%M%S"), odd]).astype(dtype)
        columns, _ = fitted(pd.DataFrame({"c": words}))
        assert columns.records[0].kind == "number"


class TestWhatIsNotRead:
    @pytest.mark.parametrize(
        "form",
        ["%d-%b", "%b %d", "%b%y", "%m/%y", "%d/%m", "%d.%m.", "%V/%Y", "%Y-%j", "%a %d %b", "%Y:%m:%d"],
    )
    def test_it_is_said_of_categories(self, form: str):
        kind, said = notes(list(DAYS.strftime(form)) * 2)
        assert kind == "nominal"
        first, second = list(dict.fromkeys(DAYS.strftime(form)))[:2]
        assert said == [
            f"Column 'c' is taken as categories: it looks like dates that are not read, such as {first!r} and "
            f"{second!r}. Write them as 2020-12-31, or declare it as nominal."
        ]

    @pytest.mark.parametrize("form", ["%Y-%m-%d-%H.%M.%S", "%Y-%m-%dT%H%M%SZ", "%d.%m.%Y um %H:%M:%S"])
    def test_and_of_what_is_left_out(self, form: str):
        kind, (note,) = notes(SECONDS.strftime(form))
        assert kind == "id"
        assert note.startswith(
            "Column 'c' is left out as a whole, though it looks like dates that are not read"
        )

    @pytest.mark.parametrize(
        "word",
        [
            lambda i: f"{i % 5} out of {i % 7}",
            lambda i: f"{i} years ago",
            lambda i: f"{i % 60 + 80}/{i % 40 + 60}",
            lambda i: f"{i % 13}/12",
            lambda i: f"{i % 200 + 1:03d}-{i % 7}",
            lambda i: f"2019-{i % 200:03d}",
            lambda i: f"{('Mars', 'May', 'June', 'April')[i % 4]}",
            lambda i: f"{i % 9}.{i % 7}.{i % 11}",
            lambda i: f"SEPT{i % 14}",
            lambda i: ("Aug2Dec", "Dec2Feb", "Feb2May")[i % 3],
            lambda i: ("Jan 1 - Jan 28", "Mar 3 - Apr 7", "May 2 - May 9")[i % 3],
            lambda i: f"{i % 40 + 30} {('January', 'March', 'May')[i % 3]}",
        ],
    )
    def test_other_words_are_no_dates(self, word):
        assert notes([word(i) for i in range(200)])[1] == []

    def test_days_of_one_month_are_no_negative_numbers(self):
        with pytest.warns(DataWarning):
            columns, _ = fitted(
                pd.DataFrame({"c": [f"{day}-Apr" for day in range(1, 31)] * 3, "z": range(90)})
            )
        assert columns.records[0].kind == "nominal"


@pytest.mark.parametrize("first", [1.6e9, 44_000.0, 1999.0], ids=["seconds", "a spreadsheet's days", "years"])
def test_numbers_that_are_no_days_say_how_they_become_dates(first: float):
    frame = pd.DataFrame({"c": first + np.arange(30.0) ** 2, "d": np.arange(30.0) % 7})
    with pytest.raises(InputError, match=r"written as 20201231.*unit='s'"):
        TableColumns({"c": "date"}).fit(frame)
