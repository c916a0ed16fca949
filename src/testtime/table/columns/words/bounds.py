"""Numbers of which only a bound is known, or how large they are about: ``<0.5``, ``10+ years``, ``~12``, ``ca. 9``."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from testtime.table.columns.words.reading import matches

__all__ = ["BoundsRead", "are_bounds", "of_a_scale", "without_signs"]

BoundsRead: TypeAlias = Literal["", "told", "before", "all"]
"""Which bounds are read as numbers: none, all if the column tells so, those with a sign before them, or all."""

_ABOUT = (
    r"[~≈∼]|(?i:ca|circa|approx|approximately|about|around|roughly|rund|etwa|environ|unos)\b\.?|(?i:c|env)\."
)
_ROUGH = rf"^(?:{_ABOUT})\s*"
_BEFORE = rf"^(?:[<>]\s?=?|=\s?[<>]|[≤≥⩽⩾≦≧]|{_ABOUT})\s*"
_BEHIND = r"([0-9][.,]?\s?[^0-9\s+<>=-]{0,12})\s?\+(\s*[^0-9+<>=-]*)$"
_GRADES = r"[0-9]\s?-$"  # 1+, 1, 1-, 2+ are marks of a school
_FEWEST_NUMBERS = (
    5  # different ones beside bounds; with fewer, bounds and numbers are the levels of a question
)
_BEYOND = 0.05  # of the numbers may lie beyond the end of a scale


def without_signs(text: pa.Array, which: BoundsRead) -> tuple[pa.Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Take comparators off words; tell which words had one before and behind the number.

    >>> text, before, behind = without_signs(pa.array(["< 0.5", "≥90%", "10+ years", "7", "+3"]), "all")
    >>> text.to_pylist(), before.tolist(), behind.tolist()
    (['0.5', '90%', '10 years', '7', '+3'], [True, True, False, False, False], [False, False, True, False, False])
    """
    none = np.zeros(len(text), bool)
    if not which:
        return text, none, none
    before = matches(text, _BEFORE)
    behind = matches(text, _BEHIND) & ~before if which != "before" else none
    if before.any():
        text = pc.replace_substring_regex(text, _BEFORE, "")
    if behind.any():
        text = pc.if_else(pa.array(behind), pc.replace_substring_regex(text, _BEHIND, r"\1\2"), text)
    return text, before, behind


def are_bounds(words: list[str]) -> bool:
    """Tell whether words look like bounds or rough numbers, all of them.

    >>> are_bounds(["<5", "10+", "~6"]), are_bounds(["<5", "x6"]), are_bounds([])
    (True, False, False)
    """
    text = pa.array(words, pa.large_string())
    return bool(len(words)) and bool((matches(text, _BEFORE) | matches(text, _BEHIND)).all())


def of_a_scale(
    text: pa.Array,
    values: NDArray[np.float64],
    counts: NDArray[np.int64],
    before: NDArray[np.bool_],
    behind: NDArray[np.bool_],
) -> bool:
    """Tell whether bounds are values of a column of numbers, and no levels.

    There must be several numbers beside them, and a plus must stand at the end of the scale: ``2+`` between 2 and 3 is
    a mark of its own. A rough number is a number, too: a column may hold nothing else.

    Parameters
    ----------
    text
        The words as they were written.
    values, counts
        The number and the rows of each; NaN for what is no number.
    before, behind
        Which of them are bounds, as :func:`without_signs` found.
    """
    plain = ~(before & ~matches(text, _ROUGH)) & ~behind & ~np.isnan(values) & (counts > 0)
    if len(np.unique(values[plain])) < _FEWEST_NUMBERS:
        return False
    ends = values[behind & ~np.isnan(values) & (counts > 0)]
    if not len(ends):
        return True
    beyond = counts[plain & (values > ends.min())].sum()
    return not matches(text, _GRADES).any() and bool(beyond <= _BEYOND * counts[plain].sum())
