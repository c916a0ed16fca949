"""Ways to read a table, judged by the frozen model on rows that its context does not hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.budget import Budget
from testtime.adapt.learner import FROZEN
from testtime.adapt.mix import standard_error
from testtime.adapt.task import Task
from testtime.adapt.work import UNWATCHED, Work
from testtime.backbones.base import Backbone
from testtime.errors import InputError
from testtime.table.encoding import EncodedRows, with_statistics
from testtime.table.fit import fold_of
from testtime.table.outside import answer_rows
from testtime.table.repeats import Groups
from testtime.table.rows import DealtRows, deal_rows

__all__ = ["FEWEST_ROWS", "Gain", "Judge", "Measure", "Trial", "Way"]

FEWEST_ROWS = 60
"""Rows of a table; fewer say little about a loss."""

_N_FOLDS = 3
_SHARE_OF_LIMIT = 0.1
_ERRORS = 2.0  # standard errors by which a loss must fall

Measure = Callable[[NDArray[np.float64], NDArray], NDArray[np.float64]]
"""From answers ``(g, A)`` and targets ``(g,)`` to a number for each row, ``(g,)``, or several, ``(g, M)``."""

Way = Callable[[DealtRows], tuple[EncodedRows, Measure]]
"""How rows are read where a fold is predicted, nothing of whose targets may be in the others, and what is measured."""


@dataclass(frozen=True)
class Judge:
    """The frozen model, which judges how a table is read, and what it may take for that.

    Attributes
    ----------
    task, backbone, device
        What is predicted, by which model, and where it is computed.
    seed
        Of folds and views, which are the same for all ways; nothing is spawned from it.
    budget
        Of what is left of it, a trial takes a tenth, or is not made.
    work
        Told what is done.
    """

    task: Task
    backbone: Backbone
    device: torch.device
    seed: np.random.SeedSequence
    budget: Budget
    work: Work = UNWATCHED

    @property
    def draw(self) -> int:
        """The seed as a number."""
        return int(self.seed.generate_state(1)[0])

    def together(self, rows: EncodedRows) -> Groups:
        """Return which rows belong together: the user's groups, and rows that repeat each other."""
        return rows.together(self.task, np.random.default_rng(self.draw))


@dataclass(frozen=True)
class Gain:
    """By how much a loss falls on rows that were predicted in two ways.

    Attributes
    ----------
    before, after
        Mean loss in either way.
    error
        Standard error of the difference; rows that belong together count as one.
    """

    before: float
    after: float
    error: float

    @classmethod
    def of(
        cls, before: NDArray[np.float64], after: NDArray[np.float64], units: NDArray[np.int64] | None
    ) -> Gain:
        """Compare losses of the same rows, ``(g,)``, whose codes in `units` say which belong together."""
        return cls(float(before.mean()), float(after.mean()), standard_error(before - after, units))

    def is_clear(self, share: float = 0.0) -> bool:
        """Whether the loss falls by more than two standard errors, and than a share of it."""
        return self.before - self.after > max(_ERRORS * self.error, share * self.before)

    def told(self, name: str) -> str:
        """Return the gain of a loss of this name as a clause."""
        return (
            f"on other rows, the frozen model's {name} is then {self.after:.4f} instead of {self.before:.4f} (the "
            f"difference has a standard error of {self.error:.4f})"
        )


@dataclass(frozen=True)
class Trial:
    """Folds of a table, and the judge that predicts them.

    Attributes
    ----------
    judge
        The frozen model.
    dealt
        The folds; none where the rows cannot be dealt, or a fold would measure nothing.
    together
        Codes of rows that belong together, ``(N,)``, which are not parted; or None.
    """

    judge: Judge
    dealt: tuple[DealtRows, ...]
    together: NDArray[np.int64] | None

    @classmethod
    def of(
        cls,
        judge: Judge,
        rows: EncodedRows,
        together: NDArray[np.int64] | None,
        *,
        most_context: int | None = None,
        most_guard: int | None = None,
    ) -> Trial:
        """Deal the rows; rows of one code in `together` are not parted.

        As many rows are context as can be served, or `most_context`, and `most_guard` of each fold are predicted.
        """
        rng, task = np.random.default_rng(judge.draw), judge.task
        order, limits = rng.permutation(len(rows.y)), judge.backbone.limits.on(judge.device, rows.x.shape[1])
        try:
            folds = deal_rows(order, task.strata(rows.y), together, None, _N_FOLDS, limits, rng, rows.time)
        except InputError:  # too few moments, or groups that last to the end: what needs folds will say so
            folds = []
        dealt = tuple(
            replace(fold, context=fold.context[:most_context], guard=fold.guard[:most_guard])
            for fold in folds
        )
        can = all(len(fold.guard) and len(fold.context) >= max(2, task.n_classes) for fold in dealt)
        return cls(judge, dealt if can else (), together)

    @property
    def measured(self) -> NDArray[np.int64]:
        """The rows that are predicted, ``(g,)``, in the order in which they are measured."""
        return np.concatenate([fold.guard for fold in self.dealt])

    @property
    def units(self) -> NDArray[np.int64] | None:
        """Which of the measured rows belong together, ``(g,)``; None where every row stands alone."""
        return None if self.together is None else self.together[self.measured]

    def others(self, *, later: bool) -> list[NDArray[np.bool_]]:
        """Which of the measured rows are in other folds than each of them, ``(g,)``: in all others, or those before."""
        fold = np.repeat(np.arange(len(self.dealt)), [len(one.guard) for one in self.dealt])
        return [fold != k if later else fold < k for k in range(len(self.dealt))]

    def gain(self, before: EncodedRows, after: EncodedRows) -> Gain | None:
        """Return what another way to read the rows gains, or None where there are no folds, or no time."""
        score = self.judge.task.score
        losses = self.run((lambda _: (before, score), lambda _: (after, score)))
        return None if losses is None else Gain.of(losses[0], losses[1], self.units)

    def run(self, ways: Sequence[Way]) -> list[NDArray[np.float64]] | None:
        """Measure each way on the rows of all folds; None where there are no folds, or no time.

        A tenth of what is left of the budget may be used; whether it is enough shows in the first fold.
        """
        budget = self.judge.budget
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
        judge, seed = self.judge, np.random.SeedSequence(self.judge.draw)
        fold = fold_of(rows, judge.task, dealt, seed)
        x, y = fold.x[fold.context], fold.y[fold.context]
        described = with_statistics(rows.encoded, x)
        view = judge.backbone.views(described, y, judge.task, 1, np.random.SeedSequence(judge.draw))[0]
        learner = judge.backbone.learner(judge.task, judge.device, torch.float32)
        return answer_rows(learner, FROZEN, view, (x, y), fold.x[fold.guard])
