r"""Scores of predictions together with what each row contributes to them.

A score :math:`T` of ``n`` rows is, to first order, :math:`T + \sum_i h_i` with one influence :math:`h_i` per row. Its
standard error is the root of the sum of their squares, rows of one group counting as one; the error of a *difference*
of two scores on the same rows comes from the difference of their influences, which is what makes it small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from testtime.adapt.mix import standard_error

__all__ = ["Influence", "area", "mean", "mean_of", "power_of_two", "root_mean_square"]


@dataclass(frozen=True)
class Influence:
    """A score and the influence of each row on it.

    Attributes
    ----------
    value
        The score.
    rows
        Influences, ``(n,)``; they sum to zero.
    """

    value: float
    rows: NDArray[np.float64]

    def error(self, groups: NDArray[np.int64] | None = None) -> float:
        """Standard error of the score; rows of one group count as one."""
        unit = power_of_two(self.rows)
        return unit * standard_error(len(self.rows) * (self.rows / unit), groups)

    def __sub__(self, other: Influence) -> Influence:
        return Influence(self.value - other.value, self.rows - other.rows)


def power_of_two(values: NDArray[np.float64]) -> float:
    """Return a unit in which values are about 1, so that their squares neither overflow nor vanish.

    Division by a power of two is exact: nothing else about a result changes. 1 where all values are zero.

    >>> power_of_two(np.array([0.0, 1e-200])), power_of_two(np.array([-1.5, 0.5]))
    (6.53...e-201, 1.0)
    """
    largest = float(np.abs(values).max(initial=0.0))
    return float(2.0 ** (np.frexp(largest)[1] - 1)) if largest > 0 and np.isfinite(largest) else 1.0


def mean(values: NDArray) -> Influence:
    """Mean of one number per row.

    >>> score = mean(np.array([1.0, 3.0]))
    >>> score.value, score.error()
    (2.0, 1.0)
    """
    values = np.asarray(values, dtype=np.float64)
    average = float(values.mean())
    return Influence(average, (values - average) / len(values))


def root_mean_square(values: NDArray[np.float64]) -> Influence:
    """Root of the mean of squares, by the delta method: the derivative of the root is ``1 / (2 root)``.

    >>> root_mean_square(np.array([3e200, 4e200])).value
    3.5355...e+200
    """
    unit = power_of_two(values)
    of_squares = mean((values / unit) ** 2)
    root = float(np.sqrt(of_squares.value))
    rows = of_squares.rows / (2 * root) if root > 0 else np.zeros(len(values))
    return Influence(unit * root, unit * rows)


def area(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> Influence:
    """Area under the ROC curve; DeLong, DeLong and Clarke-Pearson (1988).

    The influence of a positive row is how many negatives it beats, less the area, and the other way round. NaN where
    all rows are of one class.
    """
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    influences = np.zeros(len(scores))
    if not n_positive or not n_negative:
        return Influence(float("nan"), influences)
    ranks = rankdata(scores)
    beaten = (ranks[positive] - rankdata(scores[positive])) / n_negative
    beaten_by = 1 - (ranks[~positive] - rankdata(scores[~positive])) / n_positive
    value = float(beaten.mean())
    influences[positive] = (beaten - value) / n_positive
    influences[~positive] = (beaten_by - value) / n_negative
    return Influence(value, influences)


def mean_of(parts: list[Influence], n_rows: int) -> Influence:
    """Plain average of several scores of the same rows; NaN without any."""
    if not parts:
        return Influence(float("nan"), np.zeros(n_rows))
    value = float(np.mean([part.value for part in parts]))
    return Influence(value, np.mean([part.rows for part in parts], axis=0))
