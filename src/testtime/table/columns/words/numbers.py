"""Numbers as people write them: thousands, decimal comma, currency, per cent, units, accounting parentheses.

Most forms can be read in one way only. ``1,234`` and ``1.234`` cannot: what decides is the rest of the column, then
the other columns of the table, then the habit of programming languages; see :attr:`NumberReading.ambiguous`.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from testtime.table.columns.cells import WordCells
from testtime.table.columns.words.clock import minutes_lead, read_clock
from testtime.table.columns.words.dress import undressed
from testtime.table.columns.words.reading import SAMPLE, Reading, judge

__all__ = ["NumberReading", "decimal_comma", "read_numbers"]

_BODY = "|".join(
    [
        r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?",
        r"[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]*)?",  # lakh and crore
        r"[0-9]{1,3}(?:\.[0-9]{3})+(?:,[0-9]*)?",
        r"[0-9]{1,3}(?: [0-9]{3})+(?:[.,][0-9]*)?",
        r"[0-9]{1,3}(?:['’][0-9]{3})+(?:[.,][0-9]*)?",
        r"[0-9]+(?:[.,][0-9]*)?",
        r"[.,][0-9]+",
    ]
)
_COMMA_OR_GROUPS = r"^[1-9][0-9]{0,2},[0-9]{3}$"
_POINT_OR_GROUPS = r"^[1-9][0-9]{0,2}\.[0-9]{3}$"
_NO_CENTS = r"([0-9][.,])-{1,2}(\s*[^0-9-]*)$"  # "5,-" are five euros and no cents
_ZEROS_FIRST = r"^0[0-9]{2,}$"
_PLAIN = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"


@dataclass(frozen=True)
class NumberReading(Reading):
    """Numbers, and what had to be decided to read them.

    Attributes
    ----------
    comma
        Whether the decimal sign is a comma; None if no value tells.
    ambiguous
        A value that could be read in two ways, with nothing in its column to decide; empty if there is none.
    unit
        What stood beside the numbers: "kg", "$", "%"; empty if nothing.
    example
        A word that no programming language would read, or a code with zeros in front, and its value; ("", 0.0) if
        there is none.
    too_large
        Rows whose number no float64 can hold; they are missing.
    short_minutes
        Whether ``24:37`` is minutes and seconds.
    """

    comma: bool | None = None
    ambiguous: str = ""
    unit: str = ""
    example: tuple[str, float] = ("", 0.0)
    too_large: int = 0
    short_minutes: bool = False

    def doubt(self, what: str) -> str:
        """Say how an ambiguous value was read; `what` begins the sentence."""
        sign = "," if "," in self.ambiguous else "."
        why = "as a separator of thousands, since nothing in the table says otherwise"
        if sign == "," and self.comma:
            why = "as a decimal sign, as in other columns"
        elif sign == "." and self.comma:
            why = "as a separator of thousands, since other columns have decimal commas"
        elif sign == ".":
            why = "as a decimal sign, though it may separate thousands: three digits follow it wherever it stands"
        return f"{what} holds {self.ambiguous!r}: the {sign!r} is taken {why}."


def decimal_comma(cells: WordCells) -> bool | None:
    """Tell whether numbers of a column have a decimal comma (True) or point (False); None if nothing tells."""
    sample = cells.sample(SAMPLE)
    if not pc.any(pc.match_substring_regex(sample.words, "[0-9][.,]|[.,][0-9]")).as_py():
        return None
    reading = read_numbers(sample, comma=None, table_comma=None)
    return reading.comma if reading.enough else None


def read_numbers(
    cells: WordCells,
    *,
    comma: bool | None,
    table_comma: bool | None,
    known: frozenset[str] = frozenset(),
    short_minutes: bool | None = None,
) -> NumberReading:
    """Read words as numbers.

    Parameters
    ----------
    cells
        The column.
    comma
        Whether the column had decimal commas when it was fitted, for values that do not tell; None if nothing told.
    table_comma
        Whether other columns have decimal commas, for values that could be read in two ways; None if none tells.
    known
        Words that counted as missing at fit, in lower case.
    short_minutes
        Whether ``24:37`` was minutes and seconds at fit; None lets the column tell.
    """
    if not comma and not table_comma:
        plain = _read_plain(cells, doubted=comma is None and table_comma is None)
        if plain is not None:
            return plain
    return _read_dressed(cells, comma, table_comma, known, short_minutes)


def _read_plain(cells: WordCells, *, doubted: bool) -> NumberReading | None:
    """Read a column as a programming language would; None unless every value is a finite number.

    Where it is `doubted`, points that may separate thousands are told of.
    """
    if pa.types.is_dictionary(cells.text.type):
        return None
    try:
        numbers = pc.cast(cells.text, pa.float64())
    except pa.ArrowInvalid:
        return None
    values = numbers.to_numpy(zero_copy_only=False)
    if np.isinf(values).any():
        return None
    point = bool(pc.any(pc.match_substring(cells.text, ".")).as_py())
    ambiguous = _like_thousands(cells.text) if point and doubted else ""
    comma = False if point and not ambiguous else None
    n_read = len(values) - numbers.null_count
    coded = np.flatnonzero(_match(cells.text, _ZEROS_FIRST))
    example = (cells.text[int(coded[0])].as_py(), float(values[coded[0]])) if len(coded) else ("", 0.0)
    return NumberReading(values, n_read, {}, {}, comma=comma, ambiguous=ambiguous, example=example)


def _like_thousands(text: pa.Array) -> str:
    """Return the first number whose point may separate thousands, "" if there is none.

    It may where three digits follow each point, and nothing without a point is as large as 1,000.
    """
    text = pc.drop_null(text)
    grouped = _match(text, _POINT_OR_GROUPS)
    small = _match(text, "^[0-9]{1,3}$")
    found = grouped.any() and small.any() and bool((grouped | small).all())
    return text[int(np.flatnonzero(grouped)[0])].as_py() if found else ""


def _read_dressed(
    cells: WordCells,
    comma: bool | None,
    table_comma: bool | None,
    known: frozenset[str],
    short_minutes: bool | None,
) -> NumberReading:
    words, counts = cells.words, cells.counts
    text = pc.replace_substring_regex(words, r"[\x{00A0}\x{2007}\x{2009}\x{202F}]", " ")
    text = pc.replace_substring_regex(text, r"[\x{2212}\x{2013}]", "-")
    text = pc.replace_substring_regex(text, _NO_CENTS, r"\100\2")
    dress = undressed(text, counts)
    body = dress.body
    read = dress.dressed & _match(body, f"^(?:{_BODY})$")
    plain = ~_filled(dress.exponent)
    either_comma = _match(body, _COMMA_OR_GROUPS) & plain & read
    either_point = _match(body, _POINT_OR_GROUPS) & plain & read
    commas, points = _count(body, ","), _count(body, ".")
    sure_comma = read & (
        ((commas == 1) & (points == 0) & ~either_comma) | (points >= 2) | _match(body, r"\..*,")
    )
    sure_point = read & (
        ((points == 1) & (commas == 0) & ~either_point) | (commas >= 2) | _match(body, r",.*\.")
    )
    # What these words show comes first: a new file may be written in another way than the one of fit was.
    own = _evidence(counts[sure_comma].sum(), counts[sure_point].sum())
    decimal = own if own is not None else bool(table_comma) if comma is None else comma
    swapped = sure_comma | ((either_comma | either_point) & decimal)
    values = _cast(body, dress.exponent, swapped, read) * dress.factor
    values = np.where(dress.negative, -values, values)
    if short_minutes is None:
        short_minutes = minutes_lead(text)
    clock = read_clock(text, short_minutes=short_minutes)
    values = np.where(read, values, clock)
    read |= ~np.isnan(clock)
    endless = _match(pc.utf8_lower(text), r"^[+-]?(?:inf|infinity|∞)$")
    too_large = read & np.isinf(values)
    values[too_large] = np.nan
    values[endless] = np.where(_match(text, "^-"), -np.inf, np.inf)[endless]

    # A column that told at fit, and other columns with points, are enough of an answer.
    said = own is None and comma is None and table_comma is not False
    unsure = (either_comma | (either_point & decimal)) & read
    reading = judge(cells, values, read | endless, np.nan, known)
    odd = np.flatnonzero(read & (counts > 0) & ~_match(words, _PLAIN))
    return NumberReading(
        reading.values,
        reading.n_read,
        reading.blanks,
        reading.stray,
        reading.n_lost,
        comma=True if decimal and (own or unsure.any()) else own,
        ambiguous=words[int(np.flatnonzero(unsure)[0])].as_py() if said and unsure.any() else "",
        unit=dress.unit,
        example=(words[int(odd[0])].as_py(), float(values[odd[0]])) if len(odd) else ("", 0.0),
        too_large=int(counts[too_large].sum()),
        short_minutes=short_minutes,
    )


def _evidence(comma: int, point: int) -> bool | None:
    return None if comma == point == 0 else bool(comma > point)


def _cast(
    body: pa.Array, exponent: pa.Array, swapped: NDArray[np.bool_], read: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Turn the digits into numbers; where `swapped`, the comma is the decimal sign."""
    comma = pc.replace_substring(pc.replace_substring_regex(body, r"[. '’]", ""), ",", ".")
    point = pc.replace_substring_regex(body, r"[, '’]", "")
    digits = pc.if_else(pa.array(swapped), comma, point)
    number = pc.binary_join_element_wise(digits, exponent, pa.scalar("", pa.large_string()))
    number = pc.if_else(pa.array(read), number, pa.scalar(None, pa.large_string()))
    return pc.cast(number, pa.float64()).to_numpy(zero_copy_only=False)


def _mask(array: pa.Array) -> NDArray[np.bool_]:
    return pc.fill_null(array, False).to_numpy(zero_copy_only=False).astype(bool)


def _match(text: pa.Array, pattern: str) -> NDArray[np.bool_]:
    return _mask(pc.match_substring_regex(text, pattern))


def _filled(text: pa.Array) -> NDArray[np.bool_]:
    return _mask(pc.not_equal(text, ""))


def _count(text: pa.Array, sign: str) -> NDArray[np.int64]:
    return pc.count_substring(text, sign).to_numpy(zero_copy_only=False)
