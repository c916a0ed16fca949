"""After how many predictions the time spent on adapting is earned back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testtime.report.measures import measures_of
from testtime.results import Result

__all__ = ["BreakEven", "break_even", "equal_context", "point_at"]


@dataclass(frozen=True)
class BreakEven(Result):
    """Serving the adapted model against serving the frozen one at equal loss.

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

    >>> plain = {"adapted": False, "n_context": 64, "scores": {"log_loss": {"value": 0.4}}}
    >>> longer = {"adapted": False, "n_context": 512, "scores": {"log_loss": {"value": 0.3}}}
    >>> equal_context([longer, plain], 0.35)["n_context"]
    512
    """
    reached = [
        point for point in points if not point["adapted"] and point["scores"][key]["value"] <= target_loss
    ]
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
    plain = equal_context(evaluation["points"], served["scores"][loss.key]["value"], loss.key)
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


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _round(value: float) -> int:
    """Round to two digits: the times behind it are not sharper."""
    digits = max(0, math.floor(math.log10(value)) - 1) if value >= 1 else 0
    return round(math.ceil(value) / 10**digits) * 10**digits
