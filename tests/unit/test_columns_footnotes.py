"""Marks of footnotes behind numbers: `131.6[3]`, `12*`."""

import warnings

import numpy as np
import pandas as pd
import pytest

from testtime.errors import InputError
from testtime.table.columns import DataWarning, TableColumns

NUMBERS = [f"{100 + 3.7 * i:.1f}" for i in range(60)]


def fitted(cells: list[str], **kinds: str) -> TableColumns:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TableColumns(kinds).fit(pd.DataFrame({"c": cells, "n": np.arange(len(cells)) % 7}))


def read(columns: TableColumns, *cells: str) -> list[float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return columns.transform(pd.DataFrame({"c": cells, "n": 1})).x[:, 0].tolist()


@pytest.mark.parametrize(
    "mark", ["[3]", " [a]", "[note 1]", "[1][2]", "*", "**", " †", "‡", "*[c]", " [citation needed]"]
)
@pytest.mark.parametrize("dress", ["{}", "${}", "{} kg", "{}%", "ca. {}"])
def test_marks_behind_some_numbers_are_taken_off(mark: str, dress: str):
    cells = [dress.format(one) + mark * (i % 4 == 0) for i, one in enumerate(NUMBERS)]
    columns = fitted(cells)
    assert columns.records[0].kind == "number"
    assert columns.records[0].missing == 0
    assert read(columns, *cells) == list(map(float, NUMBERS))
    assert read(columns, cells[0]) == [100]
    (note,) = [note for note in columns.notes if "marks behind" in note]
    assert note == (
        f"Column 'c' holds marks behind numbers as in {cells[0]!r} in 15 rows: they are taken off, as those of "
        "footnotes (100). Write them into a column of their own if they say something."
    )


@pytest.mark.parametrize(
    "cells",
    [
        [f"{one}*" for one in NUMBERS] * 2,  # of all
        [one + "*" * (i % 3 < 2) for i, one in enumerate(NUMBERS)] * 2,  # of most
        [f"{i % 12}" + "*" * (i % 5 == 0) for i in range(60)],  # a flag among few numbers: levels keep it
        [f"{i % 3}" + "[a]" * (i % 2) for i in range(60)],
        [one + " (1)" * (i % 4 == 0) for i, one in enumerate(NUMBERS)] * 2,  # may be a number of its own
        [one + " [kg]" * (i % 4 == 0) for i, one in enumerate(NUMBERS)] * 2,
    ],
)
def test_other_marks_are_left(cells: list[str]):
    assert fitted(cells).records[0].kind == "nominal"


def test_brackets_among_few_different_numbers_are_taken_off():
    assert fitted([f"{i % 12}" + "[a]" * (i % 5 == 0) for i in range(60)]).records[0].kind == "number"


def test_marks_of_new_rows_are_taken_off_and_told_of():
    columns = fitted(NUMBERS)
    with pytest.warns(DataWarning, match=r"as in '7\[2\]', and had none at fit: they are taken off") as told:
        x = columns.transform(pd.DataFrame({"c": ["7[2]", "8*"], "n": 1})).x
    assert x[:, 0].tolist() == [7, 8]
    assert len(told) == 1
    with pytest.raises(InputError, match=r"holds '7 \(2\)'"):
        read(columns, "7 (2)")


def test_they_are_taken_off_declared_numbers_and_after_saving():
    columns = fitted([f"{i % 3}*" for i in range(60)], c="number")
    again = TableColumns.from_state(columns.to_state())
    assert read(again, "2*", "1") == [2, 1]
