"""``plan_table``: whether and how to adapt to a table, before any training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import nnls

from testtime.adapt.parallel import available_cores
from testtime.adapt.task import Task
from testtime.backbones.base import Backbone, Recipe
from testtime.errors import InputError, sentence
from testtime.results import Result
from testtime.table.config import FitConfig
from testtime.table.encoding import EncodedRows
from testtime.table.forecast.forecaster import HARM, shipped
from testtime.table.forecast.signs import NAMES, CurvePoint, Signs, read_signs
from testtime.table.rows import MOST_GUARD_ROWS, N_FOLDS, choose_steps, fewest_rows, pool_rows
from testtime.table.timing import FitCost, Pace

__all__ = ["TablePlan", "advise", "enough_rows", "reason_to_skip"]

_ROUNDING = 1e-9  # of a cost: sums of measured times have such errors
_TRAINED_ROW = 2.7
"""A row of a training step in predicted rows, as measured; a time limit counts with more, so that it is kept."""

_SERVED = 16
"""Members that are served by default: frozen views and adapters."""


@dataclass(frozen=True)
class TablePlan(Result):
    """What adapting will bring, and what to ask for.

    Attributes
    ----------
    adapt
        Whether training is worth its time.
    gain, low, high
        Forecast fall of the loss relative to the frozen model with all rows and averaged views, and its 80% interval;
        of what a default fit gains, further steps where they pay included.
    harm
        Probability that the loss rises by more than half a per cent.
    objective, n_context
        What to ask for: all rows, or so many where a budget does not allow all.
    n_steps, n_members
        Of the fit; 0 where the frozen model is to be served.
    seconds, most_seconds
        Of a fit on this machine, and of one that takes further steps since its first ones pay much.
    curve
        The frozen model at growing context lengths. Loss is of one view; seconds and bytes are of all members that are
        served by default, on the straight line that budgets are compared with.
    signs
        What the forecast rests on, by name.
    loss_name
        The loss that is forecast.
    reason
        Why, in a sentence.
    """

    adapt: bool
    gain: float
    low: float
    high: float
    harm: float
    objective: str
    n_context: int
    n_steps: int
    n_members: int
    seconds: float
    most_seconds: float
    curve: tuple[CurvePoint, ...]
    signs: Mapping[str, float]
    loss_name: str
    reason: str

    def explain(self) -> str:
        """Return the plan in sentences."""
        lines = [self.reason]
        if self.signs:
            lines.append(
                f"Forecast: adapting changes the {self.loss_name} by {-self.gain:+.1%} against the frozen model with "
                f"all rows and averaged views (80% of tables like it: {-self.high:+.1%} to {-self.low:+.1%}); "
                f"probability that it rises by more than {HARM:.1%}: {self.harm:.0%}."
            )
            more = ""
            if self.most_seconds > self.seconds:
                more = f", or {self.most_seconds:,.0f} s where its first steps pay so much that more follow"
            cores = f"on this machine ({available_cores()} cores)"
            lines.append(f"A fit would take about {self.seconds:,.0f} s {cores}{more}.")
        lines += [
            f"Frozen, {point.n_context:,} context rows: {self.loss_name} {point.loss:.3f}, "
            f"{point.seconds * 1000:.2f} ms for a row as it is served."
            for point in self.curve
        ]
        asked = f"objective={self.objective!r}" if self.adapt else "n_steps=0"
        lines.append(
            f"Ask for {asked}" + (f", n_context={self.n_context}." if self.objective == "short" else ".")
        )
        return "\n".join(lines)


def enough_rows(backbone: Backbone, n_rows: int, n_classes: int) -> bool:
    """Whether a fit with automatic steps would train on so many rows: fewer are served by the frozen model."""
    return pool_rows(n_rows) >= fewest_rows(backbone.recipe, n_classes)


def reason_to_skip(
    backbone: Backbone, task: Task, rows: EncodedRows, seed: np.random.SeedSequence, config: FitConfig
) -> str | None:
    """Return why nothing should be trained on a table, in a sentence, or None where it should.

    Few rows are left to the fit, which says itself what it does with them.
    """
    if not enough_rows(backbone, len(rows.y), task.n_classes):
        return None
    forecaster = shipped()
    forecast = forecaster(np.array(read_signs(backbone, task, rows, seed, config.device).values))
    if forecaster.worth(forecast):
        return None
    return (
        f"The forecast gain of {forecast.gain:.1%} (80% interval {forecast.low:.1%} to {forecast.high:.1%}) "
        "is not worth the training; with adapt='auto' it is done whatever the forecast."
    )


def advise(
    signs: Signs | None,
    *,
    loss_name: str,
    n_rows: int,
    most_context: int,
    recipe: Recipe,
    config: FitConfig,
    latency: float | None = None,
    memory: float | None = None,
) -> TablePlan:
    """Turn what was measured into advice.

    Parameters
    ----------
    signs
        What was measured; None where there are too few rows to measure.
    loss_name
        Of the task.
    n_rows, most_context
        Rows of the table, and of a context the model can have.
    recipe, config
        How a default fit of the table would train.
    latency
        Seconds a predicted row may take, or None.
    memory
        Bytes that what is kept of the context may take, or None.

    Raises
    ------
    InputError
        When a budget is smaller than the shortest context that was measured needs.
    """
    n_context, short = _affordable(signs, min(n_rows, most_context), latency, memory)
    asked = {"objective": "short" if short else "accuracy", "n_context": n_context}
    if signs is None:
        reason = f"Serve the frozen model: {n_rows:,} rows are too few to train on and to guard."
        nothing = {"gain": 0.0, "low": 0.0, "high": 0.0, "harm": 0.0, "seconds": 0.0, "most_seconds": 0.0}
        return TablePlan(
            adapt=False,
            n_steps=0,
            n_members=0,
            curve=(),
            signs={},
            loss_name=loss_name,
            reason=reason,
            **nothing,
            **asked,
        )
    forecaster = shipped()
    forecast = forecaster(np.array(signs.values))
    n_pool = pool_rows(n_rows, n_context if short else 0)
    worth = forecaster.worth(forecast)
    n_steps = choose_steps(config, recipe, n_pool, short=short)
    cost = _cost(signs.pace, recipe, config, n_rows, n_context, most_context, short=short)
    further = 0.0 if short else n_steps * sum(recipe.longer)
    reason = (
        "Adapt: the forecast gain is worth the training."
        if worth
        else "Serve the frozen model: tables like this one gained too little for the time that training takes."
        if forecast.gain > 0
        else "Serve the frozen model: adapting is forecast to raise the loss."
    )
    return TablePlan(
        adapt=worth,
        gain=forecast.gain,
        low=forecast.low,
        high=forecast.high,
        harm=forecast.harm,
        n_steps=n_steps if worth else 0,
        n_members=config.n_members if worth else 0,
        seconds=cost(n_steps),
        most_seconds=cost(n_steps, further),
        curve=_served_curve(signs),
        signs=dict(zip(NAMES, signs.values, strict=True)),
        loss_name=loss_name,
        reason=reason,
        **asked,
    )


def _cost(
    pace: Pace,
    recipe: Recipe,
    config: FitConfig,
    n_rows: int,
    n_context: int,
    most_context: int,
    *,
    short: bool,
) -> FitCost:
    """Seconds of a fit, from the numbers of rows that :func:`testtime.table.rows.deal_rows` deals."""
    n_served = n_context if short else 0
    n_pool = pool_rows(n_rows, n_served)
    n_guard = min((n_rows - n_served) // N_FOLDS, MOST_GUARD_ROWS)
    n_all = min(n_served + n_pool, most_context)
    n_seen = n_served or n_all
    fold = (n_seen + n_guard) * pace(n_seen)
    rival = (n_all + n_guard) * pace(n_all) if short else 0.0
    episode = recipe.episode_rows(n_context)
    return FitCost.of(
        pace,
        fold,
        rival,
        n_context=episode if short else min(episode, 2 * n_pool // 3),
        n_query=recipe.n_query,
        n_snapshots=len(recipe.snapshots),
        n_adapters=config.n_members,
        n_views=recipe.guard_views,
        n_folds=N_FOLDS,
        trained_row=_TRAINED_ROW,
    )


@dataclass(frozen=True)
class _Line:
    """A cost of what is served that grows with the context in a straight line and is never negative."""

    start: float
    slope: float

    @classmethod
    def through(cls, curve: Sequence[CurvePoint], costs: Sequence[float]) -> _Line:
        """Return the line nearest to the measured costs, by least squares."""
        lengths, found = np.array([point.n_context for point in curve], dtype=np.float64), np.array(costs)
        unit, most = lengths.max(), float(found.max()) or 1.0
        start, slope = nnls(np.stack([np.ones(len(lengths)), lengths / unit], axis=1), found / most)[0] * most
        return cls(float(start), float(slope / unit))

    def __call__(self, n_context: float) -> float:
        return self.start + self.slope * n_context


def _served_costs(curve: Sequence[CurvePoint]) -> tuple[_Line, _Line]:
    """Return seconds of a row and bytes of a context, of all members; cores answer for some of them at once."""
    rounds = -(-_SERVED // available_cores())
    seconds = _Line.through(curve, [rounds * point.seconds for point in curve])
    return seconds, _Line.through(curve, [_SERVED * float(point.n_bytes) for point in curve])


def _served_curve(signs: Signs) -> tuple[CurvePoint, ...]:
    """Return the measured points with what they cost as they are served."""
    seconds, n_bytes = _served_costs(signs.curve)
    return tuple(
        replace(point, seconds=seconds(point.n_context), n_bytes=round(n_bytes(point.n_context)))
        for point in signs.curve
    )


def _affordable(
    signs: Signs | None, n_rows: int, latency: float | None, memory: float | None
) -> tuple[int, bool]:
    """Return the longest context within the budgets, and whether it is shorter than all rows."""
    if signs is None or (latency is None and memory is None):
        return n_rows, False
    longest = float(n_rows)
    least = max(1.0, min(64.0, float(signs.curve[0].n_context)))
    seconds, n_bytes = _served_costs(signs.curve)
    for name, unit, budget, cost in (
        ("latency", "s a row", latency, seconds),
        ("memory", "bytes", memory, n_bytes),
    ):
        if budget is None:
            continue
        if cost(least) > budget * (1 + _ROUNDING):  # so that what the sentence asks for is taken
            raise InputError(
                sentence(
                    f"{name}={budget:g} {unit}",
                    expected=f"at least {_rounded_up(cost(least)):.3g}, what {least:.0f} context rows take here",
                    remedy="Raise it",
                )
            )
        if cost.slope > 0:
            longest = min(longest, max(least, (budget - cost.start) / cost.slope))
    return math.floor(longest + 1e-6), longest < n_rows  # a straight line is laid to the last digits


def _rounded_up(value: float) -> float:
    """Return a positive number with three digits that is not below `value`.

    >>> _rounded_up(0.0015712), _rounded_up(25600.0)
    (0.00158, 25600.0)
    """
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return float(f"{math.ceil(value / unit * (1 - _ROUNDING)) * unit:.3g}")
