"""One look for all figures: what is theory, what is simulation, and which colour is which parameter.

Lines are theory (solid: exact; dashed: a limit or an approximation), markers with error bars are
simulation or experiment, dotted grey is a reference. Colours are told apart by readers with any colour
vision: the set of Okabe and Ito (2008) for unordered choices, a part of cividis or viridis for ordered
parameters. Figures are built with matplotlib's objects; nothing here touches pyplot or any global setting.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

__all__ = [
    "GREY",
    "MARKERS",
    "PALETTE",
    "Kind",
    "colours",
    "draw_exact",
    "draw_limit",
    "draw_measured",
    "draw_reference",
    "explain",
    "figure_bytes",
    "house_style",
    "level",
    "log_axis",
    "mark",
    "name_axes",
    "new_figure",
    "ordered_colours",
    "parameter_legend",
]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, the most distinct first; yellow is left out because it vanishes on white."""

GREY = "#6b7280"
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

Kind = Literal["exact", "limit", "measured", "reference"]

_STYLE: Any = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 9.5,
    "axes.labelcolor": "#1f2937",
    "axes.edgecolor": "#9ca3af",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.8,
    "xtick.color": "#4b5563",
    "ytick.color": "#4b5563",
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.title_fontsize": 8.5,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "testtime",  # without it every SVG has other ids and no two runs have equal bytes
}

_SAMPLE: dict[str, dict[str, Any]] = {
    "exact": {"linestyle": "-"},
    "limit": {"linestyle": (0, (4, 2)), "linewidth": 1.4},
    "measured": {"linestyle": "none", "marker": "o"},
    "reference": {"linestyle": ":", "linewidth": 1.4},
}


def house_style() -> AbstractContextManager[None]:
    """Return a context in which figures are drawn and saved in the common style."""
    return mpl.rc_context(_STYLE)


def new_figure(columns: int = 1, rows: int = 1, *, width: float | None = None, height: float = 4.4) -> tuple:
    """Return a figure and its axes, left to right and top to bottom.

    Parameters
    ----------
    columns, rows
        The panels.
    width
        Inches; by default 6.4 for one panel and 4.6 for each of several.
    height
        Inches of one row of panels, the legend below included.

    >>> figure, (left, right) = new_figure(2)
    >>> len(figure.axes)
    2
    """
    figure = Figure(
        figsize=(width or (6.4 if columns == 1 else 4.6 * columns), height * rows), layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.06, wspace=0.07)  # pyright: ignore
    return figure, tuple(figure.subplots(rows, columns, squeeze=False).ravel())


def colours(count: int) -> tuple[str, ...]:
    """Return colours for `count` choices without an order; they repeat after seven."""
    return tuple(PALETTE[index % len(PALETTE)] for index in range(count))


def ordered_colours(count: int, name: str = "viridis") -> list[tuple[float, ...]]:
    """Return colours from dark to light for the values of one ordered parameter.

    >>> len(ordered_colours(3))
    3
    """
    stops = np.linspace(0.0, 0.82, count) if count > 1 else np.array([0.3])  # the light end is lost on white
    return [tuple(float(part) for part in colour) for colour in mpl.colormaps[name](stops)]


def draw_exact(
    axes: Axes, x: Any, y: Any, *, colour: Any, label: str | None = None, width: float = 1.8
) -> None:
    """Draw a curve of exact theory: a solid line."""
    axes.plot(x, y, color=colour, label=label, linewidth=width, zorder=2)


def draw_limit(axes: Axes, x: Any, y: Any, *, colour: Any, label: str | None = None) -> None:
    """Draw a limit or an approximation: a dashed line."""
    axes.plot(x, y, color=colour, label=label, zorder=1.9, **_SAMPLE["limit"])


def draw_measured(
    axes: Axes,
    x: Any,
    mean: Any,
    error: Any = None,
    *,
    colour: Any,
    label: str | None = None,
    marker: str = "o",
    join: bool = False,
) -> None:
    """Draw simulated or measured points with error bars (half-lengths), joined by a thin line if asked."""
    axes.errorbar(
        x,
        mean,
        yerr=error,
        color=colour,
        label=label,
        marker=marker,
        linestyle="-" if join else "none",
        linewidth=1.0,
        elinewidth=1.1,
        capsize=2.2,
        markeredgecolor="white",
        markeredgewidth=0.6,
        zorder=3,
    )


def draw_reference(axes: Axes, x: Any, y: Any, *, label: str | None = None, colour: Any = GREY) -> None:
    """Draw something to compare with: a dotted grey line."""
    axes.plot(x, y, color=colour, label=label, zorder=1.8, **_SAMPLE["reference"])


def level(axes: Axes, y: float) -> None:
    """Draw a reference level across a panel: a dotted grey line."""
    axes.axhline(y, color=GREY, zorder=1.8, **_SAMPLE["reference"])


def mark(
    axes: Axes,
    x: float,
    text: str,
    *,
    colour: Any = GREY,
    height: float = 0.98,
    dashed: bool = False,
    side: Literal["left", "right"] = "right",
) -> None:
    """Mark one place on the x axis with a thin vertical line and a word beside it at relative `height`."""
    axes.axvline(x, color=colour, linewidth=1.1, linestyle=(0, (4, 2)) if dashed else "-", zorder=1.5)
    axes.annotate(
        text,
        (x, height),
        xycoords=axes.get_xaxis_transform(),
        xytext=(4 if side == "right" else -4, 0),
        textcoords="offset points",
        color=colour,
        fontsize=8.5,
        va="top",
        ha="left" if side == "right" else "right",
    )


def name_axes(axes: Axes, *, x: str, y: str = "", title: str = "") -> None:
    """Set the labels of both axes and the title of a panel."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title)


def log_axis(axes: Axes, which: Literal["x", "y"], ticks: Sequence[float]) -> None:
    """Make one axis logarithmic with plain numbers at `ticks`."""
    getattr(axes, f"set_{which}scale")("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_locator(NullLocator())


def parameter_legend(
    axes: Axes, title: str, labels: Sequence[str], shades: Sequence[Any], **where: Any
) -> None:
    """Add a legend of colour patches: the values of one parameter, whatever the kind of the curve."""
    handles = [Line2D([], [], color=colour, linewidth=4) for colour in shades]
    legend = Legend(axes, handles, list(labels), title=title, alignment="left", handlelength=1.0, **where)
    axes.add_artist(legend)  # not axes.legend(), which a second legend would replace


def explain(figure: Figure, entries: Sequence[tuple[Kind, str]], columns: int = 1) -> None:
    """Say below the panels what each kind of line is, and which formula drew it."""
    handles = [Line2D([], [], color="#374151", label=text, **_SAMPLE[kind]) for kind, text in entries]
    figure.legend(handles=handles, loc="outside lower left", ncols=columns, handlelength=2.4)


def figure_bytes(figure: Figure, title: str = "") -> dict[str, bytes]:
    """Return the drawing as SVG and PNG (220 dots per inch), the same bytes for the same drawing."""
    images = {}
    for kind, metadata in (("svg", {"Date": None, "Title": title}), ("png", {"Title": title})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=220, metadata=metadata)
        images[kind] = buffer.getvalue()
    return images
