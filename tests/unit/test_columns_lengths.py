"""Lengths of time that are written in several units."""

import warnings

import numpy as np
import pandas as pd
import pytest

from testtime.errors import InputError
from testtime.table.columns import TableColumns

MINUTES = [*range(1, 120, 4), 80]
SOME = [3 * i % 20 for i in range(40)]  # no row numbers


def fitted(cells) -> TableColumns:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TableColumns().fit(pd.DataFrame({"c": cells, "other": np.arange(len(cells)) % 7}))


def read(columns: TableColumns, cells, notes=None) -> list[float]:
    frame = pd.DataFrame({"c": cells, "other": 0})
    return columns.transform(frame, notes=[] if notes is None else notes).x[:, 0].tolist()


FORMS = {
    "1h 20m": lambda m: f"{m // 60}h {m % 60}m",
    "1h20m0s": lambda m: f"{m // 60}h{m % 60}m0s",
    "1 h 20 min": lambda m: f"{m // 60} h {m % 60} min" if m >= 60 else f"{m} min",
    "1 hrs 20 mins": lambda m: f"{m // 60} hrs {m % 60} mins" if m >= 60 else f"{m} mins",
    "1 hour, 20 minutes": lambda m: f"{m // 60} hour, {m % 60} minutes" if m % 60 else f"{m // 60} hour",
    "1 hour and 20 minutes": lambda m: f"{m // 60} hour and {m % 60} minutes",
    "1 Std. 20 Min.": lambda m: f"{m // 60} Std. {m % 60} Min.",
    "1 h 20 mn": lambda m: f"{m // 60} h {m % 60} mn" if m >= 60 else f"{m} mn",
    "1h20, 45 min": lambda m: f"{m // 60}h{m % 60:02d}" if m >= 60 else f"{m} min",
    "20M, 1H": lambda m: f"{m // 60}H {m % 60}M" if m % 2 == 0 else f"{m}M",
    "PT1H20M": lambda m: f"PT{m // 60}H{m % 60}M" if m >= 60 else f"PT{m}M",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_they_are_seconds(form):
    cells = [form(minutes) for minutes in MINUTES]
    columns = fitted(cells)
    (record, _) = columns.records
    assert record.kind == "number"
    assert record.parsed.startswith(f"{cells[0]!r} is 60")
    assert read(columns, cells) == [60.0 * minutes for minutes in MINUTES]
    for minutes, cell in zip(MINUTES, cells, strict=True):  # one row alone is read as it was among others
        assert read(columns, [cell]) == [60.0 * minutes]


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("1d 3h", 97_200),
        ("1 Tag 2 Std.", 93_600),
        ("P1DT2H", 93_600),
        ("P3D", 259_200),
        ("-1h 5m", -3_900),
        ("1 h", 3_600),
        ("1,5 h", 5_400),
        ("2 weeks 1 day", 15 * 86_400),
        ("90s", 90),
        ("5 mn", 300),
        ("02:30", 9_000),
    ],
)
def test_new_rows_may_be_written_in_another_way(cell, seconds):
    columns = fitted([FORMS["1h 20m"](minutes) for minutes in MINUTES])
    restored = TableColumns.from_state(columns.to_state())
    assert read(columns, [cell]) == read(restored, [cell]) == [seconds]


def test_years_and_months_have_their_mean_length():
    cells = [f"P{i}Y{i % 12}M" for i in range(1, 20)]
    columns = fitted(cells)
    assert read(columns, ["P1Y", "1 year 6 months", "1y 6m"]) == [
        365.25 * 86_400,
        1.5 * 365.25 * 86_400,
        1.5 * 365.25 * 86_400,
    ]


def test_one_unit_alone_is_what_it_was():
    assert read(columns := fitted([f"{i}m" for i in SOME]), ["5m"]) == [5.0]
    assert columns.records[0].parsed == "'0m' is 0"
    assert fitted([f"P{i}D" for i in range(1, 10)] * 3).records[0].kind == "nominal"
    assert fitted([f"{i}m {3 * i}cm" for i in range(1, 20)]).records[0].kind == "nominal"
    assert read(fitted([f"{i}m" for i in SOME] + ["2k", "3k"]), ["5m"]) == [5e6]


def test_numbers_in_one_unit_of_time_stay_in_it():
    columns = fitted([f"{i} min" for i in SOME])
    assert read(columns, ["1 h 20 min", "PT1H", "7 min", "2 h", "5"]) == [80.0, 60.0, 7.0, 120.0, 5.0]


def test_lengths_where_fit_had_plain_numbers_are_told_of():
    columns, notes = fitted([str(i) for i in SOME]), []
    assert read(columns, ["1h 20m", "7"], notes) == [4_800.0, 7.0]
    assert notes == [
        "Column 'c' holds lengths of time in several units, which are read as seconds, and had none at fit: "
        "'1h 20m' is 4800."
    ]


def test_numbers_in_another_unit_are_no_lengths_of_time():
    with pytest.raises(InputError, match="holds '1h 20m'"):
        read(fitted([f"{i} kg" for i in SOME]), ["1h 20m"])


def test_a_number_without_a_unit_is_told_of_where_fit_had_none():
    columns, notes = fitted([FORMS["1h 20m"](minutes) for minutes in MINUTES]), []
    assert read(columns, ["45"], notes) == [45.0]
    assert "without the 'h' or 'min'" in notes[0]
    columns, notes = fitted([*(FORMS["1h 20m"](minutes) for minutes in MINUTES), "45", "30"]), []
    assert read(columns, ["45", "1h 20m"], notes) == [45.0, 4_800.0]
    assert not notes


@pytest.mark.parametrize(
    ("one", "other", "seconds"),
    [
        ("{} heures", "{} minutes", [3_600, 60]),
        ("{} mois", "{} ans", [2_629_800, 31_557_600]),
        ("{} semanas", "{} días", [604_800, 86_400]),
        ("{} ore", "{} minuti", [3_600, 60]),
        ("{} uur", "{} dagen", [3_600, 86_400]),
        ("{} Monate", "{} Jahre", [2_629_800, 31_557_600]),
        ("{0} an et {0} mois", "{} mois", [31_557_600 + 2_629_800, 2_629_800]),
    ],
)
def test_in_other_languages(one, other, seconds):
    columns = fitted([form.format(i) for i in SOME[1:] for form in (one, other)])
    assert columns.records[0].kind == "number"
    assert read(columns, [one.format(2), other.format(2)]) == [2.0 * each for each in seconds]
