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

from testtime.report.plots import GREY, PALETTE, house_style, log_axis, name_axes, new_figure

__all__ = ["draw_calibration", "draw_curves", "draw_guard", "draw_losses"]

PLAIN, ADAPTED = PALETTE[0], PALETTE[1]
_LOOK = {
    False: {"color": PLAIN, "marker": "s", "label": "plain"},
    True: {"color": ADAPTED, "marker": "o", "label": "adapted"},
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


def draw_curves(points: Sequence[Mapping[str, Any]], served: int) -> str:
    """Draw log loss, accuracy and AUC against the context length, plain and adapted.

    Parameters
    ----------
    points
        Dicts with ``n_context, adapted, log_loss, log_loss_error, accuracy, auc``.
    served
        Context length that is served; marked.
    """
    with house_style():
        drawn = [("log_loss", "log loss (nats)", "Log loss: lower is better")]
        drawn += [("accuracy", "accuracy", "Accuracy")]
        if all(np.isfinite(point["auc"]) for point in points):
            drawn += [("auc", "AUC", "Area under the ROC curve")]
        figure, panels = new_figure(len(drawn), width=3.5 * len(drawn), height=3.3)
        for axes, (key, label, title) in zip(panels, drawn, strict=True):
            for adapted in (False, True):
                chosen = [point for point in points if point["adapted"] == adapted]
                if chosen:
                    sizes = [point["n_context"] for point in chosen]
                    axes.plot(sizes, [point[key] for point in chosen], **_LOOK[adapted])
            axes.axvline(served, color=GREY, linewidth=1, linestyle=":", zorder=1)
            _size_axis(axes, [point["n_context"] for point in points])
            name_axes(axes, x="context rows", y=label, title=title)
        panels[0].legend()
        return _svg(figure, "curves")


def draw_calibration(bins: Sequence[Mapping[str, Any]]) -> str:
    """Draw how often the predicted class is right against its probability, in bins of equal size."""
    with house_style():
        figure, (axes,) = new_figure(width=4.4, height=3.6)
        low = min(min(part["confidence"], part["accuracy"]) for part in bins)
        start = max(0.0, np.floor(low * 10) / 10)
        axes.plot([start, 1], [start, 1], color=GREY, linestyle=":", linewidth=1.2, label="perfect")
        for adapted in (False, True):
            chosen = [part for part in bins if part["adapted"] == adapted]
            if chosen:
                axes.plot(
                    [part["confidence"] for part in chosen],
                    [part["accuracy"] for part in chosen],
                    **_LOOK[adapted],
                )
        name_axes(axes, x="probability of the predicted class", y="share that is right", title="Calibration")
        axes.legend()
        return _svg(figure, "calibration")


def draw_losses(losses: Sequence[float]) -> str:
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
        name_axes(axes, x="step", y="log loss (nats)", title="Training loss")
        return _svg(figure, "losses")


def draw_guard(difference: float, standard_error: float, margin: float) -> str:
    """Draw the difference the guard saw, two standard errors around it, and what it had to fall below."""
    with house_style():
        figure, (axes,) = new_figure(width=6.4, height=1.7)
        axes.errorbar(
            [difference], [0], xerr=[2 * standard_error], color=ADAPTED, marker="o", markersize=7, capsize=5
        )
        axes.axvline(0, color=GREY, linewidth=1)
        axes.axvline(-margin, color=GREY, linewidth=1.2, linestyle="--")
        axes.annotate("margin", (-margin, 0.96), xycoords=axes.get_xaxis_transform(), ha="right", va="top",
                      xytext=(-4, 0), textcoords="offset points", color=GREY, fontsize=8.5)  # fmt: skip
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        name_axes(
            axes, x="log loss, adapted minus frozen (bar: two standard errors); left of the margin is kept"
        )
        return _svg(figure, "guard")


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
