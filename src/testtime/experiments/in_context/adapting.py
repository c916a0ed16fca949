"""Test-time training of an in-context GPT-2 on many tasks: one adapter on all rows, and the guarded mixture.

Without the guard a task has one adapter, trained on all of its rows. With it there are as many as folds, each trained
on the rows outside a fold; what they and the frozen model answer on rows they have not seen decides how much of each is
served (:func:`testtime.adapt.mix.fit_mix`), and none when the gain may be chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.delta import Delta
from testtime.adapt.episodes import deal_folds
from testtime.adapt.learner import FROZEN, Rows, Weights, predict_rows
from testtime.adapt.mix import Mix, fit_mix
from testtime.adapt.task import Numbers
from testtime.adapt.train import TrainConfig
from testtime.adapt.train_each import Draw, train_each
from testtime.experiments.in_context.learner import GPTLearner

__all__ = ["MARGIN", "Contexts", "Guarded", "adapt_each", "guard_each", "table_of"]

MARGIN = 2.0
"""Standard errors that the mixture must gain out of fold; on few rows the best weight is often chance."""

FROZEN_FOLDS = 8
"""Folds in which the frozen model is measured."""

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


def table_of(X: Array, y: Array) -> Rows:
    """Return rows in the model's precision."""
    return Rows(torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(y, dtype=torch.float32))


@dataclass(frozen=True)
class Contexts:
    """Which rows a model is shown when it predicts.

    Attributes
    ----------
    full
        Rows of the full context, fewer if there are no more.
    short, draws
        Rows of a short context, and how many random ones are averaged.
    """

    full: int = 512
    short: int = 64
    draws: int = 2

    def with_full(self, learner: GPTLearner, weights: Weights, rows: Rows, X: Array) -> Array:
        """Predict the rows of `X` from the first ``full`` rows, ``(q, D) -> (q,)``."""
        return _predict(learner, weights, rows.take(np.arange(min(self.full, len(rows)))), X)

    def with_short(self, learner: GPTLearner, weights: Weights, rows: Rows, X: Array, seed: int = 0) -> Array:
        """Predict the rows of `X` as the mean over random short contexts, ``(q, D) -> (q,)``."""
        if self.short >= len(rows):
            return self.with_full(learner, weights, rows, X)
        rng = np.random.default_rng(seed)
        chosen = [rng.choice(len(rows), self.short, replace=False) for _ in range(self.draws)]
        return np.mean([_predict(learner, weights, rows.take(one), X) for one in chosen], axis=0)

    def with_both(self, learner: GPTLearner, weights: Weights, rows: Rows, X: Array) -> Array:
        """Predict the rows of `X` as the mean of the full and the short contexts: how an adapted model answers."""
        if self.short >= len(rows):
            return self.with_full(learner, weights, rows, X)
        views = (self.with_full, self.with_short)
        return np.mean([view(learner, weights, rows, X) for view in views], axis=0)


def _predict(learner: GPTLearner, weights: Weights, context: Rows, X: Array) -> Array:
    questions = torch.as_tensor(X, dtype=torch.float32)
    return predict_rows(learner, weights, learner.read(weights, context), questions)[:, 0].double().numpy()


def adapt_each(
    learner: GPTLearner,
    tables: Sequence[Rows],
    config: TrainConfig,
    seeds: Sequence[np.random.SeedSequence],
    *,
    pools: Sequence[Indices] | None = None,
    draw: Draw | None = None,
) -> list[Weights]:
    """Train one adapter per task, on all rows or those of its pool; where the loss is not finite, none."""
    pools = [np.arange(len(rows)) for rows in tables] if pools is None else pools
    delta = Delta(learner, config.spec)
    trained = train_each(learner, tables, pools, config, seeds, draw=draw)
    return [delta.weights(one.snapshots[one.n_steps]) if one.snapshots else FROZEN for one in trained]


@dataclass(frozen=True, eq=False)
class Guarded:
    """What is served for one task: a mixture of the frozen model and the mean of its adapters.

    Attributes
    ----------
    weights
        Of the adapters, one for each fold.
    mix
        The best weight of the adapters, and what it was worth out of fold.
    """

    weights: list[Weights] = field(repr=False)
    mix: Mix

    @property
    def share(self) -> float:
        """How much of the adapters is served: the weight of the mixture, or 0 when its gain may be chance."""
        sure = self.mix.gain > 0.0 and self.mix.gain >= MARGIN * self.mix.standard_error
        return self.mix.weight if sure else 0.0

    def predict(self, learner: GPTLearner, rows: Rows, X: Array, contexts: Contexts) -> Array:
        """Predict the rows of `X`, ``(q, D) -> (q,)``."""
        frozen = contexts.with_full(learner, FROZEN, rows, X)
        if self.share == 0.0:
            return frozen
        adapted = np.mean([contexts.with_both(learner, own, rows, X) for own in self.weights], axis=0)
        return (1.0 - self.share) * frozen + self.share * adapted


def guard_each(
    learner: GPTLearner,
    tables: Sequence[Rows],
    config: TrainConfig,
    seeds: Sequence[np.random.SeedSequence],
    contexts: Contexts,
    *,
    n_folds: int = 4,
) -> list[Guarded]:
    """Train an adapter for each fold of each task and fit how much of them is served.

    Parameters
    ----------
    tables
        Rows of each task, all of one shape; a number of rows that `n_folds` divides.
    """
    folds = []
    jobs: list[tuple[Rows, Indices, np.random.SeedSequence]] = []
    for rows, seed in zip(tables, seeds, strict=True):
        fold_seed, *step_seeds = seed.spawn(1 + n_folds)
        everyone = np.arange(len(rows))
        folds.append(deal_folds(everyone, None, None, n_folds, np.random.default_rng(fold_seed)))
        jobs += [
            (rows, np.setdiff1d(everyone, fold), step_seed)
            for fold, step_seed in zip(folds[-1], step_seeds, strict=True)
        ]
    owners, pools, step_seeds = zip(*jobs, strict=True)
    weights = adapt_each(learner, owners, config, step_seeds, pools=pools)
    return [
        _guarded(learner, rows, weights[n_folds * t : n_folds * (t + 1)], folds[t], contexts)
        for t, rows in enumerate(tables)
    ]


def _guarded(
    learner: GPTLearner, rows: Rows, weights: list[Weights], folds: Sequence[Indices], contexts: Contexts
) -> Guarded:
    """Fit the mixture on what the frozen model and each adapter answer on rows that they have not seen.

    An adapter sees the rows outside its fold. The frozen model needs no training and sees all but an eighth, nearly
    what it is served: from half of few rows it is far worse than it will be, and adapters would win by that alone.
    """
    n_rows = len(rows)
    parts = np.empty((2, n_rows))

    def fill(part: int, own: Weights, fold: Indices, view: Callable[..., Array]) -> None:
        outside = rows.take(np.setdiff1d(np.arange(n_rows), fold))
        parts[part, fold] = view(learner, own, outside, rows.take(fold).x.double().numpy())

    for first in range(FROZEN_FOLDS):
        fill(0, FROZEN, np.arange(first, n_rows, FROZEN_FOLDS), contexts.with_full)
    for fold, own in zip(folds, weights, strict=True):
        fill(1, own, fold, contexts.with_both)
    frozen, adapted = parts[:, None, :, None]
    y = rows.y.double().numpy()
    return Guarded(weights, fit_mix(Numbers(), frozen, adapted, y, n_views=1, n_members=len(weights)))
