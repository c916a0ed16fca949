"""Many small tables adapted together: the trunk encodes each once and stays frozen, all tails take their steps at once.

What is trained are norms and biases of the model's last stage, one small change for all views of a table. Rows are
dealt as in :mod:`testtime.table.fit`: one fold guards. The rows outside it are dealt once more; each inner fold is
predicted from the others, and these episodes are the same at every step, so that what the trunk makes of them is
computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from testtime.adapt.budget import Budget
from testtime.adapt.delta import Delta, DeltaSpec
from testtime.adapt.episodes import Episode, stratified_order
from testtime.adapt.learner import FROZEN, Rows, Weights
from testtime.adapt.train import TrainConfig
from testtime.adapt.train_each import train_each
from testtime.adapt.trained import Trained
from testtime.backbones.base import Backbone, View
from testtime.backbones.tabicl_tail import Trunk
from testtime.results import Status
from testtime.table.adapted import AdaptedTable
from testtime.table.build import served_table
from testtime.table.columns.file_habits import FileHabits
from testtime.table.config import FitConfig
from testtime.table.encoding import EncodedRows, TableEncoding
from testtime.table.fit import Chosen, decide, fold_of, too_few
from testtime.table.outside import Fold, FoldAnswers
from testtime.table.reading import choose_reading, drawn_rows, encode_rows
from testtime.table.rows import N_FOLDS, deal_rows, fewest_rows, pool_rows
from testtime.table.tail_episodes import Episodes, TailRecipe, inner_episodes
from testtime.table.target import Target

__all__ = ["TAIL", "Prepared", "Training", "prepare", "train_tails"]

TAIL = DeltaSpec("tail")


@dataclass(frozen=True)
class Training:
    """What a table's tail is trained on and measured on.

    Attributes
    ----------
    fold, groups
        The fold that guards, and codes of rows that belong together, or None.
    episodes
        What is trained on.
    guarded
        For each trained view the encoded context of the fold, and its encoded guard rows.
    """

    fold: Fold
    groups: NDArray[np.int64] | None
    episodes: Episodes
    guarded: tuple[tuple[Rows, Tensor], ...]


@dataclass(frozen=True)
class Prepared:
    """A table whose rows were dealt and encoded.

    Attributes
    ----------
    trunk
        What encoded them.
    target, config, backbone, encoding, rows, chosen, budget
        What the served table is made from, see :func:`testtime.table.build.served_table`.
    drawn
        Positions in the frame of the rows that are used.
    seed
        Of the steps.
    doubt
        How far one fold of guard rows is trusted, see :func:`testtime.adapt.mix.fit_mix`.
    training
        None where there are too few rows.
    """

    trunk: Trunk
    target: Target
    config: FitConfig
    backbone: Backbone
    encoding: TableEncoding
    rows: EncodedRows
    chosen: Chosen
    budget: Budget
    drawn: NDArray[np.int64]
    seed: np.random.SeedSequence
    doubt: float | None
    training: Training | None = None

    def finished(self, trained: Mapping[float, Trained]) -> tuple[AdaptedTable, NDArray[np.int64]]:
        """Return the served table, and positions of its context rows in the frame it was prepared from.

        Parameters
        ----------
        trained
            By the scale of the start; what is worth most out of fold is served. Empty where nothing was trained.
        """
        chosen = self.chosen
        if self.training is not None and trained:
            frozen = self._answers(self.training, FROZEN)
            found = [self._decided(self.training, frozen, scale, own) for scale, own in trained.items()]
            chosen = max(found, key=lambda one: (_worth(one), -one.start_scale))
        table = served_table(
            chosen, self.encoding, self.rows, self.target, self.backbone, self.config, self.budget
        )
        return table, self.drawn[chosen.order[: chosen.n_context]]

    def _answers(self, training: Training, weights: Weights) -> NDArray[np.float64]:
        """Answers for the guard rows in every view, ``(V, g, A)``."""
        tail, views = self.trunk.tail, self.chosen.views[: len(training.guarded)]
        with torch.no_grad():
            outputs = [tail.predict(weights, tail.read(weights, rows), x) for rows, x in training.guarded]
            found = [tail.answer(output).double().cpu().numpy() for output in outputs]
        return np.stack([view.answer(own) for view, own in zip(views, found, strict=True)])

    def _decided(
        self, training: Training, frozen: NDArray[np.float64], scale: float, trained: Trained
    ) -> Chosen:
        """Fit the mixture with what was trained from one start; what is measured is what is saved, in float16."""
        delta, n_views = Delta(self.trunk.tail, TAIL), len(training.guarded)
        adapted, saved = {}, {}
        for n, state in trained.snapshots.items():
            halved = {key: value.half() for key, value in state.items()}
            adapted[n] = self._answers(training, delta.weights(halved))
            saved[n] = {self.trunk.prefix + key: value for key, value in halved.items()}
        answers = FoldAnswers(frozen, None, adapted, (replace(trained, snapshots=saved),) * n_views)
        chosen = replace(self.chosen, answers=[answers], start_scale=scale)
        task, folds = self.target.task, [training.fold]
        guard = self.config.guard
        decide(chosen, task, folds, training.groups, n_views, guard=guard, doubt=self.doubt)
        return chosen


def _worth(chosen: Chosen) -> float:
    return chosen.mix.expected_gain if chosen.mix is not None else 0.0


def prepare(
    trunk: Trunk,
    frame: pd.DataFrame,
    target: Target,
    y: NDArray,
    backbone: Backbone,
    config: FitConfig,
    recipe: TailRecipe,
    seed: np.random.SeedSequence,
    kinds: Mapping[str, str] | None = None,
    file: FileHabits | None = None,
) -> Prepared:
    """Deal the rows of one table and encode them; arguments and errors as of :func:`testtime.table.build.fit_table`."""
    budget, task = Budget(), target.task
    drawn, notes = drawn_rows(len(y), y if task.n_classes else None, seed)
    own_seeds = seed.spawn(10)
    level_seed, order_seed, view_seed, deal_seed, group_seed, fold_seed, inner_seed, own = own_seeds[:8]
    curve_seed, linear_seed = own_seeds[8:]
    frame, y = frame.iloc[drawn], y[drawn]
    columns, levels, rows = encode_rows(frame, y, task, backbone, level_seed, kinds, file=file)
    seeds = level_seed, curve_seed, linear_seed
    read = choose_reading(frame, columns, levels, rows, target, backbone, config, seeds, budget)
    target, rows, notes = read.target, read.rows, notes + read.notes
    labels, limits = task.strata(rows.y), backbone.limits.on(config.device, rows.x.shape[1])
    order = stratified_order(labels, len(rows.y), np.random.default_rng(order_seed))
    number = int(view_seed.generate_state(1, np.uint64)[0])
    # The frozen model answers from as many views as it does without adapters.
    n_views = max(recipe.n_views, backbone.recipe.n_views)
    n_context = min(len(order), limits.context)
    views = rows.views(order[:n_context], backbone, task, n_views, number)
    chosen = Chosen(order, n_context, n_context, views, number, Status.REVERTED_TOO_FEW)
    chosen.notes += notes
    prepared = Prepared(
        trunk, target, config, backbone, read.encoding, rows, chosen, budget, drawn, own, recipe.doubt
    )
    found = rows.together(task, np.random.default_rng(group_seed))
    chosen.notes += [found.note] if found.note else []
    n_units = len(order) if found.codes is None else len(np.unique(found.codes))
    n_pool, fewest = pool_rows(len(order)), fewest_rows(backbone.recipe, task.n_classes)
    if min(n_pool, n_units) < fewest:
        chosen.status = too_few(chosen.notes, len(order), n_pool, n_units, fewest)
        return prepared
    dealt = deal_rows(order, labels, found.codes, None, N_FOLDS, limits, np.random.default_rng(deal_seed))[0]
    fold = fold_of(rows, task, dealt, fold_seed)
    pieces = inner_episodes(fold, labels, found.codes, recipe, np.random.default_rng(inner_seed))
    if not pieces:
        return prepared
    chosen.n_pool = len(dealt.pool)
    training = _encoded(trunk, views[: recipe.n_views], fold, found.codes, pieces)
    return replace(prepared, training=training)


def _encoded(
    trunk: Trunk,
    views: Sequence[View],
    fold: Fold,
    groups: NDArray[np.int64] | None,
    episodes: Sequence[Episode],
) -> Training:
    """Encode the episodes and the guard rows in every view."""
    like = next(trunk.tail.module.parameters())
    features, targets, guarded = [], [], []
    context = np.stack([one.context for one in episodes])
    query = np.stack([one.query for one in episodes])
    for view in views:
        shown = view.rows(fold.x, fold.y, like)
        context_rows, query_rows = shown.take(context), shown.take(query)
        features.append(torch.cat(trunk.encode(context_rows.x, context_rows.y, query_rows.x), dim=1))
        targets.append(torch.cat([context_rows.y, query_rows.y], dim=1))
        seen, guard = shown.take(fold.context), shown.take(fold.guard)
        read, asked = trunk.encode(seen.x[None], seen.y[None], guard.x[None])
        guarded.append((Rows(read[0], seen.y), asked[0]))
    rows = Rows(torch.cat(features).flatten(0, 1), torch.cat(targets).flatten())
    return Training(fold, groups, Episodes(rows, context.shape[1], query.shape[1]), tuple(guarded))


def train_tails(
    trunk: Trunk,
    episodes: Sequence[Episodes],
    seeds: Sequence[np.random.SeedSequence],
    recipe: TailRecipe,
    starts: Sequence[Mapping[str, Tensor]] | None = None,
) -> list[Trained]:
    """Train one tail for each table; their episodes have one shape, and all take a step in one pass.

    Parameters
    ----------
    starts
        What each begins with; None begins with the frozen model.
    """
    first = episodes[0]
    shares = tuple(sorted({max(1, round(share * recipe.n_steps)) for share in recipe.snapshots}))
    config = TrainConfig(
        n_steps=recipe.n_steps,
        n_context=first.n_context,
        n_query=first.n_query,
        learning_rate=recipe.learning_rate,
        spec=TAIL,
        snapshots=shares,
    )
    return train_each(
        trunk.tail,
        [one.rows for one in episodes],
        [np.arange(len(one.rows)) for one in episodes],
        config,
        seeds,
        draw=lambda pool, step, rng: first.at(step),
        starts=starts,
    )
