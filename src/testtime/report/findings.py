"""From measured numbers to the sentences a report opens with; no claim is made within its standard error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from testtime.report.break_even import point_at
from testtime.report.measures import Measure, as_number, measures_of

__all__ = ["advice", "best_rival", "comparison", "headline", "is_frozen", "verdict"]

_CERTAIN = 2.0  # standard errors behind "better" and "worse"; one is enough for "use that instead", which costs nothing
_RARE = 0.2  # share of rows below which a class counts as rare
_OFTEN_MISSED = 0.5


def is_frozen(rival: Mapping[str, Any]) -> bool:
    """Whether a rival is the in-context model itself."""
    return str(rival["name"]).startswith("frozen model")


def verdict(difference: Any, error: Any) -> str:
    """Say what a difference of losses means: "better", "worse" or "not told apart".

    >>> verdict(-0.02, 0.005), verdict(-0.02, 0.02), verdict(0.1, float("inf"))
    ('better', 'not told apart', 'not told apart')
    """
    difference, error = as_number(difference), as_number(error)
    if not math.isfinite(error) or not abs(difference) > _CERTAIN * error:
        return "not told apart"
    return "better" if difference < 0 else "worse"


def headline(adaptation: Mapping[str, Any], evaluation: Mapping[str, Any] | None) -> str:
    """Return the one sentence to read if only one is read."""
    kept = adaptation["kept"]
    if evaluation is None:
        served = (
            "Adapted models are served together with the frozen one" if kept else "The frozen model is served"
        )
        return f"{served}; no rows were held out, so how good it is was not measured."
    loss, *_ = measures_of(evaluation)
    if kept:
        says = verdict(evaluation["difference"], evaluation["error"])
        change = (
            f"{loss.text(abs(evaluation['difference']))} \N{PLUS-MINUS SIGN} {loss.text(evaluation['error'])}"
        )
        rows = "rows of which some equal rows of the fit" if n_fitted(evaluation) else "held-out rows"
        text = {
            "better": f"Adapting lowers the {loss.name} on {rows} by {change}",
            "worse": f"Adapting raises the {loss.name} on {rows} by {change}: do not use it",
            "not told apart": f"Adapted and frozen model cannot be told apart on {rows}",
        }[says]
    else:
        text = "The frozen model is served: adapting brought nothing on rows it had not seen"
        if not adaptation["n_steps"]:
            text = "The frozen model is served: nothing was trained"
    instead = best_rival(evaluation)
    if instead is not None:
        text += f"; use {_with_article(instead['name'])} instead"
    return text + "."


def best_rival(evaluation: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the rival that beats what is served by more than its standard error, and by most; None without one."""
    winners = [one for one in evaluation["rivals"] if as_number(one["difference"]) < -as_number(one["error"])]
    return min(winners, key=lambda one: one["difference"], default=None)


def comparison(evaluation: Mapping[str, Any]) -> str:
    """Say what the held-out rows show about adapted against frozen, with the error of the difference."""
    n_context, points = evaluation["n_context"], evaluation["points"]
    plain, served = point_at(points, n_context, False), point_at(points, n_context, True)
    if plain is None:
        return "No context length was measured."
    loss, *others = measures_of(evaluation)
    if served is None:
        return (
            f"On {_rows(evaluation)}, the frozen model with {n_context:,} context rows "
            f"has a {loss.name} of {loss.of(plain)}, {_scores(others, plain)}."
        )
    difference, error = evaluation["difference"], evaluation["error"]
    says = {
        "better": "what is served is better",
        "worse": "what is served is WORSE",
        "not told apart": "the two cannot be told apart on these rows",
    }[verdict(difference, error)]
    if not math.isfinite(as_number(error)):
        says = "one row says nothing"
    scores = _scores(others, served, plain)
    return (
        f"On {_rows(evaluation)} and with {n_context:,} context rows each, the {loss.name} "
        f"is {loss.of(served)} as served and {loss.of(plain)} frozen: a difference of "
        f"{loss.text(difference, '+')} with standard error {loss.text(error)}, so {says}. "
        f"{scores[0].upper()}{scores[1:]}."
    )


def n_fitted(evaluation: Mapping[str, Any]) -> int:
    """Return how many of the scored rows are equal to rows of the fit; older models did not look."""
    return evaluation.get("n_fitted", 0)


def _rows(evaluation: Mapping[str, Any]) -> str:
    """Name the rows that were scored."""
    kind = "" if n_fitted(evaluation) else "held-out "
    return f"{evaluation['n_rows']:,} {kind}row{'' if evaluation['n_rows'] == 1 else 's'}"


def _without_errors(rivals: Sequence[Mapping[str, Any]]) -> bool:
    """Whether differences were measured, and the error of none."""
    compared = [one for one in rivals if math.isfinite(as_number(one["difference"]))]
    return bool(compared) and not any(math.isfinite(as_number(one["error"])) for one in compared)


def advice(adaptation: Mapping[str, Any], evaluation: Mapping[str, Any] | None) -> list[str]:
    """Say what to do next, the most useful first."""
    if evaluation is None:
        return ["Hold some rows out, or score labelled rows of your own: testtime report DIR --table FILE."]
    found = []
    if n_fitted(evaluation):
        found.append(
            f"{n_fitted(evaluation):,} of the {evaluation['n_rows']:,} rows are equal to rows of the fit, so that "
            "these scores may be too good: give rows that the model has not seen."
        )
    instead = best_rival(evaluation)
    if instead is not None:
        found.append(_instead(instead, evaluation, adaptation))
    elif _without_errors(evaluation["rivals"]):
        found.append(
            f"On {_rows(evaluation)} it cannot be told whether another model is better: a standard error takes "
            "two rows, or two groups of them. Hold more out."
        )
    elif evaluation["rivals"]:
        found.append("No other model that was tried is better by more than its standard error.")
    status = adaptation["status"]
    if status == "REVERTED_TIME":
        found.append("The time limit left no room to adapt: raise --time-limit.")
    elif status == "REVERTED_TOO_FEW":
        found.append("There are too few rows to adapt to and to measure on: add labelled rows.")
    elif status == "REVERTED_FEW_GROUPS":
        found.append(
            "There are too few groups to adapt to some and to measure on others: add rows of other groups."
        )
    found += _about_intervals(evaluation) + _about_rare_classes(evaluation)
    found += _about_columns(evaluation)
    if evaluation["skipped"]:
        skipped = ", ".join(evaluation["skipped"])
        found.append(f"The time limit left out: {skipped}. Raise --time-limit to measure these as well.")
    return found


def _instead(rival: Mapping[str, Any], evaluation: Mapping[str, Any], adaptation: Mapping[str, Any]) -> str:
    measure = next(one for one in measures_of(evaluation) if one.key == evaluation["compared"])
    by = f"{measure.text(-rival['difference'])} \N{PLUS-MINUS SIGN} {measure.text(rival['error'])}"
    text = (
        f"Use {_with_article(rival['name'])} instead: on the same rows its {measure.name} is lower by {by}."
    )
    if is_frozen(rival) and adaptation["objective"] == "short":
        text += " A longer context is served with --objective accuracy."
    elif not is_frozen(rival) and evaluation["loss_name"] == "CRPS":
        text += " It predicts no quantiles."
    return text


def _about_intervals(evaluation: Mapping[str, Any]) -> list[str]:
    said = []
    served = [one for one in evaluation["calibration"] if "width" in one]
    adapted = any(one["adapted"] for one in served)
    for one in served:
        if one["adapted"] != adapted or one["level"] != 0.9:
            continue
        gap = one["share"] - one["level"]
        if abs(gap) > _CERTAIN * max(as_number(one["error"]), 1e-3):
            word = "wider than they need be" if gap > 0 else "too narrow"
            holds = f"{one['share']:.0%} \N{PLUS-MINUS SIGN} {one['error']:.0%}"
            said.append(f"The 90% intervals hold {holds} of the targets: they are {word}.")
    return said


def _about_rare_classes(evaluation: Mapping[str, Any]) -> list[str]:
    matrix = evaluation["confusion"]
    if matrix is None:
        return []
    totals = [sum(row) for row in matrix["counts"]]
    missed = [
        (name, recall)
        for name, (recall, error), total in zip(matrix["classes"], matrix["recall"], totals, strict=True)
        if 0 < total < _RARE * sum(totals) and recall is not None and recall + error < _OFTEN_MISSED
    ]
    if not missed:
        return []
    name, recall = missed[0]
    return [
        f"Only {recall:.0%} of the rows of the rare class {name!r} are found. If missing them is dear, say so with "
        "--cost balanced or --cost LABEL=NUMBER; probabilities stay as they are."
    ]


def _about_columns(evaluation: Mapping[str, Any]) -> list[str]:
    columns = evaluation["importances"]
    useless = [one for one in columns if one["increase"] < as_number(one["error"])]
    if len(useless) < 2 or len(useless) == len(columns):
        return []
    return [
        f"{len(useless)} of {len(columns)} columns show no importance beyond its standard error; leaving some out with "
        "--ignore makes everything faster."
    ]


def _with_article(name: str) -> str:
    plain = {"logistic regression", "ridge regression", "boosted trees"}
    return (
        name
        if name in plain
        else f"the {name}"
        if name.startswith(("frozen", "mean", "class"))
        else f"a {name}"
    )


def _scores(
    measures: Sequence[Measure], first: Mapping[str, Any], second: Mapping[str, Any] | None = None
) -> str:
    """Name the scores of one point, or of two against each other; what is undefined is left out."""
    defined = [measure for measure in measures if measure.of(first) != "-"]
    against = {m.key: f" against {m.of(second)}" if second is not None else "" for m in defined}
    return ", ".join(f"{m.name} {m.of(first)}{against[m.key]}" for m in defined)
