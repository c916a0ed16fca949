"""Out-of-fold answers of the frozen and of adapted models: each fold is predicted by what has not seen it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.budget import Budget
from testtime.adapt.delta import Delta
from testtime.adapt.learner import FROZEN, Learner, Weights, predict_rows
from testtime.adapt.parallel import side_by_side
from testtime.adapt.task import Task
from testtime.adapt.train import TrainConfig, Trained, train
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


@dataclass(frozen=True)
class FoldAnswers:
    """Answers on the guard rows of one fold.

    Attributes
    ----------
    frozen
        Mean over the frozen views, ``(g, A)``.
    adapted
        By number of steps, ``(g, A)`` each; may hold NaN where training went wrong.
    rival
        Mean over the frozen views with the longer context; None without one.
    trained
        What training returned; None when this fold was only predicted.
    """

    frozen: NDArray[np.float64]
    adapted: dict[int, NDArray[np.float64]]
    rival: NDArray[np.float64] | None
    trained: Trained | None


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
    config: TrainConfig | None,
    n_adapters: int,
    seeds: Sequence[np.random.SeedSequence],
    device: torch.device,
    budget: Budget,
    on_step: Callable[[int, float], None] | None = None,
) -> list[FoldAnswers]:
    """Predict every fold from the others, side by side.

    Parameters
    ----------
    views
        The frozen views; the adapter of fold ``k`` is trained in view ``k``.
    config
        How to train; None predicts with the frozen model only.
    n_adapters
        Folds that are trained, the first ones.
    seeds
        One for each fold.
    """

    def piece(k: int) -> Callable[[], FoldAnswers]:
        def run() -> FoldAnswers:
            fold = folds[k]
            learner = backbone.learner(task, device, torch.float32)
            context = fold.x[fold.context], fold.y[fold.context]
            guard = fold.x[fold.guard]

            def frozen(rows: tuple[NDArray[np.float64], NDArray]) -> NDArray[np.float64]:
                return np.mean([answer_rows(learner, FROZEN, view, rows, guard) for view in views], axis=0)

            rival = frozen((fold.x[fold.rival], fold.y[fold.rival])) if len(fold.rival) else None
            if config is None or k >= n_adapters:
                return FoldAnswers(frozen(context), {}, rival, None)
            view = views[k % len(views)]
            rows = view.rows(fold.x, fold.y, next(learner.module.parameters()))
            trained = train(learner, rows, fold.pool, config, seeds[k], budget=budget, on_step=on_step)
            delta = Delta(learner, config.spec)
            adapted = {
                steps: answer_rows(learner, delta.weights(state), view, context, guard)
                for steps, state in trained.snapshots.items()
            }
            return FoldAnswers(frozen(context), adapted, rival, trained)

        return run

    return side_by_side([piece(k) for k in range(len(folds))], budget=budget)
