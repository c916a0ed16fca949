"""Rows for a short context: each class in its share, and within a class far from each other."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.budget import Budget
from testtime.adapt.learner import FROZEN
from testtime.adapt.task import Task
from testtime.backbones.base import Backbone
from testtime.backbones.scaling import ColumnScaler
from testtime.table.encoding import EncodedRows
from testtime.table.outside import answer_rows
from testtime.table.rows import MOST_REFERENCE_ROWS

__all__ = ["MOST_COVERED", "best_coverage", "coverage_order"]

MOST_COVERED = 1_024
"""Longest context that is chosen so: more rows cover a table however they are drawn."""
_MOST_CANDIDATES = 5_000
_N_ASKED = 512
_SHARE_OF_TIME = 20  # of a time limit, one in so many seconds may go into the choice


def coverage_order(
    order: NDArray[np.int64],
    x: NDArray[np.float64],
    labels: NDArray[np.int64] | None,
    n: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return an ordering whose first `n` rows cover the table; the others stay in order, class by class.

    Every place gets a row of the class that it has in `order`, so that every prefix stays stratified. Which row is
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
    found = np.empty_like(order)
    for code in np.unique(codes):
        places = np.flatnonzero(codes[order] == code)
        own, wanted = order[places], int((places < n).sum())
        picked: list[int] = []
        if wanted:
            state = int(rng.integers(2**31))
            picked = kmeans_plusplus(scaled[own[:_MOST_CANDIDATES]], wanted, random_state=state)[1].tolist()
        # Where rows repeat nothing is far from what was taken, and a row may be picked twice: others fill up.
        found[places] = own[list(dict.fromkeys([*picked, *range(len(own))]))]
    return found


def best_coverage(
    backbone: Backbone,
    task: Task,
    rows: EncodedRows,
    order: NDArray[np.int64],
    n: int,
    seed: np.random.SeedSequence,
    device: torch.device,
    budget: Budget,
) -> NDArray[np.int64]:
    """Draw several covering orders; return the one from whose first `n` rows the frozen model predicts others best.

    Parameters
    ----------
    rows
        The rows of the table.
    order, n
        As in :func:`coverage_order`.
    seed
        Root of the draws, of which there are as many as the backbone's recipe says.
    budget
        A small share of its time is used; one draw is made in any case.
    """
    rng = np.random.default_rng(seed)
    labels = task.strata(rows.y)
    drawn = [coverage_order(order, rows.x, labels, n, rng) for _ in range(backbone.recipe.context_draws)]
    if len(drawn) == 1:
        return drawn[0]
    learner = backbone.learner(task, device, torch.float32)
    view_seed = int(seed.generate_state(1, np.uint64)[0])
    n_reference = min(backbone.limits.on(device).context, MOST_REFERENCE_ROWS)
    view = rows.views(order[:n_reference], backbone, task, 1, view_seed)[0]
    losses, longest = [], 0.0
    for one in drawn:
        began = budget.clock()
        if not budget.fits(_SHARE_OF_TIME * longest):
            break
        context, asked = one[:n], one[n : n + _N_ASKED]
        answer = answer_rows(learner, FROZEN, view, (rows.x[context], rows.y[context]), rows.x[asked])
        losses.append(float(task.score(answer, rows.y[asked]).mean()))
        longest = max(longest, budget.clock() - began)
    # Rounded, so that draws that are as good as each other tie whatever the processor's last digit.
    return drawn[int(np.round(losses, 6).argmin())] if losses else drawn[0]
