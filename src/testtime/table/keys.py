r"""Which columns together name something: rows that agree in all of them agree in what a model leaves of the target.

A household is known by its income, its street and its size, none of which names it alone; a year and a grade together
say who was held back. A model that reads columns as quantities, or their effects one by one, does not see it. For a set
of columns, let rows with the same values in all of them form a cell of :math:`m_c` rows, and let :math:`r_i` be what
the model's answer leaves of the target of row :math:`i`, predicted without it. Then

.. math:: T = \sum_c \frac{1}{m_c}\sum_{i \ne j \in c} r_i r_j, \qquad
          V = \sum_c \frac{2}{m_c^2}\sum_{i \ne j \in c} v_i v_j, \qquad
          v_i = \max\Big(r_i^2,\ \frac1N\sum_k r_k^2\Big),

:math:`T` is how much the squares of the errors would fall by if each cell's mean error were known, less what chance
gives, and :math:`T/\sqrt V` how far it is from none, in standard deviations. Where few cells decide, that is as skewed
as a sum of as many squares, so it is read as a value of :math:`\chi^2` with one degree of freedom for each cell of two
or more rows that do not belong together, and brought to a normal scale (Wilson and Hilferty, 1931). The set is grown
and shrunk by one column at a time to where that is largest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.backbones.base import Encoded
from testtime.table.codes import same_number

__all__ = ["Key", "Leftovers", "find_key", "key_columns"]

Key = tuple[int, ...]
"""Positions of the columns that name something together, in order."""

_REPEATED = 0.05  # share of the rows whose values occur again: others are told nothing
_MOST_COLUMNS = 8
_STARTS = 4  # of the columns alone: those that say most, and
_FINE_STARTS = 3  # those with the most values, which say little before others split them further


@dataclass(frozen=True)
class Leftovers:
    """What a model's answers leave of the targets.

    Attributes
    ----------
    values
        What is left, ``(n, S)``: of each class that is told, or of the place of a number among its quantiles.
    units
        Codes of rows that belong together, ``(n,)``, whose agreement says nothing; or None.
    """

    values: NDArray[np.float64]
    units: NDArray[np.int64] | None = None

    def agreement(self, cells: NDArray[np.int64]) -> float:
        """Return how clearly rows of a cell agree, on the scale of a standard normal, for the clearest of the signals.

        >>> left = Leftovers(np.array([[1.0], [1.0], [-1.0], [-1.0]] * 50))
        >>> round(left.agreement(np.repeat(np.arange(100), 2)), 1)
        7.3
        >>> left.agreement(np.arange(200))
        0.0
        """
        m = np.maximum(np.bincount(cells), 1)
        if (m[cells] > 1).mean() < _REPEATED:
            return 0.0
        # Rows of one unit in one cell count as their sum: what is left are products of different units.
        rows, unit = cells, None
        if self.units is not None:
            unit = _split(cells, self.units)
            rows = np.empty(unit.max() + 1, dtype=np.int64)
            rows[unit] = cells
        n_squares, largest = int((np.bincount(rows) > 1).sum()), 0.0
        for left in self.values.T:
            usual = float(np.mean(left**2))
            summed, least = left, np.full(len(left), usual)
            if unit is not None:
                summed = np.bincount(unit, weights=left).astype(np.float64)
                least = usual * np.bincount(unit)
            total = _products(rows, summed) / m
            spread = _products(rows, np.maximum(summed**2, least)) / m**2
            if spread.sum() > 0:
                largest = max(largest, float(total.sum() / np.sqrt(2.0 * spread.sum())))
        return _normal(largest, n_squares) if n_squares else 0.0


def key_columns(encoded: Encoded, asked: Iterable[int]) -> tuple[list[int], NDArray[np.int64]]:
    """Return which of the columns have values that repeat, and codes of these values, ``(N, K)``.

    A missing value is a value of its own.
    """
    positions, found = [], []
    for position in asked:
        x = encoded.x[:, position]
        codes = np.unique(same_number(x), return_inverse=True)[1].ravel()
        n_values = int(codes.max(initial=0)) + 1
        if n_values > 1 and (np.bincount(codes)[codes] > 1).mean() >= _REPEATED:
            positions.append(position)
            found.append(codes)
    return positions, np.column_stack(found) if found else np.empty((len(encoded.x), 0), dtype=np.int64)


def find_key(
    positions: Sequence[int],
    codes: NDArray[np.int64],
    left: Leftovers,
    *,
    alone: Collection[int],
    known: Collection[Key],
    least: float = 0.0,
    late: Callable[[], bool] = lambda: False,
) -> Key:
    """Return the set of columns whose values together say most about what is left; empty if none is clear.

    Parameters
    ----------
    positions, codes
        Columns that may be in a key, and codes of their values, ``(n, K)``, as :func:`key_columns` gives them.
    left
        What the model leaves of the targets of these rows.
    alone
        Positions of the columns that may be a key alone.
    known
        Keys that were found before.
    least
        How clearly the rows of a key must agree.
    late
        Asked between the climbs of the search; where it says so, the best set so far is returned.
    """
    if late():
        return Key()
    search = _Search(positions, codes, left, frozenset(alone), frozenset(known))
    single = np.array([search.agreement((k,)) for k in range(len(positions))])
    fine = np.argsort(-codes.max(axis=0, initial=0), kind="stable")[:_FINE_STARTS]
    starts = dict.fromkeys([*np.argsort(-single, kind="stable")[:_STARTS].tolist(), *fine.tolist()])
    best, key = least, Key()
    for start in starts:
        if late():
            break
        value, columns = search.climb((start,))
        if value > best:
            best, key = value, tuple(sorted(positions[k] for k in columns))
    return key


@dataclass(frozen=True)
class _Search:
    """A search among sets of columns, which are places in `positions`."""

    positions: Sequence[int]
    codes: NDArray[np.int64]
    left: Leftovers
    alone: frozenset[int]
    known: frozenset[Key]

    def agreement(self, columns: tuple[int, ...]) -> float:
        return self.left.agreement(self._cells(columns))

    def climb(self, columns: tuple[int, ...]) -> tuple[float, tuple[int, ...]]:
        """Add the best column while that says more, then leave columns out while that does; 0 for what is no key."""
        value = self.agreement(columns)
        while len(columns) < _MOST_COLUMNS:
            cells = self._cells(columns)
            others = [k for k in range(len(self.positions)) if k not in columns]
            if not others:
                break
            values = [self.left.agreement(_split(cells, self.codes[:, k])) for k in others]
            best = int(np.argmax(values))
            if values[best] <= (value if self._is_key(columns) else 0.0):
                break
            value, columns = values[best], (*columns, others[best])
        while len(columns) > 1:
            fewer = [tuple(k for k in columns if k != out) for out in columns]
            fewer = [one for one in fewer if self._is_key(one)]
            values = [self.agreement(one) for one in fewer]
            if not values or max(values) < value:
                break
            value, columns = max(values), fewer[int(np.argmax(values))]
        return (value, columns) if self._is_key(columns) else (0.0, columns)

    def _is_key(self, columns: tuple[int, ...]) -> bool:
        key = Key(sorted(self.positions[k] for k in columns))
        return key not in self.known and (len(key) > 1 or set(key) <= self.alone)

    def _cells(self, columns: tuple[int, ...]) -> NDArray[np.int64]:
        cells = self.codes[:, columns[0]]
        for k in columns[1:]:
            cells = _split(cells, self.codes[:, k])
        return cells


def _split(cells: NDArray[np.int64], codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Codes of the pairs of two codes."""
    return pd.factorize(cells * (codes.max() + 1) + codes)[0]


def _normal(deviations: float, n_squares: int) -> float:
    """Standard normal deviate of a sum of squares that is so many standard deviations above its mean."""
    spread = 2.0 / (9.0 * n_squares)
    ratio = 1.0 + deviations * np.sqrt(2.0 / n_squares)
    return float((np.cbrt(ratio) - (1.0 - spread)) / np.sqrt(spread))


def _products(cells: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over the pairs of different rows of each cell of the product of their values, each pair counted twice."""
    sums, squares = (np.bincount(cells, weights=each).astype(np.float64) for each in (values, values**2))
    return sums**2 - squares
