"""Ways to read a table, tried by the frozen model on rows that its context does not hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.budget import Budget
from testtime.adapt.learner import FROZEN
from testtime.adapt.task import Task
from testtime.backbones.base import Backbone
from testtime.errors import InputError
from testtime.table.encoding import EncodedRows, with_statistics
from testtime.table.fit import fold_of
from testtime.table.outside import answer_rows
from testtime.table.rows import DealtRows, deal_rows

__all__ = ["Measure", "Trial", "Way"]

_N_FOLDS = 3
_SHARE_OF_LIMIT = 0.1

Measure = Callable[[NDArray[np.float64], NDArray], NDArray[np.float64]]
"""From answers ``(g, A)`` and targets ``(g,)`` to a number for each row, ``(g,)``, or several, ``(g, M)``."""

Way = Callable[[DealtRows], tuple[EncodedRows, Measure]]
"""How rows are read where a fold is predicted, nothing of whose targets may be in the others, and what is measured."""


@dataclass(frozen=True)
class Trial:
    """Folds of a table and what predicts them.

    Attributes
    ----------
    task, backbone, device
        What is predicted, by which model, and where it is computed.
    draw
        Seed of folds and views, which are the same for all ways.
    dealt
        The folds; none where the rows cannot be dealt, or a fold would measure nothing.
    """

    task: Task
    backbone: Backbone
    device: torch.device
    draw: int
    dealt: tuple[DealtRows, ...]

    @classmethod
    def of(
        cls,
        rows: EncodedRows,
        together: NDArray[np.int64] | None,
        task: Task,
        backbone: Backbone,
        device: torch.device,
        draw: int,
        *,
        most_context: int | None = None,
        most_guard: int | None = None,
    ) -> Trial:
        """Deal the rows; rows of one code in `together` are not parted.

        As many rows are context as can be served, or `most_context`, and `most_guard` of each fold are predicted.
        """
        rng = np.random.default_rng(draw)
        order, limits = rng.permutation(len(rows.y)), backbone.limits.on(device, rows.x.shape[1])
        try:
            folds = deal_rows(order, task.strata(rows.y), together, None, _N_FOLDS, limits, rng, rows.time)
        except InputError:  # too few moments, or groups that last to the end: what needs folds will say so
            folds = []
        dealt = tuple(
            replace(fold, context=fold.context[:most_context], guard=fold.guard[:most_guard])
            for fold in folds
        )
        can = all(len(fold.guard) and len(fold.context) >= max(2, task.n_classes) for fold in dealt)
        return cls(task, backbone, device, draw, dealt if can else ())

    @property
    def measured(self) -> NDArray[np.int64]:
        """The rows that are predicted, ``(g,)``, in the order in which they are measured."""
        return np.concatenate([fold.guard for fold in self.dealt])

    def others(self, *, later: bool) -> list[NDArray[np.bool_]]:
        """Which of the measured rows are in other folds than each of them, ``(g,)``: in all others, or those before."""
        fold = np.repeat(np.arange(len(self.dealt)), [len(one.guard) for one in self.dealt])
        return [fold != k if later else fold < k for k in range(len(self.dealt))]

    def run(self, ways: Sequence[Way], budget: Budget) -> list[NDArray[np.float64]] | None:
        """Measure each way on the rows of all folds; None where there are no folds, or no time.

        A tenth of what is left of the budget may be used; whether it is enough shows in the first fold.
        """
        limit, before = _SHARE_OF_LIMIT * budget.left(), budget.spent()
        measured: list[list[NDArray[np.float64]]] = [[] for _ in ways]
        for fold in self.dealt:
            for own, way in zip(measured, ways, strict=True):
                rows, measure = way(fold)
                own.append(measure(self._answers(rows, fold), rows.y[fold.guard]))
                n_done = sum(map(len, measured))
                if (
                    n_done <= len(ways)
                    and (budget.spent() - before) * len(ways) * len(self.dealt) > limit * n_done
                ):
                    return None
        return [np.concatenate(own) for own in measured] if self.dealt else None

    def _answers(self, rows: EncodedRows, dealt: DealtRows) -> NDArray[np.float64]:
        """Answers of the frozen model in one view for the guarded rows of a fold, ``(g, A)``."""
        fold = fold_of(rows, self.task, dealt, np.random.SeedSequence(self.draw))
        x, y = fold.x[fold.context], fold.y[fold.context]
        described = with_statistics(rows.encoded, x)
        view = self.backbone.views(described, y, self.task, 1, np.random.SeedSequence(self.draw))[0]
        learner = self.backbone.learner(self.task, self.device, torch.float32)
        return answer_rows(learner, FROZEN, view, (x, y), fold.x[fold.guard])
