"""Train, then let rows that were never trained on decide: cross-fitted keep-or-revert.

Fold ``k`` guards the adapter that was trained on the other folds. One fold is often enough: when the paired difference
is many standard errors away from zero, no further fold is trained. When it is close, the next fold is trained and
guarded as well, and the decision is taken on the differences of all folds together. What is kept is always an adapter
whose own guard fold has improved.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from testtime.adapt.adapters import attached
from testtime.adapt.episodes import RowSplit
from testtime.adapt.guard import Verdict, decide
from testtime.adapt.learner import Learner, Rows, frozen_row_losses
from testtime.adapt.step import StepPlan, Steps, train
from testtime.errors import InputError, sentence
from testtime.results import Status

__all__ = ["GuardPlan", "Outcome", "fit_guarded"]


@dataclass(frozen=True)
class GuardPlan:
    """How strict the guard is.

    Attributes
    ----------
    n_errors
        Standard errors by which the pooled improvement must exceed zero.
    decisive
        Standard errors beyond which the folds trained so far settle the question.
    max_folds
        Folds trained at most; None means all.
    """

    n_errors: float = 1.0
    decisive: float = 3.0
    max_folds: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.n_errors <= self.decisive:
            raise InputError(
                sentence(
                    f"n_errors={self.n_errors}, decisive={self.decisive}", expected="0 <= n_errors <= decisive"
                )
            )


@dataclass(frozen=True)
class Outcome:
    """What :func:`fit_guarded` returns.

    Attributes
    ----------
    state
        The kept adapter's tensors, or None when the frozen model is kept.
    verdict
        The pooled verdict on all guarded rows.
    steps
        The steps of the adapter in `state`; of the first fold when nothing is kept.
    n_training
        Rows that adapter was trained on.
    n_folds
        Folds trained.
    """

    state: dict[str, Tensor] | None
    verdict: Verdict
    steps: Steps
    n_training: int
    n_folds: int


def _adapted_losses(learner: Learner, plan: StepPlan, state: dict[str, Tensor], context: Rows, guard: Rows) -> NDArray:
    with attached(learner, plan.spec, torch.Generator()) as adapter:
        adapter.load(state)
        return frozen_row_losses(learner, context, guard).double().numpy()


def fit_guarded(
    learner: Learner,
    rows: Rows,
    split: RowSplit,
    plan: StepPlan,
    guard: GuardPlan,
    seed: np.random.SeedSequence,
    *,
    deadline: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    on_step: Callable[[int, float], None] | None = None,
) -> Outcome:
    """Train adapters fold by fold until the guard can decide.

    Parameters
    ----------
    learner, rows, plan, seed, deadline, clock, on_step
        As in :func:`testtime.adapt.step.train`. Guard losses are measured within the deadline too.
    split
        Kept context and folds; the context is what will be served.
    guard
        How strict to be.
    """
    context = rows.take(torch.as_tensor(split.context))
    n_folds = min(guard.max_folds or len(split.folds), len(split.folds))
    before: list[NDArray] = []
    after: list[NDArray] = []
    candidate: tuple[Steps, int] | None = None
    first: Steps | None = None
    verdict = decide([], [])
    trained = 0
    for fold, fold_seed in zip(range(n_folds), seed.spawn(n_folds), strict=True):
        started = clock()
        guard_rows = rows.take(torch.as_tensor(split.folds[fold]))
        frozen = frozen_row_losses(learner, context, guard_rows).double().numpy()
        # The adapted model costs about as much to measure as the frozen one, plus the adapters' own arithmetic.
        reserve = 2.0 * (clock() - started)
        pool = split.training_rows(fold)
        train_deadline = None if deadline is None else deadline - reserve
        if fold > 0 and train_deadline is not None and clock() + _duration(first) > train_deadline:
            break
        steps = train(
            learner, rows, pool, plan, fold_seed, deadline=train_deadline, clock=clock, on_step=on_step
        )
        first = first or steps
        trained = fold + 1
        if not steps.finite:
            verdict = replace(decide(frozen, np.full_like(frozen, np.nan)), status=Status.REVERTED_NON_FINITE)
            return Outcome(None, verdict, steps, len(pool), trained)
        if steps.n_steps == 0:
            verdict = replace(decide(frozen, frozen), status=Status.REVERTED_TIME)
            return Outcome(None, verdict, steps, len(pool), trained)
        adapted = _adapted_losses(learner, plan, steps.state, context, guard_rows)
        before.append(frozen)
        after.append(adapted)
        own = decide(frozen, adapted, n_errors=0.0)
        if candidate is None and own.kept:
            candidate = (steps, len(pool))
        verdict = decide(np.concatenate(before), np.concatenate(after), guard.n_errors)
        if abs(verdict.difference) > guard.decisive * verdict.standard_error or not np.isfinite(verdict.difference):
            break
    assert_first = first
    if verdict.kept and candidate is not None:
        return Outcome(candidate[0].state, verdict, candidate[0], candidate[1], trained)
    return Outcome(None, verdict, assert_first, len(rows), trained)
