"""Truth values in all spellings: True, TRUE, yes, y, t, on, 1."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from testtime.table.columns.cells import WordCells
from testtime.table.columns.words.numbers import read_numbers
from testtime.table.columns.words.reading import Reading, judge

__all__ = ["read_truth", "truth_of"]

_TRUE = ("true", "t", "yes", "y", "on", "1", "1.0")
_FALSE = ("false", "f", "no", "n", "off", "0", "0.0")
_TABLE = pa.array(_FALSE + _TRUE, pa.large_string())


def truth_of(words: pa.Array) -> np.ndarray:
    """Return 1, 0 or NaN for each word.

    >>> truth_of(pa.array(["TRUE", "no", "maybe"])).tolist()
    [1.0, 0.0, nan]
    """
    at = pc.index_in(pc.utf8_lower(words.cast(pa.large_string())), value_set=_TABLE).fill_null(-1)
    values = np.array([0.0] * len(_FALSE) + [1.0] * len(_TRUE) + [np.nan])
    return values[at.to_numpy(zero_copy_only=False)]


def read_truth(cells: WordCells, known: frozenset[str] = frozenset(), *, numbers: bool = False) -> Reading:
    """Read words as 1 and 0; with `numbers`, other numbers are themselves, as in a column of counts."""
    values = truth_of(cells.words)
    if numbers and len(cells.words) and np.isnan(values).any():
        rest = WordCells(cells.words)
        values = np.where(np.isnan(values), read_numbers(rest, comma=None, table_comma=None).values, values)
    return judge(cells, values, ~np.isnan(values), np.nan, known)
