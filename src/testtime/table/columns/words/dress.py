"""What stands before and after the digits of a number: signs, brackets, currencies, exponents, units."""
# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["Dress", "undressed"]

_Part = TypeVar("_Part")
# Three parts and no more: with a group for each sign and unit, extraction takes ten times as long.
_PARTS = r"^(?P<before>[^0-9.,]*(?:\.\s)?)(?P<body>[0-9.,][0-9.,'’ ]*)(?P<after>[^0-9].*)?$"
_BEFORE = re.compile(r"(\()?\s*([+-])?\s*([^\s()+-][^()+-]*?)?\s*([+-])?\s*")
_AFTER = re.compile(
    r"([eE][+-]?[0-9]{1,9})?(-)?\s*"
    r"(%|‰|[\"'′″°]|°?\s?[^\W\d_][^\W\d_.²³]*[.²³]*(?: [^\W\d_]{1,10})?(?:/[^\W\d_]+[²³]?)?|[^\w\s()])?\s*(\))?"
)
# fmt: off
_CURRENCIES = frozenset((
    "USD", "EUR", "GBP", "JPY", "CHF", "CNY", "RMB", "INR", "AUD", "CAD", "NZD", "SEK", "NOK", "DKK", "PLN",
    "CZK", "HUF", "RUB", "TRY", "BRL", "MXN", "ZAR", "KRW", "SGD", "HKD", "Rs", "Rs.", "kr", "kr.",
))
# fmt: on
_LONGEST_UNIT = 30
_SCALES = {
    "k": 1e3,
    "K": 1e3,
    "M": 1e6,
    "mn": 1e6,
    "mio": 1e6,
    "million": 1e6,
    "B": 1e9,
    "bn": 1e9,
    "billion": 1e9,
}
_ORDINALS = frozenset(("st", "nd", "rd", "th"))


@dataclass(frozen=True)
class Dress:
    """Words without what surrounds their digits.

    Attributes
    ----------
    body
        Digits with their separators; "" for a word that is no number.
    exponent
        "e-5" or "".
    dressed
        Whether the word is a number at all, by what surrounds its digits.
    negative
        Whether a minus or accounting parentheses surround it.
    factor
        What it must be multiplied with: 1,000 for "3 k".
    unit
        The unit of the column: numbers with another one are not `dressed`.
    scales
        The units that are factors, such as "k"; "" among them if a number has none, and nothing if none has one.
    """

    body: pa.Array
    exponent: pa.Array
    dressed: NDArray[np.bool_]
    negative: NDArray[np.bool_]
    factor: NDArray[np.float64]
    unit: str
    scales: tuple[str, ...]


def undressed(text: pa.Array, counts: NDArray[np.int64]) -> Dress:
    """Take numbers out of their dress; `counts` are the rows of each word."""
    parts = pc.extract_regex(text, pattern=_PARTS)
    sides = {name: pc.fill_null(pc.struct_field(parts, name), "") for name in ("before", "body", "after")}
    body = pc.utf8_rtrim(sides["body"], characters=" ")
    opened, minus, currency = _each(sides["before"], _before, 3)
    exponent, trailing, unit, closed = _each(sides["after"], _after, 4)
    valid = pc.is_valid(parts).to_numpy(zero_copy_only=False)
    dressed = valid & (opened != None) & (exponent != None) & (opened == closed)  # noqa: E711 -- arrays
    fits, factor, found, scales = _units((currency, unit), counts, dressed)
    return Dress(
        body,
        pa.array(np.where(dressed, exponent, ""), pa.large_string()),
        dressed & fits,
        np.where(dressed, (opened == "(") ^ (minus == "-") ^ (trailing == "-"), False).astype(bool),
        factor,
        found,
        scales,
    )


def _each(
    side: pa.Array, split: Callable[[str], tuple[str, ...] | None], n_parts: int
) -> list[NDArray[np.object_]]:
    """Split each different text once; the parts of one that cannot be split are None."""
    encoded = side.dictionary_encode()
    nothing = (None,) * n_parts
    rows = [split(text) or nothing for text in encoded.dictionary.to_pylist()]
    codes = encoded.indices.to_numpy()
    return (
        [np.array(column, dtype=object)[codes] for column in zip(*rows, strict=True)]
        if rows
        else [np.empty(0, dtype=object) for _ in nothing]
    )


def _before(text: str) -> tuple[str, ...] | None:
    """Return bracket, sign and currency.

    >>> _before("-$"), _before("(EUR "), _before("A")
    (('', '-', '$'), ('(', '', 'EUR'), None)
    """
    found = _BEFORE.fullmatch(text)
    if not found:
        return None
    bracket, sign, currency, sign_after = (part or "" for part in found.groups())
    known = not currency or currency in _CURRENCIES
    if not known and not (_is_currency(currency[-1]) and re.fullmatch("[A-Z]{0,3}", currency[:-1])):
        return None
    minus = (sign == "-") != (sign_after == "-")
    return bracket, "-" if minus else "", currency


def _after(text: str) -> tuple[str, ...] | None:
    """Return exponent, sign, unit and the bracket that it closes.

    >>> _after("e-5"), _after(" km/h)"), _after("%"), _after(" of 7")
    (('e-5', '', '', ''), ('', '', 'km/h', '('), ('', '', '%', ''), None)
    """
    found = _AFTER.fullmatch(text)
    if not found:
        return None
    exponent, minus, unit, bracket = (part or "" for part in found.groups())
    if len(unit) > _LONGEST_UNIT or (len(unit) == 1 and not unit.isalpha() and not _is_sign(unit)):
        return None
    return exponent, minus, _one_spelling(unit), "(" if bracket else ""


def _is_currency(sign: str) -> bool:
    return unicodedata.category(sign) == "Sc"


def _is_sign(sign: str) -> bool:
    return sign in "%‰\"'′″°" or _is_currency(sign)


def _one_spelling(unit: str) -> str:
    """Write a unit in one way: "Days", "day" and "day." are the same.

    >>> [_one_spelling(unit) for unit in ("Days", "day.", "m", "M", "nd")]
    ['day', 'day', 'm', 'M', 'th']
    """
    unit = unit.strip().rstrip(".")
    if unit in _ORDINALS:
        return "th"
    if unit in _SCALES or len(unit) < 2:
        return unit
    unit = unit.lower()
    return unit.removesuffix("s") if len(unit) > 2 else unit


def _units(
    sides: tuple[NDArray[np.object_], NDArray[np.object_]],
    counts: NDArray[np.int64],
    dressed: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], NDArray[np.float64], str, tuple[str, ...]]:
    """Tell which words have the unit of the column or none, the factor of each, the unit, and the factors' names."""
    fits, factor, found = np.ones(len(counts), bool), np.ones(len(counts)), ""
    scales: tuple[str, ...] = ()
    for before, units in zip((True, False), sides, strict=True):
        rows = Counter[str]()
        different, codes = np.unique(np.where(dressed, units, "").astype(str), return_inverse=True)
        for unit, n_rows in zip(
            different.tolist(), np.bincount(codes, counts, len(different)).tolist(), strict=True
        ):
            rows[unit] += n_rows
        del rows[""]
        if not rows:
            continue
        scaled = sum(n_rows for unit, n_rows in rows.items() if unit in _SCALES)
        others = [unit for unit in rows if unit not in _SCALES]
        if not before and scaled and scaled >= max((rows[unit] for unit in others), default=0):
            factor = np.array([_SCALES.get(unit, 1.0) for unit in different.tolist()])[codes]
            fits &= np.isin(different, ["", *_SCALES])[codes]
            scales = tuple(np.unique(units[dressed & fits & (counts > 0)].astype(str)).tolist())
            continue
        main = max(others if not before and others else rows, key=lambda unit: (rows[unit], unit))
        fits &= np.isin(different, ["", main])[codes]
        found = found or main
    return fits, factor, found, scales
