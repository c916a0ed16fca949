"""The time between two dates, which a model cannot see in dates that lie far apart from row to row."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from testtime.table.columns.kinds.base import Output, is_constant
from testtime.table.columns.sentinels import no_date

__all__ = ["DatesBetween", "find_between"]

_MOST, _MOST_ROWS = 100, 2_000  # columns, and rows of them, since each pair is looked at
_NEAR = 1 / 3  # part of the dates' own range; what is larger shows in the dates themselves
_FEWEST, _FEWEST_SHARE = 5, 0.01


class DatesBetween(BaseModel):
    """Days from the date in one column to the date in another; missing where one stands for no date, as 9999-12-31."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    first: str = Field(max_length=100_000)
    second: str = Field(max_length=100_000)
    no_dates: list[float] = Field(default=[], max_length=2)

    @property
    def name(self) -> str:
        """Name of the column for the model."""
        return f"days from {self.first} to {self.second}"

    def output(self, days: Mapping[str, NDArray[np.float64]]) -> Output:
        """Return the column, from the days since 1970 of each column of dates; missing where one of them is."""
        between = days[self.second] - days[self.first]
        for name in (self.first, self.second) if self.no_dates else ():
            between[np.isin(np.floor(days[name]), self.no_dates)] = np.nan
        return Output(between, self.name)


def find_between(days: Mapping[str, NDArray[np.float64]]) -> list[DatesBetween]:
    """Find the pairs of dates whose distance is worth a column: small against the range of both, and not constant.

    Ranges are those of the middle half, so that some long distances and open ends do not matter. Of dates that lie near
    each other in turn (ordered, paid, shipped) a tree of the shortest distances is taken, since the other distances are
    sums of these.

    Parameters
    ----------
    days
        Days since 1970 by column of dates, each ``(N,)``; NaN is missing.

    >>> ordered = np.arange(0.0, 1000.0, 10.0)
    >>> [one.name for one in find_between({"paid": ordered + np.arange(100) % 9, "ordered": ordered})]
    ['days from ordered to paid']
    """
    near: list[tuple[float, float, str, str]] = []
    codes = {name: no_date(values) for name, values in days.items()}
    days = {name: np.where(np.floor(values) == codes[name], np.nan, values) for name, values in days.items()}
    days = {name: values[:: 1 + len(values) // _MOST_ROWS] for name, values in days.items()}
    for one, other in combinations(list(days)[:_MOST], 2):
        both = ~np.isnan(days[one]) & ~np.isnan(days[other])
        between = days[other][both] - days[one][both]
        if not _varies(between):
            continue
        distance = _range(between)
        if distance < _NEAR * min(_range(days[one][both]), _range(days[other][both])):
            middle = float(np.median(between))
            pair = (one, other) if middle >= 0 else (other, one)
            near.append((distance, abs(middle), *pair))
    tree = {name: name for name in days}
    found: list[DatesBetween] = []
    for _, _, first, second in sorted(near):
        if tree[first] != tree[second]:
            no_dates = [code for name in (first, second) if (code := codes[name]) is not None]
            found.append(DatesBetween(first=first, second=second, no_dates=no_dates))
            joined = tree[second]
            tree = {name: tree[first] if root == joined else root for name, root in tree.items()}
    return found


def _varies(between: NDArray[np.float64]) -> bool:
    """Whether enough rows have another distance than the one in the middle."""
    if is_constant(between):
        return False
    others = int((between != np.median(between)).sum())
    return others >= max(_FEWEST, _FEWEST_SHARE * len(between))


def _range(values: NDArray[np.float64]) -> float:
    """Width of the middle half."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(high - low)
