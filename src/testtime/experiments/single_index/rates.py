"""Rates read from tables of tasks: how many rows reach an accuracy, and fitted powers with their intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["fitted_exponent", "rows_exponent", "rows_needed", "samples_to_reach"]

RESAMPLES = 500


def samples_to_reach(missed: pd.Series, wanted: float) -> float:
    """Return the number of rows at which a curve first falls to `wanted`, interpolated between logarithms.

    Parameters
    ----------
    missed
        What is missed, indexed by the number of rows, ascending.
    wanted
        The value to reach.

    Returns
    -------
    float
        NaN if it is never reached, or reached before the first number of rows.

    >>> round(samples_to_reach(pd.Series([0.1, 0.001], index=[10, 1000]), 0.01), 6)
    100.0
    """
    values, rows = missed.to_numpy(dtype=float), missed.index.to_numpy(dtype=float)
    below = np.flatnonzero(values <= wanted)
    if not len(below) or below[0] == 0:
        return float("nan")
    after, before = below[0], below[0] - 1
    high, low = np.log(values[before]), np.log(max(values[after], 1e-300))
    share = (high - np.log(wanted)) / (high - low)
    return float(np.exp(np.log(rows[before]) + share * np.log(rows[after] / rows[before])))


def fitted_exponent(table: pd.DataFrame, values: str) -> tuple[float, tuple[float, float]]:
    """Fit ``median(values) ~ N^-p`` and return p with a 95% interval from resampling tasks.

    `table` has the columns ``n_rows`` and ``task``, tasks being the same at every number of rows, and `values`.

    >>> rows = [{"n_rows": n, "task": t, "x": 3.0 / n} for n in (10, 100) for t in range(4)]
    >>> exponent, interval = fitted_exponent(pd.DataFrame(rows), "x")
    >>> round(exponent, 6), [round(end, 6) for end in interval]
    (1.0, [1.0, 1.0])
    """
    wide = table.pivot(index="n_rows", columns="task", values=values)
    logs = np.log(wide.index.to_numpy(dtype=float))
    if wide.isna().any(axis=None) or wide.empty:
        return float("nan"), (float("nan"), float("nan"))
    numbers = np.maximum(wide.to_numpy(dtype=float), 1e-300)

    def power(columns: np.ndarray) -> float:
        return -float(np.polyfit(logs, np.log(np.median(numbers[:, columns], axis=1)), 1)[0])

    count = numbers.shape[1]
    rng = np.random.default_rng(0)
    drawn = [power(rng.integers(0, count, count)) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return power(np.arange(count)), (float(low), float(high))


def rows_needed(table: pd.DataFrame, wanted: float) -> pd.Series:
    """Return for each ``rank`` the rows at which the median ``overlap`` over tasks first reaches `wanted`.

    `table` has the columns ``rank``, ``n_rows``, ``task`` and ``overlap``. What is interpolated is the logarithm of
    1 - overlap; NaN where no number of rows reaches it.
    """
    middle: Any = (1.0 - table.groupby(["rank", "n_rows"])["overlap"].median()).unstack("n_rows")
    return middle.apply(lambda row: samples_to_reach(row.dropna(), 1.0 - wanted), axis=1)


def rows_exponent(table: pd.DataFrame, wanted: float) -> tuple[float, tuple[float, float]]:
    """Fit ``rows_needed ~ rank^p`` and return p with a 95% interval from resampling the tasks of each rank.

    NaN when fewer than two ranks reach `wanted`; samples in which a rank does not are left out.
    """
    grids = {
        rank: rows.pivot(index="n_rows", columns="task", values="overlap")
        for rank, rows in table.groupby("rank")
    }

    def power(draw: np.random.Generator | None) -> float:
        points = []
        for rank, grid in grids.items():
            count = grid.shape[1]
            chosen = np.arange(count) if draw is None else draw.integers(0, count, count)
            middle = pd.Series(1.0 - np.median(grid.to_numpy()[:, chosen], axis=1), index=grid.index)
            points.append((np.log(float(rank)), np.log(samples_to_reach(middle, 1.0 - wanted))))
        x, y = np.transpose(points)
        kept = np.isfinite(y)
        if kept.sum() < 2 or (draw is not None and not kept.all()):
            return float("nan")
        return float(np.polyfit(x[kept], y[kept], 1)[0])

    rng = np.random.default_rng(0)
    drawn = np.array([power(rng) for _ in range(RESAMPLES)])
    drawn = drawn[np.isfinite(drawn)]
    interval = np.quantile(drawn, [0.025, 0.975]) if len(drawn) >= RESAMPLES / 2 else [float("nan")] * 2
    return power(None), (float(interval[0]), float(interval[1]))
