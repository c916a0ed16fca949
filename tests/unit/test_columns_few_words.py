"""A few words beside many different numbers are missing values, and one letter beside numbers is a name."""

import warnings

import numpy as np
import pandas as pd
import pytest

from testtime.table.columns import DataWarning, TableColumns

NUMBERS = [f"{100 + 3.7 * i:.1f}" for i in range(100)]


def fitted(cells: list[str]) -> TableColumns:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TableColumns().fit(pd.DataFrame({"c": cells, "n": np.arange(len(cells)) % 7}))


def test_that_they_are_missing_stands_beside_the_numbers_and_is_told():
    columns = fitted(NUMBERS + ["pending", "see comment"] * 20)
    assert columns.notes == (
        "Column 'c' holds numbers; counted as missing: 'pending' (20), 'see comment' (20).",
    )
    with pytest.warns(DataWarning, match=r"counted as missing: 'Pending' \(1\)"):  # in a row alone, too
        encoded = columns.transform(pd.DataFrame({"c": ["Pending"], "n": 1}))
    assert encoded.names == ("c", "c is missing", "n")
    assert np.isnan(encoded.x[0, 0])
    assert encoded.x[0, 1] == 1


@pytest.mark.parametrize(
    "words",
    [
        ["<LOD", "sub-threshold", "see comment (lab)"],
        ["Pending", "pending", "PENDING", "Hold", "hold", "see note"],  # three words
    ],
)
def test_they_may_have_marks_and_be_written_in_two_ways(words: list[str]):
    assert fitted(NUMBERS + words * 7).records[0].kind == "number"


@pytest.mark.parametrize(
    "words", [["A", "B"], ["A+", "B-"], ["No. 7"], ["12A", "7B"], ["low", "mid", "high", "on", "off", "up"]]
)
def test_names_marks_of_a_school_and_more_words_are_levels(words: list[str]):
    numbers = [str(i) for i in range(1, 31)] * 2  # lines of a bus
    assert fitted(numbers + words * 4).records[0].kind == "nominal"
