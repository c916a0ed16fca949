"""Columns that become categories or are left out though their words look like dates: ``20-Apr``, ``20/2021``.

They hold no year, or are written in a way that is not read; who wrote them should know it.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from testtime.table.columns.cells import WordCells
from testtime.table.columns.words.date_forms import MONTH_OF
from testtime.table.columns.words.reading import ENOUGH, SAMPLE, is_blank, matches

__all__ = ["unread_dates"]

_YEAR, _TWO, _DAY = r"(?:19|20)[0-9]{2}", r"(?:0[1-9]|[12][0-9]|3[01])", r"(?:0?[1-9]|[12][0-9]|3[01])"
_MARK, _REST = r"[-/.:_ ]{1,2}", r"(?:[^0-9].*)?$"
_THREE = "|".join(
    (
        rf"^{_YEAR}{_MARK}{_DAY}{_MARK}{_DAY}{_REST}",
        rf"^{_DAY}{_MARK}{_DAY}{_MARK}{_YEAR}{_REST}",
        rf"^{_TWO}[-/]{_TWO}[-/][0-9]{{2}}{_REST}",
    )
)
_NAME = "|".join(sorted(MONTH_OF, key=lambda word: (-len(word), word)))
_NAMED = rf"(?:^|[^\pL])(?P<named>{_NAME})(?:[^\pL]|$)"
_SPAN = rf"(?:^|[^\pL])(?:{_NAME})[^\pL](?:.*[^\pL])?(?:{_NAME})(?:[^\pL]|$)"  # Jan 1 - Jan 28, Dec2Feb
_FEWEST_MONTHS = 3  # different ones: "3 out of 5" and "2 years ago" have one in Portuguese and in Spanish
_LONGEST = 40  # characters: a sentence may hold a month, too
_DAY_OR_YEAR = rf"(?:^|[^0-9])(?:{_DAY}|{_YEAR})(?:[^0-9]|$)"
_SHORT_YEAR = r"\pL\.?[- '’/]{0,2}[0-9]{2}$"
_MONTH = r"(?P<part>0[1-9]|1[0-2])"
_TWO_NUMBERS = (  # one of them, what its largest must be, and how many different ones there must be
    (rf"^(?P<part>[0-9]{{1,2}})[-/.](?P<year>{_YEAR})$", 13, 53, 10),  # weeks
    (rf"^(?P<year>{_YEAR})[-/](?P<part>[0-3][0-9]{{2}})$", 330, 366, 20),  # days of a year
    (rf"^{_MONTH}/(?P<year>[0-9]{{2}})$", 6, 12, 6),
    (rf"^[0-3][0-9]/{_MONTH}$", 6, 12, 6),
    (r"^[0-3]?[0-9]\. ?(?P<part>0?[1-9]|1[0-2])\.$", 1, 12, 2),
)


def unread_dates(cells: WordCells) -> str:
    """Say that most words look like dates; empty if they do not.

    >>> unread_dates(WordCells(pa.array(["20-Apr", "7-Mar", "8-Nov"] * 9, pa.large_string())))
    "it looks like dates that are not read, such as '20-Apr' and '7-Mar'"
    >>> unread_dates(WordCells(pa.array(["3 out of 5", "2 out of 5"], pa.large_string())))
    ''
    """
    sample = cells.sample(SAMPLE)
    there = (sample.counts > 0) & ~is_blank(sample.words)
    words, rows = sample.words.filter(pa.array(there)), sample.counts[there]
    dates = matches(words, _THREE) | _of_months(words, rows)
    if not rows.sum() or (2 * rows[dates].sum() <= rows.sum() and not _of_two_numbers(words, rows)):
        return ""
    shown = words.filter(pa.array(dates)) if dates.any() else words
    return f"it looks like dates that are not read, such as {' and '.join(map(repr, shown[:2].to_pylist()))}"


def _of_months(words: pa.Array, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which words hold the name of a month beside digits; none unless there are several months, and days or years."""
    lower = pc.utf8_lower(words)
    parts = pc.extract_regex(lower, pattern=_NAMED)
    named = pc.struct_field(parts, "named")
    short = pc.less_equal(pc.utf8_length(words), _LONGEST).to_numpy(zero_copy_only=False)
    found = pc.is_valid(parts).to_numpy(zero_copy_only=False) & matches(words, "[0-9]") & short
    months = {MONTH_OF[word] for word in pc.unique(named.filter(pa.array(found))).to_pylist()}
    dated = found & (matches(lower, _DAY_OR_YEAR) | matches(lower, _SHORT_YEAR)) & ~matches(lower, _SPAN)
    fits = len(months) >= _FEWEST_MONTHS and rows[dated].sum() >= ENOUGH * rows[found].sum()
    return dated if fits else np.zeros(len(words), bool)


def _of_two_numbers(words: pa.Array, rows: NDArray[np.int64]) -> bool:
    """Tell whether words are two parts of a date, of which one runs over all that it can be."""
    for form, least, most, n_different in _TWO_NUMBERS:
        parts = pc.extract_regex(words, pattern=form)
        fits = pc.is_valid(parts)
        if rows[fits.to_numpy(zero_copy_only=False)].sum() < ENOUGH * rows.sum():
            continue
        parts = parts.filter(fits)
        numbers = pc.cast(pc.unique(pc.struct_field(parts, "part")), pa.int64()).to_numpy()
        if parts.type.get_field_index("year") >= 0 and 2 * pc.count_distinct(
            parts.field("year")
        ).as_py() > len(parts):
            continue  # a year has several weeks
        if len(numbers) >= n_different and numbers.min() > 0 and least <= numbers.max() <= most:
            return True
    return False
