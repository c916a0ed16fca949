"""What a word beside numbers is a factor of, told by the other words of its column."""

from __future__ import annotations

import pytest

from testtime.table.columns.words.currencies import is_currency
from testtime.table.columns.words.scales import factors_of, is_scale, parted


@pytest.mark.parametrize(
    ("beside", "factors"),
    [
        ((), {"k": 1e3, "tsd": 1e3, "thousand": 1e3, "lakh": 1e5, "crore": 1e7, "mn": 1e6, "millionen": 1e6}),
        ((), {"bn": 1e9, "mrd": 1e9, "milliarden": 1e9, "trillion": 1e12, "billionen": 1e12, "M": 1e6}),
        (("k",), {"m": 1e6, "b": 1e9, "T": 1e12}),
        (("M",), {"b": 1e9, "G": 1e9, "T": 1e12, "B": 1e9}),
        (("bn",), {"t": 1e12, "tn": 1e12, "m": 1e6}),
        (("b",), {"t": 1e12, "tn": 1e12, "m": 1e6}),
        (("mrd",), {"bio": 1e12}),
        (("mio",), {"bio": 1e12}),
        (("kb",), {"B": 1.0, "byte": 1.0, "mb": 1e6, "kib": 1024.0, "mib": 1024.0**2, "tb": 1e12}),
        (("G",), {"B": 1.0, "M": 1e6, "K": 1e3}),
        (("kg",), {"mg": 1e-3, "g": 1.0, "t": 1e6}),
        (("cm",), {"mm": 1e-3, "dm": 0.1, "m": 1.0, "km": 1e3}),
        (("l",), {"ml": 1e-3, "cl": 0.01, "dl": 0.1, "hl": 100.0}),
        (("h",), {"m": 60.0, "s": 1.0, "d": 86_400.0, "w": 604_800.0, "mo": 2_629_800.0, "ms": 1e-3}),
        (("oz",), {"lb": 16.0}),
        (("kg",), {"lb": 453.59237, "pound": 453.59237, "oz": 28.349523125}),
        (("km",), {"mi": 1609.344, "mile": 1609.344, "ft": 0.3048, "in": 0.0254, "yd": 0.9144}),
        (("in",), {"ft": 12.0, "yd": 36.0}),
        (("hz",), {"khz": 1e3, "mhz": 1e6, "ghz": 1e9}),
        (("kw",), {"W": 1.0, "mw": 1e6, "gw": 1e9}),
    ],
)
def test_words(beside: tuple[str, ...], factors: dict[str, float]):
    for word, factor in factors.items():
        assert factors_of([word, *beside])[word] == pytest.approx(factor), word


@pytest.mark.parametrize(
    ("units", "word"),
    [
        (["m"], "m"),
        (["T"], "T"),
        (["G"], "G"),
        (["kg"], "kg"),
        (["m", "kg"], "m"),
        (["m", "cm", "kg"], "cm"),
        (["kg", "gal"], "kg"),
        (["h", "km"], "h"),
        (["mb"], "mb"),
    ],
)
def test_units_that_stand_alone_or_beside_others_are_none(units: list[str], word: str):
    assert word not in factors_of(units)


def test_bytes_alone_are_a_billion_and_no_size():
    assert factors_of(["B", "byte"])["B"] == 1e9
    assert "byte" not in factors_of(["byte"])


def test_what_was_a_factor_at_fit_stays_it():
    assert factors_of(["m"], {"m": 1e6})["m"] == 1e6
    assert factors_of(["m", "h"], {"m": 1e6})["m"] == 1e6
    assert factors_of(["m", "cm"], {"cm": 2.0, "m": 3.0})["cm"] == 2.0


def test_what_was_a_unit_at_fit_is_no_factor_later():
    assert "M" not in factors_of(["M", "k"], not_at_fit=["M"])
    assert not {"mb", "kb", "B"} & factors_of(["B", "kb"], not_at_fit=["mb"]).keys()
    assert factors_of(["g"], not_at_fit=["kg"])["g"] == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("unit", "apart"),
    [
        ("M€", ("M", "€")),
        ("k $", ("k", "$")),
        ("Mrd. eur", ("Mrd.", "eur")),
        ("Mio. Kr", ("Mio.", "Kr")),
        ("m USD", ("m", "USD")),
        ("G$", ("G", "$")),
        ("kEUR", ("kEUR", "")),
        ("Mrs", ("Mrs", "")),
        ("Mio. kg", ("Mio. kg", "")),
        ("kg €", ("kg €", "")),
        ("M²", ("M²", "")),
    ],
)
def test_a_factor_and_a_currency_are_taken_apart(unit: str, apart: tuple[str, str]):
    assert parted(unit) == apart


def test_signs_of_currencies_and_words_for_factors():
    assert [is_currency(sign) for sign in "€$£%k"] == [True, True, True, False, False]
    assert [is_scale(word) for word in ("mrd", "m", "kg")] == [True, True, False]


def test_units_of_two_systems_come_in_the_one_of_fit():
    assert factors_of(["kg"], {"lb": 16.0, "oz": 1.0})["kg"] == pytest.approx(1000 / 28.349523125)
    assert factors_of(["lb"], not_at_fit=["kg"])["lb"] == pytest.approx(0.45359237)
    assert factors_of(["km"], not_at_fit=["mile"])["km"] == pytest.approx(0.6213712)
    assert factors_of(["lb"], {"kg": 1e3, "g": 1.0})["lb"] == pytest.approx(453.59237)
