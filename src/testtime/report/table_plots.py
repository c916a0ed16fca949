"""The drawings of an adaptation report, as SVG that takes its colours from the page.

Orange circles are what is served, blue squares the frozen model. The drawings hold no text of the user's.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from testtime.report.measures import CLASS_MEASURES, Measure, as_float
from testtime.report.plots import GREY, PALETTE, house_style, log_axis, name_axes, new_figure

__all__ = ["draw_calibration", "draw_curves", "draw_gain", "draw_losses"]

PLAIN, ADAPTED = PALETTE[0], PALETTE[1]
_LOOK = {
    False: {"color": PLAIN, "marker": "s", "label": "frozen"},
    True: {"color": ADAPTED, "marker": "o", "label": "served"},
}
_PAGE_COLOURS = {  # what the page may choose anew, for example on a dark background
    "#1f2937": "var(--ink)",
    "#4b5563": "var(--ink)",
    "#374151": "var(--ink)",
    "#9ca3af": "var(--faint)",
    "#e5e7eb": "var(--grid)",
    GREY: "var(--faint)",
    PLAIN.lower(): "var(--plain)",
    ADAPTED.lower(): "var(--adapted)",
}


def draw_curves(
    points: Sequence[Mapping[str, Any]], served: int, measures: Sequence[Measure] = CLASS_MEASURES
) -> str:
    """Draw scores of the frozen model and of what is served against the context length, one panel for each.

    Parameters
    ----------
    points
        Dicts with ``n_context, adapted`` and the keys of the measures.
    served
        Context length that is served; marked.
    measures
        What to draw; a measure that is undefined somewhere is left out.
    """
    with house_style():
        drawn = [m for m in measures if all(np.isfinite(as_float(point[m.key])) for point in points)]
        figure, panels = new_figure(len(drawn), width=3.5 * len(drawn), height=3.3)
        for axes, measure in zip(panels, drawn, strict=True):
            for adapted in (False, True):
                chosen = [point for point in points if point["adapted"] == adapted]
                if chosen:
                    sizes = [point["n_context"] for point in chosen]
                    axes.plot(sizes, [point[measure.key] for point in chosen], **_LOOK[adapted])
            axes.axvline(served, color=GREY, linewidth=1, linestyle=":", zorder=1)
            _size_axis(axes, [point["n_context"] for point in points])
            name_axes(axes, x="context rows", y=measure.axis, title=measure.title)
        panels[0].legend()
        return _svg(figure, "curves")


def draw_calibration(parts: Sequence[Mapping[str, Any]]) -> str:
    """Draw what is promised against what comes true.

    Parameters
    ----------
    parts
        For classes, bins of equal size with ``confidence`` and ``accuracy``: how often the predicted class is right
        against its probability. For numbers, dicts with ``level`` and ``share``: how many targets lie below a
        predicted quantile against its level. Each has ``adapted``.
    """
    numbers = "level" in parts[0]
    promised, true = ("level", "share") if numbers else ("confidence", "accuracy")
    with house_style():
        figure, (axes,) = new_figure(width=4.4, height=3.6)
        low = min(min(part[promised], part[true]) for part in parts)
        start = max(0.0, np.floor(low * 10) / 10)
        axes.plot([start, 1], [start, 1], color=GREY, linestyle=":", linewidth=1.2, label="perfect")
        for adapted in (False, True):
            chosen = [part for part in parts if part["adapted"] == adapted]
            if chosen:
                axes.plot(
                    [part[promised] for part in chosen], [part[true] for part in chosen], **_LOOK[adapted]
                )
        x = "level of the predicted quantile" if numbers else "probability of the predicted class"
        y = "share of targets below it" if numbers else "share that is right"
        name_axes(axes, x=x, y=y, title="Calibration")
        axes.legend()
        return _svg(figure, "calibration")


def draw_losses(losses: Sequence[float], label: str = "log loss (nats)") -> str:
    """Draw the training loss before each step, with a running mean when there are enough steps."""
    with house_style():
        figure, (axes,) = new_figure(width=4.4, height=3.6)
        steps = np.arange(1, len(losses) + 1)
        window = max(1, len(losses) // 8)
        if window > 1:
            axes.plot(steps, losses, color=ADAPTED, linewidth=0.9, alpha=0.45, label="one episode")
            mean = np.convolve(losses, np.ones(window) / window, mode="valid")
            axes.plot(steps[window - 1 :], mean, color=ADAPTED, label=f"mean of {window}")
            axes.legend()
        else:
            axes.plot(steps, losses, color=ADAPTED, marker="o")
        name_axes(axes, x="step", y=label, title="Training loss")
        return _svg(figure, "losses")


def draw_gain(gain: float, standard_error: float, loss_name: str = "log loss", unit: str = "nats") -> str:
    """Draw the gain on rows that were not trained on, with two standard errors to each side, against none."""
    with house_style():
        figure, (axes,) = new_figure(width=6.4, height=1.7)
        axes.errorbar(
            [gain], [0], xerr=[2 * standard_error], color=ADAPTED, marker="o", markersize=7, capsize=5
        )
        axes.axvline(0, color=GREY, linewidth=1)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        meaning = "frozen minus served (bar: two standard errors); right of zero is a gain"
        name_axes(axes, x=f"{loss_name} in {unit}, {meaning}")
        return _svg(figure, "gain")


def _size_axis(axes: Axes, sizes: Sequence[int]) -> None:
    """Make a logarithmic axis with ticks that do not run into each other."""
    ticks: list[int] = []
    for size in sorted(set(sizes)):
        if not ticks or size >= 1.7 * ticks[-1]:
            ticks.append(size)
    log_axis(axes, "x", ticks)


def _svg(figure: Figure, name: str) -> str:
    """Return the drawing as an element of a page: no prologue, own ids, colours by CSS variables."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    for colour, variable in _PAGE_COLOURS.items():
        text = text.replace(f": {colour}", f": {variable}")
    return text
