"""Numbers among dates: a spreadsheet counts days from the end of 1899, and loses the form of some cells.

``43831`` beside ``2020-03-05`` is the first of January 2020. A number alone tells nothing, so that it must lie near the
dates of its column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from testtime.table.columns.words.reading import matches

__all__ = ["NO_SERIALS", "Limits", "Serials", "find_serials", "serial_limits"]

Limits = tuple[float, float]
"""The first and the last day that numbers are taken for, in days since 1970."""

NO_SERIALS: Limits = (1.0, 0.0)
"""Of columns in which numbers are no days."""

_SERIAL = r"^[0-9]{5}(?:\.[0-9]+)?$"
_DAYS_TO_1970, _SECONDS_PER_DAY = 25_569, 86_400
_FEWEST, _SHARE = 3, 0.1  # dates that must be there: so many values, and this share of the rows
_YEAR = 366.0


@dataclass(frozen=True)
class Serials:
    """Numbers that were read as days.

    Attributes
    ----------
    limits
        What they were taken for, as when the column was fitted.
    shown
        One of them and its day, empty if there are none.
    """

    limits: Limits = NO_SERIALS
    shown: str = ""

    def note(self, name: str) -> str:
        """Say that numbers of a column were read as days; "" if none were."""
        if not self.shown:
            return ""
        return f"Column {name!r} holds numbers among dates, read as days of a spreadsheet: {self.shown}."


def serial_limits(times: NDArray[np.datetime64], counts: NDArray[np.int64]) -> Limits:
    """Return which days a number may stand for: those of the dates, and on either side as many, or a year.

    Parameters
    ----------
    times, counts
        What each word was read as, NaT for none, and the rows of each.

    >>> days = np.array(["2020-01-01", "2020-01-02", "2021-12-31", "NaT"], "datetime64[us]")
    >>> serial_limits(days, np.ones(4, np.int64))
    (17532.0, 19722.0)
    >>> serial_limits(days[1:], np.ones(3, np.int64)) == NO_SERIALS
    True
    """
    read = ~np.isnat(times) & (counts > 0)
    if read.sum() < _FEWEST or counts[read].sum() < _SHARE * counts.sum():
        return NO_SERIALS
    days = times[read].astype("datetime64[D]").astype(np.float64)
    beside = max(float(np.ptp(days)), _YEAR)
    return float(days.min() - beside), float(days.max() + beside)


def find_serials(words: pa.Array, limits: Limits) -> tuple[NDArray[np.datetime64], str]:
    """Return the time that each word counts up to, NaT for other words, and what to say of one of them."""
    times = np.full(len(words), np.datetime64("NaT", "us"))
    at = np.flatnonzero(matches(words, _SERIAL))
    numbers = words.take(pa.array(at)).to_numpy(zero_copy_only=False).astype(np.float64)
    days = numbers - _DAYS_TO_1970
    inside = (days >= limits[0]) & (days <= limits[1])
    if not inside.any():
        return times, ""
    seconds = np.round(days[inside] * _SECONDS_PER_DAY).astype(np.int64)
    times[at[inside]] = seconds.astype("datetime64[s]").astype("datetime64[us]")
    first = int(at[inside][0])
    return times, f"{words[first].as_py()!r} is {str(times[first])[:10]}"
