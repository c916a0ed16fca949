"""The drawings of an adaptation report, as SVG that takes its colours from the page.

Orange circles are the adapted model, blue squares the frozen one. The drawings hold no text of the user's.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from testtime.report.measures import CLASS_MEASURES, Measure, as_number
from testtime.report.plots import GREY, PALETTE, house_style, log_axis, name_axes, new_figure

__all__ = ["draw_curves", "draw_losses", "draw_predicted", "draw_reliability"]

PLAIN, ADAPTED = PALETTE[0], PALETTE[1]
_LOOK = {
    False: {"color": PLAIN, "marker": "s", "label": "frozen"},
    True: {"color": ADAPTED, "marker": "o", "label": "as served"},
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
    """Draw scores with their standard errors against the context length, frozen and adapted, one panel for each.

    Parameters
    ----------
    points
        Dicts with ``n_context, adapted`` and the scores of the measures.
    served
        Context length that is served; marked.
    measures
        What to draw; a measure that is undefined somewhere is left out.
    """
    with house_style():
        drawn = [m for m in measures if all(_finite(point["scores"][m.key]["value"]) for point in points)]
        figure, panels = new_figure(len(drawn), width=3.5 * len(drawn), height=3.3)
        for axes, measure in zip(panels, drawn, strict=True):
            for adapted in (False, True):
                chosen = [point for point in points if point["adapted"] == adapted]
                if chosen:
                    sizes = [point["n_context"] for point in chosen]
                    scores = [point["scores"][measure.key] for point in chosen]
                    errors = [one["error"] if _finite(one["error"]) else 0.0 for one in scores]
                    values = [one["value"] for one in scores]
                    axes.errorbar(sizes, values, yerr=errors, capsize=2.5, elinewidth=1, **_LOOK[adapted])
            axes.axvline(served, color=GREY, linewidth=1, linestyle=":", zorder=1)
            _size_axis(axes, [point["n_context"] for point in points])
            name_axes(axes, x="context rows", y=measure.axis, title=measure.title)
        panels[0].legend()
        return _svg(figure, "curves")


def draw_reliability(bins: Sequence[Mapping[str, Any]], *, two_classes: bool) -> str:
    """Draw how often what was promised came true, with standard errors.

    Parameters
    ----------
    bins
        Dicts with ``adapted, promised, came_true, error``.
    two_classes
        Whether the probability is that of the second class, or that of the predicted one.
    """
    with house_style():
        figure, (axes,) = new_figure(width=4.4, height=3.8)
        low = min(min(one["promised"], one["came_true"]) for one in bins)
        start = max(0.0, np.floor(low * 10) / 10)
        axes.plot([start, 1], [start, 1], color=GREY, linestyle=":", linewidth=1.2, label="perfect")
        for adapted in (False, True):
            chosen = [one for one in bins if one["adapted"] == adapted]
            if chosen:
                x, y, error = (
                    [as_number(one[key]) for one in chosen] for key in ("promised", "came_true", "error")
                )
                axes.errorbar(x, y, yerr=error, capsize=2.5, elinewidth=1, **_LOOK[adapted])
        x = f"probability of the {'second' if two_classes else 'predicted'} class"
        name_axes(axes, x=x, y="how often it came true", title="Reliability")
        axes.legend()
        return _svg(figure, "calibration")


def draw_predicted(rows: Sequence[Mapping[str, float]]) -> str:
    """Draw predicted means with 90% intervals against actual values."""
    with house_style():
        figure, (axes,) = new_figure(width=4.4, height=3.8)
        actual, predicted = (np.array([row[key] for row in rows]) for key in ("actual", "predicted"))
        low, high = (np.array([row[key] for row in rows]) for key in ("low", "high"))
        ends = [min(actual.min(), predicted.min()), max(actual.max(), predicted.max())]
        axes.plot(ends, ends, color=GREY, linestyle=":", linewidth=1.2, zorder=3)
        axes.vlines(actual, low, high, color=GREY, linewidth=0.6, alpha=0.35, zorder=1)
        axes.plot(actual, predicted, linestyle="none", marker="o", markersize=2.6, color=PLAIN, zorder=2)
        name_axes(axes, x="actual", y="predicted mean, 90% interval", title="Predicted against actual")
        return _svg(figure, "predicted")


def draw_losses(losses: Sequence[float], label: str = "log loss (nats)") -> str:
    """Draw the training loss before each step, with a running mean when there are enough steps."""
    with house_style():
        figure, (axes,) = new_figure(width=4.4, height=3.8)
        steps = np.arange(1, len(losses) + 1)
        window = max(1, len(losses) // 8)
        if window > 1:
            axes.plot(steps, losses, color=ADAPTED, linewidth=0.9, alpha=0.45, label="one episode")
            mean = np.convolve(losses, np.ones(window) / window, mode="valid")
            axes.plot(steps[window - 1 :], mean, color=ADAPTED, label=f"mean of {window}")
            axes.legend()
        else:
            axes.plot(steps, losses, color=ADAPTED, marker="o")
        name_axes(axes, x="step", y=label, title="Training loss of one adapter")
        return _svg(figure, "losses")


def _finite(value: Any) -> bool:
    return bool(np.isfinite(as_number(value)))


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
