"""From measured numbers to the sentences a report opens with: is it better, by how much, does it pay."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testtime.report.measures import Measure, as_float, measures_of
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
    """Compare serving the mixture with serving the frozen model at equal loss, as measured.

    Parameters
    ----------
    adaptation
        :class:`testtime.results.Adaptation` as a dict.
    evaluation
        Measured points and the served length.

    Returns
    -------
    BreakEven
        None if nothing was adapted, or no other context length was measured.
    """
    served = point_at(evaluation["points"], evaluation["n_context"], True)
    if served is None or len({point["n_context"] for point in evaluation["points"]}) < 2:
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
    """Say what the held-out rows show about what is served against frozen, with the error of the difference."""
    n_context, points = evaluation["n_context"], evaluation["points"]
    frozen, served = point_at(points, n_context, False), point_at(points, n_context, True)
    if frozen is None:
        return "No context length was measured."
    loss, *others = measures_of(evaluation)
    if served is None:
        return (
            f"On {evaluation['n_rows']:,} held-out rows, the frozen model with {n_context:,} context rows "
            f"has a {loss.name} of {loss.of(frozen)} (standard error "
            f"{loss.text(as_float(frozen[f'{loss.key}_error']))}), {_scores(others, frozen)}."
        )
    difference, error = _difference(evaluation)
    if not math.isfinite(error):
        verdict = "one row says nothing"
    elif abs(difference) <= 2 * error:
        verdict = "the two cannot be told apart on these rows"
    else:
        verdict = "what is served is better" if difference < 0 else "what is served is WORSE"
    scores = _scores(others, served, frozen)
    return (
        f"On {evaluation['n_rows']:,} held-out rows and with {n_context:,} context rows each, the {loss.name} "
        f"is {loss.of(served)} served and {loss.of(frozen)} frozen: a difference of "
        f"{loss.text(difference, '+')} with standard error {loss.text(error)}, so {verdict}. "
        f"{scores[0].upper()}{scores[1:]}."
    )


def headline(adaptation: Mapping[str, Any], evaluation: Mapping[str, Any] | None) -> str:
    """Return the one sentence to read if only one is read.

    Parameters
    ----------
    adaptation, evaluation
        As for :func:`break_even`; no `evaluation` where no held-out rows were measured.
    """
    if not adaptation["kept"]:
        return "The frozen model is served: nothing was trained, or what was trained brought no gain."
    share = f"Adapters with a share of {adaptation['weight']:.0%} are served"
    served = None if evaluation is None else point_at(evaluation["points"], evaluation["n_context"], True)
    if evaluation is None or served is None:
        gain, error = as_float(adaptation["gain"]), as_float(adaptation["standard_error"])
        if not (math.isfinite(gain) and math.isfinite(error)):
            return f"{share}; what they bring was not measured."
        return (
            f"{share}; on rows of the fit that they were not trained on, the {adaptation['loss_name']} is lower by "
            f"{gain:.4f} (standard error {error:.4f}, {adaptation['unit']})."
        )
    loss, *_ = measures_of(evaluation)
    difference, error = _difference(evaluation)
    if not math.isfinite(error):
        return f"{share}; one held-out row says nothing about them."
    measured = f"{loss.text(abs(difference))} (standard error {loss.text(error)})"
    if not abs(difference) > 2 * error:
        return f"{share}; on held-out rows, they and the frozen model cannot be told apart: {measured}."
    if difference > 0:
        return f"{share}; on held-out rows, the {loss.name} is HIGHER by {measured}: do not use them."
    return f"{share}; on held-out rows, the {loss.name} is lower than that of the frozen model by {measured}."


def _difference(evaluation: Mapping[str, Any]) -> tuple[float, float]:
    """Loss of what is served minus that of the frozen model, and its standard error."""
    return as_float(evaluation["difference"]), as_float(evaluation["difference_error"])


def _scores(
    measures: Sequence[Measure], first: Mapping[str, Any], second: Mapping[str, Any] | None = None
) -> str:
    """Name the scores of one point, or of two against each other; what is undefined is left out."""
    defined = [measure for measure in measures if math.isfinite(as_float(first[measure.key]))]
    against = {m.key: f" against {m.of(second)}" if second is not None else "" for m in defined}
    return ", ".join(f"{m.name} {m.of(first)}{against[m.key]}" for m in defined)


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _round(value: float) -> int:
    """Round to two digits: the times behind it are not sharper."""
    digits = max(0, math.floor(math.log10(value)) - 1) if value >= 1 else 0
    return round(math.ceil(value) / 10**digits) * 10**digits
