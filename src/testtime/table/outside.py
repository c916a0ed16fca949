"""Out-of-fold answers of the frozen and of adapted models: each fold is predicted by what has not seen it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.budget import Budget
from testtime.adapt.delta import Delta
from testtime.adapt.learner import FROZEN, Learner, Weights, predict_rows
from testtime.adapt.parallel import side_by_side
from testtime.adapt.task import Task
from testtime.adapt.train import TrainConfig, Trained, train
from testtime.adapt.work import ROWS_PER_TRAINED_ROW, UNWATCHED, Work
from testtime.backbones.base import Backbone, View

__all__ = ["Fold", "FoldAnswers", "answer_rows", "run_folds"]


@dataclass(frozen=True)
class Fold:
    """One fold: what may be seen and what is predicted.

    Attributes
    ----------
    x, y
        All rows of the table, encoded without this fold's targets, ``(N, D)``, ``(N,)``.
    pool
        Rows that may be trained on.
    context
        Rows that are served as context.
    guard
        Rows that are predicted; none is in `pool` or `context`.
    rival
        Context of the frozen model where that is longer than `context`; empty otherwise.
    """

    x: NDArray[np.float64]
    y: NDArray
    pool: NDArray[np.int64]
    context: NDArray[np.int64]
    guard: NDArray[np.int64]
    rival: NDArray[np.int64]

    @property
    def apart(self) -> bool:
        """Whether no row of the served context is trained on; then it is the context of some episodes."""
        return not np.isin(self.context, self.pool).any()


@dataclass(frozen=True)
class FoldAnswers:
    """Answers on the guard rows of one fold.

    Attributes
    ----------
    frozen
        Of each frozen view, ``(V, g, A)``.
    rival
        Of each frozen view with the longer context; None without one.
    adapted
        Of each adapter that has not seen the fold, by number of steps: ``(P, g, A)``; may hold NaN where training went
        wrong. Only numbers of steps that all of them reached.
    trained
        What training returned for each of them.
    """

    frozen: NDArray[np.float64]
    rival: NDArray[np.float64] | None
    adapted: dict[int, NDArray[np.float64]]
    trained: tuple[Trained, ...]

    def then(self, trained: Sequence[Trained], adapted: Mapping[int, NDArray[np.float64]]) -> FoldAnswers:
        """Return these answers with those of adapters that were trained on from these."""
        done = max(self.adapted)
        return replace(
            self,
            adapted=self.adapted | {done + n: answers for n, answers in adapted.items()},
            trained=tuple(first.then(later) for first, later in zip(self.trained, trained, strict=True)),
        )


def in_order(trained: Sequence[Sequence[Trained]]) -> list[Trained]:
    """Return what was trained, given by fold, in the order of the adapters, which were dealt to the folds in turn."""
    most = max(map(len, trained), default=0)
    return [own[p] for p in range(most) for own in trained if p < len(own)]


def answer_rows(
    learner: Learner,
    weights: Weights,
    view: View,
    context: tuple[NDArray[np.float64], NDArray],
    x: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Answers ``(q, A)`` of one model in one view, from labelled context rows ``(n, D), (n,)``."""
    like = next(learner.module.parameters())
    with torch.no_grad():
        read = learner.read(weights, view.rows(*context, like))
        output = predict_rows(learner, weights, read, view.features(x, like))
        return view.answer(learner.answer(output).double().cpu().numpy())


def run_folds(
    backbone: Backbone,
    task: Task,
    folds: Sequence[Fold],
    views: Sequence[View],
    n_guard_views: int,
    config: TrainConfig,
    seeds: Sequence[np.random.SeedSequence],
    device: torch.device,
    budget: Budget,
    work: Work = UNWATCHED,
    before: Sequence[FoldAnswers] = (),
) -> list[FoldAnswers]:
    """Train the adapters, each without one fold, and predict every trained fold, side by side.

    Parameters
    ----------
    views
        Adapter ``j`` is trained in view ``j`` modulo their number.
    n_guard_views
        Frozen views that predict the folds, the first ones.
    seeds
        One for each adapter; adapter ``j`` does not see fold ``j`` modulo their number.
    work
        Told what is planned and done.
    before
        What an earlier call answered: its adapters are trained on, and what it answered is returned with the rest.
    """
    trained_before = in_order([one.trained for one in before])
    of_a_step = ROWS_PER_TRAINED_ROW * (config.n_context + config.n_query)

    def frozen(fold: Fold, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        learner = backbone.learner(task, device, torch.float32)
        context, guard = (fold.x[rows], fold.y[rows]), fold.x[fold.guard]

        def one(view: View) -> NDArray[np.float64]:
            answer = answer_rows(learner, FROZEN, view, context, guard)
            work.done(len(rows) + len(guard))
            return answer

        return np.stack([one(view) for view in views[:n_guard_views]])

    def adapted(j: int) -> tuple[Trained, dict[int, NDArray[np.float64]]]:
        fold, view = folds[j % len(folds)], views[j % len(views)]
        learner = backbone.learner(task, device, torch.float32)
        rows = view.rows(fold.x, fold.y, next(learner.module.parameters()))
        trained = train(
            learner,
            rows,
            fold.pool,
            config,
            seeds[j],
            served=fold.context if fold.apart else None,
            budget=budget,
            start=trained_before[j].last if before else None,
            on_step=lambda step, loss: work.done(of_a_step),
        )
        delta, context = Delta(learner, config.spec), (fold.x[fold.context], fold.y[fold.context])
        answers = {}
        for steps, state in trained.snapshots.items():
            answers[steps] = answer_rows(learner, delta.weights(state), view, context, fold.x[fold.guard])
            work.done(len(fold.context) + len(fold.guard))
        return trained, answers

    used = range(min(len(folds), len(seeds)))
    contexts = [
        (folds[k], rows)
        for k in used
        for rows in (folds[k].context, folds[k].rival)
        if len(rows) and not before
    ]
    of_folds = sum((len(rows) + len(fold.guard)) * n_guard_views for fold, rows in contexts)
    of_answers = sum(
        (len(fold.context) + len(fold.guard)) * len(config.snapshots)
        for fold in (folds[j % len(folds)] for j in range(len(seeds)))
    )
    work.plan(of_folds + of_answers + of_a_step * config.n_steps * len(seeds))
    pieces: list[Callable[[], Any]] = [lambda j=j: adapted(j) for j in range(len(seeds))]
    pieces += [lambda fold=fold, rows=rows: frozen(fold, rows) for fold, rows in contexts]
    done = side_by_side(pieces, budget=budget)
    members, answers = done[: len(seeds)], iter(done[len(seeds) :])
    found = []
    for k in used:
        own = members[k :: len(folds)]
        common = sorted(set.intersection(*(set(by_steps) for _, by_steps in own)))
        adapted_here = {n: np.stack([by_steps[n] for _, by_steps in own]) for n in common}
        if before:
            found.append(before[k].then([trained for trained, _ in own], adapted_here))
            continue
        found.append(
            FoldAnswers(
                frozen=next(answers),
                rival=next(answers) if len(folds[k].rival) else None,
                adapted=adapted_here,
                trained=tuple(trained for trained, _ in own),
            )
        )
    return found
