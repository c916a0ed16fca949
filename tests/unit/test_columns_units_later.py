"""Numbers with units in new rows: what each of them means does not depend on the rows beside it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from testtime.errors import InputError
from testtime.table.columns import TableColumns

SOME = [7 * i % 61 + 20 for i in range(60)]


def fitted(*forms: str) -> TableColumns:
    return of_cells([forms[i % len(forms)].format(k) for i, k in enumerate(SOME)])


def of_cells(cells: Sequence[str]) -> TableColumns:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        columns = TableColumns().fit(pd.DataFrame({"c": cells, "other": np.arange(len(cells)) % 7}))
    assert columns.records[0].kind == "number"
    return TableColumns.from_state(json.loads(json.dumps(columns.to_state())))


def read(columns: TableColumns, *cells: str) -> tuple[list[float], list[str]]:
    notes: list[str] = []
    encoded = columns.transform(pd.DataFrame({"c": cells, "other": 0}), notes=notes)
    return encoded.x[:, 0].tolist(), notes


@pytest.mark.parametrize(
    ("fit", "new", "values"),
    [
        (["{} kg"], ["3 lb", "5 oz"], [1.36077711, 0.141747616]),
        (["{} cm"], ["3 in", "2 ft"], [7.62, 60.96]),
        (["{} in"], ["3 in", "2 cm"], [3.0, 0.787401575]),
        (["{}y", "{}m"], ["5y", "10m"], [157_788_000, 26_298_000]),
        (["{}y 1m"], ["6y 1m", "3m"], [191_975_400, 7_889_400]),
        (["{} years", "{} m"], ["18 m"], [47_336_400]),
        (["{} y"], ["18 m"], [1.5]),
        (["{} h", "{} m"], ["2 m"], [120]),
        (["{} W", "{} mW"], ["300 mW", "2 MW"], [0.3, 2e6]),
        (["{} Hz"], ["300 mHz", "2 MHz"], [0.3, 2e6]),
        (["{} min", "{}:30"], ["51 min", "1:25"], [3_060, 5_100]),
        (["{} h", "{}:30"], ["5 h", "1:25"], [18_000, 5_100]),
        (["{} min"], ["1:30", "1h 20m", "7 min"], [90, 80, 7]),
        (["{} h"], ["1:30"], [1.5]),
        (["${}", "{} USD"], ["3 USD", "$4"], [3, 4]),
        (["EUR {}"], ["3 EUR", "€4"], [3, 4]),
        (["P{}D"], ["P5D"], [432_000]),
    ],
)
def test_each_row_alone_is_what_it_is_among_others(fit: list[str], new: list[str], values: list[float]):
    columns = fitted(*fit)
    assert read(columns, *new)[0] == pytest.approx(values)
    for cell, value in zip(new, values, strict=True):
        assert read(columns, cell)[0] == pytest.approx([value])


@pytest.mark.parametrize(
    ("fit", "new", "named"),
    [
        ("{} kg", ["3 h", "50 min"], "3 h"),
        ("{}%", ["3 h", "50 min"], "3 h"),
        ("${}", ["3 kg", "500 g"], "500 g"),
        ("{} pcs", ["3 kg", "500 g"], "500 g"),
        ("{} km/h", ["30 mph", "31 mph", "30 km/h"], "30 mph"),
    ],
)
def test_another_quantity_is_refused_and_named(fit: str, new: list[str], named: str):
    with pytest.raises(InputError, match=f"'{named}'"):
        read(fitted(fit), *new)


def test_units_where_fit_had_none_are_told_of():
    values, notes = read(fitted("{}"), "3 kg", "500 g")
    assert values == [3_000.0, 500.0]
    assert notes == ["Column 'c' holds numbers in 'g', and had none with a unit at fit: '3 kg' is 3000."]


def test_hours_beside_minutes_are_nothing_new_where_a_clock_was():
    cells = [f"{k // 10}h{k % 10 + 10}" for k in SOME]
    assert read(of_cells(cells), "1h30", "90 min") == ([5_400.0, 5_400.0], [])


@pytest.mark.parametrize(("forms", "with_one"), [(("{} MB", "{} GB"), "30 GB"), (("{}k", "{}M"), "30M")])
def test_a_number_without_its_factor_is_told_of_beside_others_too(forms: tuple[str, ...], with_one: str):
    columns = fitted(*forms)
    for cells in (["30"], [with_one, "30"]):
        (note,) = read(columns, *cells)[1]
        assert "holds 30 without the" in note
    assert read(columns, with_one)[1] == []


@pytest.mark.parametrize(("often", "seldom"), [(40, "<1"), (25, "3*"), (25, "3[a]")])
def test_what_counted_as_missing_at_fit_does_so_again(often: int, seldom: str):
    columns = of_cells(["1", "2", "3", "4"] * often + [seldom] * (8 if seldom == "<1" else 3))
    values, notes = read(columns, seldom, "3")
    assert np.isnan(values[0])
    assert values[1] == 3.0
    assert notes == [f"Column 'c' holds numbers; counted as missing: '{seldom}' (1)."]


def test_shares_beside_per_cent_are_told_of():
    mixed = [f"{k}%" if i % 2 else f"{k / 100:.2f}" for i, k in enumerate(SOME)]
    (said,) = [note for note in of_cells(mixed).notes if "share" in note]
    assert said.startswith("Column 'c' holds 0.2 without a unit beside numbers in %")
    assert not [
        n for n in of_cells([f"{k}{'%' * (i % 2)}" for i, k in enumerate(SOME)]).notes if "share" in n
    ]
