"""Amounts as accountants and newspapers write them: brackets, dashes, words for large numbers, sizes of files."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.columns import NAN, encode, fitted, same
from testtime.errors import InputError
from testtime.table.columns import DataWarning, TableColumns
from testtime.table.columns.alone import read_as_numbers
from testtime.table.readers import read_table

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")

ACCOUNTING = {  # what a spreadsheet's format makes of a number
    "dollar": lambda x: " $-   " if x == 0 else f" ${x:,.2f} " if x > 0 else f" $({-x:,.2f})",
    "euro": lambda x: "€ -" if x == 0 else f"€{x:,.2f}" if x > 0 else f"€({-x:,.2f})",
    "code": lambda x: "USD -" if x == 0 else f"USD {x:,.2f}" if x > 0 else f"USD ({-x:,.2f})",
    "behind": lambda x: "-   $" if x == 0 else f"{x:,.2f} $" if x > 0 else f"({-x:,.2f}) $",
    "per cent": lambda x: "0 %" if x == 0 else f"{x:.2f}%" if x > 0 else f"({-x:.2f})%",
    "none": lambda x: " -   " if x == 0 else f" {x:,.2f} " if x > 0 else f" ({-x:,.2f})",
}


def amounts(negative: float, zero: float = 0.2, n_rows: int = 200) -> np.ndarray:
    rng = np.random.default_rng(0)
    size = np.abs(rng.normal(0, 2000, n_rows)).round(2) + 0.01
    return np.where(
        rng.random(n_rows) < zero, 0.0, np.where(rng.random(n_rows) < negative, -size, size)
    ).round(2)


class TestAccounting:
    @pytest.mark.parametrize("negative", [0.05, 0.5])
    @pytest.mark.parametrize("form", ACCOUNTING)
    def test_negative_numbers_and_zeros_of_a_file_are_read(self, tmp_path: Path, form: str, negative: float):
        values = amounts(negative)
        path = tmp_path / "accounts.csv"
        pd.DataFrame({"c": map(ACCOUNTING[form], values), "z": values**2}).to_csv(path, index=False)
        table, encoded = fitted(read_table(path)[0])
        np.testing.assert_array_equal(encoded.x[:, 0], values)
        assert table.records[0].missing == 0
        target = read_as_numbers(read_table(path)[0]["c"], pd.DataFrame())
        np.testing.assert_array_equal(target.values, values)

    @pytest.mark.parametrize(
        ("word", "value"), [("60208,95", "60208.95"), ("1,366,862.01 €", "1366862.01"), ("-,1", "-0.1")]
    )
    def test_notes_show_all_digits(self, word: str, value: str):
        table, _ = fitted(pd.DataFrame({"c": [word, "7"] * 9}))
        assert table.notes == (f"Read as numbers: 'c' ({word!r} is {value}).",)

    def test_a_dash_that_is_0_is_said_and_is_0_later(self):
        table, _ = fitted(pd.DataFrame({"c": ["1,200.00", "(7.50)", "-"] * 9}))
        assert table.notes[-1] == (
            "Column 'c' holds '-' in 9 rows: it is read as 0, as in accounting, since negative numbers stand in "
            "brackets."
        )
        assert table.transform(pd.DataFrame({"c": ["-", "3"]})).x[:, 0].tolist() == [0, 3]

    @pytest.mark.parametrize("values", [["1,200.00", "7.50", "-"], ["$5", "$7", "-"], ["7.50", "8.25", "-"]])
    def test_a_dash_that_may_be_0_is_missing_and_said(self, values: list[str]):
        table, encoded = fitted(pd.DataFrame({"c": values * 9}))
        assert np.isnan(encoded.x[2, 0])
        assert "'-' in 9 rows, which count as missing, though it may stand for 0" in table.notes[-1]
        later = table.transform(pd.DataFrame({"c": ["-", "(3.00)"]})).x[:, 0]
        assert same(later.tolist(), [NAN, -3.0])  # what it was at fit, whatever stands beside it now
        assert "may stand for 0" in read_as_numbers(pd.Series(values, name="y"), pd.DataFrame()).doubt

    @pytest.mark.parametrize("values", [["0.00", "7.50", "-"], ["1.5", "2.125", "-"], ["(3)", "0", "5", "-"]])
    def test_a_dash_beside_measurements_or_zeros_is_missing(self, values: list[str]):
        table, encoded = fitted(pd.DataFrame({"c": values * 9}))
        assert np.isnan(encoded.x[len(values) - 1, 0])
        assert not any("stand for 0" in note for note in table.notes)

    def test_models_without_a_dash_at_fit_hear_of_it(self):
        table, _ = fitted(pd.DataFrame({"c": [1.5, 2.5, 7.0]}))
        with pytest.warns(UserWarning, match="'-' in 1 rows: it is read as 0"):
            assert table.transform(pd.DataFrame({"c": ["-", "(3.00)"]})).x[:, 0].tolist() == [0.0, -3.0]

    def test_models_that_were_saved_before_read_as_ever(self):
        state = TableColumns().fit(pd.DataFrame({"c": ["(1.50)", "2.50", "7.00"]})).to_state()
        for new in ("accounting", "factors", "units"):
            del state["columns"][0][new]
        old = TableColumns.from_state(state)
        assert same(old.transform(pd.DataFrame({"c": ["-", "(3.00)"]})).x[:, 0].tolist(), [NAN, -3.0])

    @pytest.mark.parametrize(
        "values",
        [
            ["(1) Yes", "(2) No", "(3) Unsure"],
            ["(1) M", "(2) F"],
            ["$(5", "$5)", "(6"],
            ["($(5))", "-$(7)", "(-(5))"],
            ["f(5)", "g(6)", "h(7)"],
        ],
    )
    def test_what_only_looks_so_stays_text(self, values: list[str]):
        assert fitted(pd.DataFrame({"c": values * 9}))[0].records[0].kind == "nominal"


class TestFactors:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            (["12.3 Mio.", "1.40 Mrd.", "7 Tsd."], [12.3e6, 1.4e9, 7e3]),
            (["12,5 Mio. €", "1,25 Mrd. €", "800 €"], [12.5e6, 1.25e9, 800]),
            (["12.5 Mio. EUR", "1.25 Mrd. EUR", "700 EUR"], [12.5e6, 1.25e9, 700]),
            (["3 million", "2.5 billion", "1.5 trillion"], [3e6, 2.5e9, 1.5e12]),
            (["350k", "1.2m", "12"], [350e3, 1.2e6, 12]),
            (["£350k", "£1.2m", "£3.5bn"], [350e3, 1.2e6, 3.5e9]),
            (["1,2 M€", "350 k€"], [1.2e6, 350e3]),
            (["$12.3B", "$1.4T", "$700M"], [12.3e9, 1.4e12, 700e6]),
            (["3 mld", "250 mln", "7 mln"], [3e9, 250e6, 7e6]),
            (["$(1.2)M", "$3.5M", "$(800)k"], [-1.2e6, 3.5e6, -800e3]),
            (["1227 B", "132.7 KB", "3 MB", "1.5 GB"], [1227, 132.7e3, 3e6, 1.5e9]),
            (["512 bytes", "4 KiB", "1 MiB"], [512, 4096, 2**20]),
            (["512B", "12K", "3.5M", "1.5G"], [512, 12e3, 3.5e6, 1.5e9]),
            (["5 m", "7.5 m", "12 m"], [5, 7.5, 12]),  # metres
            (["5 T", "7.5 T", "12 T"], [5, 7.5, 12]),
            (["5 MB", "7.5 MB", "12 MB"], [5, 7.5, 12]),
            (["5B", "7.5B", "12M"], [5e9, 7.5e9, 12e6]),
        ],
    )
    def test_the_column_tells_what_a_word_stands_for(self, values: list[str], expected: list[float]):
        np.testing.assert_allclose(encode(values), expected, rtol=1e-15)

    @pytest.mark.parametrize(
        ("values", "new", "expected"),
        [
            (["1227 B", "132.7 KB", "3 MB"], ["900 B", "7 B"], [900.0, 7.0]),
            (["350k", "1.2m", "12"], ["1.5m", "2m"], [1.5e6, 2e6]),
            (["$12B", "$1.5T"], ["$2T", "$3T"], [2e12, 3e12]),
            (["5 m", "7.5 m"], ["8 m", "9 m", "3k"], [8.0, 9.0, 3.0]),
        ],
    )
    def test_it_stands_for_the_same_later(self, values: list[str], new: list[str], expected: list[float]):
        if "3k" in new:  # no thousand metres: another unit
            with pytest.raises(InputError, match="holds '3k'"):
                encode(values, new)
        else:
            assert encode(values, new) == expected

    def test_megabytes_are_not_mixed_with_bytes_later(self):
        with pytest.raises(InputError, match="column 'c' holds '512 B'; expected numbers, as at fit"):
            encode(["5 MB", "7 MB"], ["512 B", "700 B", "1 MB"])

    @pytest.mark.parametrize("values", [["T", "F"], ["A", "B", "T"], ["m", "w"]])
    def test_letters_without_digits_are_none(self, values: list[str]):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert fitted(pd.DataFrame({"c": values * 9}))[0].records[0].kind != "number"

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            (["5 m", "1.5 km", "7.25cm"], [5.0, 1500.0, 0.0725]),
            (["3 kg", "500 g", "12g"], [3000.0, 500.0, 12.0]),
            (["90 min", "2 h", "1.5 hours"], [5400.0, 7200.0, 5400.0]),
            (["2 years", "3 weeks", "1 year"], [63115200.0, 1814400.0, 31557600.0]),
            (["2.4 GHz", "900 MHz", "1 GHz"], [2.4e9, 9e8, 1e9]),
            (["5 ft", "7 in", "8 in"], [60.0, 7.0, 8.0]),
            (["1.5 L", "500 ml", "2 l"], [1.5, 0.5, 2.0]),
            (["5 kW", "900 W", "1.2 MW"], [5e3, 900.0, 1.2e6]),
        ],
    )
    def test_units_of_one_quantity_are(self, values: list[str], expected: list[float]):
        assert encode(values * 9)[:3] == pytest.approx(expected)

    def test_a_quantity_is_read_as_at_fit(self):
        assert encode(["3 kg", "500 g"] * 9, ["2 kg", "7 g", "70 mg"]) == pytest.approx([2000.0, 7.0, 0.07])
        assert encode(["3 kg", "500 g"] * 9, ["2 kg", "1 kg"]) == [2000.0, 1000.0]
        assert encode(["300 g", "500 g"] * 9, ["2 g", "7 kg"]) == [2.0, 7000.0]
        assert encode(["300 g", "500 g"] * 9, ["2 kg", "7 kg"]) == [2000.0, 7000.0]
        assert encode(["3 kg", "5 kg"] * 9, ["200 g"]) == pytest.approx([0.2])
        with pytest.raises(InputError, match="'7 l'"):
            encode(["300 g", "500 g"] * 9, ["2 g", "3 g", "7 l"])

    def test_two_systems_are_one_quantity(self):
        assert encode(["3 kg", "10 lb", "160 oz"] * 9) == pytest.approx([3000.0, 4535.9237, 4535.9237] * 9)
        assert encode(["3 km", "2 Miles", "5 ft"] * 9) == pytest.approx([3000.0, 3218.688, 1.524] * 9)
        assert encode(["3 lb", "16 oz"] * 9, ["2 lbs", "1 kg"]) == pytest.approx([32.0, 35.27396])
        assert encode(["3 kg", "5 kg"] * 9, ["10 pounds"]) == pytest.approx([4.5359237])

    @pytest.mark.parametrize(
        "values", [["5 m", "1.5 kg"], ["3 kg", "500 gal"], ["5 t", "70 l"], ["3 h", "5 km", "7 m"]]
    )
    def test_other_units_are_no_factors(self, values: list[str]):
        assert fitted(pd.DataFrame({"c": values * 9}))[0].records[0].kind == "nominal"


class TestUnreadQuantities:
    """No column of quantities becomes categories without a word, and codes do so without one."""

    def notes(self, words: list[str]) -> list[str]:
        table, _ = fitted(pd.DataFrame({"c": words * 3, "z": np.arange(3 * len(words)) ** 2}))
        assert table.records[0].kind == "nominal"
        return [note for note in table.notes if "is taken as categories" in note]

    @pytest.mark.parametrize(
        "word",
        [
            lambda i: f"{i} min" if i % 2 else f"{i} km",
            lambda i: f"{i / 4:.2f} kg" if i % 2 else f"{i * 10} l",
            lambda i: f"{i / 4:.2f} GHz" if i % 2 else f"{i * 10} rpm",
            lambda i: f"{i / 4:.2f}{'*' * (i % 3)}",
            lambda i: f"{i / 4:.2f}A" if i % 2 else f"{i}mA",
            lambda i: f"{i / 4:.2f} (kg)",
            lambda i: f"{i}.5 ± 0.{i}",
            lambda i: f"{i}ft {i % 6}in",
            lambda i: f"{i / 4:.2f} Ztr." if i % 2 else f"{i} dz.",
            lambda i: "$5 CR" if i % 20 == 0 else f"{i / 4:.2f} CR" if i % 2 else f"{i / 4:.2f} DR",
        ],
    )
    def test_they_are_said_once(self, word):
        (note,) = self.notes([word(i) for i in range(1, 41)])
        assert "% of its values begin with a number, but" in note

    @pytest.mark.parametrize(
        "word",
        [
            lambda i: f"{i}{'ABC'[i % 3]}",
            lambda i: f"{i}{'abc'[i % 3]}",
            lambda i: f"{i} {'ABC'[i % 3]}",
            lambda i: f"{i}{['AB', 'BC', 'CD'][i % 3]}",
            lambda i: f"{i} {('Main', 'High', 'Mill')[i % 3]} Street",
            lambda i: f"{i} {('Oak', 'Elm', 'Broadway')[i % 3]}",
            lambda i: f"80{i:03d} {('München', 'Freising')[i % 2]}",
            lambda i: f"{i}x{i + 5}",
            lambda i: f"{i} x {i + 5} cm",
            lambda i: f"{i}-{i + 5}",
            lambda i: f"{i // 10}.{i % 10}.{i % 7}",
            lambda i: f"192.168.{i}.{i % 7}",
            lambda i: f"2021-{i}",
            lambda i: f"{i}/{2000 + i}",
            lambda i: f"{i}A{i * 7}",
            lambda i: f"{i % 4} {('low', 'mid', 'high', 'top')[i % 4]}",
            lambda i: f"{i}_{'ab'[i % 2]}",
            lambda i: f"{i} {('January', 'March', 'May')[i % 3]}",
        ],
    )
    def test_codes_and_the_like_are_not(self, word):
        assert self.notes([word(i) for i in range(1, 41)]) == []


class TestMarksThatMayBeSigns:
    """CR beside a part of the numbers says which ones are credits, and a W which ones are west."""

    VALUES = tuple(f"{value:.2f}" for value in np.random.default_rng(0).integers(1000, 6000, 200) / 100)

    def column(self, mark: str, share: float) -> tuple[str, list[float], tuple[str, ...]]:
        words = [value + (mark if at < share * 200 else "") for at, value in enumerate(self.VALUES)]
        table, encoded = fitted(pd.DataFrame({"c": words * 2, "z": np.arange(400) ** 2 % 997}))
        return table.records[0].kind, encoded.x[:200, 0].tolist(), table.notes

    @pytest.mark.parametrize("mark", [" CR", " Dr.", "W", " E", "°N", " BC", " bce", " H"])
    @pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
    def test_they_are_not_read_beside_a_part(self, mark: str, share: float):
        kind, _, (note,) = self.column(mark, share)
        assert kind == "nominal"
        assert f"may be a sign, as in '{self.VALUES[0]}{mark}' and '{self.VALUES[int(share * 200)]}'" in note

    @pytest.mark.parametrize(
        ("mark", "share"), [(" CR", 1), ("W", 1), (" kg", 0.5), (" m", 0.5), (" €", 0.5)]
    )
    def test_what_all_have_and_other_units_are_as_ever(self, mark: str, share: float):
        kind, found, _ = self.column(mark, share)
        assert (kind, found) == ("number", [float(value) for value in self.VALUES])

    def test_a_few_count_as_missing(self):
        kind, found, (note,) = self.column(" CR", 0.02)
        assert (kind, np.isnan(found[:4]).all(), np.isnan(found[4:]).any()) == ("number", True, False)
        assert f"'{self.VALUES[0]} CR' (2)" in note

    def test_names_with_a_letter_are_no_numbers(self):
        names = [f"model {i}" for i in range(20)]
        table, _ = fitted(
            pd.DataFrame({"c": ["190E", "240E", "90", "100", *names] * 2, "z": np.arange(48) ** 2 % 997})
        )
        assert table.notes == ()

    def test_nothing_is_on_no_side(self):
        table, encoded = fitted(pd.DataFrame({"c": [f"{i % 9} CR" if i % 9 else "0" for i in range(90)]}))
        assert table.records[0].kind == "number"
        assert encoded.x[:3, 0].tolist() == [0.0, 1.0, 2.0]

    def test_a_model_of_all_of_them_reads_some(self):
        table, _ = fitted(pd.DataFrame({"c": [f"{value} W" for value in self.VALUES]}))
        assert table.transform(pd.DataFrame({"c": ["5 W", "6"]})).x[:, 0].tolist() == [5.0, 6.0]


class TestPerCent:
    """Fitted on words such as 40%, given numbers, which may be shares as a spreadsheet stores them."""

    SHARES = tuple(f"{value:.0f}%" for value in np.random.default_rng(0).normal(40, 60, 120))
    SMALL = tuple(f"{value:.2f} %" for value in np.random.default_rng(0).lognormal(-0.5, 1, 120))

    @pytest.mark.parametrize(
        ("fit", "new"),
        [
            (SHARES, [0.05, -0.3, 1.2]),
            (SHARES, [0.05, -0.3, 0.9]),
            (SHARES, ["0.05", "-0.3", "1.2"]),
            (SHARES, [0.05, -0.3, 1.2, None, 0.0] * 50),
            (SMALL, [0.0061, 0.0032, 0.0105]),
        ],
    )
    def test_numbers_a_hundred_times_too_small_are_refused(self, fit: tuple[str, ...], new: list[object]):
        with pytest.raises(InputError, match=r"without a unit; expected '%', as at fit"):
            encode(fit, new)

    @pytest.mark.parametrize(
        ("fit", "new"),
        [
            (SHARES, [5.0, -30.0, 120.0]),
            (SHARES, [0.3, 45.0, -20.0]),  # a small one among others
            (SMALL, [0.4]),  # as many of fit are
            (SMALL, [0.61, 0.32, 0.95] * 20),
            (SMALL, ["0.61", "0.32", "1.05"]),
            (("3 kg", "40 kg"), [0.01, 0.02, 0.03]),
            (SHARES, [0.0, None]),
        ],
    )
    def test_numbers_of_the_size_of_fit_are_per_cent(self, fit: tuple[str, ...], new: list[object]):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            read = np.array(encode(fit, new))
        assert not any("without a unit" in str(one.message) for one in said)
        expected = pd.to_numeric(pd.Series(new), errors="coerce").to_numpy(float)
        np.testing.assert_array_equal(read, expected)

    @pytest.mark.parametrize("new", [[1.2], [0.3, 1.2], [1.8, 3.0, 2.5]])
    def test_few_or_nearer_numbers_are_per_cent_with_a_word(self, new: list[float]):
        table, _ = fitted(pd.DataFrame({"c": self.SHARES}))
        with pytest.warns(
            UserWarning, match=r"'c' holds .* without a unit, which is taken as %, as at fit: it may"
        ):
            assert table.transform(pd.DataFrame({"c": new})).x[:, 0].tolist() == new

    def test_models_that_were_saved_before_refuse_what_they_did(self):
        state = TableColumns().fit(pd.DataFrame({"c": self.SHARES})).to_state()
        for new in ("typical", "small", "factors", "units", "accounting"):
            del state["columns"][0][new]
        old = TableColumns.from_state(state)
        assert old.transform(pd.DataFrame({"c": [0.05, 1.2, 0.3]})).x[:, 0].tolist() == [0.05, 1.2, 0.3]
        with pytest.raises(InputError, match=r"holds 0\.9 without a unit"):
            old.transform(pd.DataFrame({"c": [0.05, 0.9]}))


@pytest.mark.parametrize("form", ["${} €{}", "{}$ {}€", "EUR_{} USD_{}", "US${} A${}", "{}_EUR {}_CHF"])
def test_several_currencies_are_named_as_such(form: str):
    one, other = (word.replace("_", " ") for word in form.split(" "))
    cells = [(one, other)[i % 2].format(f"{100 + 3.7 * i:.1f}") for i in range(200)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        columns = TableColumns().fit(pd.DataFrame({"c": cells, "n": np.arange(200) % 7}))
    assert columns.notes[-1] == (
        "Column 'c' is left out as a whole, though 100% of its values are amounts of money in several currencies, such "
        f"as {cells[0]!r} and {cells[1]!r}. Convert them into one, or write the currency into a column of its own. Its "
        "parts may stand beside the other columns."
    )


@pytest.mark.parametrize(
    "form",
    [
        "€{}|{} EUR",
        "€{}|{} Euro",
        "${}|{} USD",
        "US${}|{} usd",
        "£{}|{} pounds",
        "kr {}|{} SEK",
        "¥{}|{} CNY",
    ],
)
def test_one_currency_may_stand_on_either_side(form: str):
    assert encode([word.format(10 + i) for i in range(20) for word in form.split("|")])[:4] == [
        10,
        10,
        11,
        11,
    ]


@pytest.mark.parametrize("form", ["€{}|{} $", "US${}|{} CAD", "${}|{} kg", "${}|{} %", "${}k|{}k €"])
@pytest.mark.parametrize("first", [0, 1])
def test_what_stands_on_one_side_only_is_not_what_stands_on_the_other(form: str, first: int):
    words = form.split("|")
    often, seldom = words[first], words[1 - first]
    with pytest.warns(DataWarning, match="holds numbers; counted as missing"):
        values = encode([often.format(10 + i) for i in range(97)] + [seldom.format(i) for i in range(3)])
    assert np.isfinite(values[:97]).all()
    assert np.isnan(values[97:]).all()
