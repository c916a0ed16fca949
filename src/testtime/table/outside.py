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
from testtime.adapt.train import TrainConfig, train
from testtime.adapt.trained import Trained
from testtime.adapt.work import ROWS_PER_TRAINED_ROW, UNWATCHED, Work
from testtime.backbones.base import Backbone, View

__all__ = ["Fold", "FoldAnswers", "FoldRuns", "answer_rows", "in_order"]


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

    @property
    def finite(self) -> bool:
        """Whether every loss, gradient and answer is a number."""
        finite = all(one.finite for one in self.trained)
        return finite and all(np.isfinite(answers).all() for answers in self.adapted.values())

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


@dataclass(frozen=True)
class FoldRuns:
    """What adapters are trained and measured on, however long.

    Attributes
    ----------
    views
        Adapter ``j`` is trained in view ``j`` modulo their number.
    n_guard_views
        Frozen views that predict the folds, the first ones.
    seeds
        One for each adapter; adapter ``j`` does not see fold ``j`` modulo their number. A seed remembers what it has
        spawned, so that a second run draws other episodes.
    work
        Told what is planned and done.
    """

    backbone: Backbone
    task: Task
    folds: Sequence[Fold]
    views: Sequence[View]
    n_guard_views: int
    seeds: Sequence[np.random.SeedSequence]
    device: torch.device
    budget: Budget
    work: Work = UNWATCHED

    def run(self, config: TrainConfig, before: Sequence[FoldAnswers] = ()) -> list[FoldAnswers]:
        """Train the adapters, each without one fold, and predict every trained fold, side by side.

        Parameters
        ----------
        config
            How many steps, and how.
        before
            What an earlier run answered: its adapters are trained on, and what it answered is returned with the rest.
        """
        trained_before = in_order([one.trained for one in before])
        used = self.folds[: len(self.seeds)]
        contexts = [
            (fold, rows)
            for fold in used
            for rows in (fold.context, fold.rival)
            if len(rows) and not before  # the frozen model answers once
        ]
        self._plan(config, contexts)
        pieces: list[Callable[[], Any]] = [
            lambda j=j: self._adapted(j, config, trained_before[j] if before else None)
            for j in range(len(self.seeds))
        ]
        pieces += [lambda fold=fold, rows=rows: self._frozen(fold, rows) for fold, rows in contexts]
        done = side_by_side(pieces, budget=self.budget)
        members, answers = done[: len(self.seeds)], iter(done[len(self.seeds) :])
        found = []
        for k, fold in enumerate(used):
            own = members[k :: len(self.folds)]
            trained = tuple(one for one, _ in own)
            common = sorted(set.intersection(*(set(by_steps) for _, by_steps in own)))
            adapted = {n: np.stack([by_steps[n] for _, by_steps in own]) for n in common}
            if before:
                found.append(before[k].then(trained, adapted))
                continue
            frozen, rival = next(answers), next(answers) if len(fold.rival) else None
            found.append(FoldAnswers(frozen, rival, adapted, trained))
        return found

    def _plan(self, config: TrainConfig, contexts: Sequence[tuple[Fold, NDArray[np.int64]]]) -> None:
        of_folds = sum((len(rows) + len(fold.guard)) * self.n_guard_views for fold, rows in contexts)
        of_answers = sum(
            (len(fold.context) + len(fold.guard)) * len(config.snapshots)
            for fold in (self.folds[j % len(self.folds)] for j in range(len(self.seeds)))
        )
        self.work.plan(of_folds + of_answers + _of_a_step(config) * config.n_steps * len(self.seeds))

    def _frozen(self, fold: Fold, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Answers of the frozen model for the fold's guard rows, ``(V, g, A)``."""
        learner = self.backbone.learner(self.task, self.device, torch.float32)
        context, guard = (fold.x[rows], fold.y[rows]), fold.x[fold.guard]

        def one(view: View) -> NDArray[np.float64]:
            answer = answer_rows(learner, FROZEN, view, context, guard)
            self.work.done(len(rows) + len(guard))
            return answer

        return np.stack([one(view) for view in self.views[: self.n_guard_views]])

    def _adapted(
        self, j: int, config: TrainConfig, before: Trained | None
    ) -> tuple[Trained, dict[int, NDArray[np.float64]]]:
        """Train adapter `j`, and ask it for its fold's guard rows after each snapshot."""
        fold, view = self.folds[j % len(self.folds)], self.views[j % len(self.views)]
        learner = self.backbone.learner(self.task, self.device, torch.float32)
        rows = view.rows(fold.x, fold.y, next(learner.module.parameters()))
        trained = train(
            learner,
            rows,
            fold.pool,
            config,
            self.seeds[j],
            served=fold.context if fold.apart else None,
            budget=self.budget,
            start=before.last if before else None,
            on_step=lambda step, loss: self.work.done(_of_a_step(config)),
        )
        delta, context = Delta(learner, config.spec), (fold.x[fold.context], fold.y[fold.context])
        answers = {}
        for steps, state in trained.snapshots.items():
            answers[steps] = answer_rows(learner, delta.weights(state), view, context, fold.x[fold.guard])
            self.work.done(len(fold.context) + len(fold.guard))
        return trained, answers


def _of_a_step(config: TrainConfig) -> int:
    return ROWS_PER_TRAINED_ROW * (config.n_context + config.n_query)
