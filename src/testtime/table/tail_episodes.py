"""What a tail is trained on: episodes of one size, which are the same at every step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testtime.adapt.episodes import Episode, deal_folds
from testtime.adapt.learner import Rows
from testtime.table.outside import Fold

__all__ = ["Episodes", "TailRecipe", "inner_episodes"]

_ROUND = 8  # sizes of episodes are multiples of it, so that tables of about the same size go through one pass


@dataclass(frozen=True)
class TailRecipe:
    """How the tails are trained: the same numbers for every table.

    Chosen on synthetic groups of other seeds than those of `benchmarks.groups`, and on development tables cut to 200
    and 400 rows, where 8 steps and 16 do as well as each other: there is little in norms and biases to gain.

    Attributes
    ----------
    n_views
        Views of the table that are trained and guarded; the frozen model is served in as many as ever.
    n_inner
        Folds of the rows outside the guard fold.
    n_steps, learning_rate
        Of AdamW; the rate decays to zero.
    snapshots
        Shares of the steps after which the change may be served.
    n_context, n_query
        Rows of an episode at most.
    start_steps
        Steps of a shared start, each on one episode of one table.
    doubt
        How little the guard rows, a quarter of a few hundred, are trusted, see :func:`testtime.adapt.mix.fit_mix`; None
        for no bound, which harms (``benchmarks.small_groups``).
    """

    n_views: int = 2
    n_inner: int = 3
    n_steps: int = 8
    learning_rate: float = 4e-3
    snapshots: tuple[float, ...] = (0.5, 1.0)
    n_context: int = 256
    n_query: int = 96
    start_steps: int = 48
    doubt: float | None = 3.0


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

    @property
    def n_episodes(self) -> int:
        """Their number."""
        return len(self.rows) // (self.n_context + self.n_query)

    def at(self, step: int) -> Episode:
        """Return the rows of a step, one episode after the other."""
        length = self.n_context + self.n_query
        everything = np.arange(length) + step % self.n_episodes * length
        return Episode(everything[: self.n_context], everything[self.n_context :])


def inner_episodes(
    fold: Fold,
    labels: NDArray | None,
    groups: NDArray[np.int64] | None,
    recipe: TailRecipe,
    rng: np.random.Generator,
) -> list[Episode]:
    """Deal the pool into episodes of one size; none where nothing can be predicted from the others."""
    inner = deal_folds(fold.pool, labels, groups, recipe.n_inner, rng)
    sizes = [len(query) for query in inner]
    if max(sizes) == len(fold.pool):
        return []
    n_query = _rounded(min(max(1, min(sizes)), recipe.n_query))
    n_context = _rounded(min(len(fold.pool) - max(sizes), recipe.n_context))
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
