"""Cells that can be read in two ways: what decides, what is said, and what is refused."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.support.columns import NAN, fitted, same
from testtime.errors import InputError
from testtime.table.columns import DataWarning
from testtime.table.columns.alone import read_as_numbers
from testtime.table.readers import read_table


def told(values: object, new: object, kinds: dict[str, str] | None = None) -> tuple[list[float], list[str]]:
    """Values of new cells of a column, and what is said about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        columns, _ = fitted(pd.DataFrame({"c": values}), kinds)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", DataWarning)
        found = columns.transform(pd.DataFrame({"c": new})).x[:, 0].tolist()
    return found, [str(one.message) for one in seen]


THOUSANDS = [f"{i}k" for i in range(1, 61)]
DAYS = pd.date_range("2020-01-01", periods=60, freq="5D")
NUMBERS = np.linspace(0.0, 2.0, 60)


class TestUnits:
    def test_one_other_unit_leaves_the_factors_of_the_rest(self):
        found, said = told(THOUSANDS, ["5k"] * 20 + ["5 kg"])
        assert same(found, [5000.0] * 20 + [NAN])
        assert "'5 kg' (1)" in said[0]

    @pytest.mark.parametrize("odd", ["5 kg", "3 views"])
    def test_also_at_fit(self, odd: str):
        assert told([*THOUSANDS[:59], odd], ["5k", "5M"])[0] == [5000.0, 5_000_000.0]

    def test_a_unit_that_most_have_is_none_of_the_factors(self):
        assert same(told([f"{i} kg" for i in range(59)] + ["5k"], ["7 kg"])[0], [7.0])

    def test_a_first_unit_is_said(self):
        found, said = told(NUMBERS, ["12 kg", "5"])
        assert found == [12.0, 5.0]
        assert said == ["Column 'c' holds numbers in 'kg', and had none with a unit at fit: '12 kg' is 12."]

    def test_per_cent_may_have_been_a_fraction(self):
        with pytest.raises(
            InputError, match="holds numbers in '%'; expected numbers without a unit, as at fit"
        ):
            told(NUMBERS, ["12%", "50%"])

    def test_the_unit_of_fit_is_not_worth_a_word(self):
        assert told([f"{i} kg" for i in range(60)] * 2, ["12 kg", "5"]) == ([12.0, 5.0], [])


class TestTruth:
    @pytest.mark.parametrize("word", ["T", "N", "yes", "off"])
    def test_letters_are_no_numbers(self, word: str):
        """T is a trace of rain."""
        with pytest.raises(InputError, match=f"holds '{word}'; expected numbers, as at fit"):
            told(NUMBERS, ["0.2", word])

    def test_true_and_false_in_full_are_none_of_other_numbers(self):
        with pytest.raises(InputError, match="holds TRUE; expected numbers"):
            told(NUMBERS, ["TRUE", "0.5", "false"])

    def test_numbers_are_no_truth_values_as_they_are_none_in_words(self):
        for new in ([1, 2, 2], [1.0, -3.0], ["1", "2", "2"]):
            with pytest.raises(InputError, match="expected booleans, as at fit"):
                told(["yes", "no"] * 30, new)
        assert told(["yes", "no"] * 30, [1, 0, None])[0][:2] == [1.0, 0.0]
        assert told([0, 1] * 30, [1, 2])[0] == [1.0, 2.0], "a column of counts"


class TestDates:
    def days(self, *dates: str) -> list[float]:
        return [float((pd.Timestamp(date) - pd.Timestamp(0)).days) for date in dates]

    def test_a_new_file_shows_its_own_order(self):
        new = ["06/05/2020", "12/31/2020", "11/30/2020", "06/25/2020"]
        found, said = told(DAYS.strftime("%d/%m/%Y"), new)
        assert found == self.days("2020-06-05", "2020-12-31", "2020-11-30", "2020-06-25")
        assert said == ["Dates of column 'c' have the month first; at fit it was the day."]

    def test_what_was_assumed_at_fit_gives_way(self):
        found, said = told(DAYS[DAYS.day < 13].strftime("%d/%m/%Y"), ["05/06/2020", "31/12/2020"])
        assert found == self.days("2020-06-05", "2020-12-31")
        assert "have the day first" in said[0]

    def test_what_does_not_tell_is_read_as_at_fit(self):
        assert told(DAYS.strftime("%d/%m/%Y"), ["05/06/2020"]) == (self.days("2020-06-05"), [])

    def test_a_file_with_both_orders_is_read_as_at_fit(self):
        new = ["05/06/2020", "31/12/2020", "12/30/2020", "12/29/2020"]
        found, said = told(DAYS.strftime("%d/%m/%Y"), new)
        assert found[:1] == self.days("2020-06-05")
        assert said == [
            "Column 'c' holds dates with the day first (1, such as '31/12/2020') and with the month first (2, such "
            "as '12/30/2020'). Of 1 that can be read both ways, the day is taken to come first. "
            "Write all dates in one way."
        ]

    def test_an_order_that_nothing_tells_is_said_at_prediction_too(self):
        found, said = told(DAYS, ["05/06/2020", "07/06/2020"])
        assert found == self.days("2020-05-06", "2020-07-06")
        assert "the month is taken to come first" in said[0]

    @pytest.mark.parametrize("form", ["%Y%m%d", "%Y%m"])
    @pytest.mark.parametrize("kind", ["int64", str, "Int64", float])
    def test_days_and_months_without_marks_are_dates_and_are_read_in_any_form(self, form: str, kind: object):
        whole = pd.Series(DAYS.strftime(form).astype("int64")).astype(kind)  # pyright: ignore
        meant = pd.to_datetime(DAYS.strftime(form), format=form)
        assert told(whole, whole)[0] == self.days(*map(str, meant))
        for new in ([20200131], ["20200131"], ["2020-01-31"], [pd.Timestamp("2020-01-31")]):
            assert told(whole, new) == (self.days("2020-01-31"), [])

    def test_open_ends_among_days_without_marks_are_missing_and_said(self):
        days = DAYS.strftime("%Y%m%d").astype(int).tolist()
        with pytest.warns(DataWarning, match="counted as missing: '99991231' \\(2\\)"):
            _, encoded = fitted(pd.DataFrame({"c": [*days, 99991231, 99991231]}))
        assert np.isnan(encoded.x[:, 0]).sum() == 2

    @pytest.mark.parametrize(
        "numbers",
        [
            np.random.default_rng(0).integers(190_000, 209_999, 60),
            np.random.default_rng(0).integers(19_000_101, 20_991_231, 60),
            [*DAYS.strftime("%Y%m%d").astype(int)[:50], *range(20_201_301, 20_201_311)],  # a thirteenth month
            [202_301, 202_302, 202_303] * 20,  # prices may be that
            [20_230_100 + 100 * month + 30 for month in (1, 4, 6)] * 20,  # a third would be 30 February
        ],
        ids=["six digits", "eight digits", "a sixth is none", "three numbers", "no such day"],
    )
    def test_other_whole_numbers_of_that_size_stay_numbers(self, numbers: object):
        columns, _ = fitted(pd.DataFrame({"c": numbers}))
        assert columns.records[0].kind == "number"
        assert columns.records[0].left_out == ""


KEYS = 10**18 + np.random.default_rng(0).permutation(60)


class TestLargeWholeNumbers:
    @pytest.mark.parametrize(
        "keys",
        [
            KEYS,
            KEYS.astype("uint64"),
            KEYS.astype(str),
            pd.array(KEYS, "Int64"),
            KEYS.astype(object),
            pd.array(KEYS, pd.ArrowDtype(pa.int64())),
        ],
        ids=["int64", "uint64", "text", "nullable", "objects", "arrow"],
    )
    def test_keys_are_no_constant(self, keys: object):
        with pytest.warns(DataWarning, match="'user_id' is left out as a whole: no value occurs twice"):
            columns, _ = fitted(pd.DataFrame({"user_id": keys, "a": NUMBERS}))
        record = columns.records[0]
        assert (record.kind, record.left_out, record.levels) == ("id", "no value occurs twice", 60)

    @pytest.mark.parametrize("base", [2**53, 10**17])
    def test_codes_are_the_same_as_text(self, base: int):
        codes = base + np.arange(60) % 4
        for new in (codes[:4], codes[:4].astype(str), codes[:4].astype(object)):
            for fit in (codes, codes.astype(str)):
                assert told(fit, new, {"c": "nominal"}) == ([0.0, 1.0, 2.0, 3.0], [])

    def test_what_varies_is_a_number_as_ever(self):
        values = 10**16 * np.random.default_rng(0).integers(1, 30, 60)
        assert told(values, values[:3])[0] == values[:3].astype(float).tolist()


class TestNames:
    def frame(self) -> pd.DataFrame:
        rng = np.random.default_rng(0)
        return pd.DataFrame({" a": rng.normal(size=60), "g ": rng.normal(size=60)})

    def test_blanks_around_names_do_not_matter(self):
        frame = self.frame()
        columns, encoded = fitted(frame)
        trimmed = frame.rename(columns=str.strip)
        assert np.array_equal(columns.transform(trimmed).x, encoded.x)
        assert np.array_equal(fitted(trimmed)[0].transform(frame).x, encoded.x)

    def test_names_that_could_be_either_are_refused(self):
        frame = self.frame()
        columns, _ = fitted(frame.rename(columns=str.strip))
        with pytest.raises(InputError, match="has no column 'a'"):
            columns.transform(frame.assign(**{"a ": 0.5}))
        both, _ = fitted(frame.assign(a=frame["g "] ** 2))
        with pytest.raises(InputError, match="has no column ' a'"):
            both.transform(frame.rename(columns={" a": "a"}))

    def test_an_exact_name_comes_first(self):
        frame = self.frame().assign(a=0.5)
        columns, encoded = fitted(frame[[" a", "g "]])
        assert np.array_equal(columns.transform(frame[["a", " a", "g "]]).x, encoded.x)

    def test_the_index_of_a_parquet_file_is_left_out(self, tmp_path):
        frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=300)})
        drawn = frame.sample(frac=1, random_state=0)[:200]
        for name, table in {"drawn": drawn, "twice": pd.concat([drawn, drawn])}.items():
            table.to_parquet(tmp_path / f"{name}.parquet")
            read, _ = read_table(tmp_path / f"{name}.parquet")
            assert "__index_level_0__" in read
            with pytest.warns(DataWarning, match=re.escape("it is the index of a pandas frame")):
                columns, _ = fitted(read)
            assert columns.required == ("a",)


class TestClocks:
    RACES = [f"{m}:{s:02d}" for m in range(15, 60) for s in (5, 40)] + ["1:05:10", "1:12:00"]

    def test_two_numbers_beside_three_are_minutes_and_seconds(self):
        """24:37 beside 1:05:10 is no time of day, and a race of 24 hours is not beside one of one hour."""
        found, said = told(self.RACES, ["24:37", "1:00:00", "9:59"])
        assert found == [1477.0, 3600.0, 599.0]
        assert said == []

    @pytest.mark.parametrize(
        ("values", "first"),
        [
            ([f"{h}:30" for h in range(24)] + ["14:30:05"], 52_200.0),  # a clock
            ([f"{h}:30" for h in range(40)], 52_200.0),  # hours, as far as anybody can tell
            ([f"{h}:30" for h in range(14, 90)] + ["1:00:05"], 52_200.0),  # 75:30 would be written 1:15:30
        ],
    )
    def test_otherwise_they_are_hours_and_minutes(self, values: list[str], first: float):
        assert told(values, ["14:30"])[0] == [first]

    TIMES = pd.date_range("2024-01-01", periods=60, freq="1403min")

    @pytest.mark.parametrize(
        "form",
        ["%-I:%M %p", "%I:%M%p", "%H:%M Uhr", "%-Hh%M", "%-H h %M", "%H:%M:00.000Z", "%H:%MZ", "%H:%M"],
    )
    def test_a_clock_is_read_as_people_write_it(self, form: str):
        """No two of them are equal, so that they would be left out as names of rows."""
        of_day = self.TIMES.hour * 3600.0 + self.TIMES.minute * 60.0
        words = self.TIMES.strftime(form)
        columns, encoded = fitted(pd.DataFrame({"c": words}))
        assert columns.records[0].kind == "number"
        assert encoded.x[:, 0].tolist() == of_day.tolist()
        new = ["12:15 AM", "12:15 p.m.", "14h30", "14:30 Uhr", "23:59", "14:30:05,5Z"]
        assert told(words, new)[0] == [900.0, 44_100.0, 52_200.0, 52_200.0, 86_340.0, 52_205.5]
        target = read_as_numbers(pd.Series(words, name="c"), pd.DataFrame())
        assert target is not None
        assert target.values.tolist() == of_day.tolist()

    @pytest.mark.parametrize(
        "values", [["9 AM", "2:30 PM"], ["9 AM", "3 PM"], ["9 Uhr", "14.30 Uhr", "14:30 Uhr"]]
    )
    def test_hours_alone_are_times_where_others_are_and_stay_so(self, values: list[str]):
        new = values[0].replace("9", "11")
        assert told(values * 20, [new, values[-1]])[0][0] == 39_600.0
        assert told(values * 20, [new]) == ([39_600.0], [])

    @pytest.mark.parametrize("unit", ["pm", "h", "Uhr"])
    def test_otherwise_they_are_numbers_with_a_unit(self, unit: str):
        values = [f"{i % 24} {unit}" for i in range(60)]
        assert told(values, [f"3 {unit}"])[0] == [3.0]
        with pytest.raises(InputError, match="expected numbers, as at fit"):
            told(values, ["3:30 PM"])

    def test_what_no_clock_shows_is_no_time(self):
        times = self.TIMES.strftime("%-I:%M %p")
        with pytest.raises(InputError, match="holds '14:30 AM'; expected numbers, as at fit"):
            told(times, ["14:30 AM"])
        assert told(times, ["14:30 PM"])[0] == [52_200.0]


class TestWeeks:
    def test_weeks_of_iso_8601_are_dates(self):
        weeks = [f"{year}-W{week:02d}" for year in (2020, 2021) for week in range(1, 53)]
        found, _ = told(weeks, ["2020-W53", "2021W01", "2021-W01-3", "1969-W01"])
        days = ["2020-12-28", "2021-01-04", "2021-01-06", "1968-12-30"]
        assert found == [float(np.datetime64(day).astype(int)) for day in days]

    def test_a_week_that_its_year_does_not_have_is_none(self):
        weeks = [f"2020-W{week:02d}" for week in range(1, 54)]
        found, said = told(weeks * 2, [*weeks, "2021-W53", "2021-W00"])
        assert np.isnan(found[-2:]).all()
        assert "'2021-W00' (1), '2021-W53' (1)" in said[0]


def test_codes_with_zeros_in_front_are_shown_as_they_were_read():
    zips = [f"{code:05d}" for code in range(1000, 99_000, 900)]
    columns, _ = fitted(pd.DataFrame({"zip": zips * 2, "plain": [str(k) for k in range(218)]}))
    assert [record.parsed for record in columns.records] == ["'01000' is 1000", ""]


@pytest.mark.parametrize("beside", ["5.55", "5,55"])
def test_also_beside_decimal_commas(beside: str):
    zips = [f"{code:05d}" for code in range(1000, 99_000, 900)]
    columns, _ = fitted(pd.DataFrame({"zip": zips * 2, "price": [beside, "6" + beside[1:]] * len(zips)}))
    assert columns.records[0].parsed == "'01000' is 1000"
    assert "'zip' ('01000' is 1000)" in columns.notes[0]
