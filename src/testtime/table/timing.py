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

__all__ = ["FitPlan", "StepTimer"]

_SAFETY = 1.15
_PROBED, _PROBED_LONG = 128, 1024  # context rows of the measurements
_SHARE_OF_PROBE = 0.05  # of the time, that the longer one may take
_FEW_GUARD_ROWS = 256
"""Rows that each fold is measured on where more would leave no time to train: they know a loss well enough."""


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
        self._per_row = self._per_pair = 0.0
        self._probed = 0

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

        self._probed = min(_PROBED, -(-len(y) // 2))
        self._per_row = seconds(self._probed)
        longer = min(_PROBED_LONG, len(y) - _PROBED)
        expected = 2 * self._per_row * (longer + _PROBED)
        if longer > 2 * _PROBED and expected < _SHARE_OF_PROBE * self.budget.left():
            self._per_pair = max(0.0, seconds(longer) - self._per_row) / (longer - self._probed)

    def _seconds(self, n_context: int) -> float:
        """Seconds of a row that attends to so many."""
        return self._per_row + self._per_pair * max(0, n_context - self._probed)

    def _of_fold(self, fold: Fold) -> float:
        """Seconds of reading the fold's contexts and answering for its guard rows."""
        own = (len(fold.context) + len(fold.guard)) * self._seconds(len(fold.context))
        return own + len(fold.rival) * self._seconds(len(fold.rival))

    def reaches(self, n_steps: int, n_rows: int) -> bool:
        """Whether there is time for one adapter of so many steps on so many rows, if for nothing else."""
        return self.budget.fits(n_steps * ROWS_PER_TRAINED_ROW * self._seconds(n_rows) * n_rows)

    def steps(self, folds: Sequence[Fold], config: TrainConfig, n_adapters: int, n_views: int) -> int:
        """Return how many steps of each adapter the budget allows: all of them without a limit."""
        if not self.budget.limited:
            return config.n_steps
        workers = min(available_cores(), n_adapters)
        used = folds[:n_adapters]
        predicted = max(map(self._of_fold, used))
        frozen = predicted * n_views * len(used)
        snapshots = predicted * max(1, len(config.snapshots)) * n_adapters
        rows = ROWS_PER_TRAINED_ROW * (config.n_context + config.n_query)
        step = self._seconds(config.n_context) * rows * -(-n_adapters // workers)
        left = self.budget.left() * 0.9 - (frozen + snapshots) / workers
        return max(0, min(config.n_steps, int(left / step) if step > 0 else config.n_steps))

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
