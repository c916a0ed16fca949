"""Rows for a short context: each class in its share, and within a class far from each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from testtime.backbones.scaling import ColumnScaler

__all__ = ["MOST_COVERED", "coverage_order"]

MOST_COVERED = 1_024
"""Longest context that is chosen so: more rows cover a table however they are drawn."""
_MOST_CANDIDATES = 5_000


def coverage_order(
    order: NDArray[np.int64],
    x: NDArray[np.float64],
    labels: NDArray[np.int64] | None,
    n: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return an ordering whose first `n` rows cover the table; the others keep their places among each other.

    Place i gets a row of the class that place i of `order` has, so that every prefix stays stratified. Which row is
    decided by k-means++ seeding (Arthur and Vassilvitskii, 2007) on the scaled columns: each is drawn with a
    probability that grows with the squared distance to those of its class that were taken, so that every prefix covers.

    Parameters
    ----------
    order
        A stratified ordering of the rows, ``(N,)``.
    x
        Encoded rows, ``(N, D)``; NaN is missing.
    labels
        Class codes ``(N,)``, or None.
    n
        Rows to choose, at most N and :data:`MOST_COVERED`.

    >>> x = np.repeat([[0.0], [1.0], [9.0]], [98, 1, 1], axis=0)
    >>> order = coverage_order(np.arange(100), x, None, 3, np.random.default_rng(0))
    >>> sorted(x[order[:3], 0].tolist()), sorted(order.tolist()) == list(range(100))
    ([0.0, 1.0, 9.0], True)
    """
    from sklearn.cluster import kmeans_plusplus

    scaled = ColumnScaler.fit(x).transform(x)
    codes = np.zeros(len(x), dtype=np.int64) if labels is None else labels
    wanted = codes[order[:n]]
    first = np.empty(n, dtype=np.int64)
    for code in np.unique(wanted):
        places = np.flatnonzero(wanted == code)
        own = order[codes[order] == code][:_MOST_CANDIDATES]
        state = int(rng.integers(2**31))
        picked = kmeans_plusplus(scaled[own], len(places), random_state=state)[1]
        # Where rows repeat nothing is far from what was taken, and a row may be picked twice: others fill up.
        distinct = list(dict.fromkeys([*picked.tolist(), *range(len(own))]))
        first[places] = own[distinct[: len(places)]]
    return np.concatenate([first, order[~np.isin(order, first)]])
