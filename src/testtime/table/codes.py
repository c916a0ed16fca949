r"""Which columns of numbers are codes: numbers that name something, as a shop, a person or a school.

The order of such numbers says little, and a model that reads them as quantities sees noise. What gives them away is
that rows of the same number agree about the target, and rows of the *next* number do not. For values :math:`v` in
order, with :math:`m_v \ge 2` rows, means :math:`a_v` and variances :math:`s_v^2` of the target, and weights
:math:`w_v = (1/m_v + 1/m_{v+1})^{-1}`,

.. math:: R = \frac{\sum_v w_v\big((a_v - a_{v+1})^2 - s_v^2/m_v - s_{v+1}^2/m_{v+1}\big)}{2\, s^2 \sum_v w_v}

estimates the share of the target's variance :math:`s^2` that is between values and that neighbours do not share. It is
near 0 for a quantity, since the means of neighbouring values are alike, and the share of variance between levels for
codes. Where the column says nothing, the numerator has mean zero and a known variance, which tells chance from effect.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from testtime.backbones.base import Encoded

__all__ = ["code_columns", "same_number"]

_FEWEST_VALUES = 10  # fewer are read from their place, as few levels are
_REPEATED = 0.3  # share of the rows whose number occurs again: others are told nothing
_SHARE = 0.1  # of the variance, from which a column counts
_SIGMAS = 4.0  # there are many columns, and each is asked about several targets
_MOST = 8
_DIGITS = 6  # of numbers that are not whole; float32 keeps these


def same_number(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one number for all that are the same but for their storage: whole ones as they are, others to six digits.

    >>> same_number(np.array([123456789.0, 0.1 + 0.2, np.float32(100.1)])).tolist()
    [123456789.0, 0.3, 100.1]
    """
    with np.errstate(all="ignore"):
        scale = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(np.abs(x))))
        rounded = np.rint(x * scale) / scale
    return np.where((x == np.rint(x)) | ~np.isfinite(rounded), x, rounded)


def code_columns(
    encoded: Encoded,
    signals: NDArray[np.float64],
    groups: NDArray[np.int64] | None = None,
    asked: Iterable[int] | None = None,
) -> tuple[int, ...]:
    """Return the positions of columns of numbers that look like codes, in order; of many, the clearest.

    Parameters
    ----------
    encoded
        Encoded rows, ``(N, D)``.
    signals
        What is asked about: one column for each class that is told, or the numeric target, ``(N, S)``.
    groups
        Codes of rows that belong together and count as one, ``(N,)``; or None.
    asked
        Positions of the columns that may be codes; None for all columns of numbers.
    """
    if asked is None:
        asked = [position for position, kind in enumerate(encoded.kinds) if kind == "number"]
    found = {}
    for position in asked:
        known = ~np.isnan(encoded.x[:, position])
        values, told = same_number(encoded.x[known, position]), signals[known]
        if groups is not None:
            values, told = _units(values, told, groups[known])
        share = _between(values, told)
        if share >= _SHARE:
            found[position] = share
    return tuple(sorted(sorted(found, key=lambda position: -found[position])[:_MOST]))


def _units(
    values: NDArray[np.float64], signals: NDArray[np.float64], groups: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One row for each group and value, with the mean of its signals."""
    _, codes = np.unique(values, return_inverse=True)
    _, first, unit, counts = np.unique(
        np.column_stack([groups, codes]), axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    sums = [np.bincount(unit.ravel(), weights=signal) for signal in signals.T]
    return values[first], np.column_stack(sums) / counts[:, None]


def _between(values: NDArray[np.float64], signals: NDArray[np.float64]) -> float:
    """Largest share of a signal's variance that is between values and not shared by neighbours; 0 if none is clear."""
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    often = counts >= 2
    m = counts[often].astype(np.float64)
    if len(m) < _FEWEST_VALUES or m.sum() < _REPEATED * len(values):
        return 0.0
    pair = 1.0 / (1.0 / m[1:] + 1.0 / m[:-1])
    largest = 0.0
    for signal in signals.T:
        variance = float(signal.var())
        if variance <= 0:
            continue
        mean = np.bincount(codes, weights=signal)[often] / m
        centred = (signal - (np.bincount(codes, weights=signal) / counts)[codes]) ** 2
        within = np.bincount(codes, weights=centred)[often] / (m - 1.0)
        noise = within / m
        excess = float((pair * (np.diff(mean) ** 2 - noise[1:] - noise[:-1])).sum())
        if excess > _SIGMAS * _spread(m, pair, np.maximum(within, variance)):
            largest = max(largest, excess / (2.0 * variance * float(pair.sum())))
    return largest


def _spread(m: NDArray[np.float64], pair: NDArray[np.float64], variances: NDArray[np.float64]) -> float:
    """Standard deviation of the sum over pairs if values say nothing, from the target's variance at each value.

    The sum is one of products of two different rows, ``w_v (u_v + u_{v+1} - 2 a_v a_{v+1})`` with ``u_v`` the mean
    product within a value. Products are uncorrelated, so this holds for every distribution.
    """
    weight = np.append(pair, 0.0) + np.append(0.0, pair)
    within = 2.0 * (weight * variances) ** 2 / (m * (m - 1.0))
    across = 4.0 * pair**2 * (variances / m)[1:] * (variances / m)[:-1]
    return float(np.sqrt(within.sum() + across.sum()))
