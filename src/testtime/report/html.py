"""One self-contained page about an adaptation: what was done, what decided it, what held-out rows say.

The page needs no network and no script. Everything that came from the user's table is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from testtime.report.findings import break_even, comparison, headline, point_at
from testtime.report.measures import as_float, measures_of
from testtime.report.table_plots import draw_calibration, draw_curves, draw_gain, draw_losses
from testtime.results import Adaptation

__all__ = ["ReportData", "render_report"]

_MAX_COLUMNS = 200  # a report with more is not read


@dataclass(frozen=True)
class ReportData:
    """What a report is made of; the three last parts may be missing.

    Attributes
    ----------
    title
        Heading of the page.
    adaptation
        The record of ``fit``.
    settings
        Constructor arguments of the estimator, the seed among them.
    versions
        Packages and their versions.
    evaluation
        Scores on held-out rows, :class:`testtime.evaluation.curves.Evaluation` as a dict.
    table
        :class:`testtime.tasks.summary.TableSummary` of the fitted rows as a dict; columns are in the record.
    notes
        Sentences about the data: how the file was read, which rows were held out.
    """

    title: str
    adaptation: Adaptation
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    evaluation: Mapping[str, Any] | None = None
    table: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = field(default=())


def render_report(data: ReportData) -> str:
    """Return the page as text.

    Parameters
    ----------
    data
        The numbers; nothing is measured here.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = _number
    source = files("testtime.report").joinpath("templates", "report.html.j2").read_text(encoding="utf-8")
    record = data.adaptation.to_dict()
    evaluation = data.evaluation
    return environment.from_string(source).render(
        data=data,
        adaptation=data.adaptation,
        headline=headline(record, evaluation),
        explained=data.adaptation.explain(),
        comparison=comparison(evaluation) if evaluation is not None else None,
        rows=_score_rows(evaluation) if evaluation is not None else [],
        measures=measures_of(evaluation) if evaluation is not None else (),
        columns=data.adaptation.columns[:_MAX_COLUMNS],
        break_even=break_even(record, evaluation) if evaluation is not None else None,
        drawings=_drawings(data),
    )


def _drawings(data: ReportData) -> dict[str, Markup | None]:
    """Draw what there is to draw, None for the rest; the SVG is made here, from numbers: nothing to escape."""
    drawn: dict[str, str] = {}
    adaptation, evaluation = data.adaptation, data.evaluation
    if evaluation is not None and evaluation["points"]:
        if len({point["n_context"] for point in evaluation["points"]}) > 1:
            drawn["curves"] = draw_curves(
                evaluation["points"], evaluation["n_context"], measures_of(evaluation)
            )
        drawn["calibration"] = draw_calibration(evaluation["calibration"])
    if adaptation.losses:
        drawn["losses"] = draw_losses(adaptation.losses, f"{adaptation.loss_name} ({adaptation.unit})")
    if adaptation.kept and math.isfinite(adaptation.gain) and math.isfinite(adaptation.standard_error):
        drawn["gain"] = draw_gain(
            adaptation.gain, adaptation.standard_error, adaptation.loss_name, adaptation.unit
        )
    names = ("curves", "calibration", "losses", "gain")
    return {name: Markup(drawn[name]) if name in drawn else None for name in names}


def _score_rows(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Put the scores of the frozen model and of what is served at one context length side by side."""
    points = evaluation["points"]
    return [
        {
            "n_context": size,
            "served": size == evaluation["n_context"],
            "frozen": point_at(points, size, False),
            "mixture": point_at(points, size, True),
        }
        for size in sorted({point["n_context"] for point in points})
    ]


def _number(value: Any, form: str) -> str:
    """Format a number, or say that there is none."""
    number = as_float(value)
    return format(number, form) if math.isfinite(number) else "\N{EN DASH}"
