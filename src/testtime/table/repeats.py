"""Rows that belong together: the user's groups, and rows that repeat each other, exactly or nearly.

An out-of-fold loss means nothing if a copy of the guarded row was trained on. Copies share their target, too: rows that
merely coincide in a few coarse columns have different targets, and are no copies. Beside a few large targets most
others are nearly the same; these are shared only where few lie between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from scipy.stats import rankdata

from testtime.adapt.task import Task
from testtime.backbones.base import Encoded
from testtime.backbones.scaling import ColumnScaler

__all__ = ["MANY_COPIES", "Groups", "find_groups", "joined", "rows_together"]

_NEAR = 0.1  # of the distance at which unrelated rows would be neighbours
MANY_COPIES = 0.05
"""Share of the rows that must be copies for the user to be told, and for statistics and kinds to heed them."""

_BY_CHANCE = 0.01  # share of the rows with a near one by chance
_FEW_COLUMNS = 3  # with more, near rows that agree in coarse columns are mostly of one unit, as in panels
_SMALL = 60  # rows below which it is less, since one pair is many
_SMALLEST, _SHIFTS = 0.05, 8  # of the differences of rows, eight for each
_FINEST = 1e-12
_PROJECTIONS = 8
_TARGET_TOLERANCE = 0.05  # standard deviations between the targets of copies,
_MOST_BETWEEN = 0.05  # and share of the rows between them in the order of the targets
_MOST_PAIRS = 2_000_000


@dataclass(frozen=True)
class Groups:
    """Which rows belong together.

    Attributes
    ----------
    codes
        Group of each row, ``(N,)``; None when every row stands alone.
    note
        A sentence for the user when many rows repeat; else empty.
    """

    codes: NDArray[np.int64] | None
    note: str = ""

    @property
    def repeat(self) -> bool:
        """Whether many rows repeat another one."""
        return bool(self.note)


def rows_together(
    encoded: Encoded,
    y: NDArray,
    task: Task,
    given: NDArray[np.int64] | None,
    time: NDArray[np.float64] | None,
    rng: np.random.Generator,
) -> Groups:
    """Find which of the rows of a fit belong together; arguments as of :func:`find_groups`, and their time or None."""
    if time is not None and given is None:
        return Groups(None)  # what repeats the past may be remembered, as it is when later rows are served
    # Without statistics of levels: copies have different ones, since each row's come from other rows.
    return find_groups(ColumnScaler.fit(encoded.x).transform(encoded.x), y, task, given, rng)


def find_groups(
    x: NDArray[np.float64], y: NDArray, task: Task, given: NDArray[np.int64] | None, rng: np.random.Generator
) -> Groups:
    """Join the user's groups with the groups of rows that repeat.

    Parameters
    ----------
    x
        Scaled features ``(N, D)``, finite, each column of about unit spread.
    y
        Class codes or standardised numbers, ``(N,)``.
    given
        Group codes of the user, or None.
    rng
        For random projections.
    """
    n_rows, state = len(x), rng.bit_generator.state
    repeats = _repeats(x, y, task, rng)
    repeated = np.bincount(repeats)[repeats] > 1
    if (
        x.shape[1] <= _FEW_COLUMNS and repeated.mean() > MANY_COPIES
    ):  # coarse ones leave lines, dense with rows
        rng.bit_generator.state = state
        repeats = _repeats(x, y, task, rng, beyond_chance=True)
        repeated = np.bincount(repeats)[repeats] > 1
    note = ""
    if repeated.mean() > MANY_COPIES:
        note = (
            f"{int(repeated.sum()):,} of {n_rows:,} rows repeat another row, exactly or nearly; copies stay on one "
            "side of every split, so that what is measured is not remembered."
        )
    if given is None:
        return Groups(repeats if repeated.any() else None, note)
    return Groups(joined(given, repeats), note)


def _repeats(
    x: NDArray[np.float64],
    y: NDArray,
    task: Task,
    rng: np.random.Generator,
    *,
    beyond_chance: bool = False,
) -> NDArray[np.int64]:
    """Return a code for each row, the same for rows that repeat each other."""
    pairs, places = _near_pairs(x, rng, beyond_chance=beyond_chance), _places(y, task)
    pairs = pairs[(np.abs(places[pairs[:, 0]] - places[pairs[:, 1]]) <= 1.0).all(axis=1)]
    # Rows that chain together with different targets coincide; they are not copies.
    return _only_agreeing(_components(len(x), pairs), x, places)


def _places(y: NDArray, task: Task) -> NDArray[np.float64]:
    """Where targets lie, ``(N, P)``, in units of what copies may differ by: as numbers, and in their order."""
    y = np.asarray(y)
    if task.n_classes:
        return 2.0 * y[:, None]
    return np.column_stack([y / _TARGET_TOLERANCE, rankdata(y) / (1.0 + _MOST_BETWEEN * len(y))])


def joined(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return codes of rows that either of two groupings links, directly or through others.

    >>> joined(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])).tolist()
    [0, 0, 0, 1]
    """
    links = [np.column_stack([_first_of(codes), np.arange(len(one))]) for codes in (one, other)]
    return _components(len(one), np.concatenate(links))


def _near_pairs(
    x: NDArray[np.float64], rng: np.random.Generator, *, beyond_chance: bool
) -> NDArray[np.int64]:
    """Pairs of rows closer than a tenth of the distance at which unrelated rows are neighbours.

    With `beyond_chance` they are nearer than unrelated rows that agree in the coarse columns are.
    """
    n_rows, n_columns = x.shape
    identical = _first_of(np.unique(np.ascontiguousarray(x), axis=0, return_inverse=True)[1].ravel())
    same = np.flatnonzero(identical != np.arange(n_rows))
    pairs = [np.column_stack([identical[same], same])]
    distinct = np.flatnonzero(identical == np.arange(n_rows))
    dimension = min(n_columns, _PROJECTIONS)
    some = rng.permutation(distinct)[:512]
    if len(some) >= 16:
        typical = float(np.median(np.linalg.norm(x[some] - x[np.roll(some, 1)], axis=1)))
        # On a line one row in twenty has a neighbour a tenth of the way off by chance, so that less counts as near.
        near = _NEAR ** max(1.0, 2.0 / dimension)
        radius = near * typical * len(distinct) ** (-1.0 / dimension)
        radius = _beyond_chance(radius, x[distinct], x[some]) if beyond_chance else radius
        axes = np.linalg.qr(rng.normal(size=(n_columns, dimension)))[0]
        tree = KDTree(x[distinct] @ axes)  # a projection never makes near rows far
        if tree.count_neighbors(tree, radius) < _MOST_PAIRS:
            close = tree.query_pairs(radius, output_type="ndarray")
            close = distinct[close]
            distance = np.linalg.norm(x[close[:, 0]] - x[close[:, 1]], axis=1)
            pairs.append(close[distance <= radius])
    return np.concatenate(pairs).astype(np.int64)


def _beyond_chance(radius: float, x: NDArray[np.float64], some: NDArray[np.float64]) -> float:
    """Return a radius, smaller where necessary, within which hardly a row has another one if columns are unrelated.

    Rows that agree in the coarse columns are counted. Of these, another column brings as many within `radius` as the
    differences of `some` rows tell: the smallest, among which copies are, in proportion to the twentieth of them, and
    equal values whatever the radius.
    """
    n_rows = len(x)
    apart = np.concatenate([np.abs(some - np.roll(some, by, axis=0)) for by in range(1, _SHIFTS + 1)])
    equal = (apart == 0).mean(axis=0)
    coarse = equal >= _SMALLEST
    mates = n_rows - 1.0
    if coarse.any():
        counts = np.unique(np.ascontiguousarray(x[:, coarse]), axis=0, return_counts=True)[1]
        mates = float((counts * (counts - 1.0)).sum() / n_rows)
    apart, equal = np.sort(apart[:, ~coarse], axis=0), equal[~coarse]
    scale = apart[int(_SMALLEST * len(apart))]
    most = _BY_CHANCE * min(1.0, n_rows / _SMALL) ** 2
    while radius > _FINEST:
        within = np.where(scale > radius, _SMALLEST * radius / scale, (apart <= radius).mean(axis=0))
        if mates * np.maximum(equal, within).prod() <= most:
            return radius
        radius /= 2
    return 0.0


def _first_of(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first row that has the code of each row."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return first[inverse.ravel()]


def _components(n_rows: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n_rows, n_rows))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _only_agreeing(
    groups: NDArray[np.int64], x: NDArray[np.float64], places: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Take apart the groups whose features another row has with a different target."""
    identical = np.unique(np.ascontiguousarray(x), axis=0, return_inverse=True)[1].ravel()
    shape = identical.max() + 1, places.shape[1]
    lowest, highest = np.full(shape, np.inf), np.full(shape, -np.inf)
    np.minimum.at(lowest, identical, places)
    np.maximum.at(highest, identical, places)
    clash = np.any(highest - lowest > 1.0, axis=1)[identical]
    clashing = np.zeros(groups.max() + 1, dtype=bool)
    np.logical_or.at(clashing, groups, clash)
    apart = clashing[groups]
    return np.unique(np.where(apart, len(groups) + np.arange(len(groups)), groups), return_inverse=True)[
        1
    ].ravel()
