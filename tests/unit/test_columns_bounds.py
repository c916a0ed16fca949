"""Numbers of which only a bound is known: `<0.5`, `10+ years`."""

import warnings

import numpy as np
import pandas as pd
import pytest

from testtime.errors import InputError
from testtime.table.columns import TableColumns

YEARS = [f"{i} years" if i > 1 else "1 year" for i in range(1, 10)]


def fitted(values: list[str], **kinds: str) -> TableColumns:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TableColumns(kinds).fit(
            pd.DataFrame({"c": values * 5, "other": np.arange(5.0 * len(values)) ** 2 % 97})
        )


def read(columns: TableColumns, *values: str) -> list[float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return columns.transform(pd.DataFrame({"c": values, "other": 1.0})).x[:, 0].tolist()


@pytest.mark.parametrize(
    ("numbers", "bounds", "expected"),
    [
        (
            ["1.5", "2.5", "0.7", "12.25", "900"],
            ["<0.5", "> 1000", "<=5", "=<5", "≥ 90"],
            [0.5, 1000, 5, 5, 90],
        ),
        (["1,5", "2,5", "0,7", "12,25", "900"], ["<0,5", ">1.000"], [0.5, 1000]),
        (YEARS, ["10+ years", "< 1 year", "10 years+", "10+"], [10, 1, 10, 10]),
        ([str(i) for i in range(10)], ["10+", "10 +", "≥10"], [10, 10, 10]),
        ([f"{i}%" for i in range(10)], ["<1 %", "10%+"], [1, 10]),
        ([f"{i}k" for i in range(1, 9)], ["<1k", ">300k", "300k+"], [1e3, 3e5, 3e5]),
        ([f"${i}00" for i in range(1, 9)], ["<$5", "$900+"], [5, 900]),
        (["3 kg", "500 g", "2 kg", "750 g", "1 kg", "5 kg"], ["<100 g", ">20 kg"], [100, 20_000]),
    ],
)
def test_beside_numbers_they_are_the_bound(numbers: list[str], bounds: list[str], expected: list[float]):
    columns = fitted(numbers + bounds)
    assert columns.records[0].kind == "number"
    assert columns.records[0].missing == 0
    assert read(columns, *bounds) == expected
    assert [read(columns, one)[0] for one in bounds] == expected  # whatever else is in the file
    (note,) = [note for note in columns.notes if "number itself" in note]
    assert note == (
        f"Column 'c' holds bounds or rough numbers such as {bounds[0]!r} in {5 * len(bounds)} rows: they are read as "
        f"the number itself ({expected[0]:.15g})."
    )


@pytest.mark.parametrize(
    "levels",
    [
        ["18-24", "25-34", "35-64", "65+"],
        ["<18", "18-24", "25-34", "65+"],
        ["<5", ">=5"],
        ["<5", "5", ">5"],
        ["0", "1", "2", "3+"],
        ["<10", "10", "20", "30", "50+"],
        ["1+", "5+", "10+", "50+", "100+", "500+"],
        ["1", "1+", "2", "2+", "3", "3+", "4", "4+", "5"],
        ["1+", "1", "1-", "2", "3", "4", "5", "0"],
        ["A+", "A", "B+", "B"],
        ["<1", "none", "some", "many", "2", "3", "4", "5", "6"],
    ],
)
def test_levels_stay_levels(levels: list[str]):
    assert fitted(levels).records[0].kind == "nominal"


@pytest.mark.parametrize("mark", ["~", "≈", "ca. ", "c. ", "circa ", "env. ", "environ ", "roughly "])
def test_rough_numbers_alone_are_numbers(mark: str):
    years = [f"{mark}{1890 + i}" for i in range(8)]
    columns = fitted(years)
    assert columns.records[0].kind == "number"
    assert read(columns, *years) == list(range(1890, 1898))
    assert fitted(years[:4]).records[0].kind == "nominal"  # answers of a question


def test_bounds_of_a_column_that_is_declared_as_number_are_read():
    columns = fitted(["1+", "5+", "10+", "50+"], c="number")
    assert read(columns, "5+", "<1") == [5, 1]


def test_bounds_that_were_not_there_at_fit_are_told_of():
    columns = fitted([str(i) for i in range(10)])
    with pytest.warns(
        UserWarning, match=r"'<1', and had none at fit: they are read as the number itself \(1\)"
    ):
        x = columns.transform(pd.DataFrame({"c": ["<1"], "other": [1.0]})).x
    assert x[0, 0] == 1
    with pytest.raises(InputError, match=r"holds '5\+'; expected numbers, as at fit"):
        read(columns, "5+")


def test_what_declaring_a_number_does_is_said():
    (note,) = [note for note in fitted(["0", "1", "2", "3+"]).notes if "'c'" in note]
    assert note.endswith("not '3+' (5). Declare it as number to read those as the numbers that they hold.")


def test_saved_columns_read_bounds():
    columns = fitted([*map(str, range(10)), "10+"])
    again = TableColumns.from_state(columns.to_state())
    assert read(again, "10+") == [10]
