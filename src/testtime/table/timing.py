"""What a fit would take on this machine, from one short measurement, and how much of it fits into a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.budget import Budget
from testtime.adapt.learner import FROZEN
from testtime.adapt.parallel import alone, available_cores
from testtime.adapt.task import Task
from testtime.adapt.train import TrainConfig
from testtime.adapt.work import ROWS_PER_TRAINED_ROW
from testtime.backbones.base import Backbone, View
from testtime.table.outside import Fold, answer_rows

__all__ = ["FitCost", "FitPlan", "Pace", "StepTimer"]

_SAFETY = 1.15
_PROBED, _PROBED_LONG = 128, 1024  # context rows of the measurements
_SHARE_OF_PROBE = 0.05  # of the time, that the longer one may take
_FEW_GUARD_ROWS = 256
"""Rows that each fold is measured on where more would leave no time to train: they know a loss well enough."""


@dataclass(frozen=True)
class Pace:
    """Seconds of a row that goes through the model: more, the longer the context it attends to.

    Attributes
    ----------
    per_row
        With a context of `shortest` rows.
    per_pair
        More for each context row beyond.
    shortest
        Context rows of the shorter measurement.
    """

    per_row: float
    per_pair: float = 0.0
    shortest: int = 0

    @classmethod
    def between(cls, short: tuple[int, float], long: tuple[int, float]) -> Pace:
        """Return the straight line through two measurements, each a context length and the seconds of a row."""
        (n, seconds), (n_long, seconds_long) = short, long
        slope = (seconds_long - seconds) / (n_long - n) if n_long > n else 0.0
        return cls(seconds, max(0.0, slope), n)

    def __call__(self, n_context: int) -> float:
        """Seconds of a row that attends to so many."""
        return self.per_row + self.per_pair * max(0, n_context - self.shortest)


@dataclass(frozen=True)
class FitCost:
    """Seconds of a fit by its number of steps.

    Attributes
    ----------
    step
        Of a step of every adapter, one after the other on the cores there are.
    frozen, snapshots
        Of the answers for the folds: by the frozen views, and by the adapters.
    """

    step: float
    frozen: float
    snapshots: float

    @classmethod
    def of(
        cls,
        pace: Pace,
        fold: float,
        rival: float,
        *,
        n_context: int,
        n_query: int,
        n_snapshots: int,
        n_adapters: int,
        n_views: int,
        n_folds: int,
        trained_row: float = ROWS_PER_TRAINED_ROW,
    ) -> FitCost:
        """Return the cost of adapters on folds.

        One model in one view answers for each of them in `fold` seconds; the frozen one answers with the longer context
        of its rival as well, in `rival` seconds. Episodes have `n_context` and `n_query` rows, and adapters answer
        after `n_snapshots` of their steps. A row of a training step costs as much as `trained_row` predicted ones.
        """
        workers = min(available_cores(), n_adapters)
        rows = trained_row * (n_context + n_query)
        return cls(
            step=pace(n_context) * rows * -(-n_adapters // workers),
            frozen=(fold + rival) * n_views * n_folds / workers,
            snapshots=fold * n_snapshots * n_adapters / workers,
        )

    def __call__(self, n_steps: float, n_further: float = 0.0) -> float:
        """Seconds of a fit of so many steps, and of so many that follow since those had paid."""
        return self.frozen + self.snapshots * (2 if n_further else 1) + self.step * (n_steps + n_further)


@dataclass(frozen=True)
class FitPlan:
    """What fits into a budget.

    Attributes
    ----------
    n_steps, n_adapters
        Steps of each adapter, 0 where there is no time for the fewest, and adapters.
    folds
        The folds, perhaps with fewer guard rows.
    """

    n_steps: int
    n_adapters: int
    folds: list[Fold]


class StepTimer:
    """Times a forward pass when a budget asks for it.

    Parameters
    ----------
    budget
        Time for the fit; without a limit nothing is measured, and everything fits.

    Attributes
    ----------
    learner
        A frozen learner that others may use in the caller's thread.
    """

    def __init__(self, backbone: Backbone, task: Task, device: torch.device, budget: Budget) -> None:
        self.learner = backbone.learner(task, device, torch.float32)
        self.budget = budget
        self.pace = Pace(0.0)

    def measure(self, view: View, x: NDArray[np.float64], y: NDArray) -> None:
        """Measure the seconds of a row, on the first rows ``(N, D), (N,)`` that are given.

        Each row attends to the context, so that a row takes longer the longer it is: where there are enough rows and
        enough time, a second measurement says how much.
        """
        if not self.budget.limited:
            return

        def seconds(n: int) -> float:
            context, asked = (x[:n], y[:n]), x[n:][:_PROBED]

            def once() -> float:
                took = []
                for _ in range(2):  # the first call of a shape pays for what later ones reuse
                    began = self.budget.clock()
                    answer_rows(self.learner, FROZEN, view, context, asked)
                    took.append(self.budget.clock() - began)
                return min(took) / (len(asked) + n)

            return _SAFETY * alone(once)

        short = min(_PROBED, -(-len(y) // 2))
        self.pace = Pace(seconds(short), shortest=short)
        longer = min(_PROBED_LONG, len(y) - _PROBED)
        expected = 2 * self.pace.per_row * (longer + _PROBED)
        if longer > 2 * _PROBED and expected < _SHARE_OF_PROBE * self.budget.left():
            self.pace = Pace.between((short, self.pace.per_row), (longer, seconds(longer)))

    def _answers(self, context: NDArray[np.int64], guard: NDArray[np.int64]) -> float:
        """Seconds of reading a context and answering for guard rows; none without a context."""
        return (len(context) + len(guard)) * self.pace(len(context)) if len(context) else 0.0

    def reaches(self, n_steps: int, n_rows: int) -> bool:
        """Whether there is time for one adapter of so many steps on so many rows, if for nothing else."""
        return self.budget.fits(n_steps * ROWS_PER_TRAINED_ROW * self.pace(n_rows) * n_rows)

    def cost(self, folds: Sequence[Fold], config: TrainConfig, n_adapters: int, n_views: int) -> FitCost:
        """Return what a fit with these folds and settings would take."""
        used = folds[:n_adapters]
        return FitCost.of(
            self.pace,
            max(self._answers(fold.context, fold.guard) for fold in used),
            max(self._answers(fold.rival, fold.guard) for fold in used),
            n_context=config.n_context,
            n_query=config.n_query,
            n_snapshots=max(1, len(config.snapshots)),
            n_adapters=n_adapters,
            n_views=n_views,
            n_folds=len(used),
        )

    def steps(self, folds: Sequence[Fold], config: TrainConfig, n_adapters: int, n_views: int) -> int:
        """Return how many steps of each adapter the budget allows: all of them without a limit."""
        if not self.budget.limited:
            return config.n_steps
        cost = self.cost(folds, config, n_adapters, n_views)
        left = self.budget.left() * 0.9 - cost(0)
        return max(0, min(config.n_steps, int(left / cost.step) if cost.step > 0 else config.n_steps))

    def plan(
        self, folds: list[Fold], config: TrainConfig, n_adapters: int, n_views: int, fewest: int
    ) -> FitPlan:
        """Return the fullest plan that has time for the fewest steps.

        Guard rows are given up before adapters, since more adapters gain more than a loss that is known better; half
        and a quarter of the adapters are tried.
        """
        few = [replace(fold, guard=_spread(fold.guard)) for fold in folds]
        halves = dict.fromkeys(max(1, n_adapters // part) for part in (1, 2, 4))
        for own, n in [(folds, n_adapters), *((few, n) for n in halves)]:
            n_steps = self.steps(own, config, n, n_views)
            if n_steps >= fewest:
                return FitPlan(n_steps, n, own)
        return FitPlan(0, n_adapters, folds)


def _spread(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Some of the rows, at equal distances: a table that is sorted is seen from end to end."""
    if len(rows) <= _FEW_GUARD_ROWS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, _FEW_GUARD_ROWS).astype(np.int64)]
