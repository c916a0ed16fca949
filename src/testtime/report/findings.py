"""From measured numbers to the sentences a report opens with: is it better, by how much, does it pay."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testtime.report.measures import Measure, measures_of
from testtime.results import Result

__all__ = ["BreakEven", "break_even", "comparison", "equal_context", "headline", "point_at"]


@dataclass(frozen=True)
class BreakEven(Result):
    """After how many predictions the time spent on adapting is earned back.

    Attributes
    ----------
    fit_seconds
        Time of ``fit``.
    n_adapted, seconds_adapted
        Context length that is served, and seconds per prediction with it.
    n_plain, seconds_plain
        Shortest measured context with which the frozen model has no higher loss; None if none has.
    predictions
        Number of predictions; None when the time is never earned back.
    loss_name
        The loss, "log loss" or "CRPS".
    """

    fit_seconds: float
    n_adapted: int
    seconds_adapted: float
    n_plain: int | None
    seconds_plain: float | None
    predictions: float | None
    loss_name: str = "log loss"

    def explain(self) -> str:
        """Say it in two sentences."""
        served = f"One prediction takes {_time(self.seconds_adapted)} with {self.n_adapted:,} context rows"
        if self.n_plain is None or self.seconds_plain is None:
            return (
                f"{served}. The frozen model did not reach this {self.loss_name} with any context that was measured, "
                "so there is no time to compare: adapting buys accuracy here, not time."
            )
        took = _time(self.seconds_plain)
        other = f"the frozen model reaches this {self.loss_name} with {self.n_plain:,} rows, at {took}"
        if self.predictions is None:
            return (
                f"{served}; {other}. Adapting took {self.fit_seconds:.1f} s, which is never earned back: "
                "here it buys accuracy or memory, not time."
            )
        return (
            f"{served}; {other}. Adapting took {self.fit_seconds:.1f} s, which is earned back after about "
            f"{_round(self.predictions):,} predictions."
        )


def point_at(points: Sequence[Mapping[str, Any]], n_context: int, adapted: bool) -> Mapping[str, Any] | None:
    """Return the measured point of this length and model, if there is one."""
    for point in points:
        if point["n_context"] == n_context and point["adapted"] == adapted:
            return point
    return None


def equal_context(
    points: Sequence[Mapping[str, Any]], target_loss: float, key: str = "log_loss"
) -> Mapping[str, Any] | None:
    """Return the frozen model's shortest context whose loss, under `key`, is not above `target_loss`, if any.

    >>> plain = {"adapted": False, "n_context": 64, "log_loss": 0.4}
    >>> equal_context([plain | {"n_context": 512, "log_loss": 0.3}, plain], 0.35)["n_context"]
    512
    """
    reached = [point for point in points if not point["adapted"] and point[key] <= target_loss]
    return min(reached, key=lambda point: point["n_context"], default=None)


def break_even(adaptation: Mapping[str, Any], evaluation: Mapping[str, Any]) -> BreakEven | None:
    """Compare serving the adapted model with serving the frozen one at equal loss.

    Parameters
    ----------
    adaptation
        :class:`testtime.results.Adaptation` as a dict.
    evaluation
        Measured points and the served length.

    Returns
    -------
    BreakEven
        None if nothing was adapted.
    """
    served = point_at(evaluation["points"], evaluation["n_context"], True)
    if served is None:
        return None
    loss, *_ = measures_of(evaluation)
    plain = equal_context(evaluation["points"], served[loss.key], loss.key)
    gain = plain["seconds_per_row"] - served["seconds_per_row"] if plain is not None else 0.0
    longer = plain is not None and plain["n_context"] > served["n_context"]
    return BreakEven(
        fit_seconds=float(adaptation["seconds"]),
        n_adapted=served["n_context"],
        seconds_adapted=served["seconds_per_row"],
        n_plain=plain["n_context"] if plain is not None else None,
        seconds_plain=plain["seconds_per_row"] if plain is not None else None,
        predictions=float(adaptation["seconds"]) / gain if longer and gain > 0 else None,
        loss_name=loss.name,
    )


def comparison(evaluation: Mapping[str, Any]) -> str:
    """Say what the held-out rows show about adapted against frozen, with the error of the difference."""
    n_context, points = evaluation["n_context"], evaluation["points"]
    plain, served = point_at(points, n_context, False), point_at(points, n_context, True)
    if plain is None:
        return "No context length was measured."
    loss, *others = measures_of(evaluation)
    if served is None:
        return (
            f"On {evaluation['n_rows']:,} held-out rows, the frozen model with {n_context:,} context rows "
            f"has a {loss.name} of {loss.of(plain)}, {_scores(others, plain)}."
        )
    difference, error = evaluation["difference"], evaluation["difference_error"]
    if not math.isfinite(error):
        verdict = "one row says nothing"
    elif abs(difference) <= 2 * error:
        verdict = "the two cannot be told apart on these rows"
    else:
        verdict = "the adapted model is better" if difference < 0 else "the adapted model is WORSE"
    scores = _scores(others, served, plain)
    return (
        f"On {evaluation['n_rows']:,} held-out rows and with {n_context:,} context rows each, the {loss.name} "
        f"is {loss.of(served)} adapted and {loss.of(plain)} plain: a difference of "
        f"{loss.text(difference, '+')} with standard error {loss.text(error)}, so {verdict}. "
        f"{scores[0].upper()}{scores[1:]}."
    )


def headline(adaptation: Mapping[str, Any], evaluation: Mapping[str, Any] | None) -> str:
    """Return the one sentence to read if only one is read."""
    if not adaptation["kept"]:
        return "The frozen model is served: nothing was adapted, or the guard was not convinced."
    if evaluation is None:
        return "The adapted model is served; no held-out rows were measured yet."
    n_context, points = evaluation["n_context"], evaluation["points"]
    plain, served = point_at(points, n_context, False), point_at(points, n_context, True)
    if plain is None or served is None:
        return "The adapted model is served; the served context length was not measured."
    difference, error = evaluation["difference"], evaluation["difference_error"]
    if not abs(difference) > 2 * error:
        return (
            f"With {n_context:,} context rows, adapted and plain cannot be told apart on the held-out rows."
        )
    if difference > 0:
        return f"With {n_context:,} context rows, the adapted model is worse on held-out rows: do not use it."
    loss, *_ = measures_of(evaluation)
    share = 1 - served[loss.key] / plain[loss.key]
    text = f"With {n_context:,} context rows, adapting lowers the held-out {loss.name} by {share:.0%}"
    longer = [
        point["n_context"] for point in points if not point["adapted"] and point["n_context"] > n_context
    ]
    if not longer:
        return text + "."
    equal = equal_context(points, served[loss.key], loss.key)
    if equal is None:
        return text + f", below what the frozen model reaches with up to {max(longer):,}."
    return text + f"; the frozen model needs {equal['n_context']:,} rows for the same."


def _scores(
    measures: Sequence[Measure], first: Mapping[str, Any], second: Mapping[str, Any] | None = None
) -> str:
    """Name the scores of one point, or of two against each other; what is undefined is left out."""
    defined = [measure for measure in measures if first[measure.key] == first[measure.key]]
    against = {m.key: f" against {m.of(second)}" if second is not None else "" for m in defined}
    return ", ".join(f"{m.name} {m.of(first)}{against[m.key]}" for m in defined)


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _round(value: float) -> int:
    """Round to two digits: the times behind it are not sharper."""
    digits = max(0, math.floor(math.log10(value)) - 1) if value >= 1 else 0
    return round(math.ceil(value) / 10**digits) * 10**digits
