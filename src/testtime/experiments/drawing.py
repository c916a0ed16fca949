"""What the drawings of several figures share: theory as a line with markers of a simulation, and curves of methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from testtime.report import plots

__all__ = ["curves", "draw_comparison", "error_panels", "medians", "simulation_note"]

MARKERS = (*plots.MARKERS, "p")


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
    """Draw one joined line of markers per method: `shown` has a column each, `errors` their half-lengths."""
    for (name, label), colour, marker in zip(labels.items(), shades, MARKERS, strict=False):
        if name in shown:
            curve = shown[name].dropna()
            bars = None if errors is None else errors[name].loc[curve.index]
            plots.draw_measured(
                axes, curve.index, curve, bars, colour=colour, marker=marker, label=label, join=True
            )


def medians(table: pd.DataFrame, index: str, columns: str, values: str = "mse") -> pd.DataFrame:
    """Return the median over tasks, one row per `index` value and one column per `columns` value."""
    return table.pivot_table(index=index, columns=columns, values=values, aggfunc="median", dropna=False)


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
        curves(axes, medians(rows, "n_rows", "method"), methods, plots.colours(len(methods)))
        plots.log_axis(axes, "x", sizes)
        plots.log_axis(axes, "y", errors)
        axes.set_ylim(bottom, 2.0)
        plots.name_axes(axes, x="labelled rows, N", title=title)
    first = panels[0][0]
    first.set_ylabel("squared error to the noise-free function")
    first.legend(loc="lower left")
