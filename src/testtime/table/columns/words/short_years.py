"""Whether a month and two digits, as in ``Jan-31``, are a month of a year, or a day of no year that is told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from testtime.table.columns.words.orders import full_years, like_days
from testtime.table.columns.words.reading import ENOUGH

__all__ = ["ShortYears", "short_years"]

_LENGTHS = np.array([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_LAST_DAY, _TURN = 31, 1950
"""Years 1930 and 1931 beside those from 2000 on, and none between them, are no series of months."""


@dataclass(frozen=True)
class ShortYears:
    """What the two digits behind a month are.

    Attributes
    ----------
    example
        A word that may hold a day, empty if there is none.
    are_days
        Whether they hardly can be years.
    """

    example: str = ""
    are_days: bool = False

    def doubt(self, what: str) -> str:
        """Say that they were read as years, if they may be days; `what` begins the sentence."""
        if not self.example:
            return ""
        return f"{what} holds {self.example!r}: its number is taken for the year, though it may be the day."


def short_years(
    months: NDArray[np.float64], numbers: NDArray[np.float64], words: pa.Array, rows: NDArray[np.int64]
) -> ShortYears:
    """Tell what two digits behind months are.

    They may be days if hardly one is above 31, and they run from the first days of a month to the last or, as years,
    were the thirties beside the years from 2000 on. If both is so, and every month has such a day, they are days.

    Parameters
    ----------
    months, numbers
        The two parts of each word, NaN where it has none.
    words, rows
        The words, and the number of rows of each.

    >>> words, rows = pa.array(["Jan-31", "Mar-07"]), np.ones(2, int)
    >>> short_years(np.array([1.0, 3.0]), np.array([31.0, 7.0]), words, rows)
    ShortYears(example='Jan-31', are_days=False)
    >>> short_years(np.array([1.0, 3.0]), np.array([95.0, 7.0]), words, rows)
    ShortYears(example='', are_days=False)
    """
    there = ~np.isnan(months) & ~np.isnan(numbers) & (rows > 0)
    if not there.any():
        return ShortYears()
    month, number, count = months[there].astype(np.int64), numbers[there].astype(np.int64), rows[there]
    day = (number >= 1) & (number <= _LENGTHS[np.clip(month, 1, len(_LENGTHS)) - 1])
    if count[day].sum() < ENOUGH * count.sum():
        return ShortYears()
    years = full_years(number[(number >= 1) & (number <= _LAST_DAY)].astype(np.float64))
    turns = bool((years < _TURN).any() and (years > _TURN).any())
    runs = like_days(np.bincount(number, count, _LAST_DAY + 1).astype(np.int64))
    if not turns and not runs:
        return ShortYears()
    return ShortYears(words[int(np.argmax(there))].as_py(), bool(turns and runs and day.all()))
