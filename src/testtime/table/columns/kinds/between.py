"""What lies between two columns that are nearly the same, which a model cannot see in the columns themselves."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from testtime.table.columns.kinds.base import Output, is_constant
from testtime.table.columns.sentinels import no_date

__all__ = ["Between", "between_dates", "between_numbers"]

_MOST, _MOST_ROWS = 100, 2_000  # columns, and rows of them, since each pair is looked at
_NEAR_DATES, _NEAR_NUMBERS = 1 / 3, 1 / 2
"""Parts of the columns' own range that a difference spans at most: those of dates are taken, those of numbers tried."""

_FEWEST, _FEWEST_SHARE = 5, 0.01
_FEWEST_VALUES, _MOST_NUMBERS = 10, 8


class Between(BaseModel):
    """The second of two columns less the first: days of dates, or numbers.

    It is missing where one of them is, or stands for no date, as 9999-12-31.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    first: str = Field(max_length=100_000)
    second: str = Field(max_length=100_000)
    of: Literal["dates", "numbers"] = "dates"
    no_dates: list[float] = Field(default=[], max_length=2)

    @property
    def name(self) -> str:
        """Name of the column for the model."""
        dates = self.of == "dates"
        return f"days from {self.first} to {self.second}" if dates else f"{self.second} less {self.first}"

    def output(self, values: Mapping[str, NDArray[np.float64]]) -> Output:
        """Return the column, from the values ``(N,)`` of each; of dates, days since 1970."""
        between = _less(values[self.second], values[self.first])
        for name in (self.first, self.second):
            between[np.isin(np.floor(values[name]), self.no_dates)] = np.nan
        return Output(between, self.name)


def between_dates(days: Mapping[str, NDArray[np.float64]]) -> list[Between]:
    """Find the pairs of dates whose distance is worth a column: small against the range of both, and not constant.

    Ranges are those of the middle half, so that some long distances and open ends do not matter. Of dates that lie near
    each other in turn (ordered, paid, shipped) a tree of the shortest distances is taken, since the other distances are
    sums of these.

    Parameters
    ----------
    days
        Days since 1970 by column of dates, each ``(N,)``; NaN is missing.

    >>> ordered = np.arange(0.0, 1000.0, 10.0)
    >>> [one.name for one in between_dates({"paid": ordered + np.arange(100) % 9, "ordered": ordered})]
    ['days from ordered to paid']
    """
    codes = {name: no_date(values) for name, values in days.items()}
    known = {name: np.where(np.floor(values) == codes[name], np.nan, values) for name, values in days.items()}
    return [
        Between(
            first=first, second=second, no_dates=[c for c in (codes[first], codes[second]) if c is not None]
        )
        for first, second in _nearest(known, _NEAR_DATES)
    ]


def between_numbers(values: Mapping[str, NDArray[np.float64]]) -> list[Between]:
    """Find up to eight pairs of columns of numbers that are nearly the same, such as before and after.

    As with dates; whether their difference is worth a column must be tried, since the unit of two numbers may not be
    the same. Columns have ten different values or more.

    >>> before = np.arange(0.0, 100.0)
    >>> [one.name for one in between_numbers({"before": before, "after": before + np.arange(100) % 9})]
    ['after less before']
    """
    many = {
        name: own for name, own in values.items() if len(np.unique(own[~np.isnan(own)])) >= _FEWEST_VALUES
    }
    order = list(values)
    pairs = [sorted(pair, key=order.index) for pair in _nearest(many, _NEAR_NUMBERS)[:_MOST_NUMBERS]]
    return [Between(first=first, second=second, of="numbers") for first, second in pairs]


def _nearest(values: Mapping[str, NDArray[np.float64]], near_is: float) -> list[tuple[str, str]]:
    """Return a tree of the nearest pairs, the smaller one of each first, whose difference is a small part of both."""
    near: list[tuple[float, float, str, str]] = []
    values = {name: own[:: 1 + len(own) // _MOST_ROWS] for name, own in list(values.items())[:_MOST]}
    for one, other in combinations(values, 2):
        both = ~np.isnan(values[one]) & ~np.isnan(values[other])
        between = _less(values[other][both], values[one][both])
        if not _varies(between):
            continue
        distance = _range(between)
        if distance < near_is * min(_range(values[one][both]), _range(values[other][both])):
            middle = float(np.median(between))
            pair = (one, other) if middle >= 0 else (other, one)
            near.append((distance, abs(middle), *pair))
    return _tree(near, values)


def _tree(near: list[tuple[float, float, str, str]], names: Mapping[str, object]) -> list[tuple[str, str]]:
    """Keep the pairs, the nearest first, that join what no nearer ones have joined."""
    tree = {name: name for name in names}
    found: list[tuple[str, str]] = []
    for _, _, first, second in sorted(near):
        if tree[first] != tree[second]:
            found.append((first, second))
            joined = tree[second]
            tree = {name: tree[first] if root == joined else root for name, root in tree.items()}
    return found


def _less(values: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the differences, which are finite also between the largest numbers there are."""
    most = np.finfo(np.float64).max
    with np.errstate(over="ignore"):
        return np.clip(values - others, -most, most)


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
