"""Numbers as people write them: thousands, decimal comma, currency, per cent, units, accounting parentheses.

Most forms can be read in one way only. ``1,234`` and ``1.234`` cannot: what decides is the rest of the column, then
the other columns of the table, then the habit of programming languages; see :attr:`NumberReading.ambiguous`.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from testtime.table.columns.cells import WordCells
from testtime.table.columns.words.accounting import find_dashes, zeros_of_currencies
from testtime.table.columns.words.bounds import of_a_scale, without_signs
from testtime.table.columns.words.clock import bare_hours, minutes_lead, read_clock, times_of_day
from testtime.table.columns.words.dates import are_months
from testtime.table.columns.words.dress import Dress, undressed
from testtime.table.columns.words.footnotes import are_notes, without_marks
from testtime.table.columns.words.lengths import find_lengths
from testtime.table.columns.words.manner import Manner, NumberReading
from testtime.table.columns.words.reading import SAMPLE, judge, matches
from testtime.table.columns.words.times import SECONDS

__all__ = [
    "Manner",
    "NumberReading",
    "decimal_comma",
    "decimal_signs",
    "may_turn",
    "read_numbers",
    "sign_shown",
]

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
_COMMA_OR_GROUPS = r"^[+-]?[1-9][0-9]{0,2},[0-9]{3}$"
_POINT_OR_GROUPS = r"^[+-]?[1-9][0-9]{0,2}\.[0-9]{3}$"
_NO_CENTS = r"([0-9][.,])-{1,2}(\s*[^0-9-]*)$"  # "5,-" are five euros and no cents
_EITHER = r"(?:^|[^0-9.,])[1-9][0-9]{0,2}[.,][0-9]{3}(?:$|[^0-9.,])"  # what has two readings is among these
_ZEROS_FIRST = r"^0[0-9]{2,}$"
_NEARER = 0.5  # of a power of ten: two readings differ by three of them
_PLAIN = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"


_UNKNOWN = Manner()


def decimal_comma(cells: WordCells, *, sure: bool = False) -> bool | None:
    """Tell whether numbers of a column have a decimal comma (True) or point (False); None if nothing tells.

    Points alone, of which any may separate thousands, are a point, unless it has to be `sure`.
    """
    return sign_shown(decimal_signs(cells), sure=sure)


def decimal_signs(cells: WordCells) -> tuple[int, int, int]:
    """Count the rows of a sample that show a decimal comma and a decimal point, if it holds numbers.

    The last is 1 if there are only points of which any may separate thousands.
    """
    sample = cells.sample(SAMPLE)
    if not pc.any(pc.match_substring_regex(sample.words, "[0-9][.,]|[.,][0-9]")).as_py() or are_months(
        sample
    ):
        return 0, 0, 0
    reading = read_numbers(sample, comma=None, table_comma=None, manner=Manner(bounds="told", marks="told"))
    if not reading.enough or reading.comma is None or reading.by_range:
        return 0, 0, 0
    return *reading.signs, int(not any(reading.signs))


def sign_shown(signs: tuple[int, ...], *, sure: bool = False) -> bool | None:
    """Whether numbers have a decimal comma, if so many rows show a comma and a point; None if none does.

    A third number, of points that may separate thousands, counts where there is nothing else and nobody has to be
    `sure`.

    >>> sign_shown((3, 1)), sign_shown((0, 2)), sign_shown((0, 0))
    (True, False, None)
    >>> sign_shown((0, 0, 1)), sign_shown((0, 0, 1), sure=True)
    (False, None)
    """
    told = signs[:2] if sure else signs
    return None if not any(told) else signs[0] > signs[1]


def may_turn(cells: WordCells, comma: bool | None) -> bool:
    """Tell whether more of a file may let some numbers be read in another way; `comma` is the decimal sign of fit."""
    if not pc.any(pc.match_substring_regex(cells.words, _EITHER)).as_py():
        return False
    own = sign_shown(read_numbers(cells, comma=None, table_comma=None).signs)
    return own is None or own != comma


def read_numbers(
    cells: WordCells,
    *,
    comma: bool | None,
    table_comma: bool | None,
    known: frozenset[str] = frozenset(),
    manner: Manner = _UNKNOWN,
    shown: bool | None = None,
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
    manner
        How it was written when it was fitted.
    shown
        Whether the file of which `cells` are a piece shows decimal commas in this column; None lets the cells tell.
    """
    if not comma and not table_comma and not shown:
        plain = _read_plain(cells, doubted=comma is None and table_comma is None and shown is None)
        if plain is not None:
            return plain
    return _read_dressed(cells, comma, table_comma, known, manner, shown)


def _read_plain(cells: WordCells, *, doubted: bool) -> NumberReading | None:
    """Read a column as a programming language would; None unless every value is a finite number.

    Where it is `doubted`, points that may separate thousands are told of.
    """
    if pa.types.is_dictionary(cells.text.type) or cells.typed:
        return None
    try:
        numbers = pc.cast(cells.text, pa.float64())
    except pa.ArrowInvalid:
        return None
    values = numbers.to_numpy(zero_copy_only=False)
    if np.isinf(values).any():
        return None
    point = cells.typed is None and bool(pc.any(pc.match_substring(cells.text, ".")).as_py())
    either, ambiguous, n_sure = _points_of_thousands(cells.text) if point and doubted else ("", "", 0)
    comma = False if point and not ambiguous else None
    n_read = len(values) - numbers.null_count
    coded = np.flatnonzero(matches(cells.text, _ZEROS_FIRST))
    example = (cells.text[int(coded[0])].as_py(), float(values[coded[0]])) if len(coded) else ("", 0.0)
    return NumberReading(
        values,
        n_read,
        {},
        {},
        comma=comma,
        ambiguous=ambiguous,
        either=either,
        example=example,
        signs=(0, n_sure),
    )


def _points_of_thousands(text: pa.Array) -> tuple[str, str, int]:
    """Return a number whose point can separate thousands, and again if that is likely; and how many points cannot.

    If there are such points, no number is returned.
    """
    text = pc.drop_null(text)
    grouped = matches(text, _POINT_OR_GROUPS)
    n_sure = int(_count(text, ".").sum() - grouped.sum())
    if not grouped.any() or n_sure:
        return "", "", n_sure
    first = _first(text, grouped)
    return first, first if _like_thousands(text, grouped) else "", 0


def _like_thousands(text: pa.Array, grouped: NDArray[np.bool_]) -> bool:
    """Tell whether points are likely to separate thousands; `grouped` are the numbers where they can.

    They are where three digits follow each point, nothing without a point is as large as 1,000, and either there is
    such a small number, which has none of the digits that all measurements have, or each value ends in 0, as prices
    do.
    """
    small = matches(text, "^[+-]?[0-9]{1,3}$")
    if not grouped.any() or not (grouped | small).all():
        return False
    return bool(small.any() or (matches(text, "0$").all() and pc.count_distinct(text).as_py() > 1))


def _read_dressed(
    cells: WordCells,
    comma: bool | None,
    table_comma: bool | None,
    known: frozenset[str],
    manner: Manner,
    shown: bool | None,
) -> NumberReading:
    words, counts = cells.words, cells.counts
    text = pc.replace_substring_regex(words, r"[\x{00A0}\x{2007}\x{2009}\x{202F}]", " ")
    text = pc.replace_substring_regex(text, r"[\x{2212}\x{2013}]", "-")
    written = pc.replace_substring_regex(text, _NO_CENTS, r"\100\2")
    unmarked, noted = without_marks(written, manner.marks)
    text, before, behind = without_signs(unmarked, manner.bounds)
    clock = times_of_day(text) if manner.clock is None else manner.clock
    no_number = bare_hours(text) if clock else np.zeros(len(words), bool)
    numbers = zeros_of_currencies(pc.if_else(pa.array(no_number), "", text))
    lengths = find_lengths(text, manner.factors, manner.units)
    dress = undressed(numbers, counts, {**lengths.factors, **manner.factors}, manner.units)
    body = dress.body
    read = dress.dressed & matches(body, f"^(?:{_BODY})$")
    plain = ~_filled(dress.exponent) & ~cells.were_numbers
    either_comma = matches(body, _COMMA_OR_GROUPS) & plain & read
    either_point = matches(body, _POINT_OR_GROUPS) & plain & read
    commas, points = _count(body, ","), _count(body, ".")
    sure_comma = read & (
        ((commas == 1) & (points == 0) & ~either_comma) | (points >= 2) | matches(body, r"\..*,")
    )
    sure_point = (
        read
        & ~cells.were_numbers
        & (((points == 1) & (commas == 0) & ~either_point) | (commas >= 2) | matches(body, r",.*\."))
    )
    # What these words show comes first: a new file may be written in another way than the one of fit was.
    signs = int(counts[sure_comma].sum()), int(counts[sure_point].sum())
    own = sign_shown(signs) if shown is None else shown
    by_range = own is None and comma is None
    if by_range:
        own = _by_number_cells(cells, dress, read, either_comma | either_point)
    decimal = own if own is not None else bool(table_comma) if comma is None else comma
    swapped = sure_comma | ((either_comma | either_point) & decimal)
    values = _cast(body, dress.exponent, swapped, read) * dress.factor
    values = np.where(dress.negative, -values, values)
    short_minutes = minutes_lead(text) if manner.short_minutes is None else manner.short_minutes
    seconds = read_clock(text, short_minutes=short_minutes, clock=clock)
    if dress.unit in SECONDS and not manner.units and not (np.isnan(seconds) | (counts == 0)).all():
        of_time = {"h": SECONDS["h"], "min": SECONDS["min"]}  # 1:25 beside 51 min is 85 min
        return _read_dressed(cells, comma, table_comma, known, replace(manner, factors=of_time), shown)
    seconds /= lengths.unit
    seconds = np.where(np.isnan(seconds), lengths.values, seconds)
    bare = [""] if (read & (counts > 0)).any() else []
    scales = (*bare, *lengths.remembered) if lengths.remembered else ()
    values = np.where(read, values, seconds)
    read |= ~np.isnan(seconds)
    endless = matches(pc.utf8_lower(text), r"^[+-]?(?:inf|infinity|∞)$")
    too_large = read & np.isinf(values)
    values[too_large] = np.nan
    values[endless] = np.where(matches(text, "^-"), -np.inf, np.inf)[endless]

    dashes = find_dashes(text, dress, read, values, counts, manner.accounting)
    if dashes.are_zero:
        values[dashes.words] = 0.0
        read |= dashes.words

    bounds = (before | behind) & read & (counts > 0)
    if manner.bounds == "told" and bounds.any() and not of_a_scale(unmarked, values, counts, before, behind):
        return _read_dressed(cells, comma, table_comma, known, replace(manner, bounds=""), shown)
    noted &= read & (counts > 0)
    if manner.marks == "told" and noted.any() and not are_notes(written, values, counts, noted):
        return _read_dressed(cells, comma, table_comma, known, replace(manner, marks=""), shown)

    # A column that told at fit, and other columns with points, are enough of an answer.
    alone = own is None and comma is None
    said = alone and table_comma is not False
    unsure = either_comma | (either_point & decimal)
    if said and not decimal:
        there = read & (counts > 0)
        unsure |= either_point & _like_thousands(body.filter(pa.array(there)), either_point[there])
    either = either_comma | either_point if alone else np.zeros(len(words), bool)
    reading = judge(cells, values, read | endless, np.nan, known)
    odd = np.flatnonzero(read & (counts > 0) & ~bounds & ~noted & ~matches(words, _PLAIN))
    odd = odd if len(odd) else np.flatnonzero(read & (counts > 0) & either_point & swapped)
    odd = odd if len(odd) else np.flatnonzero(read & (counts > 0) & matches(words, _ZEROS_FIRST))
    return NumberReading(
        reading.values,
        reading.n_read,
        reading.blanks,
        reading.stray,
        reading.n_lost,
        comma=True if decimal and (own or unsure.any()) else own,
        ambiguous=_first(words, unsure) if said else "",
        either=_first(words, either),
        unit=dress.unit,
        example=_example(words, values, odd),
        too_large=int(counts[too_large].sum()),
        short_minutes=short_minutes,
        clock=clock,
        signs=signs,
        scales=dress.scales or scales,
        units=dress.units,
        factors=lengths.remembered | dress.factors,
        dashes=dashes,
        by_range=by_range and own is not None,
        apart=tuple(words[at].as_py() for at in dress.apart),
        bound=_example(words, values, np.flatnonzero(bounds)),
        n_bounds=int(counts[bounds].sum()),
        noted=_example(words, values, np.flatnonzero(noted)),
        n_noted=int(counts[noted].sum()),
    )


def _example(words: pa.Array, values: NDArray[np.float64], at: NDArray[np.int64]) -> tuple[str, float]:
    """Return the first of some words and its value."""
    return (words[int(at[0])].as_py(), float(values[at[0]])) if len(at) else ("", 0.0)


def _first(words: pa.Array, which: NDArray[np.bool_]) -> str:
    return words[int(np.argmax(which))].as_py() if which.any() else ""


def _by_number_cells(
    cells: WordCells, dress: Dress, read: NDArray[np.bool_], either: NDArray[np.bool_]
) -> bool | None:
    """Tell whether a decimal comma or point brings text nearer to the number cells beside it; None if neither."""
    there = read & (cells.counts > 0)
    if not (there & cells.were_numbers).any() or not (there & either).any():
        return None
    far = []
    for swapped in (either, np.zeros(len(either), bool)):
        size = np.abs(_cast(dress.body, dress.exponent, swapped, read) * dress.factor)
        given = size[there & cells.were_numbers & (size > 0)]
        if not len(given):
            return None
        text, rows = np.log10(size[there & either]), cells.counts[there & either]
        low, high = np.log10(given.min()), np.log10(given.max())
        outside = np.maximum(np.maximum(low - text, text - high), 0.0)
        far.append(float((outside * rows).sum() / rows.sum()))
    return None if abs(far[0] - far[1]) < _NEARER else far[0] < far[1]


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


def _filled(text: pa.Array) -> NDArray[np.bool_]:
    return _mask(pc.not_equal(text, ""))


def _count(text: pa.Array, sign: str) -> NDArray[np.int64]:
    return pc.count_substring(text, sign).to_numpy(zero_copy_only=False)
