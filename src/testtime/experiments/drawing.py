"""What the drawings of several figures share: theory as a line with markers of a simulation, and curves of methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import binom

from testtime.report import plots

__all__ = [
    "INTERVAL",
    "curves",
    "draw_comparison",
    "error_panels",
    "median_curves",
    "median_interval",
    "medians",
    "shares",
    "simulation_note",
]

MARKERS = (*plots.MARKERS, "p")

INTERVAL = "bars: 95% interval of the median"
"""What the bars of :func:`median_curves` are, for the key of a figure."""


def draw_comparison(axes: Axes, rows: pd.DataFrame, x: str, *, colour: Any, marker: str = "o") -> None:
    """Draw the exact risk as a line, and the simulated risk as markers with two standard errors.

    `rows` has the columns ``kind``, ``risk``, ``error`` and the one called `x`.
    """
    exact, points = rows[rows["kind"] == "exact"], rows[rows["kind"] == "simulated"]
    plots.draw_exact(axes, exact[x], exact["risk"], colour=colour)
    plots.draw_measured(axes, points[x], points["risk"], 2 * points["error"], colour=colour, marker=marker)


def simulation_note(n_designs: int, more: str = "") -> tuple[str, str]:
    """Return the line of the key that says what the simulated markers are."""
    return "measured", f"simulation: mean ± 2 standard errors over {n_designs:,} designs{more}"


def curves(
    axes: Axes, shown: pd.DataFrame, labels: Mapping[str, str], shades: Sequence[Any], errors: Any = None
) -> None:
    """Draw one joined line of markers per method: `shown` has a column each, `errors` their half-lengths.

    `errors` is a table like `shown`, or a pair of such tables, downward and upward.
    """
    for (name, label), colour, marker in zip(labels.items(), shades, MARKERS, strict=False):
        if name in shown:
            curve = shown[name].dropna()
            if isinstance(errors, tuple):
                bars = np.stack([side[name].loc[curve.index] for side in errors])
            else:
                bars = None if errors is None else errors[name].loc[curve.index]
            plots.draw_measured(
                axes, curve.index, curve, bars, colour=colour, marker=marker, label=label, join=True
            )


def medians(table: pd.DataFrame, index: str, columns: str, values: str = "mse") -> pd.DataFrame:
    """Return the median over tasks, one row per `index` value and one column per `columns` value."""
    return table.pivot_table(index=index, columns=columns, values=values, aggfunc="median", dropna=False)


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return two of the values between which the median lies with 95% or more, whatever their distribution.

    The number of values below the median is binomial, so the interval between the k-th least and the k-th largest
    misses it with twice the probability of fewer than k successes in n throws of a coin. Fewer than six values give
    their range, which says less than 95%.

    >>> median_interval(range(1, 31))
    (10.0, 21.0)
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    inside = max(1, int(binom.ppf(0.025, len(ordered), 0.5)))
    return float(ordered[inside - 1]), float(ordered[-inside])


def median_curves(
    axes: Axes,
    table: pd.DataFrame,
    index: str,
    columns: str,
    labels: Mapping[Any, str],
    shades: Sequence[Any],
    values: str = "mse",
) -> None:
    """Draw medians over tasks with 95% intervals, one joined line of markers per value of `columns`."""
    middle = medians(table, index, columns, values)
    kept = table.dropna(subset=[values])
    ends = kept.groupby([index, columns])[values].apply(lambda part: median_interval(part.tolist()))
    low, high = (ends.map(lambda pair, side=side: pair[side]).unstack() for side in (0, 1))
    curves(axes, middle, labels, shades, (middle - low, high - middle))


def shares(
    axes: Axes, hits: pd.Series, keys: Sequence[pd.Series], labels: Mapping[Any, str], shades: Sequence[Any]
) -> None:
    """Draw the share of tasks for which `hits` is true, with two standard errors, against the first key.

    The error is that of a share with two successes and two failures more, so that it does not vanish at 0 and 1.
    """
    grouped = hits.astype(float).groupby(list(keys))
    count = grouped.size() + 4
    share = (grouped.sum() + 2) / count
    error = 2 * np.sqrt(share * (1 - share) / count)
    curves(axes, grouped.mean().unstack(), labels, shades, error.unstack())


def error_panels(
    panels: Sequence[tuple[Axes, pd.DataFrame, str]],
    methods: Mapping[str, str],
    sizes: Sequence[int],
    errors: Sequence[float],
    bottom: float,
) -> None:
    """Draw the median squared error of each method against the number of rows, with the same axes in every panel.

    Parameters
    ----------
    panels
        Axes, the rows of the table they show, and their title.
    methods
        Label of each method.
    sizes, errors
        Marks on the axes.
    bottom
        Lower end of the axis of errors.
    """
    for axes, rows, title in panels:
        median_curves(axes, rows, "n_rows", "method", methods, plots.colours(len(methods)))
        plots.log_axis(axes, "x", sizes)
        plots.log_axis(axes, "y", errors)
        axes.set_ylim(bottom, 2.0)
        plots.name_axes(axes, x="labelled rows, N", title=title)
    first = panels[0][0]
    first.set_ylabel("squared error to the noise-free function")
    first.legend(loc="lower left")
