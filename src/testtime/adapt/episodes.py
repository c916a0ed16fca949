"""Which rows are context, which are trained on, which only guard: stratified, seeded, disjoint.

Everything rests on one ordering. :func:`stratified_order` arranges rows so that *every prefix* holds the classes in
their proportions, each class at least once as soon as the prefix is as long as the number of classes. Contexts of
growing size are then prefixes of each other, and an episode is two neighbouring slices of a fresh ordering.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testtime.errors import InputError, sentence

__all__ = ["Episode", "RowSplit", "sample_episode", "split_rows", "stratified_order"]

Indices = NDArray[np.int64]


def stratified_order(labels: NDArray | None, n_rows: int, rng: np.random.Generator) -> Indices:
    """Return a random ordering of rows in which every prefix is stratified.

    Row ``i`` of the ``m`` rows of a class, in random order, gets the key ``(i + u) / m`` with ``u`` uniform on (0, 1);
    sorting by key interleaves the classes in proportion. The first row of each class then moves to the front.

    Parameters
    ----------
    labels
        Class codes ``(N,)``, or None for a plain permutation (regression).
    n_rows
        Number of rows ``N``.
    rng
        Source of randomness.

    >>> order = stratified_order(np.array([0] * 6 + [1] * 3), 9, np.random.default_rng(0))
    >>> sorted((order[:3] >= 6).tolist()), sorted((order[:2] >= 6).tolist())
    ([False, False, True], [False, True])
    """
    if labels is None:
        return rng.permutation(n_rows)
    shuffled = rng.permutation(n_rows)
    codes = np.asarray(labels)[shuffled]
    by_class = np.argsort(codes, kind="stable")
    _, starts, counts = np.unique(codes[by_class], return_index=True, return_counts=True)
    rank = np.empty(n_rows, dtype=np.int64)
    rank[by_class] = np.arange(n_rows) - np.repeat(starts, counts)
    size = np.empty(n_rows, dtype=np.int64)
    size[by_class] = np.repeat(counts, counts)
    key = (rank + rng.random(n_rows)) / size
    return shuffled[np.lexsort((key, rank > 0))]


@dataclass(frozen=True)
class RowSplit:
    """Disjoint sets of rows.

    Attributes
    ----------
    context
        Rows kept as the context at prediction; never trained on.
    folds
        The remaining rows in equal, stratified folds. Fold ``k`` guards the adapter that was trained on the others.
    """

    context: Indices
    folds: tuple[Indices, ...]

    def training_rows(self, fold: int) -> Indices:
        """Return the rows of all folds but `fold`."""
        return np.concatenate([rows for k, rows in enumerate(self.folds) if k != fold])


def split_rows(
    order: Indices, labels: NDArray | None, n_context: int, n_folds: int, rng: np.random.Generator
) -> RowSplit:
    """Split rows into a kept context and `n_folds` folds.

    Parameters
    ----------
    order
        A stratified ordering of all rows; its first `n_context` become the context.
    labels
        Class codes ``(N,)``, or None.

    Raises
    ------
    InputError
        When fewer than `n_folds` rows are left after the context is taken.
    """
    rest = order[n_context:]
    if len(rest) < n_folds:
        raise InputError(
            sentence(
                f"n_context={n_context} leaves {len(rest)} of {len(order)} rows",
                expected=f"at least {n_folds} rows for training and guard",
                remedy="Lower n_context or add rows",
            )
        )
    shuffled = rng.permutation(rest)
    if (
        labels is not None
    ):  # dealing rows out class by class gives every fold its share of each, to within one row
        shuffled = shuffled[np.argsort(np.asarray(labels)[shuffled], kind="stable")]
    return RowSplit(order[:n_context], tuple(np.sort(shuffled[k::n_folds]) for k in range(n_folds)))


@dataclass(frozen=True)
class Episode:
    """One training example of in-context learning: disjoint context and query rows."""

    context: Indices
    query: Indices


def sample_episode(
    pool: Indices, labels: NDArray | None, n_context: int, n_query: int, rng: np.random.Generator
) -> Episode:
    """Draw disjoint context and query rows from `pool`.

    A pool that is too small for both is shared: the context keeps at most two thirds of it.
    Query rows whose class the context does not hold are left out, since no in-context learner could know that class.

    Parameters
    ----------
    pool
        Row indices that may be trained on.
    labels
        Class codes of *all* rows of the table (indexed by the entries of `pool`), or None.
    n_context, n_query
        Wanted numbers of rows.
    rng
        Source of randomness.
    """
    pool_labels = None if labels is None else np.asarray(labels)[pool]
    order = pool[stratified_order(pool_labels, len(pool), rng)]
    n_context = max(1, min(n_context, 2 * len(pool) // 3))
    context, query = order[:n_context], order[n_context : n_context + n_query]
    if labels is not None:
        query = query[np.isin(labels[query], labels[context])]
    return Episode(context, query)
