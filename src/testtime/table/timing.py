"""What a fit would take on this machine, from one short measurement, and how much of it fits into a budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from testtime.adapt.budget import Budget
from testtime.adapt.learner import FROZEN
from testtime.adapt.parallel import available_cores, side_by_side
from testtime.adapt.task import Task
from testtime.adapt.train import TrainConfig
from testtime.adapt.work import ROWS_PER_TRAINED_ROW
from testtime.backbones.base import Backbone, View
from testtime.table.outside import Fold, answer_rows

__all__ = ["StepTimer"]

_SAFETY = 1.15
_PROBED = 256


class StepTimer:
    """Times a forward pass when a budget asks for it.

    Attributes
    ----------
    learner
        A frozen learner that others may use in the caller's thread.
    """

    def __init__(self, backbone: Backbone, task: Task, device: torch.device) -> None:
        self.learner = backbone.learner(task, device, torch.float32)

    def affordable(
        self,
        folds: Sequence[Fold],
        view: View,
        config: TrainConfig,
        n_adapters: int,
        n_views: int,
        budget: Budget,
    ) -> int:
        """Return how many steps of each adapter the budget allows: all of them without a limit."""
        if not budget.limited:
            return config.n_steps
        per_row = _SAFETY * self._seconds_per_row(folds[0], view, budget)
        workers = min(available_cores(), n_adapters)
        predicted = max(len(fold.context) + len(fold.guard) + len(fold.rival) for fold in folds)
        frozen = per_row * predicted * n_views * min(len(folds), n_adapters)
        snapshots = per_row * predicted * max(1, len(config.snapshots)) * n_adapters
        step = (
            ROWS_PER_TRAINED_ROW * per_row * (config.n_context + config.n_query) * -(-n_adapters // workers)
        )
        left = budget.left() * 0.9 - (frozen + snapshots) / workers
        return max(0, min(config.n_steps, int(left / step) if step > 0 else config.n_steps))

    def _seconds_per_row(self, fold: Fold, view: View, budget: Budget) -> float:
        context, guard = fold.context[:_PROBED], fold.guard[:_PROBED]

        def measure() -> float:
            took = []
            for _ in range(2):  # the first call of a shape pays for what later ones reuse
                began = budget.clock()
                answer_rows(self.learner, FROZEN, view, (fold.x[context], fold.y[context]), fold.x[guard])
                took.append(budget.clock() - began)
            return min(took) / (len(context) + len(guard))

        return float(np.min(side_by_side([measure], workers=1)))
