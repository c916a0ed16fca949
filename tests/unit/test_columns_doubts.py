"""What cannot be known of a column is said: thousands or decimals, factors or units, days or months."""

from __future__ import annotations

import unicodedata
import warnings
from typing import ClassVar
from unittest.mock import ANY

import pandas as pd
import pytest

from tests.support.columns import fitted
from testtime.table.columns import DataWarning
from testtime.table.columns.alone import read_as_numbers
from testtime.table.columns.cells import read_cells
from testtime.table.columns.kinds.base import Habits
from testtime.table.columns.kinds.boolean import PresenceColumn
from testtime.table.columns.kinds.level import LevelColumn

ROWS = range(100)
GROUPED = [f"{100 + (i * 7) % 37 * 5}.000" for i in ROWS]
MEASURED = [f"{1 + (i * 37) % 9}.{(i * 377 + 101) % 1000:03d}" for i in ROWS]


def said(values: object, *new: object) -> tuple[list[str], list[tuple[list[float], list[str]]]]:
    """What is said of a column at fit, and what is read and said of new values, but that some are missing."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", DataWarning)
        columns, _ = fitted(pd.DataFrame({"c": values}))
    at_fit = list(dict.fromkeys(str(one.message) for one in seen))
    later = []
    for cells in new:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always", DataWarning)
            x = columns.transform(pd.DataFrame({"c": cells})).x[:, 0].tolist()
        told = [str(one.message) for one in seen]
        later.append((x, [one for one in told if not one.startswith("Missing in rows")]))
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


class TestThousandsLater:
    """Points that may separate thousands do not show that points are decimal signs now."""

    @pytest.mark.parametrize(
        "fit", [["36.686,20", "1.250,00"], ["36686,20", "1250,00"], ["36.686,20 €", "7,50 €"]]
    )
    def test_a_column_that_does_not_tell_is_read_as_at_fit(self, fit: list[str]):
        columns, _ = fitted(pd.DataFrame({"c": fit, "d": ["1,5", "2,75"]}))
        for cells in (["52.000"], ["12.345"], ["52.000", "31.500"], ["52.000", "31.500,50"]):
            # The other column tells nothing, tells as little, or tells what it told at fit.
            for beside in ("3", "1.234", "3,5"):
                new = pd.DataFrame({"c": cells, "d": beside})
                in_pieces = columns.habits_of(new[at : at + 1] for at in range(len(new)))
                for habits in (None, in_pieces):
                    assert columns.transform(new, habits).x[0, 0] == float(cells[0].replace(".", ""))

    def test_other_columns_can_show_that_it_is_not(self):
        columns, _ = fitted(pd.DataFrame({"c": ["36.686,20", "1.250,00"], "d": ["1,5", "2,75"]}))
        assert columns.transform(pd.DataFrame({"c": ["52.125"], "d": ["3.5"]})).x[0, 0] == 52.125


class TestOneValueOrNothing:
    @pytest.mark.parametrize("flag", ["1", 1.0, "1.0", "x", "yes", "€5", "2023-05-01"])
    def test_words_for_false_and_missing_are_none(self, flag: object):
        values = [flag, None] * 30
        empty = ["0", "no", "No", "-", "false", "n.a.", "0.00", None]
        _, later = said(values, empty, [0, 0.0, None], [False, False], [flag, None])
        assert later == [([0.0] * 8, []), ([0.0] * 3, []), ([0.0] * 2, []), ([1.0, 0.0], [])]

    @pytest.mark.parametrize(
        ("flag", "again"), [("1", ["TRUE", "yes", "1.0"]), ("X", ["x", "true"]), ("5 kg", ["5kg"])]
    )
    def test_other_spellings_are_the_value(self, flag: str, again: list[str]):
        assert said([flag, None] * 30, again)[1] == [([1.0] * len(again), [])]

    def test_other_words_are_said(self):
        _, later = said(["1", None] * 30, ["maybe", "2", "maybe", "1", "0"], [7.0, 1.0])
        note = "Column 'c' held '1' or nothing at fit; other words count as that value: "
        assert later == [
            ([1.0, 1.0, 1.0, 1.0, 0.0], [note + "'maybe' (2), '2' (1)."]),
            ([1.0, 1.0], [note + "'7' (1)."]),
        ]

    def test_a_word_for_false_or_nothing_may_be_the_value(self):
        for word, other in (("no", "off"), ("0", "0.0"), ("unknown", "Unknown")):
            _, later = said([word, None] * 30, [word, other, None])
            assert later == [([1.0, 1.0, 0.0], [])]

    def test_words_for_nothing_at_fit_are_nothing(self):
        values = ["-", "5"] * 60 + ["5 "] * 60 + ["odd"] * 3
        assert said(values, ["-", "5", "5.0", "odd", "ODD"])[1] == [([0.0, 1.0, 1.0, 0.0, 0.0], [])]

    def test_long_words_are_known_again(self):
        text = "a long remark, " * 200
        assert said([text, None] * 30, [text, None])[1] == [([1.0, 0.0], [])]

    def test_models_that_were_saved_before_read_as_ever(self):
        old = PresenceColumn.model_validate({"name": "c", "form": "presence"})
        assert old.transform(read_cells(pd.Series(["1", "0", None]), "c"), Habits(), [])[
            0
        ].values.tolist() == [1, 1, 0]


class TestFactors:
    KELVIN: ClassVar = [f"{280 + i % 30}.5 K" for i in ROWS]

    def test_one_letter_in_every_cell_may_be_a_unit(self):
        at_fit, _ = said(self.KELVIN)
        assert (
            "'280.5 K', and 'K' in every value: it is taken as a factor (280500), though it may be"
            in at_fit[1]
        )
        read = read_as_numbers(pd.Series(self.KELVIN, name="c"), pd.DataFrame())
        assert read is not None
        assert read.doubt == at_fit[1]

    @pytest.mark.parametrize("new", [["305.5"], [305.5], ["305.5", None, "0"]])
    def test_values_without_it_are_said(self, new: list[object]):
        [(x, notes)] = said(self.KELVIN, new)[1]
        assert x[0] == 305.5
        assert len(notes) == 1
        assert "holds 305.5 without the 'K' that stood beside every value at fit" in notes[0]

    def test_also_where_there_were_several(self):
        values = [f"{i}k" for i in ROWS] + ["1.5M", "2M"]
        at_fit, [(_, notes), (x, beside)] = said(values, ["5"], ["5", "6k"])
        assert not [note for note in at_fit if "may be a unit" in note]
        assert "holds 5 without the 'M' or 'k' that" in notes[0]
        assert (x, beside) == ([5.0, 6000.0], notes)  # what is said of a row does not depend on others

    def test_values_with_it_or_without_size_are_as_ever(self):
        _, later = said(self.KELVIN, ["305.5 K", "3 K"], ["0"], [None])
        assert [notes for _, notes in later] == [[], [], []]

    def test_numbers_of_which_some_had_none_are_as_ever(self):
        at_fit, later = said([f"{i}k" for i in ROWS] + ["5M", "800"], ["5"], [5], ["5k"])
        assert at_fit == ["Read as numbers: 'c' ('0k' is 0)."]
        assert later == [([5.0], []), ([5.0], []), ([5000.0], [])]

    def test_units_are_as_ever(self):
        assert said([f"{i % 9} kg" for i in ROWS], ["5"])[1] == [([5.0], [])]


class TestCountsBehindPoints:
    VERSIONS: ClassVar = [f"{1 + i % 3}.{i % 13}" for i in ROWS]

    def test_versions_stay_apart(self):
        columns, encoded = fitted(pd.DataFrame({"c": self.VERSIONS}))
        assert columns.records[0].kind == "nominal"
        assert encoded.n_levels == (39,)
        assert columns.notes[0].startswith(
            "Column 'c' is taken as categories: it holds '2.1' and '2.10', which are one number"
        )
        assert columns.transform(pd.DataFrame({"c": ["2.1", "2.10"]})).x[:, 0].tolist() == [14, 15]

    def test_they_are_numbers_where_that_is_declared(self):
        _, encoded = fitted(pd.DataFrame({"c": self.VERSIONS}), {"c": "number"})
        assert encoded.x[:3, 0].tolist() == [1.0, 2.1, 3.2]

    @pytest.mark.parametrize(
        "others",
        [
            ["1.05"],  # a zero in front is a decimal
            ["-1.5"],
            ["1.125"],
            ["2.99"],  # nobody counts from 12 to 99
        ],
    )
    def test_measurements_in_two_ways_stay_numbers_and_that_is_shown(self, others: list[str]):
        columns, encoded = fitted(pd.DataFrame({"c": self.VERSIONS + others * 2}))
        assert columns.records[0].kind == "number"
        assert encoded.x[-1, 0] == float(others[0])
        assert columns.notes == ("Read as numbers: 'c' ('2.10' is 2.1).",)

    def test_shares_have_no_zeros_in_front_either(self):
        shares = [0.1 + i % 80 / 100 for i in range(200)]
        words = [f"{share:.2f}" if i % 3 else f"{share:.2g}" for i, share in enumerate(shares)]
        assert fitted(pd.DataFrame({"c": words}))[0].records[0].kind == "number"

    @pytest.mark.parametrize("form", ["{:.2f}", "{:.1f}", "{:g}", "{}"])
    def test_measurements_in_one_way_are_not_doubted(self, form: str):
        assert said([form.format(i * 37 % 400 / 40) for i in ROWS]) == ([], [])


class TestDaysAndMonths:
    DAYS = pd.date_range("2023-01-01", periods=90, freq="4D")

    @pytest.mark.parametrize("mark", ["/", "-", "."])
    def test_both_orders_in_one_column_are_said(self, mark: str):
        day, month = (self.DAYS.strftime(form.replace("/", mark)) for form in ("%d/%m/%Y", "%m/%d/%Y"))
        at_fit, _ = said([*day[:60], *month[60:]])
        days, months = self.DAYS.day.to_numpy(), self.DAYS.month.to_numpy()
        later = days > 12
        example = [date.replace("/", mark) for date in ("13/01/2023", "08/29/2023")]
        n_day, n_month, n_open = later[:60].sum(), later[60:].sum(), (~later & (days != months)).sum()
        assert at_fit == [
            f"Column 'c' holds dates with the day first ({n_day}, such as '{example[0]}') and with the month first "
            f"({n_month}, such as '{example[1]}'). Of {n_open} that can be read both ways, the day is "
            "taken to come first. Write all dates in one way."
        ]

    @pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%y-%m-%d"])
    def test_one_order_is_not(self, form: str):
        assert said(self.DAYS.strftime(form), self.DAYS.strftime(form)) == ([], [(ANY, [])])


class TestMonthsWithTheirYear:
    MONTHS = pd.date_range("2019-03-01", periods=30, freq="MS")

    def test_they_are_dates_and_no_decimals(self):
        words = [*self.MONTHS.strftime("%m.%Y"), None, "-"] * 3
        columns, encoded = fitted(pd.DataFrame({"c": words}))
        assert columns.records[0].kind == "date"
        days = self.MONTHS.to_numpy().astype("datetime64[D]").astype(float).tolist()
        assert encoded.x[:30, 0].tolist() == days
        assert (
            columns.transform(pd.DataFrame({"c": ["10.2020", "2020-10-01"]})).x[:, 0].tolist()
            == [18536.0] * 2
        )
        assert read_as_numbers(pd.Series(words, name="c"), pd.DataFrame()) is None

    def test_their_points_tell_nothing_of_other_columns(self):
        beside = pd.DataFrame({"month": self.MONTHS.strftime("%m.%Y")})
        read = read_as_numbers(pd.Series(GROUPED[:30], name="price"), beside)
        assert read is not None
        assert "though it may separate thousands" in read.doubt

    @pytest.mark.parametrize(
        "values",
        [
            ["10.2020", "11.2021", "12.1999"],
            ["1.2020", "3.1950", "2.2001"],
            ["01.2020", "02.2020", "13.2020"],
        ],
        ids=["no zero in front", "no two digits", "no month"],
    )
    def test_numbers_stay_numbers(self, values: list[str]):
        columns, encoded = fitted(pd.DataFrame({"c": values * 20}))
        assert columns.records[0].kind == "number"
        assert encoded.x[:3, 0].tolist() == [float(value) for value in values]


class TestLettersWithAccents:
    def test_they_are_the_same_in_one_character_and_in_two(self):
        one, two = (
            ["Café", "Zürich", "Oslo"],
            [unicodedata.normalize("NFD", word) for word in ("Café", "Zürich", "Oslo")],
        )
        assert one != two
        for fit, new in ((one, two), (two, one), (one + two, two)):
            for dtype in ("str", "object", "category"):
                _, later = said(pd.Series(fit * 20, dtype=dtype), pd.Series(new, dtype=dtype))
                assert later == [([0.0, 2.0, 1.0], [])]

    def test_models_that_were_saved_with_two_find_both(self):
        two = unicodedata.normalize("NFD", "Café")
        old = LevelColumn.model_validate({"name": "c", "form": "levels", "levels": [two, "Oslo"]})
        told: list[str] = []
        x = old.transform(read_cells(pd.Series(["Café", two, "Oslo"]), "c"), Habits(), told)[0].values
        assert (x.tolist(), told) == ([0.0, 0.0, 1.0], [])


class TestWordsAmongNumbers:
    def notes(self, values: list[str]) -> list[str]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            columns, _ = fitted(
                pd.DataFrame({"c": values, "other": [i * i % 997 for i in range(len(values))]})
            )
        return list(columns.notes)

    @pytest.mark.parametrize("word", ["x{}", "under {}", "minus {}", "[{}]", "5+", "other"])
    @pytest.mark.parametrize("share", [10, 25, 45])
    def test_they_are_named_if_most_are_numbers(self, word: str, share: int):
        (note,) = self.notes([word.format(i % 3) if i % 100 < share else f"{i % 20}" for i in range(400)])
        assert note.startswith(
            f"Column 'c' is taken as categories: {100 - share}% of its values are numbers, but not "
        )
        assert repr(word.format(0)) in note

    def test_else_they_are_levels(self):
        assert self.notes(["x" * (i % 100 < 60) + f"{i % 40}" for i in range(400)]) == []

    @pytest.mark.parametrize(
        "levels",
        [
            ["12 years", "9-11 years", "16 years", "12 years", ">16 years"],
            ["3rd class", "3rd class", "1st class"],
            ["1. White"] * 9 + ["2. Black"],
        ],
    )
    def test_also_few_numbers_among_them(self, levels: list[str]):
        assert self.notes([levels[i % len(levels)] for i in range(400)]) == []

    def test_also_where_the_column_is_left_out(self):
        notes = self.notes([f"x{i}" if i % 3 == 0 else f"{i}.5" for i in range(300)])
        assert notes[-1].startswith(
            "Column 'c' is left out as a whole, though 67% of its values are numbers, but not 'x0' (1)"
        )

    def test_and_words_among_dates(self):
        assert self.notes(["open" if i % 4 == 0 else f"2020-01-{i % 20 + 1:02d}" for i in range(400)]) == [
            "Column 'c' is taken as categories: 75% of its values are dates, but not 'open' (100). Declare it as date "
            "to count those as missing."
        ]
