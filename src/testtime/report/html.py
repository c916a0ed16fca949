"""One self-contained page about an adaptation: what was done, what unseen rows say, what to do next.

The page needs no network and no script. Everything that came from the user's table is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from testtime.report.break_even import break_even, point_at
from testtime.report.findings import advice, best_rival, comparison, headline, is_frozen, verdict
from testtime.report.measures import Measure, as_number, measures_of
from testtime.report.table_plots import draw_curves, draw_losses, draw_predicted, draw_reliability
from testtime.results import Adaptation

__all__ = ["ReportData", "render_report"]

_MOST_IMPORTANCES = 20
_FEWEST_STEPS_DRAWN = 5


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
        Scores on held-out rows, :class:`testtime.evaluation.evaluate.Evaluation` as a dict.
    table
        :class:`testtime.tasks.summary.TableSummary` of the training rows as a dict.
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
    record, evaluation = data.adaptation.to_dict(), data.evaluation
    return environment.from_string(source).render(
        data=data,
        adaptation=data.adaptation,
        headline=headline(record, evaluation),
        numbers=_three_numbers(data),
        explained=data.adaptation.explain(),
        comparison=comparison(evaluation) if evaluation is not None else None,
        advice=advice(record, evaluation),
        rows=_rivals(evaluation) if evaluation is not None else [],
        curve=_curve_rows(evaluation) if evaluation is not None else [],
        measures=measures_of(evaluation) if evaluation is not None else (),
        importances=_importances(evaluation) if evaluation is not None else [],
        intervals=_intervals(evaluation) if evaluation is not None else [],
        break_even=break_even(record, evaluation) if evaluation is not None else None,
        drawings=_drawings(data),
    )


def _three_numbers(data: ReportData) -> list[tuple[str, str]]:
    """The loss, what adapting changed, how the best other model compares; or what is known without rows to score."""
    record, evaluation = data.adaptation, data.evaluation
    if evaluation is None:
        gain = f"{_number(record.gain, '.4f')} \N{PLUS-MINUS SIGN} {_number(record.standard_error, '.4f')}"
        return [
            (f"{record.n_context:,}", "context rows"),
            (f"{record.weight:.0%}", "share of the adapted models"),
            (gain, f"less {record.loss_name} out of fold, in {record.unit}"),
        ]
    loss, *_ = measures_of(evaluation)
    compared = next(one for one in measures_of(evaluation) if one.key == evaluation["compared"])
    served = point_at(evaluation["points"], evaluation["n_context"], record.kept)
    numbers = []
    if served is not None:
        numbers.append(
            (
                f"{loss.of(served)} \N{PLUS-MINUS SIGN} {loss.error_of(served)}",
                f"{loss.name} of what is served",
            )
        )
    if record.kept:
        change = (
            f"{loss.text(evaluation['difference'], '+')} \N{PLUS-MINUS SIGN} {loss.text(evaluation['error'])}"
        )
        numbers.append((change, f"{loss.name} by adapting; below zero is better"))
    others = [one for one in evaluation["rivals"] if not is_frozen(one) and _compared(one)]
    if others:
        best = min(others, key=lambda one: one["difference"])
        change = (
            f"{compared.text(-best['difference'], '+')} \N{PLUS-MINUS SIGN} {compared.text(best['error'])}"
        )
        numbers.append((change, f"{compared.name} against {best['name']}; below zero is better"))
    return numbers


def _rivals(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is served and its rivals, one row each, with the paired difference and what it means."""
    measures = measures_of(evaluation)
    compared = next(one for one in measures if one.key == evaluation["compared"])
    size, instead = evaluation["n_context"], best_rival(evaluation)
    points = {point["adapted"]: point for point in evaluation["points"] if point["n_context"] == size}
    what = "as served: adapted" if True in points else "as served: frozen model"
    rows = [
        {
            "name": f"{what}, {size:,} context rows",
            "scores": _cells(points[max(points)], measures),
            "served": True,
        }
    ]
    for one in evaluation["rivals"]:
        difference, error = as_number(one["difference"]), as_number(one["error"])
        behind = difference > error
        says = "use this instead" if one is instead else "behind" if behind else "cannot be told apart"
        if one is not instead and difference < -error:
            says = "ahead"
        rows.append(
            {
                "name": one["name"],
                "scores": _cells(one, measures),
                "difference": _with_error(compared, one["difference"], one["error"]),
                "says": says,
            }
        )
    return rows


def _compared(rival: Mapping[str, Any]) -> bool:
    """Whether there is a difference: predictions that overflow have none."""
    return math.isfinite(as_number(rival["difference"]))


def _with_error(measure: Measure, difference: Any, error: Any) -> str:
    return f"{measure.text(difference, '+')} \N{PLUS-MINUS SIGN} {measure.text(error)}"


def _cells(point: Mapping[str, Any], measures: Sequence[Measure]) -> list[tuple[str, str]]:
    return [(one.of(point, "\N{EN DASH}"), one.error_of(point, "")) for one in measures]


def _importances(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The most important columns, with the width of a bar in per cent."""
    shown = evaluation["importances"][:_MOST_IMPORTANCES]
    largest = max((one["increase"] for one in shown), default=0.0)
    wide = {one["column"]: max(0.0, 100 * one["increase"] / largest) if largest > 0 else 0.0 for one in shown}
    return [dict(one) | {"width": round(wide[one["column"]], 1)} for one in shown]


def _intervals(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Coverage of what is served, with a word where it is off by more than two standard errors."""
    parts = [one for one in evaluation["calibration"] if "width" in one]
    adapted = any(one["adapted"] for one in parts)
    rows = []
    for one in parts:
        if one["adapted"] == adapted:
            off = verdict(one["level"] - one["share"], one["error"])  # negative: more inside than promised
            rows.append(
                dict(one) | {"says": {"better": "too wide", "worse": "too narrow"}.get(off, "as promised")}
            )
    return rows


def _drawings(data: ReportData) -> dict[str, Markup | None]:
    """Draw what there is to draw, None for the rest; the SVG is made here, from numbers: nothing to escape."""
    drawn: dict[str, str] = {}
    adaptation, evaluation = data.adaptation, data.evaluation
    if evaluation is not None:
        if len({point["n_context"] for point in evaluation["points"]}) > 1:
            drawn["curves"] = draw_curves(
                evaluation["points"], evaluation["n_context"], measures_of(evaluation)
            )
        if evaluation["confusion"] is not None:
            two_classes = len(evaluation["confusion"]["classes"]) == 2
            drawn["reliability"] = draw_reliability(evaluation["calibration"], two_classes=two_classes)
        if len(evaluation["rows"]) > 1:
            drawn["predicted"] = draw_predicted(evaluation["rows"])
    if len(adaptation.losses) >= _FEWEST_STEPS_DRAWN:
        drawn["losses"] = draw_losses(adaptation.losses, f"{adaptation.loss_name} ({adaptation.unit})")
    names = ("curves", "reliability", "predicted", "losses")
    return {name: Markup(drawn[name]) if name in drawn else None for name in names}


def _curve_rows(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Put frozen and adapted scores of one context length side by side."""
    points = evaluation["points"]
    return [
        {
            "n_context": size,
            "served": size == evaluation["n_context"],
            "plain": point_at(points, size, False),
            "adapted": point_at(points, size, True),
        }
        for size in sorted({point["n_context"] for point in points})
    ]


def _number(value: Any, form: str) -> str:
    """Format a number, or say that there is none."""
    number = as_number(value)
    return format(number, form) if math.isfinite(number) else "\N{EN DASH}"
