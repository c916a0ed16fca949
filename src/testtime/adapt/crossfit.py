"""Train, then let rows that were never trained on decide: cross-fitted keep-or-revert.

Fold ``k`` guards the adapter that was trained on the other folds. Few folds are often enough: when the paired
difference is many standard errors below zero, or clearly above zero, no further fold is trained. When it is close, the
next fold is trained and guarded as well, and the decision is taken on the differences of all folds together.

What is kept are all adapters that were trained, and their predictions are to be averaged. A convex loss of the average
is never above the average of the losses (Jensen), so what the guard measured on all folds together bounds what is
served. To keep only those that did well on their own fold would keep the lucky ones, and the bound would be lost.
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
from testtime.adapt.episodes import RowSplit, stratified_order
from testtime.adapt.guard import Verdict, decide
from testtime.adapt.learner import Learner, Rows, frozen_row_losses
from testtime.adapt.step import StepPlan, Steps, class_codes, train
from testtime.errors import InputError, sentence
from testtime.results import Status

__all__ = ["GuardPlan", "Outcome", "fit_guarded", "fit_unguarded"]


FEW_GUARD_ROWS = 5
"""A class with fewer guard rows than this is hardly seen: the mean and its standard error say nothing about it."""


@dataclass(frozen=True)
class GuardPlan:
    """How strict the guard is.

    Attributes
    ----------
    n_errors
        Standard errors by which the pooled improvement must exceed zero.
    decisive
        Standard errors of improvement beyond which the folds trained so far settle the question.
    min_folds
        Folds trained before an improvement, however large, ends training.
    max_folds
        Folds trained at most; None means all there are.
    rival_rows
        If positive, the adapted model must also beat the frozen one with up to this many rows as context, taken from
        the kept context and the training rows: what a user without test-time training would do.
    """

    n_errors: float = 1.0
    decisive: float = 3.0
    min_folds: int = 1
    max_folds: int | None = None
    rival_rows: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.n_errors <= self.decisive:
            got = f"n_errors={self.n_errors}, decisive={self.decisive}"
            raise InputError(sentence(got, expected="0 <= n_errors <= decisive"))


@dataclass(frozen=True)
class Outcome:
    """What :func:`fit_guarded` returns.

    Attributes
    ----------
    states
        The tensors of every kept adapter; empty when the frozen model is kept.
    verdict
        The pooled verdict on all guarded rows.
    steps
        The steps of the first fold's adapter.
    n_training
        Rows it was trained on.
    folds
        The folds that guarded the kept adapters, in their order; empty without a guard.
    n_folds
        Folds trained.
    rival_loss
        Mean loss on the guarded rows of the frozen model with more rows as context; None when it was not measured.
    """

    states: tuple[dict[str, Tensor], ...]
    verdict: Verdict
    steps: Steps
    n_training: int
    folds: tuple[int, ...]
    n_folds: int
    rival_loss: float | None = None


@dataclass(frozen=True)
class _FoldResult:
    steps: Steps
    n_training: int
    frozen: NDArray[np.float64]
    adapted: NDArray[np.float64]
    rival: NDArray[np.float64] | None


def _losses(learner: Learner, context: Rows, guard: Rows) -> NDArray[np.float64]:
    return frozen_row_losses(learner, context, guard).double().cpu().numpy()


def _run_fold(
    learner: Learner,
    rows: Rows,
    split: RowSplit,
    fold: int,
    plan: StepPlan,
    guard: GuardPlan,
    seed: np.random.SeedSequence,
    deadline: float | None,
    clock: Callable[[], float],
    on_step: Callable[[int, float], None] | None,
) -> _FoldResult:
    context = rows.take(torch.as_tensor(split.context))
    guard_rows = rows.take(torch.as_tensor(split.folds[fold]))
    pool = split.training_rows(fold)
    started = clock()
    frozen = _losses(learner, context, guard_rows)
    # The adapted model costs about as much to measure as the frozen one, plus the adapters' own arithmetic.
    reserve = 2.0 * (clock() - started)
    rival = None
    if guard.rival_rows > len(split.context):
        # Folds are sorted by row; a table sorted by class would give a lopsided prefix.
        labels = class_codes(rows)
        again = stratified_order(
            None if labels is None else labels[pool], len(pool), np.random.default_rng(guard.rival_rows)
        )
        longer = np.concatenate([split.context, pool[again]])[: guard.rival_rows]
        rival = _losses(learner, rows.take(torch.as_tensor(longer)), guard_rows)
    train_deadline = None if deadline is None else deadline - reserve
    steps = train(learner, rows, pool, plan, seed, deadline=train_deadline, clock=clock, on_step=on_step)
    adapted = np.full_like(frozen, np.nan)
    if steps.finite and steps.n_steps:
        with attached(learner, plan.spec, torch.Generator()) as adapter:
            adapter.load(steps.state)
            adapted = _losses(learner, context, guard_rows)
    return _FoldResult(steps, len(pool), frozen, adapted, rival)


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
    results: list[_FoldResult] = []
    verdict = decide([], [])
    n_folds = min(guard.max_folds or len(split.folds), len(split.folds))
    longest = 0.0
    for fold, fold_seed in enumerate(seed.spawn(n_folds)):
        started = clock()
        if results and deadline is not None and started + longest > deadline:
            break
        result = _run_fold(learner, rows, split, fold, plan, guard, fold_seed, deadline, clock, on_step)
        longest = max(longest, clock() - started)
        if fold and result.steps.finite and not result.steps.n_steps:
            break
        results.append(result)
        frozen = np.concatenate([r.frozen for r in results])
        adapted = np.concatenate([r.adapted for r in results])
        verdict = decide(frozen, adapted, guard.n_errors)
        if not np.isfinite(verdict.difference):
            status = _why_nothing_was_trained(result.steps) or Status.REVERTED_NON_FINITE
            verdict = replace(verdict, status=status)
            return Outcome(
                (), verdict, result.steps, result.n_training, (), len(results), _rival_loss(results)
            )
        seen = np.concatenate(split.folds[: fold + 1])
        if not _rare_classes_are_safe(rows, seen, adapted - frozen):
            verdict = replace(verdict, status=Status.REVERTED_RARE_CLASS) if verdict.kept else verdict
        clearly_better = -verdict.difference > guard.decisive * verdict.standard_error
        clearly_better = clearly_better and not _misses_a_class(rows, seen)
        clearly_better = clearly_better and len(results) >= min(guard.min_folds, n_folds)
        if clearly_better or verdict.difference > guard.n_errors * verdict.standard_error:
            break
        if _rival_wins(results, guard.n_errors):
            break
    return _choose(results, verdict)


def _hardly_seen(rows: Rows, guarded: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mask of the guard rows whose class has fewer than :data:`FEW_GUARD_ROWS` of them; none for regression."""
    labels = class_codes(rows)
    if labels is None:
        return np.zeros(len(guarded), dtype=bool)
    codes = labels[guarded]
    return np.bincount(codes, minlength=codes.max() + 1)[codes] < FEW_GUARD_ROWS


def _misses_a_class(rows: Rows, guarded: NDArray[np.int64]) -> bool:
    """Whether some class of the table has fewer than :data:`FEW_GUARD_ROWS` guard rows, or none."""
    labels = class_codes(rows)
    if labels is None:
        return False
    there = np.bincount(labels) > 0
    return bool((np.bincount(labels[guarded], minlength=len(there))[there] < FEW_GUARD_ROWS).any())


def _rare_classes_are_safe(rows: Rows, guarded: NDArray[np.int64], delta: NDArray[np.float64]) -> bool:
    """Whether the rows of hardly seen classes, taken together, have not become worse."""
    rare = _hardly_seen(rows, guarded)
    return not rare.any() or float(delta[rare].mean()) <= 0


def _why_nothing_was_trained(steps: Steps) -> Status | None:
    """Return the status of steps that trained nothing usable, or None when they did."""
    if not steps.finite:
        return Status.REVERTED_NON_FINITE
    if steps.n_steps == 0:
        return Status.REVERTED_TIME if steps.out_of_time else Status.REVERTED_TOO_FEW
    return None


def _rival_wins(results: list[_FoldResult], n_errors: float) -> bool:
    """Whether the frozen model with all rows as context is better by more than `n_errors` standard errors."""
    rivals = _rival_losses(results)
    if rivals is None:
        return False
    return decide(np.concatenate([r.adapted for r in results]), rivals, n_errors).kept


def _rival_losses(results: list[_FoldResult]) -> NDArray[np.float64] | None:
    rivals = [r.rival for r in results if r.rival is not None]
    return np.concatenate(rivals) if rivals else None


def _rival_loss(results: list[_FoldResult]) -> float | None:
    rivals = _rival_losses(results)
    return None if rivals is None else float(rivals.mean())


def _choose(results: list[_FoldResult], verdict: Verdict) -> Outcome:
    """Keep the adapters of all folds, if the pooled verdict and the rival allow it."""
    first = results[0]
    nothing = Outcome((), verdict, first.steps, first.n_training, (), len(results), _rival_loss(results))
    if not verdict.kept:
        return nothing
    if _rival_wins(results, 0.0):
        return replace(nothing, verdict=replace(verdict, status=Status.REVERTED_ALL_ROWS))
    states = tuple(result.steps.state for result in results)
    return replace(nothing, states=states, folds=tuple(range(len(results))))


def fit_unguarded(
    learner: Learner,
    rows: Rows,
    split: RowSplit,
    plan: StepPlan,
    seed: np.random.SeedSequence,
    *,
    deadline: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    on_step: Callable[[int, float], None] | None = None,
) -> Outcome:
    """Train one adapter on all rows outside the context and keep it unless its loss became non-finite."""
    pool = np.concatenate(split.folds)
    context, some = rows.take(torch.as_tensor(split.context)), rows.take(torch.as_tensor(pool[:64]))
    started = clock()
    _losses(learner, context, some)
    train_deadline = None if deadline is None else deadline - 1.2 * (clock() - started)
    steps = train(learner, rows, pool, plan, seed, deadline=train_deadline, clock=clock, on_step=on_step)
    status = _why_nothing_was_trained(steps)
    if status is None:  # losses are taken before each step, so nobody has looked at the last one
        with attached(learner, plan.spec, torch.Generator()) as adapter:
            adapter.load(steps.state)
            if not np.isfinite(_losses(learner, context, some)).all():
                status = Status.REVERTED_NON_FINITE
    verdict = replace(decide([], []), status=status or Status.UNGUARDED)
    return Outcome((steps.state,) if status is None else (), verdict, steps, len(pool), (), 0)
