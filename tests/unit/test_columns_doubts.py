"""What cannot be known of a column is said: thousands or decimals, factors or units, days or months."""

from __future__ import annotations

import warnings

import pandas as pd
import pytest

from tests.support.columns import fitted
from testtime.table.columns import DataWarning
from testtime.table.columns.alone import read_as_numbers

ROWS = range(100)
GROUPED = [f"{100 + (i * 7) % 37 * 5}.000" for i in ROWS]
MEASURED = [f"{1 + (i * 37) % 9}.{(i * 377 + 101) % 1000:03d}" for i in ROWS]


def said(values: object, *new: object) -> tuple[list[str], list[tuple[list[float], list[str]]]]:
    """What is said of a column at fit, and what is read and said of each set of new values."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", DataWarning)
        columns, _ = fitted(pd.DataFrame({"c": values}))
    at_fit = list(dict.fromkeys(str(one.message) for one in seen))
    later = []
    for cells in new:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always", DataWarning)
            x = columns.transform(pd.DataFrame({"c": cells})).x[:, 0].tolist()
        later.append((x, [str(one.message) for one in seen]))
    return at_fit, later


class TestThousandsOfATarget:
    def read(self, values: list[str], **beside: list[str]):
        return read_as_numbers(pd.Series(values, name="Preis"), pd.DataFrame(beside))

    def test_other_columns_tell_what_the_point_is(self):
        beside = {
            "Flaeche": [f"{40 + i % 37},5" for i in ROWS],
            "Kaution": [f"{1 + i % 9}.500" for i in ROWS],
        }
        for unit in ("", " €"):
            read = self.read([value + unit for value in GROUPED], **beside)
            assert read is not None
            assert read.values[:2].tolist() == [100_000.0, 135_000.0]
            assert "as a separator of thousands, since other columns have decimal commas" in read.doubt

    @pytest.mark.parametrize("unit", ["", " €"])
    def test_a_doubt_is_said_where_nothing_tells(self, unit: str):
        read = self.read([value + unit for value in GROUPED])
        assert read is not None
        assert read.values[:2].tolist() == [100.0, 135.0]
        assert read.doubt.startswith(
            f"Column 'Preis' holds '100.000{unit}': the '.' is taken as a decimal sign"
        )

    def test_points_of_other_columns_are_an_answer(self):
        read = self.read(GROUPED, rate=["0.5", "1.25"] * 50)
        assert read is not None
        assert (read.values[1], read.doubt) == (135.0, "")

    def test_measurements_are_not_doubted(self):
        for values in (MEASURED, ["1.234", "0.567", "2.891"] * 30, ["0.500", "1.500", "2.000"] * 30):
            read = self.read(values)
            assert read is not None
            assert (read.values[:3].tolist(), read.doubt) == ([float(value) for value in values[:3]], "")


class TestThousandsOfAFeature:
    @pytest.mark.parametrize("dress", ["{}", "-{}", "{} €"])
    def test_points_in_every_cell_are_doubted_when_each_ends_in_0(self, dress: str):
        at_fit, _ = said([dress.format(value) for value in GROUPED])
        assert [note for note in at_fit if "though it may separate thousands" in note]

    @pytest.mark.parametrize("values", [MEASURED, ["1.234", "0.567", "2.891"] * 30, ["0.100", "0.200"] * 30])
    def test_measurements_are_not(self, values: list[str]):
        assert said(values, ["1500"], ["1.500"]) == ([], [([1500.0], []), ([1.5], [])])

    def test_whole_numbers_are_told_of_later(self):
        _, later = said(GROUPED, ["135000"], [135_000], ["120.000", "135000"])
        for x, notes in later:
            assert x[-1] == 135_000.0
            assert len(notes) == 1
            assert "holds 135000; at fit it held nothing from 1,000 on" in notes[0]
            assert "'100.000'" in notes[0]

    def test_fractions_and_small_numbers_are_not(self):
        _, later = said(GROUPED, ["1350.5"], [135], [135.5, None])
        assert [notes for _, notes in later] == [[], [], []]
