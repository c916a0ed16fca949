"""The row of sums that people leave at the end of a sheet: no observation, and larger than all of them."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["total_row"]

_TOTAL = (
    r"(?i)^(grand |sub-?|gesamt|end)?(total|totals|totale|totaal|sum|sums|summe|somme|suma|gesamt|insgesamt)"
    r"( \(?(all|overall|gesamt|general|général|generale)\)?)?\s*:?$"
)
_FEWEST = 10  # rows; in fewer, a word that occurs once says little


def total_row(table: pa.Table) -> str:
    """Return the word that makes the last row of a table one of sums; empty if it is none.

    >>> goods = pa.table({"item": [f"item {i}" for i in range(12)] + ["Total"], "price": ["1"] * 12 + ["12"]})
    >>> total_row(goods), total_row(goods.slice(0, 12))
    ('Total', '')
    """
    if table.num_rows <= _FEWEST:
        return ""
    for column in table.columns:
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            continue
        last = column[-1]
        if not last.is_valid or not pc.match_substring_regex(last, _TOTAL).as_py():
            continue
        if pc.sum(pc.equal(column, last)).as_py() == 1:  # else it is a level
            return last.as_py()
    return ""
