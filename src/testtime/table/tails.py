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
from testtime.adapt.episodes import Episode, deal_folds, stratified_order
from testtime.adapt.learner import FROZEN, Learner, Rows, Weights
from testtime.adapt.task import Task
from testtime.adapt.train import TrainConfig, Trained
from testtime.adapt.train_each import train_each
from testtime.backbones.base import Backbone
from testtime.backbones.scaling import ColumnScaler
from testtime.backbones.tabicl_tail import Trunk
from testtime.results import Status
from testtime.table.adapted import AdaptedTable
from testtime.table.build import drawn_rows, encode_rows, served_table
from testtime.table.config import FitConfig
from testtime.table.encoding import TableEncoding, encode_fold, with_statistics
from testtime.table.fit import Chosen, EncodedRows, decide
from testtime.table.outside import Fold, FoldAnswers
from testtime.table.repeats import find_groups
from testtime.table.rows import N_FOLDS, deal_rows
from testtime.table.target import Target

__all__ = ["TAIL", "Prepared", "TailRecipe", "prepare", "train_tails"]

TAIL = DeltaSpec("tail")
_ROUND = 8  # sizes of episodes are multiples of it, so that tables of about the same size go through one pass


@dataclass(frozen=True)
class TailRecipe:
    """How the tails are trained: the same numbers for every table.

    Attributes
    ----------
    n_views
        Views of the table, each with and without the change.
    n_inner
        Folds of the rows outside the guard fold.
    n_steps, learning_rate
        Of AdamW; the rate decays to zero.
    snapshots
        Shares of the steps after which the change may be served.
    n_context, n_query
        Rows of an episode at most.
    """

    n_views: int = 2
    n_inner: int = 3
    n_steps: int = 16
    learning_rate: float = 3e-3
    snapshots: tuple[float, ...] = (0.5, 1.0)
    n_context: int = 256
    n_query: int = 96


@dataclass(frozen=True)
class Episodes:
    """What a table's tail is trained on: encoded rows, `n_context` and then `n_query` of each episode, in a row.

    Attributes
    ----------
    rows
        Of all episodes below each other.
    n_context, n_query
        Rows of each episode.
    """

    rows: Rows
    n_context: int
    n_query: int

    @property
    def shape(self) -> tuple[int, ...]:
        """What tables must share to be trained in one pass."""
        return (*self.rows.x.shape, self.n_context, self.n_query)

    def at(self, step: int) -> Episode:
        """Return the rows of a step, one episode after the other."""
        length = self.n_context + self.n_query
        begin = step % (len(self.rows) // length) * length
        everything = np.arange(begin, begin + length)
        return Episode(everything[: self.n_context], everything[self.n_context :])


@dataclass
class Prepared:
    """A table whose rows were dealt and encoded.

    Attributes
    ----------
    episodes
        What is trained on; None where there are too few rows.
    """

    task: Task
    target: Target
    config: FitConfig
    backbone: Backbone
    encoding: TableEncoding
    rows: EncodedRows
    chosen: Chosen
    drawn: NDArray[np.int64]
    seed: np.random.SeedSequence
    budget: Budget
    groups: NDArray[np.int64] | None = None
    fold: Fold | None = None
    episodes: Episodes | None = None
    guarded: tuple[tuple[Rows, Tensor], ...] = ()

    def answers(self, tail: Learner, weights: Weights) -> NDArray[np.float64]:
        """Answers for the guard rows in every view, ``(V, g, A)``."""
        with torch.no_grad():
            outputs = [tail.predict(weights, tail.read(weights, rows), x) for rows, x in self.guarded]
            found = [tail.answer(output).double().cpu().numpy() for output in outputs]
        return np.stack([view.answer(own) for view, own in zip(self.chosen.views, found, strict=True)])

    def finished(
        self, trunk: Trunk, trained: Mapping[float, Trained]
    ) -> tuple[AdaptedTable, NDArray[np.int64]]:
        """Return the served table, and positions of its context rows in the frame it was prepared from.

        Parameters
        ----------
        trained
            By the scale of the start; what is worth most out of fold is served. Empty where nothing was trained.
        """
        chosen = self.chosen
        if trained and self.fold is not None:
            frozen = self.answers(trunk.tail, FROZEN)
            found = [self._decided(trunk, frozen, scale, own) for scale, own in trained.items()]
            chosen = max(found, key=lambda one: (_worth(one), -one.start_scale))
        table = served_table(
            chosen, self.encoding, self.rows, self.target, self.backbone, self.config, self.budget
        )
        return table, self.drawn[chosen.order[: chosen.n_context]]

    def _decided(self, trunk: Trunk, frozen: NDArray[np.float64], scale: float, trained: Trained) -> Chosen:
        """Fit the mixture with what was trained from one start; what is measured is what is saved, in float16."""
        snapshots = {
            n: {key: value.half() for key, value in state.items()} for n, state in trained.snapshots.items()
        }
        delta, n_views = Delta(trunk.tail, TAIL), len(self.chosen.views)
        adapted = {n: self.answers(trunk.tail, delta.weights(state)) for n, state in snapshots.items()}
        named = {
            n: {trunk.prefix + key: value for key, value in state.items()} for n, state in snapshots.items()
        }
        answers = FoldAnswers(frozen, None, adapted, (replace(trained, snapshots=named),) * n_views)
        chosen = replace(self.chosen, answers=[answers], notes=list(self.chosen.notes), start_scale=scale)
        decide(chosen, self.task, self.rows, [self.fold], self.groups, n_views, guard=self.config.guard)
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
) -> Prepared:
    """Deal the rows of one table and encode them; arguments and errors as of :func:`testtime.table.build.fit_table`."""
    budget, task = Budget(), target.task
    drawn, notes = drawn_rows(len(y), y if task.n_classes else None, seed)
    level_seed, order_seed, view_seed, deal_seed, group_seed, fold_seed, inner_seed, own = seed.spawn(8)
    columns, levels, rows = encode_rows(frame.iloc[drawn], y[drawn], task, backbone, level_seed, kinds)
    labels, limits = task.strata(rows.y), backbone.limits.on(config.device)
    order = stratified_order(labels, len(rows.y), np.random.default_rng(order_seed))
    number = int(view_seed.generate_state(1, np.uint64)[0])
    reference = order[: limits.context]
    described = with_statistics(rows.encoded, rows.x[reference])
    views = backbone.views(described, rows.y[reference], task, recipe.n_views, np.random.SeedSequence(number))
    chosen = Chosen(order, min(len(order), limits.context), tuple(views), number, Status.REVERTED_TOO_FEW)
    chosen.notes += notes
    prepared = Prepared(
        task, target, config, backbone, TableEncoding(columns, levels), rows, chosen, drawn, own, budget
    )
    shown = ColumnScaler.fit(rows.encoded.x).transform(rows.encoded.x)
    found = find_groups(shown, rows.y, task, None, np.random.default_rng(group_seed))
    chosen.notes += [found.note] if found.note else []
    n_units = len(order) if found.codes is None else len(np.unique(found.codes))
    if n_units < max(2 * N_FOLDS, 4 * task.n_classes):
        return prepared
    [dealt, *_] = deal_rows(
        order, labels, found.codes, None, N_FOLDS, limits, np.random.default_rng(deal_seed)
    )
    x = rows.x
    if x.shape[1] > len(rows.encoded.names):
        x = encode_fold(rows.encoded, rows.y, task.n_classes, dealt.held, fold_seed)
    prepared.fold = Fold(x, rows.y, dealt.pool, dealt.context, dealt.guard, dealt.rival)
    prepared.groups = found.codes
    chosen.n_pool = len(dealt.pool)
    pieces = _inner_folds(prepared.fold, labels, found.codes, recipe, np.random.default_rng(inner_seed))
    if pieces:
        prepared.episodes, prepared.guarded = _encoded(trunk, prepared, pieces)
    return prepared


def _inner_folds(
    fold: Fold,
    labels: NDArray | None,
    groups: NDArray[np.int64] | None,
    recipe: TailRecipe,
    rng: np.random.Generator,
) -> list[Episode]:
    """Deal the pool into episodes of one size; none where every class of the queries is unknown to the context."""
    inner = deal_folds(fold.pool, labels, groups, recipe.n_inner, rng)
    smallest = min(len(query) for query in inner)
    longest = min(len(fold.pool) - max(len(query) for query in inner), recipe.n_context)
    n_query = _rounded(min(smallest, recipe.n_query))
    n_context = _rounded(longest)
    episodes = []
    for query in inner:
        outside = fold.pool[~np.isin(fold.pool, query)][:n_context]  # the pool is in stratified order
        if labels is not None:  # no in-context learner could know a class that it is not shown
            query = query[np.isin(labels[query], labels[outside])]
        if len(query):
            episodes.append(Episode(outside, np.resize(rng.permutation(query), n_query)))
    return episodes


def _rounded(n: int) -> int:
    return max(n // _ROUND * _ROUND, min(n, _ROUND))


def _encoded(
    trunk: Trunk, prepared: Prepared, episodes: Sequence[Episode]
) -> tuple[Episodes, tuple[tuple[Rows, Tensor], ...]]:
    """Encode the episodes and the guard rows in every view."""
    fold, like = prepared.fold, next(trunk.tail.module.parameters())
    features, targets, guarded = [], [], []
    context = np.stack([one.context for one in episodes])
    query = np.stack([one.query for one in episodes])
    for view in prepared.chosen.views:
        shown = view.rows(fold.x, fold.y, like)
        context_rows, query_rows = shown.take(context), shown.take(query)
        features.append(torch.cat(trunk.encode(context_rows.x, context_rows.y, query_rows.x), dim=1))
        targets.append(torch.cat([context_rows.y, query_rows.y], dim=1))
        seen, guard = shown.take(fold.context), shown.x[torch.as_tensor(fold.guard)]
        read, asked = trunk.encode(seen.x[None], seen.y[None], guard[None])
        guarded.append((Rows(read[0], seen.y), asked[0]))
    rows = Rows(torch.cat(features).flatten(0, 1), torch.cat(targets).flatten())
    return Episodes(rows, context.shape[1], query.shape[1]), tuple(guarded)


def train_tails(
    trunk: Trunk,
    prepared: Sequence[Prepared],
    recipe: TailRecipe,
    starts: Sequence[Mapping[str, Tensor]] | None = None,
) -> list[Trained]:
    """Train the tails of tables whose episodes have one shape, in one pass per step.

    Parameters
    ----------
    starts
        What each begins with; None begins with the frozen model.
    """
    shown = [one.episodes for one in prepared]
    shares = tuple(sorted({max(1, round(share * recipe.n_steps)) for share in recipe.snapshots}))
    config = TrainConfig(
        n_steps=recipe.n_steps,
        n_context=shown[0].n_context,
        n_query=shown[0].n_query,
        learning_rate=recipe.learning_rate,
        spec=TAIL,
        snapshots=shares,
    )
    return train_each(
        trunk.tail,
        [one.rows for one in shown],
        [np.arange(len(one.rows)) for one in shown],
        config,
        [one.seed for one in prepared],
        draw=lambda pool, step, rng: shown[0].at(step),
        starts=starts,
    )
