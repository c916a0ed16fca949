"""What stands before and after the digits of a number: signs, brackets, currencies, exponents, units."""
# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from testtime.table.columns.words.currencies import (
    CURRENCIES,
    are_one_currency,
    is_currency,
    is_money,
)
from testtime.table.columns.words.date_forms import MONTH_OF
from testtime.table.columns.words.reading import matches
from testtime.table.columns.words.scales import factors_of, is_scale, parted

__all__ = ["Dress", "undressed"]

# Three parts and no more: with a group for each sign and unit, extraction takes ten times as long.
_PARTS = r"^(?P<before>[^0-9.,]*(?:\.\s)?)(?P<body>[0-9.,][0-9.,'’ ]*)(?P<after>[^0-9].*)?$"
_BEFORE = re.compile(r"(\()?\s*([+-])?\s*([^\s()+-][^()+-]*?)?\s*([+-])?\s*(\()?\s*")
_WORD = r"°?\s?[^\W\d_][^\W\d_.²³]*[.²³]*(?: [^\W\d_]{1,10}| ?[^\w\s()./])?(?:/[^\W\d_]+[²³]?)?"
_UNIT = rf"(%|‰|[\"'′″°]|{_WORD}|[^\w\s()])?"
_AFTER = re.compile(rf"([eE][+-]?[0-9]{{1,9}})?(-)?\s*{_UNIT}\s*(?:(\))(\s*){_UNIT})?")
_LONGEST_UNIT = 30
_SIDES = frozenset(("cr", "dr", "bc", "bce", "ad", "ce", "N", "E", "S", "W", "O", "H"))
_FEW = 0.05  # of the numbers may lack a unit that all others have
_MILLI = frozenset(("mW", "mHz"))  # megawatts are MW
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
    bracketed
        Whether accounting parentheses surround it.
    factor
        What it must be multiplied with: 1,000 for "3 k".
    units
        The units of the column, such as a currency and "kg": numbers with other ones are not `dressed`.
    scales
        The units that are factors, such as "k"; "" among them if a number has none, and nothing if none has one.
    factors
        What these are factors of.
    apart
        Positions of a number with a mark that may be a sign, as "CR", and of one without, if the mark stands beside a
        part of the numbers, which most words are: those with the mark are not `dressed`.
    """

    body: pa.Array
    exponent: pa.Array
    dressed: NDArray[np.bool_]
    negative: NDArray[np.bool_]
    bracketed: NDArray[np.bool_]
    factor: NDArray[np.float64]
    units: tuple[str, ...]
    scales: tuple[str, ...]
    factors: dict[str, float]
    apart: tuple[int, ...] = ()

    @property
    def unit(self) -> str:
        """The first unit of the column, empty if there is none."""
        return self.units[0] if self.units else ""


def undressed(
    text: pa.Array,
    counts: NDArray[np.int64],
    factors: Mapping[str, float] | None = None,
    units: Collection[str] = (),
) -> Dress:
    """Take numbers out of their dress.

    Parameters
    ----------
    text, counts
        The words and the rows of each.
    factors, units
        What stood beside numbers when the column was fitted, as in :class:`Dress`.
    """
    parts = pc.extract_regex(text, pattern=_PARTS)
    sides = {name: pc.fill_null(pc.struct_field(parts, name), "") for name in ("before", "body", "after")}
    body = pc.utf8_rtrim(sides["body"], characters=" ")
    opened, minus, currency = _each(sides["before"], _before, 3)
    exponent, trailing, unit, closed = _each(sides["after"], _after, 4)
    valid = pc.is_valid(parts).to_numpy(zero_copy_only=False)
    dressed = valid & (opened != None) & (exponent != None) & (opened == closed)  # noqa: E711 -- arrays
    bracketed = np.where(dressed, opened == "(", False).astype(bool)
    first, behind, last = _sides(currency, unit, dressed)
    fits, factor, scaled = _scaled(behind, counts, factors_of(_rows_of(behind, counts), factors, units))
    found, apart = [], ()
    for side in (first, last) if scaled else (first, behind, last):
        fit, one = _one_unit(side, counts, units)
        fits &= fit
        if _is_side(one) and one not in units:
            marked = dressed & fits & (side == one)
            bare = dressed & fits & (side == "") & matches(body, "[1-9]")  # 0 has no side
            if counts[bare].sum() > _FEW * counts[marked | bare].sum():
                fits, one = fits & ~marked, ""
                if 2 * counts[marked | bare].sum() > counts.sum():
                    apart = (int(np.argmax(marked)), int(np.argmax(bare & (counts > 0))))
        found += [one] if one else []
    after = last if scaled else np.where(last == "", behind, last)
    fits &= _on_one_side(first, after, counts * (dressed & fits))
    return Dress(
        body,
        pa.array(np.where(dressed, exponent, ""), pa.large_string()),
        dressed & fits,
        np.where(dressed, (opened == "(") ^ (minus == "-") ^ (trailing == "-"), False).astype(bool),
        bracketed,
        factor,
        tuple(found),
        tuple(np.unique(behind[dressed & fits & (counts > 0)]).tolist()) if scaled else (),
        scaled,
        apart,
    )


def _is_side(unit: str) -> bool:
    """Tell whether a unit may say which way a number counts: debit or credit, east or west, before or after Christ.

    >>> [_is_side(unit) for unit in ("cr", "W", "°w", "kg")]
    [True, True, True, False]
    """
    bare = unit.lstrip("° ")
    return (bare if bare == unit else bare.upper()) in _SIDES


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
    """Return bracket, sign and currency; accountants write the bracket behind the currency.

    >>> _before("-$"), _before("(EUR "), _before("$ ("), _before("A")
    (('', '-', '$'), ('(', '', 'EUR'), ('(', '', '$'), None)
    """
    found = _BEFORE.fullmatch(text)
    if not found:
        return None
    bracket, sign, currency, sign_after, bracket_after = (part or "" for part in found.groups())
    if bracket_after and (bracket or sign or sign_after or not currency):
        return None
    known = not currency or currency in CURRENCIES
    if not known and not (is_currency(currency[-1]) and re.fullmatch("[A-Z]{0,3}", currency[:-1])):
        return None
    minus = (sign == "-") != (sign_after == "-")
    return bracket or bracket_after, "-" if minus else "", currency


def _after(text: str) -> tuple[str, ...] | None:
    """Return exponent, sign, unit and the bracket that it closes.

    >>> _after("e-5"), _after(" km/h)"), _after("%"), _after(") €"), _after(" of 7")
    (('e-5', '', '', ''), ('', '', 'km/h', '('), ('', '', '%', ''), ('', '', '€', '('), None)
    """
    found = _AFTER.fullmatch(text)
    if not found:
        return None
    exponent, minus, unit, bracket, blank, outside = (part or "" for part in found.groups())
    if outside and (unit or not _is_of_money(outside, apart=bool(blank))):
        return None
    unit = unit or outside
    if minus and unit.lower().rstrip(".") in MONTH_OF:
        return None  # 20-Apr is a day
    if len(unit) > _LONGEST_UNIT or (len(unit) == 1 and not unit.isalpha() and not _is_sign(unit)):
        return None
    if len(unit) > 1 and not (unit[-1].isalpha() or unit[-1] in ".²³") and not parted(unit)[1]:
        return None  # only a factor has a sign behind it, as in "k€"
    return exponent, minus, _one_spelling(unit), "(" if bracket else ""


def _is_of_money(unit: str, *, apart: bool) -> bool:
    """Tell whether a unit can stand outside of brackets; "(1) M" is the code of an answer as likely as not."""
    if is_money(unit) or unit in ("%", "‰"):
        return True
    word = _one_spelling(parted(unit)[0])
    return is_scale(word) and (len(word) > 1 or not apart)


def _is_sign(sign: str) -> bool:
    return sign in "%‰\"'′″°" or is_currency(sign)


def _one_spelling(unit: str) -> str:
    """Write a unit in one way: "Days", "day" and "day." are the same.

    >>> [_one_spelling(unit) for unit in ("Days", "day.", "m", "M", "nd", "Mio. €")]
    ['day', 'day', 'm', 'M', 'th', 'mio €']
    """
    scale, currency = parted(unit.strip())
    if currency:
        return f"{_one_spelling(scale)} {_one_spelling(currency)}"
    unit = unit.strip().rstrip(".")
    if unit in _MILLI:
        return unit
    if unit in _ORDINALS:
        return "th"
    if is_scale(unit) or len(unit) < 2:
        return unit
    unit = unit.lower()
    return unit.removesuffix("s") if len(unit) > 2 else unit


def _sides(
    currency: NDArray[np.object_], unit: NDArray[np.object_], dressed: NDArray[np.bool_]
) -> tuple[NDArray[np.str_], NDArray[np.str_], NDArray[np.str_]]:
    """Return the currency before each number, the unit behind it, and the currency behind a factor there."""
    different, codes = np.unique(np.where(dressed, unit, "").astype(str), return_inverse=True)
    parts = [parted(one) for one in different.tolist()]
    behind_factors = {currency for _, currency in parts} - {""}
    parts = [("", word) if word in behind_factors else (word, money) for word, money in parts]
    behind, last = np.array(parts, dtype=str).reshape(-1, 2)[codes].T
    return np.where(dressed, currency, "").astype(str), behind, last


def _rows_of(units: NDArray[np.str_], counts: NDArray[np.int64]) -> dict[str, float]:
    """Return the number of rows of each unit."""
    different, codes = np.unique(units, return_inverse=True)
    rows = dict(zip(different.tolist(), np.bincount(codes, counts, len(different)).tolist(), strict=True))
    rows.pop("", None)
    return rows


def _one_unit(
    units: NDArray[np.str_], counts: NDArray[np.int64], at_fit: Collection[str]
) -> tuple[NDArray[np.bool_], str]:
    """Tell which words have a unit of fit, or else the most frequent one, or none; and return that unit."""
    rows = _rows_of(units, counts)
    main = max(rows, key=lambda unit: (unit in at_fit, rows[unit], unit), default="")
    return np.isin(units, ["", main]), main


def _on_one_side(
    before: NDArray[np.str_], after: NDArray[np.str_], counts: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell which words measure what most do: with ``$5`` beside ``7 €`` or ``7 kg``, one of the two does not.

    What stands on both sides of a number belongs together, as in ``$5 / kg``.
    """
    only_before, only_after = (before != "") & (after == ""), (before == "") & (after != "")
    of_before, of_after = (
        _rows_of(units[only], counts[only]) for units, only in ((before, only_before), (after, only_after))
    )
    pairs = ((one, other) for one in of_before for other in of_after)
    if all(are_one_currency(one, other) for one, other in pairs if of_before[one] and of_after[other]):
        return np.ones(len(before), bool)
    return ~(only_before if sum(of_before.values()) < sum(of_after.values()) else only_after)


def _scaled(
    units: NDArray[np.str_], counts: NDArray[np.int64], factors: Mapping[str, float]
) -> tuple[NDArray[np.bool_], NDArray[np.float64], dict[str, float]]:
    """Tell which words have a factor or nothing behind them, the factor of each, and those of the column.

    There are none, unless at least as many rows have one as have the most frequent unit.
    """
    rows = _rows_of(units, counts)
    found = {unit: factors[unit] for unit in rows if unit in factors}
    most = max((n_rows for unit, n_rows in rows.items() if unit not in found), default=0)
    if not found or sum(rows[unit] for unit in found) < most:
        return np.ones(len(units), bool), np.ones(len(units)), {}
    different, codes = np.unique(units, return_inverse=True)
    factor = np.array([found.get(unit, 1.0) for unit in different.tolist()])[codes]
    return np.isin(units, ["", *found]), factor, found
