"""Columns that become categories though their words begin like quantities: ``3 kg`` and ``500 g``, ``4:30 PM``.

Codes (``12A``), addresses (``12 Main Street``), sizes (``10x20``), ranges (``18-25``), versions and days are none: more
than a few words follow the numbers there, or what follows is no unit.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from testtime.table.columns.cells import WordCells
from testtime.table.columns.words.currencies import CURRENCIES, is_money
from testtime.table.columns.words.reading import SAMPLE, is_blank, matches

__all__ = ["units_shown", "unread_quantities"]

_MONEY = "|".join([r"[A-Z]{0,3}\p{Sc}", *map(re.escape, sorted(CURRENCIES, reverse=True))])
_WORD = (
    rf"^[+-]?(?:(?P<money>{_MONEY})\s?)?"
    r"(?P<number>[+-]?(?:[0-9]{1,3}(?:[.,'’ ][0-9]{3})+(?:[.,][0-9]+)?|[0-9]+(?:[.,][0-9]+)?))"
    r"(?P<rest>.*)$"
)
_MEASURES = r"(?:h|hrs?|min|m|s|sec|d|ft|in|lbs?|oz|st|kg|g|cm|mm|'|\"|′|″)"
_UNIT = "|".join(
    [
        r"\s+\p{Ll}[^\s0-9]{0,11}",
        r"\s+\p{Lu}{2,5}",
        r"\s*\p{L}[^\s0-9]{0,10}\.",
        r"\p{Ll}{2,12}",
        r"\s*[^\pL\pN\s.,:/_#-]{1,3}",
        r"\s*[(\[][^0-9()]{1,12}[)\]]",
        r"\s*(?:±|\+/-)\s*[0-9.,]+",
        rf"\s*{_MEASURES}\s?[0-9]+(?:[.,][0-9]+)?\s?{_MEASURES}?",
        r":[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?\s?(?:[AaPp]\.?[Mm]\.?|Uhr|h|Z)?",
    ]
)
_LETTERS = r"\s*\pL[^\s0-9]{0,11}"  # units only beside fractions, which codes do not have
_FRACTION = r"[.,][0-9]{1,2}$|[.,][0-9]{4,}$"
_BEGIN, _FRACTIONS = 0.9, 0.05  # shares of the rows
_FEWEST_NUMBERS, _MOST_UNITS = 10, 8


def unread_quantities(cells: WordCells) -> str:
    """Say that words begin like quantities, and what to do; empty if no more than nine in ten do.

    >>> unread_quantities(WordCells(pa.array([f"{i} {'kg' if i % 2 else 'g'}" for i in range(20)], pa.large_string())))
    ... # doctest: +ELLIPSIS
    "100% of its values begin with a number, but they have no unit in common, such as '0 g' and '1 kg'. Write plain..."
    >>> unread_quantities(WordCells(pa.array([f"{i}{'ABC'[i % 3]}" for i in range(20)], pa.large_string())))
    ''
    >>> unread_quantities(WordCells(pa.array([f"{'$€'[i % 2]}{i}" for i in range(20)], pa.large_string())))
    ... # doctest: +ELLIPSIS
    "100% of its values are amounts of money in several currencies, such as '$0' and '€1'. Convert them into one, or..."
    """
    share, shown, of_money = _begun(cells)
    if not shown:
        return ""
    if of_money:
        return (
            f"{share:.0%} of its values are amounts of money in several currencies, such as "
            f"{' and '.join(map(repr, shown))}. Convert them into one, or write the currency into a column of its own"
        )
    why = "they have no unit in common" if len(shown) > 1 else "what follows cannot be read"
    return (
        f"{share:.0%} of its values begin with a number, but {why}, such as {' and '.join(map(repr, shown))}. "
        "Write plain numbers if they are quantities"
    )


def units_shown(cells: WordCells) -> list[str]:
    """Return two words with different units, if words begin like quantities in more than one."""
    shown = _begun(cells)[1]
    return shown if len(shown) > 1 else []


def _begun(cells: WordCells) -> tuple[float, list[str], bool]:
    """Return the share of the rows that begin like a quantity, up to two such words, and whether they are of money.

    There are no words where the rows are too few; they are of money if they differ in their currency alone.
    """
    sample = cells.sample(SAMPLE)
    there = (sample.counts > 0) & ~is_blank(sample.words)
    words, rows = sample.words.filter(pa.array(there)), sample.counts[there]
    parts = pc.extract_regex(words, pattern=_WORD)
    money, number, rest = (
        pc.fill_null(pc.struct_field(parts, name), "") for name in ("money", "number", "rest")
    )
    begins = pc.is_valid(parts).to_numpy(zero_copy_only=False).astype(bool)
    fractions = rows[matches(number, _FRACTION)].sum() >= _FRACTIONS * rows.sum()
    unit = begins & matches(rest, f"^(?:{_UNIT}{'|' + _LETTERS if fractions else ''})?$")
    share = float(rows[unit].sum() / max(1, rows.sum()))
    at = np.flatnonzero(unit)
    rest = pc.binary_join_element_wise(
        money, rest, pa.scalar("", rest.type)
    )  # a currency stands on either side
    units = pc.replace_substring_regex(rest.take(pa.array(at)), "[0-9]+", "0").to_pylist()
    units = [unit.strip() if is_money(unit.strip()) else unit for unit in units]
    n_numbers = pc.count_distinct(number.take(pa.array(at))).as_py()
    if share <= _BEGIN or n_numbers < _FEWEST_NUMBERS or len(set(units)) > _MOST_UNITS:
        return share, [], False
    seen = Counter[str]()
    for one, n_rows in zip(units, rows[at].tolist(), strict=True):
        seen[one] += n_rows
    shown = [words[int(at[units.index(one)])].as_py() for one, _ in seen.most_common(2)]
    return share, shown, len(seen.keys() - {""}) > 1 and all(map(is_money, seen.keys() - {""}))
