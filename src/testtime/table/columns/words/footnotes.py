"""Marks of footnotes behind numbers: ``131.6[3]``, ``131.6 [a]``, ``12*``, ``12†``.

The note is elsewhere, and the number is the same with and without it. ``12 (1)`` may as well be a number of its own,
and is left.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from testtime.table.columns.words.reading import MANY_VALUES, matches

__all__ = ["MarksRead", "are_notes", "without_marks"]

MarksRead: TypeAlias = Literal["", "told", "all"]
"""Which marks are taken off: none, all if the column tells that they are marks of footnotes, or all."""

_BRACKET = r"\s?\[(?:[0-9]{1,3}|\pL|(?:note|n|nb) ?[0-9]{1,3}|citation needed|sic)\]"
_STAR = r"\s?[*†‡§¶]{1,3}"
_BEHIND = rf"([0-9][^\[\]*†‡§¶]*?)(?:{_BRACKET}|{_STAR})+$"
_STARRED = rf"[0-9].*{_STAR}$"
_FEWEST_NUMBERS = 5  # different ones without a mark, as beside bounds


def without_marks(text: pa.Array, which: MarksRead) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Take marks of footnotes off words; tell which words had one.

    >>> text, marked = without_marks(pa.array(["131.6[3]", "12 kg*", "7 [a][b]", "[3]", "12 (1)"]), "all")
    >>> text.to_pylist(), marked.tolist()
    (['131.6', '12 kg', '7', '[3]', '12 (1)'], [True, True, True, False, False])
    """
    marked = matches(text, _BEHIND) if which else np.zeros(len(text), bool)
    if marked.any():
        text = pc.if_else(pa.array(marked), pc.replace_substring_regex(text, _BEHIND, r"\1"), text)
    return text, marked


def are_notes(
    text: pa.Array, values: NDArray[np.float64], counts: NDArray[np.int64], marked: NDArray[np.bool_]
) -> bool:
    """Tell whether marks are those of footnotes: most numbers have none, and there are several different ones.

    A star may be a flag that says something. Among few different numbers, levels keep it; among many, they are so rare
    that they keep nothing, not even the number.

    Parameters
    ----------
    text
        The words as they were written.
    values, counts
        The number and the rows of each; NaN for what is no number.
    marked
        Which of them have a mark, as :func:`without_marks` found.
    """
    read = ~np.isnan(values) & (counts > 0)
    fewest = MANY_VALUES + 1 if matches(text, _STARRED).any() else _FEWEST_NUMBERS
    bare = read & ~marked
    return len(np.unique(values[bare])) >= fewest and bool(counts[bare].sum() >= counts[read & marked].sum())
