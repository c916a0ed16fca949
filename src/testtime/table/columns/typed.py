"""Text beside number cells, as in a spreadsheet: what a cell with a type says nothing of is how text is written.

A workbook is read as text, in which number cells are spelled with a point. What was text all the same is remembered
with the column, if it looks like such a spelling: ``2.017`` may be two thousand in text, and never in a number cell.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["TYPED", "is_number", "is_pointed", "text_of_frame", "text_of_values", "were_numbers"]

TYPED = "testtime: text beside number cells"
"""Name in the ``attrs`` of a frame; there, for each column that spells number cells, its other text of that form."""

_POINTED = re.compile(r"[+-]?[0-9]*\.[0-9]+")
_SPELLED = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?(?:e[+-][0-9]{2,3})?$"  # as `cells.spell` writes numbers


def is_number(value: Any) -> bool:
    """Tell whether a cell holds a number, and neither text nor a truth value."""
    return isinstance(value, (int, float, Decimal, np.number)) and not isinstance(value, bool)


def is_pointed(text: str) -> bool:
    """Tell whether text looks like the spelling of a number cell with a point."""
    return _POINTED.fullmatch(text) is not None


def text_of_values(values: Iterable[Any]) -> tuple[str, ...] | None:
    """Return the text among values that looks like a number with a point; None if there are no numbers beside it.

    >>> text_of_values([3.5, "2.017", "3,5"]), text_of_values(["2.017", None])
    (('2.017',), None)
    """
    present = [value for value in values if not pd.isna(value)]
    if not any(map(is_number, present)):
        return None
    return tuple(value.strip() for value in present if isinstance(value, str) and is_pointed(value.strip()))


def text_of_frame(values: pd.Series) -> tuple[str, ...] | None:
    """Return what a reader remembered of a column; None if it had no number cells."""
    text = values.attrs.get(TYPED, {}).get(values.name)
    return None if text is None else tuple(text)


def were_numbers(words: pa.Array, text: tuple[str, ...] | None) -> NDArray[np.bool_]:
    """Tell which words spell number cells, if there were any beside `text`.

    >>> words = pa.array(["2.017", "3.5", "3,5", "2.50"])
    >>> were_numbers(words, ("2.017",)).tolist(), were_numbers(words, None).tolist()
    ([False, True, False, False], [False, False, False, False])
    """
    if text is None:
        return np.zeros(len(words), bool)
    spelled = pc.match_substring_regex(words, _SPELLED).to_numpy(zero_copy_only=False).astype(bool)
    remembered = pc.is_in(words, value_set=pa.array(text, words.type))
    return spelled & ~remembered.to_numpy(zero_copy_only=False).astype(bool)
