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

__all__ = ["Episode", "deal_folds", "sample_episode", "sample_query", "stratified_order"]

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


def deal_folds(
    rows: Indices, labels: NDArray | None, groups: NDArray | None, n_folds: int, rng: np.random.Generator
) -> tuple[Indices, ...]:
    """Deal rows into folds of equal size and equal shares of each class; rows of one group stay together.

    Parameters
    ----------
    rows
        Row indices, ``(M,)``.
    labels, groups
        Class codes and group codes of *all* rows of the table, ``(N,)``, or None. Groups of one row are no constraint.

    Raises
    ------
    InputError
        When there are fewer rows, or groups, than folds.

    >>> groups = np.array([0, 0, 1, 1, 2, 2])
    >>> [fold.tolist() for fold in deal_folds(np.arange(6), None, groups, 3, np.random.default_rng(0))]
    [[4, 5], [0, 1], [2, 3]]
    """
    codes = (
        np.zeros(len(rows), np.int64) if labels is None else np.unique(labels[rows], return_inverse=True)[1]
    )
    owner = np.arange(len(rows)) if groups is None else np.unique(groups[rows], return_inverse=True)[1]
    sizes = np.bincount(owner)
    if len(sizes) < n_folds:
        what = "rows" if groups is None else "groups of rows that belong together"
        raise InputError(
            sentence(
                f"{len(sizes)} {what}", expected=f"at least {n_folds}, one for each fold", remedy="Add rows"
            )
        )
    fold = np.empty(len(rows), dtype=np.int64)
    held = np.zeros((n_folds, codes.max() + 1))
    shuffled = rng.permutation(len(sizes))
    large = shuffled[sizes[shuffled] > 1]
    # The largest groups first, each to the fold that stays most even in every class.
    total = np.bincount(codes)
    members = np.split(np.argsort(owner, kind="stable"), np.cumsum(sizes)[:-1])
    for place, group in enumerate(large[np.argsort(-sizes[large], kind="stable")]):
        counts = np.bincount(codes[members[group]], minlength=held.shape[1])
        unevenness = ((2 * held + counts) * counts / total).sum(1)
        # Rounded, so that folds that are as good as each other tie whatever the processor's last digit. Of these the
        # first is taken that is not full: groups of one class each would else meet in one. No fold is left empty.
        rows_of = held.sum(1)
        full = rows_of >= len(rows) / n_folds
        late = (rows_of > 0) & (len(sizes) - place <= (rows_of == 0).sum())
        fold[members[group]] = best = int(np.lexsort((full, unevenness.round(9), late))[0])
        held[best] += counts
    # Single rows fill the folds up, class by class: each goes where its class is rarest, which deals them in turn.
    single = rng.permutation(np.flatnonzero(sizes[owner] == 1))
    for code in range(held.shape[1]):
        own = single[codes[single] == code]
        fold[own] = _fill(held[:, code], held.sum(1), len(own))
        held[:, code] += np.bincount(fold[own], minlength=n_folds)
    return tuple(np.sort(rows[fold == k]) for k in range(n_folds))


def _fill(held: NDArray[np.float64], all_held: NDArray[np.float64], n: int) -> Indices:
    """Return the folds of `n` rows of one class so that the folds' counts of it become even."""
    level = held.copy()
    order = np.lexsort((all_held, level))
    wanted = np.zeros(len(held), dtype=np.int64)
    target = (held.sum() + n) / len(held)
    wanted[:] = np.maximum(0, np.floor(target - held)).astype(np.int64)
    while wanted.sum() > n:
        wanted[np.argmax(wanted)] -= 1
    for k in np.resize(order, n - int(wanted.sum())):
        wanted[k] += 1
    return np.repeat(np.arange(len(held)), wanted)


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


def sample_query(
    served: Indices,
    pool: Indices,
    labels: NDArray | None,
    n_context: int,
    n_query: int,
    rng: np.random.Generator,
) -> Episode:
    """Draw query rows from `pool` for the context that will be served, as the papers train at test time.

    A served context of more than `n_context` rows is represented by a fresh draw of so many of its rows.

    Parameters
    ----------
    served
        Row indices of the context; none is in `pool`.
    pool, labels, n_context, n_query, rng
        As in :func:`sample_episode`.
    """

    def drawn(rows: Indices, n: int) -> Indices:
        own = None if labels is None else np.asarray(labels)[rows]
        return rows[stratified_order(own, len(rows), rng)[:n]]

    context = served if len(served) <= n_context else drawn(served, n_context)
    query = drawn(pool, n_query)
    if labels is not None:
        query = query[np.isin(labels[query], labels[context])]
    return Episode(context, query)
