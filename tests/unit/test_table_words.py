"""Values as people write them: numbers, dates and truth values in messy text columns."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from testtime.errors import InputError
from testtime.table.columns import DataWarning, TableColumns
from testtime.table.columns.alone import read_as_numbers

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")
NAN = float("nan")


def fitted(kinds: dict[str, str] | None = None, **columns: list) -> tuple[TableColumns, np.ndarray]:
    table = TableColumns(kinds)
    return table, table.fit_transform(pd.DataFrame(columns)).x


def numbers(values: list) -> list[float]:
    """Read one column as numbers, and again at prediction."""
    table, x = fitted(c=values)
    assert table.records[0].kind == "number", table.records[0]
    np.testing.assert_array_equal(table.transform(pd.DataFrame({"c": values})).x, x)
    return x[:, 0].tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1,234.00", "2,500.5", "1,000,000"], [1234.0, 2500.5, 1e6]),
        (["1.234,00", "2.500,5", "1.000.000"], [1234.0, 2500.5, 1e6]),
        (["1 234,5", "2\u00a0500", "1\u202f000\u202f000"], [1234.5, 2500.0, 1e6]),
        (["1'234.5", "2’500", "7"], [1234.5, 2500.0, 7.0]),
        (["12,34,567.5", "1,00,000", "2,500"], [1234567.5, 1e5, 2500.0]),
        (["$5.00", "$1,200", "-$3", "$-4"], [5.0, 1200.0, -3.0, -4.0]),
        (["5 €", "7,50 €", "1.200 €"], [5.0, 7.5, 1200.0]),
        (["EUR 5", "EUR 6.5", "7 "], [5.0, 6.5, 7.0]),
        (["US$5", "US$6.5", "7"], [5.0, 6.5, 7.0]),
        (["12%", "5 %", "0.5%"], [12.0, 5.0, 0.5]),
        (["3 kg", "4.5kg", "6"], [3.0, 4.5, 6.0]),
        (["5 days", "1 day", "2 Days."], [5.0, 1.0, 2.0]),
        (["20 °C", "-3°C", "7.5 °C"], [20.0, -3.0, 7.5]),
        (["12 km/h", "30 km/h", "7 km/h"], [12.0, 30.0, 7.0]),
        (["5 m²", "6 m²", "7 m²"], [5.0, 6.0, 7.0]),
        (["1st", "2nd", "11th"], [1.0, 2.0, 11.0]),
        (["€565K", "€1.5M", "€90K"], [565e3, 1.5e6, 90e3]),
        (["(5)", "6", "(7.5)"], [-5.0, 6.0, -7.5]),
        (["($5.00)", "$6", "$7"], [-5.0, 6.0, 7.0]),
        (["5-", "6", "−7"], [-5.0, 6.0, -7.0]),
        (["1e3", "2.5E-1", "+4"], [1000.0, 0.25, 4.0]),
        (["1,5", "0,25", "1,234"], [1.5, 0.25, 1.234]),
        (["1.5", "0.25", "1,234"], [1.5, 0.25, 1234.0]),
        ([".5", "5.", ",5"], [0.5, 5.0, 0.5]),
        (["01", "02", "10"], [1.0, 2.0, 10.0]),
    ],
)
def test_numbers_in_every_dress(values: list[str], expected: list[float]):
    assert numbers(values) == expected


@pytest.mark.parametrize(
    "values",
    [
        ["A12", "B7", "C3"],
        ["1A", "2B", "3C"],
        ["10-20", "20-30", "30-40"],
        ["1.2.3", "1.2.4", "2.0.0"],
        ["192.168.1.1", "10.0.0.1", "10.0.0.2"],
        ["3 kg", "500 g", "2 l"],
        ["$5", "€6", "£7"],
        ["1,23,4", "5,67,8", "9,0,1"],
        ["(5", "6)", "(7"],
        ["<5", ">6", "~7"],
    ],
)
def test_what_only_looks_like_numbers_stays_text(values: list[str]):
    assert fitted(c=values)[0].records[0].kind == "nominal"


WORDS_FOR_NOTHING = [
    "-",
    ".",
    "None",
    "unknown",
    "n.a.",
    "na",
    "none",
    "null",
    "?",
    "missing",
    "N/A",
    "#N/A",
    "--",
    "NULL",
    "nil",
]


@pytest.mark.parametrize("word", WORDS_FOR_NOTHING)
@pytest.mark.parametrize("share", [0.005, 0.4])
def test_words_for_nothing_leave_numbers_numbers(word: str, share: float):
    rng = np.random.default_rng(0)
    values = rng.normal(size=1000).round(3)
    gone = rng.random(1000) < share
    text = np.where(gone, word, values.astype(str)).tolist()
    table, x = fitted(c=text)
    np.testing.assert_array_equal(x[:, 0], np.where(gone, NAN, values))
    assert table.records[0].kind == "number"
    assert table.records[0].missing == gone.sum()
    if word not in ("null", "?", "N/A", "#N/A", "NULL"):  # these are empty fields in any column
        assert table.notes == (f"Column 'c' holds numbers; counted as missing: {word!r} ({gone.sum()}).",)
        assert "words count as missing" in table.records[0].parsed


def test_a_few_other_words_are_missing_and_named():
    text = [*map(str, np.arange(0.5, 100)), "see note", "broken", "broken"]
    table, x = fitted(c=text)
    assert np.isnan(x[-3:, 0]).all()
    assert table.notes == ("Column 'c' holds numbers; counted as missing: 'broken' (2), 'see note' (1).",)
    again = table.transform(pd.DataFrame({"c": ["7", "broken"]}))  # missing again, however few rows
    assert again.x[:, 0].tolist()[0] == 7.0
    assert np.isnan(again.x[1, 0])
    with pytest.raises(InputError, match="holds 'lost'; expected numbers"):
        table.transform(pd.DataFrame({"c": ["7", "lost"]}))
    with pytest.warns(DataWarning, match=r"counted as missing: 'lost' \(1\)"):
        table.transform(pd.DataFrame({"c": [*text[:50], "lost"]}))


def test_a_column_with_many_other_words_is_text():
    table, _ = fitted(c=[*map(str, range(90)), *["low", "high", "off", "on", "up", "down"] * 2])
    assert table.records[0].kind != "number"


def test_how_numbers_were_read_is_said():
    assert fitted(c=["$1,234.50", "$7"])[0].notes == ("Read as numbers: 'c' ('$1,234.50' is 1234.5).",)
    many = {f"c{i}": ["5%", f"{i + 6}%"] for i in range(9)}
    assert fitted(**many)[0].notes[0].endswith("'c4' ('5%' is 5) and 4 more.")
    assert fitted(c=["1", "2"])[0].notes == ()


def test_what_can_be_read_in_two_ways_is_said_and_decided_by_the_table():
    table, x = fitted(c=["1,234", "2,345"])
    assert x[:, 0].tolist() == [1234.0, 2345.0]
    assert table.notes == (
        "Column 'c' holds '1,234': the ',' is taken as a separator of thousands, since nothing in the table says "
        "otherwise.",
    )
    table, x = fitted(c=["1,234", "2,345"], d=["1,5", "2,75"])
    assert x[:, 0].tolist() == [1.234, 2.345]
    assert "Column 'c' holds '1,234': the ',' is taken as a decimal sign, as in other columns." in table.notes
    table, x = fitted(c=["1.234", "2.345"], d=["1,5", "2,75"])
    assert x[:, 0].tolist() == [1234.0, 2345.0]
    assert any("'1.234': the '.' is taken as a separator of thousands" in note for note in table.notes)
    table, x = fitted(c=["1,234", "2,345"], d=["1.5", "2.75"])
    assert (x[:, 0].tolist(), len(table.notes)) == (
        [1234.0, 2345.0],
        1,
    )  # and nothing is left to be said of it
    assert "Read as numbers" in table.notes[0]
    table, x = fitted(c=["1.234", "2.345"], d=["1", "2"])
    assert x[:, 0].tolist() == [1.234, 2.345]
    assert table.notes == ()


def test_the_decimal_sign_of_fit_decides_later_unless_the_new_table_tells():
    comma, _ = fitted(c=["1,5", "2,75"], d=["1", "2"])
    point, _ = fitted(c=["1.5", "2.75"], d=["1", "2"])

    def read(columns, c, d="3"):
        return columns.transform(pd.DataFrame({"c": c, "d": d})).x[:, 0].tolist()

    assert read(comma, ["1,234", "1.234"]) == [1.234, 1234.0]
    assert read(point, ["1,234", "1.234"]) == [1234.0, 1.234]
    for columns in (comma, point):
        assert read(columns, ["1,234", "7,5"]) == [1.234, 7.5]
        assert read(columns, ["1.234", "7.5"]) == [1.234, 7.5]
        assert read(columns, ["1.234", "8.765"], d="3.5") == [1.234, 8.765]
        assert read(columns, ["1,234", "8,765"], d="3,5") == [1.234, 8.765]
    assert read(fitted(c=[1.5, 2.75], d=[1, 2])[0], ["1,234", "7,5"]) == [1.234, 7.5]


def test_points_that_may_separate_thousands_are_said():
    with pytest.warns(
        DataWarning, match=r"'c' holds '2\.402': the '\.' is taken as a decimal sign, though it may"
    ):
        _, x = fitted(c=["2.402", "2.745", "947"])
    assert x[:, 0].tolist() == [2.402, 2.745, 947.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        fitted(c=["2.402", "2.75", "947"])
        fitted(c=["2.402", "2.745", "1947"])
        fitted(c=["2.402", "2.745", "0.947"])
        fitted(c=["2.402", "2.745", "947"], d=["1.5", "2.5", "3.5"])
    assert fitted(c=["2.402", "2.745", "947"], d=["1,5", "2,5", "3,5"])[1][:, 0].tolist() == [
        2402.0,
        2745.0,
        947.0,
    ]
    target = pd.Series(["2.402", "2.745", "947"], name="price")
    assert "'price' holds '2.402'" in read_as_numbers(target, pd.DataFrame()).doubt
    assert read_as_numbers(target, pd.DataFrame({"d": ["1,5", "2,5", "3,5"]})).values.tolist() == [
        2402.0,
        2745.0,
        947.0,
    ]


@pytest.mark.parametrize("beside", ["choice", "price"])
def test_what_a_column_showed_at_fit_comes_before_columns_that_were_as_they_are_now(beside):
    """Lists such as 1,2 or prices with commas stood beside points at fit; a short new file shows the commas alone."""
    other = {"choice": ["1,2", "3", "1,3", "2"], "price": ["12,50", "3,10", "7,00", "8,25"]}[beside]
    columns, _ = fitted(x=["0.950", "1.234", "7.125", "8.5"], other=other)
    new = pd.DataFrame({"x": ["1.234", "1.500", "8.250"], "other": other[:3]})
    assert columns.transform(new).x[:, 0].tolist() == [1.234, 1.5, 8.25]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["200,-", "120,50", "1.250,-", "-3,-"], [200.0, 120.5, 1250.0, -3.0]),
        (["CHF 7.-", "CHF 12.50", "CHF 9.--"], [7.0, 12.5, 9.0]),
        (["5,- €", "6,50 €", "5,\u2013 €"], [5.0, 6.5, 5.0]),
        (["200-", "120", "3.5-"], [-200.0, 120.0, -3.5]),
    ],
)
def test_a_dash_for_no_cents_is_no_sign(words, expected):
    _, x = fitted(c=words)
    assert x[:, 0].tolist() == expected


def test_shares_where_per_cent_were_are_refused():
    columns, _ = fitted(c=["64 %", "29 %", "0 %"])
    for new in (["0.64", "0.3"], [0.64, 0.3], [0.64, None]):
        with pytest.raises(InputError, match=r"holds 0\.64 without a unit; expected '%', as at fit"):
            columns.transform(pd.DataFrame({"c": new}))
    for new in (["64", "30"], [64.0, 0.3], ["0 %", "0.5 %"], [0, 0], [None, None]):
        columns.transform(pd.DataFrame({"c": new}))


def test_what_keeps_a_column_from_being_numbers_is_said():
    values = [f"{i / 7:.2f}" for i in range(17)] + ["x1.5"] * 3
    with pytest.warns(
        DataWarning, match=r"'c' is taken as categories: 85% of its values are numbers, but not 'x1.5' \(3\)"
    ):
        table, _ = fitted(c=values)
    assert table.records[0].kind == "nominal"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(c=["a", "b", "1"])
    with pytest.warns(DataWarning, match="counted as missing"):
        german, x = fitted(c=[*values[:17], "k.A.", "keine Angabe", "#WERT!"])
    assert german.records[0].kind == "number"
    assert np.isnan(x[-3:, 0]).all()


def test_another_unit_later_is_refused():
    table, _ = fitted(c=["3 kg", "4 kg"])
    assert table.transform(pd.DataFrame({"c": ["5", "6 KG"]})).x[:, 0].tolist() == [5.0, 6.0]
    with pytest.raises(InputError, match="numbers in 'l'; expected 'kg', as at fit"):
        table.transform(pd.DataFrame({"c": ["5 l"]}))


def days(values: list, kinds: dict[str, str] | None = None) -> tuple[TableColumns, list[float]]:
    table, x = fitted(kinds, c=values)
    assert table.records[0].kind == "date", table.records[0]
    return table, x[:, 0].tolist()


def day(text: str) -> float:
    return (np.datetime64(text, "us") - np.datetime64("1970-01-01", "us")) / np.timedelta64(
        86_400_000_000, "us"
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["31.12.2020", "1.2.2021"], ["2020-12-31", "2021-02-01"]),
        (["12/31/2020", "1/2/2021"], ["2020-12-31", "2021-01-02"]),
        (["31/12/2020", "01/02/2021"], ["2020-12-31", "2021-02-01"]),
        (["31-12-2020", "01-02-21"], ["2020-12-31", "2021-02-01"]),
        (["08-Okt-23", "20-Mrz-23", "6. Mai 2023"], ["2023-10-08", "2023-03-20", "2023-05-06"]),
        (["2 février 2023", "14 juil. 2023", "1 août 2023"], ["2023-02-02", "2023-07-14", "2023-08-01"]),
        (["Q1 2021", "Q4-2020"], ["2021-01-01", "2020-10-01"]),
        (["Jan-23", "Dez-99"], ["2023-01-01", "1999-12-01"]),
        (["05/2023", "12/2020"], ["2023-05-01", "2020-12-01"]),
        (["01.03.2024 10:30 Uhr", "02.03.2024 00:00 Uhr"], ["2024-03-01 10:30", "2024-03-02"]),
        (["12/31/99", "01/02/30", "03/04/29"], ["1999-12-31", "1930-01-02", "2029-03-04"]),
        (["2020/12/31", "2020-1-2"], ["2020-12-31", "2020-01-02"]),
        (["2020-12-31T10:30:00Z", "2020-12-31 10:30:00+02:00"], ["2020-12-31T10:30", "2020-12-31T08:30"]),
        (
            ["2020-12-31T10:30:00.250Z", "2020-12-31 10:30:00 -0530"],
            ["2020-12-31T10:30:00.25", "2020-12-31T16:00"],
        ),
        (["12/31/2020 1:05 PM", "12/31/2020 12:05 am"], ["2020-12-31T13:05", "2020-12-31T00:05"]),
        (["31.12.2020 23:59", "01.01.2021 00:00"], ["2020-12-31T23:59", "2021-01-01"]),
        (["31 Dec 2020", "1-January-21", "Feb 3, 2021"], ["2020-12-31", "2021-01-01", "2021-02-03"]),
        (["Thu, 31 Dec 2020 10:00:00 GMT", "Fri 1 Jan 2021"], ["2020-12-31T10:00", "2021-01-01"]),
        (["2020-12", "2021-01"], ["2020-12-01", "2021-01-01"]),
        (["2020Q4", "2021-Q1"], ["2020-10-01", "2021-01-01"]),
        (["2020-02-29", "1900-02-28"], ["2020-02-29", "1900-02-28"]),
        (["0001-01-01", "9999-12-31"], ["0001-01-01", "9999-12-31"]),
    ],
)
def test_dates_in_every_form(values: list[str], expected: list[str]):
    assert days(values)[1] == [day(text) for text in expected]


@pytest.mark.parametrize(
    "values",
    [["2020-13-01", "2020-12-32"], ["2021-02-29", "2021-02-30"], ["1.2.3", "4.5.6"], ["12:30", "a/b"]],
)
def test_what_only_looks_like_dates_stays_text(values: list[str]):
    assert fitted(c=values)[0].records[0].kind == "nominal"


def test_the_order_of_day_and_month_is_decided_by_the_column_and_said_when_it_is_not():
    table, found = days(["05/06/2020", "07/08/2020"])
    assert found == [day("2020-05-06"), day("2020-07-08")]
    assert table.notes == (
        "Column 'c' holds '05/06/2020': the month is taken to come first, since no date of the column tells.",
    )
    table, x = fitted(c=["05/06/2020", "07/08/2020"], d=["31/01/2020", "02/01/2020"])
    assert x[:, 0].tolist() == [day("2020-06-05"), day("2020-08-07")]
    assert "the day is taken to come first" in table.notes[0]
    table, found = days(["05.06.2020", "07.08.2020"])  # with points the day comes first
    assert (found, table.notes) == ([day("2020-06-05"), day("2020-08-07")], ())
    for column, later in (
        (["31/01/2020", "05/06/2020"], "2020-06-05"),
        (["01/31/2020", "05/06/2020"], "2020-05-06"),
    ):
        table, found = days(column)
        assert (found[1], table.notes) == (day(later), ())
        assert table.transform(pd.DataFrame({"c": ["05/06/2020"]})).x[0, 0] == day(later)


def test_words_among_dates_are_missing_and_named():
    text = [f"{d:02d}.01.2020" for d in range(1, 29)]
    table, found = days([*text, "unknown", "later"])
    assert np.isnan(found[-2:]).all()
    assert table.notes == ("Column 'c' holds dates; counted as missing: 'later' (1), 'unknown' (1).",)
    with pytest.raises(InputError, match="column 'c' holds 'soon'; expected dates, as at fit"):
        table.transform(pd.DataFrame({"c": ["soon"]}))


def test_unseen_days_are_read_in_any_form():
    table, _ = days(["2020-01-01", "2020-02-01"])
    new = pd.DataFrame({"c": ["2020-03-01T00:00:00Z", "01.03.2020", "3/1/2020", "March 1, 2020"]})
    assert table.transform(new).x[:, 0].tolist() == [day("2020-03-01")] * 4


def test_mostly_truth_values_are_truth_values():
    table, x = fitted(c=["yes"] * 30 + ["no"] * 30 + ["unknown"])
    assert table.records[0].kind == "boolean"
    assert x[[0, 30], 0].tolist() == [1.0, 0.0]
    assert np.isnan(x[60, 0])
    assert table.notes == ("Column 'c' holds true or false; counted as missing: 'unknown' (1).",)
    assert fitted(c=["yes"] * 30 + ["no"] * 30 + ["unknown"] * 20)[0].records[0].kind == "nominal"
    assert fitted(c=["f", "n", "f"])[0].records[0].kind == "nominal"  # two words for no are no truth values


def test_long_columns_are_judged_like_short_ones():
    """A sample decides whether a long column is worth reading; it must not decide more than that."""
    rng = np.random.default_rng(0)
    n = 30_000
    noisy = np.where(
        rng.random(n) < 0.04, "note " + pd.Series(range(n)).astype(str), rng.integers(0, 9**9, n).astype(str)
    )
    table, x = fitted(
        c=noisy.tolist(),
        d=pd.Series(pd.date_range("2000-01-01", periods=n, freq="h")).dt.strftime("%d.%m.%Y %H:%M").tolist(),
    )
    assert [record.kind for record in table.records] == ["number", "date"]
    assert 0.03 * n < np.isnan(x[:, 0]).sum() < 0.05 * n
    assert fitted(c=["5 st"] * 100 + [f"no {i % 7}" for i in range(n)])[0].records[0].kind == "nominal"


def test_times_of_day_and_durations_are_numbers_of_seconds():
    assert numbers(["14:30", "00:00:05", "1:02:03.5"]) == [52200.0, 5.0, 3723.5]
    lengths = pd.Series(pd.to_timedelta(["1h", "3h", "-1h"]))
    assert numbers(lengths.astype(str).tolist()) == numbers(lengths.tolist()) == [3600.0, 10800.0, -3600.0]
    clock = pd.to_datetime(pd.Series(["2020-01-01 14:30", "2020-01-01 15:00"])).dt.time.tolist()
    assert numbers(clock) == numbers(list(map(str, clock))) == [52200.0, 54000.0]
