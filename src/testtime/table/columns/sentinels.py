"""Values that may stand for missing: one of the usual codes, frequent, and far from all other values."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["no_date", "said_of_days", "said_of_numbers"]

_ONES = [(10**digits - 1) // 9 for digits in range(1, 8)]  # 1, 11, 111, ...
_POSITIVE = [float(digit * ones) for ones in _ONES[1:] for digit in (7, 8, 9)]
_CODES = np.array([*_POSITIVE, *(-value for value in _POSITIVE), -7.0, -8.0, -9.0])
"""-9, -99, 99, -999, 999, ..., and as many eights or sevens; 9 alone is an answer as likely as not."""

_DATES = ("0001-01-01", "1111-11-11", "1899-12-30", "1899-12-31", "1900-01-01", "1901-01-01", "1970-01-01")
_DAYS = (
    np.array([*_DATES, "2099-12-31", "2999-12-31", "9999-12-31"], "datetime64[D]")
    .astype(np.int64)
    .astype(float)
)
_FEWEST, _SHARE = 5, 0.01  # rows, and share of them, that a code is in
_FEWEST_OTHERS, _FEWEST_VALUES = 10, 2
_FAR = 0.5  # of the range of the others, from their nearest


def said_of_numbers(values: NDArray[np.float64], name: str) -> list[str]:
    """Say which number of a column may stand for missing, if one does.

    >>> said_of_numbers(np.array([-999.0] * 5 + list(range(51))), "age")[0][:60]
    "Column 'age' holds -999 in 5 rows (9%), far from all other v"
    >>> said_of_numbers(np.arange(1000.0), "x")
    []
    """
    return _said(values, _CODES, name, lambda value: f"{value:.15g}")


def said_of_days(days: NDArray[np.float64], name: str) -> list[str]:
    """Say which date of a column, in days since 1970, may stand for missing, if one does."""
    return _said(np.floor(days), _DAYS, name, lambda value: str(np.datetime64(int(value), "D")))


def no_date(days: NDArray[np.float64]) -> float | None:
    """Return the day, since 1970, that may stand for missing, if one does.

    >>> no_date(np.array([2932896.0] * 5 + list(range(50))))
    2932896.0
    """
    found = _find(np.floor(days), _DAYS)
    return None if found is None else found.code


class _Found(NamedTuple):
    """A code, the rows that hold it and their share, and the range of the other values."""

    code: float
    rows: int
    share: float
    low: float
    high: float


def _said(
    values: NDArray[np.float64], codes: NDArray[np.float64], name: str, spell: Callable[[float], str]
) -> list[str]:
    found = _find(values, codes)
    if found is None:
        return []
    return [
        f"Column {name!r} holds {spell(found.code)} in {found.rows:,} rows ({found.share:.0%}), far from all other "
        f"values ({spell(found.low)} to {spell(found.high)}), and takes it for what it says. Replace it by an empty "
        "cell if it stands for missing."
    ]


def _find(values: NDArray[np.float64], codes: NDArray[np.float64]) -> _Found | None:
    """Return the most frequent code that is far from all other values."""
    present = values[~np.isnan(values)]
    coded = np.isin(present, codes)
    others = present[~coded]
    if not coded.any() or len(others) < _FEWEST_OTHERS or len(np.unique(others)) < _FEWEST_VALUES:
        return None
    low, high = float(others.min()), float(others.max())
    found, rows = np.unique(present[coded], return_counts=True)
    apart = np.maximum(low - found, found - high) > _FAR * (high - low)
    if codes is _CODES and low >= 0:
        apart |= found < 0  # nothing else is below zero
    rows = np.where(apart, rows, 0)
    most = int(np.argmax(rows))
    if rows[most] < max(_FEWEST, _SHARE * len(present)):
        return None
    return _Found(float(found[most]), int(rows[most]), rows[most] / len(present), low, high)
