"""What levels say about the target: numbers beside nominal columns and beside keys, without leaks.

A code is a name; its order says nothing. For a column with many levels the model cannot learn from a thousand rows
which of them go with which class, though their means over the labelled rows tell. Each such column gets the mean of the
target over the rows of its level, shrunk towards the mean of all rows by the empirical Bayes rule of scikit-learn's
``TargetEncoder`` (Micci-Barreca, 2001, SIGKDD Explorations 3); columns with very many levels get the share of rows.
Numbers that are codes (:mod:`testtime.table.codes`) and columns that name something together
(:mod:`testtime.table.keys`) get both, with their values as levels.

A labelled row must not see its own target: its statistics come from rows of other folds
(:meth:`LevelStatistics.cross_fitted`); those of new rows from all labelled rows (:meth:`LevelStatistics.transform`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import TargetEncoder

from testtime.adapt.episodes import deal_folds
from testtime.backbones.base import Encoded
from testtime.table.codes import same_number
from testtime.table.keys import Key

__all__ = ["LevelStatistics", "has_statistics", "room_for_keys", "signals_of", "told_classes"]

FEWEST_LEVELS = 5
"""Levels from which a column gets statistics; the model reads fewer from their codes."""

_MANY_LEVELS = 20  # from which the share of rows is told as well
_MOST_CLASSES = 3  # classes whose means are told where there are more than two: the most frequent ones
_MOST_COLUMNS = 60  # statistics in all
_INNER_FOLDS = 5
_FEW_ALONE = 0.01  # share of the rows; of later rows of the same kind as many have a new level


@dataclass(frozen=True)
class _Column:
    """Statistics of one column, or of several that name something together.

    Attributes
    ----------
    key
        Positions of the columns among the encoded ones.
    means
        Shrunk means of the target by level, ``(L + 1, S)``; the last row is for levels that were never seen.
    shares
        Share of the rows by level, ``(L + 1,)``; empty where it is not told.
    values
        The values that are levels, ``(L, K)``, with NaN for a missing one among several; without rows for a nominal
        column, which holds codes.
    alone
        Share of the rows whose level no other row has: what a level that was never seen means is learned from them.
    """

    key: Key
    means: NDArray[np.float64]
    shares: NDArray[np.float64]
    values: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 1)))
    alone: float = 1.0

    @property
    def width(self) -> int:
        """Number of statistics, S or S + 1."""
        return self.means.shape[1] + bool(len(self.shares))

    @property
    def n_levels(self) -> int:
        """Number of levels, without the one that stands for those never seen."""
        return len(self.means) - 1

    def codes(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Codes of the levels of rows ``(q, D) -> (q,)``, NaN where there is none."""
        return _codes(x[:, self.key], self.values)

    def lookup(self, codes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Statistics of rows by their codes, ``(q,) -> (q, S or S + 1)``; a missing level counts as never seen."""
        rows = np.where(self.knows(codes), codes, self.n_levels).astype(np.int64)
        found = self.means[rows]
        return np.column_stack([found, self.shares[rows]]) if len(self.shares) else found

    def knows(self, codes: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which codes are those of levels at fit, ``(q,)``."""
        return _are_levels(codes, self.n_levels)


@dataclass(frozen=True)
class LevelStatistics:
    """Fitted statistics of a table: of its nominal columns, and of its keys.

    Attributes
    ----------
    columns
        Those that have statistics.
    targets
        Classes whose means are told; a single 0 stands for a numeric target.
    """

    columns: tuple[_Column, ...]
    targets: tuple[int, ...]

    @classmethod
    def fit(
        cls,
        encoded: Encoded,
        y: NDArray,
        n_classes: int,
        groups: NDArray[np.int64] | None = None,
        keys: Collection[Key] = (),
    ) -> LevelStatistics:
        """Read the statistics off labelled rows.

        Parameters
        ----------
        encoded
            Encoded rows, ``(N, D)``.
        y
            Class codes or numbers, ``(N,)``.
        n_classes
            Number of classes, 0 for a numeric target.
        groups
            Codes of rows that belong together, which count once in shares, ``(N,)``; or None.
        keys
            Columns of numbers that are codes, and sets of columns that name something together.
        """
        targets = told_classes(y, n_classes)
        columns = []
        for key in _told_columns(encoded, len(targets), keys):
            x, n_levels, values = encoded.x[:, key], encoded.n_levels[key[0]], np.empty((0, 1))
            if key in keys:
                values = _levels(x)
                n_levels = len(values)
            codes = _codes(x, values)
            means = np.column_stack(
                [_level_means(codes, _signal(y, t, n_classes), n_levels) for t in targets]
            )
            shares = np.empty(0)
            if n_levels >= _MANY_LEVELS or key in keys:  # of other rows a key may have fewer values
                shares = _level_shares(codes, n_levels, groups)
            columns.append(_Column(key, means, shares, values, _share_alone(codes, groups)))
        return cls(tuple(columns), targets)

    def cross_fitted(
        self, encoded: Encoded, y: NDArray, seed: int, groups: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Encode the very rows this was fitted on, ``(N, D + S)``: each row's means come from rows of other folds.

        Parameters
        ----------
        encoded, y
            As at :meth:`fit`.
        seed
            Of the inner folds.
        groups
            Codes of rows that belong together, which tell each other nothing, ``(N,)``; or None.
        """
        if not self.columns:
            return encoded.x
        is_numeric = self.targets == (0,) and np.issubdtype(y.dtype, np.floating)
        n_folds = min(_INNER_FOLDS, len(y) if groups is None else len(np.unique(groups)))
        coded = [column.codes(encoded.x) for column in self.columns]
        found = [column.lookup(codes) for column, codes in zip(self.columns, coded, strict=True)]
        if n_folds < 2:  # no row is outside: what a level that was never seen is told
            for column, own in zip(self.columns, found, strict=True):
                own[:, : column.means.shape[1]] = column.means[-1]
            return np.column_stack([encoded.x, *found])
        for outside, inside in _folds(y, n_folds, seed, groups, is_numeric=bool(is_numeric)):
            for column, codes, own in zip(self.columns, coded, found, strict=True):
                n_classes = 0 if is_numeric else 2
                means = np.column_stack(
                    [
                        _level_means(codes[outside], _signal(y[outside], t, n_classes), column.n_levels)
                        for t in self.targets
                    ]
                )
                own[inside, : means.shape[1]] = _Column((0,), means, np.empty(0)).lookup(codes[inside])
        return np.column_stack([encoded.x, *found])

    @property
    def width(self) -> int:
        """Number of all statistics of a row, S."""
        return sum(column.width for column in self.columns)

    def transform(self, encoded: Encoded) -> NDArray[np.float64]:
        """Encode new rows, ``(q, D) -> (q, D + S)``."""
        return self.beside(encoded.x)

    def beside(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Put statistics beside the columns of new rows, ``(q, D) -> (q, D + S)``."""
        found = [column.lookup(column.codes(x)) for column in self.columns]
        return np.column_stack([x, *found]) if found else x

    def strange(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which rows ``(q, D)`` have a level that nobody has seen, by column with statistics, ``(q, C)``.

        Only where nearly all levels were seen several times: a row of the fit that is alone in its level is told what
        a new level is told, and from such rows the model learns what that means. A missing level is not strange.
        """
        strange = np.zeros((len(x), len(self.columns)), dtype=bool)
        for at, column in enumerate(self.columns):
            if column.alone < _FEW_ALONE:
                missing = np.isnan(x[:, column.key]).any(axis=1)
                strange[:, at] = ~missing & ~column.knows(column.codes(x))
        return strange

    def misleading(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which statistics of rows ``(q, D)`` mislead, ``(q, C)``: of strange levels, and of columns of a strange key.

        What a column of a key says alone was largely learned from rows of the same unit, which are not there now.
        """
        strange = self.strange(x)
        wrong = strange.copy()
        for rows, column in zip(strange.T, self.columns, strict=True):
            if len(column.key) > 1:
                shared = [not set(column.key).isdisjoint(other.key) for other in self.columns]
                wrong[:, shared] |= rows[:, None]
        return wrong

    def left_without(self, columns: NDArray[np.bool_], width: int) -> NDArray[np.int64]:
        """Return the places of rows ``(q, width)`` that are left without what levels of some columns say.

        Of a category nothing is left: its codes are names, and new ones say nothing.
        """
        sizes = [column.width for column in self.columns]
        given = np.ones(width - self.width, dtype=bool)
        gone = [column for column, asked in zip(self.columns, columns, strict=True) if asked]
        given[[column.key[0] for column in gone if not len(column.values)]] = False
        if not given.any():  # a model wants a column
            given[0] = True
        return np.flatnonzero(np.concatenate([given, np.repeat(~columns, sizes)]))

    def places_told_by(self, given: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the places in rows ``(q, D + S)`` of some columns, ``(D,)``, and of all that their levels say."""
        told = [np.full(column.width, given[list(column.key)].any()) for column in self.columns]
        return np.flatnonzero(np.concatenate([given, *told]))

    def to_arrays(self) -> dict[str, NDArray]:
        """Return the statistics as arrays, for the store."""
        arrays: dict[str, NDArray] = {"targets": np.array(self.targets, dtype=np.int64)}
        arrays["positions"] = np.array([column.key[0] for column in self.columns], dtype=np.int64)
        for i, column in enumerate(self.columns):
            arrays[f"means_{i}"], arrays[f"shares_{i}"] = column.means, column.shares
            arrays[f"alone_{i}"] = np.array([column.alone])
            if len(column.values):
                arrays[f"values_{i}"] = column.values.squeeze(1) if len(column.key) == 1 else column.values
            if len(column.key) > 1:
                arrays[f"key_{i}"] = np.array(column.key, dtype=np.int64)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> LevelStatistics:
        """Rebuild from :meth:`to_arrays`."""
        columns = tuple(
            _Column(
                tuple(arrays.get(f"key_{i}", [position])),
                arrays[f"means_{i}"],
                arrays[f"shares_{i}"],
                arrays.get(f"values_{i}", np.empty(0)).reshape(-1, len(arrays.get(f"key_{i}", [position]))),
                float(arrays.get(f"alone_{i}", [1.0])[0]),  # an older model answers as it did
            )
            for i, position in enumerate(arrays["positions"])
        )
        return cls(columns, tuple(int(t) for t in arrays["targets"]))


def _folds(
    y: NDArray, n_folds: int, seed: int, groups: NDArray[np.int64] | None, *, is_numeric: bool
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Deal rows into folds, classes evenly and groups whole; each with the rows outside it."""
    if groups is not None:
        rows = np.arange(len(y))
        dealt = deal_folds(rows, None if is_numeric else y, groups, n_folds, np.random.default_rng(seed))
        return [(np.setdiff1d(rows, inside), inside) for inside in dealt]
    smallest = len(y) if is_numeric else int(np.bincount(y)[np.unique(y)].min())
    kind = StratifiedKFold if not is_numeric and smallest >= n_folds else KFold
    return list(kind(n_folds, shuffle=True, random_state=seed).split(y, y))


def told_classes(y: NDArray, n_classes: int) -> tuple[int, ...]:
    """Return the classes whose means are told: of two the second, of more the most frequent; 0 for numbers."""
    if n_classes == 0:
        return (0,)
    if n_classes == 2:
        return (1,)
    counts = np.bincount(y, minlength=n_classes)
    return tuple(int(c) for c in np.sort(np.argsort(-counts, kind="stable")[:_MOST_CLASSES]))


def signals_of(y: NDArray, n_classes: int) -> NDArray[np.float64]:
    """Return what levels may tell, ``(N, S)``: if a row is of each told class, or the place of a number among all."""
    if n_classes == 0:
        return (rankdata(y) / len(y))[:, None]
    return np.column_stack([_signal(y, target, n_classes) for target in told_classes(y, n_classes)])


def _signal(y: NDArray, target: int, n_classes: int) -> NDArray[np.float64]:
    """What is averaged: whether a row is of the class, or the numeric target."""
    return y.astype(np.float64) if n_classes == 0 else (y == target).astype(np.float64)


def room_for_keys(n_told: int) -> int:
    """Return how many columns or keys can have statistics where so many means are told of each."""
    return _MOST_COLUMNS // (n_told + 1)


def _told_columns(encoded: Encoded, n_targets: int, keys: Collection[Key]) -> list[Key]:
    """Columns that get statistics, as many as there is room for: keys, and nominal ones with the most levels."""
    room = room_for_keys(n_targets)
    nominal = sorted(_many_levels(encoded), key=lambda j: -encoded.n_levels[j])
    return sorted([*keys, *((j,) for j in nominal)][:room])


def _levels(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Different values of the columns of a key, ``(N, K) -> (L, K)``, in order; a missing one is none if alone."""
    x = same_number(x[~np.isnan(x[:, 0])] if x.shape[1] == 1 else x)
    # Column by column, missing values are one.
    codes = [np.unique(column, return_inverse=True)[1].ravel() for column in x.T]
    return x[np.unique(np.column_stack(codes), axis=0, return_index=True)[1]]


def _codes(x: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Codes of levels, ``(q, K) -> (q,)``: a nominal column's own, else the places of its values among `values`."""
    if not len(values):
        return x[:, 0]
    known, places, of_levels = np.ones(len(x), dtype=bool), np.zeros(len(x), np.int64), np.zeros(1, np.int64)
    for own, levels in zip(same_number(x).T, values.T, strict=True):
        # Missing values sort last and count as one.
        distinct, codes = np.unique(levels, return_inverse=True)
        found = np.minimum(np.searchsorted(distinct, own), len(distinct) - 1)
        known &= (distinct[found] == own) | (np.isnan(distinct[found]) & np.isnan(own))
        # Sets of values so far, and among them those of the rows.
        sets, of_levels = np.unique(of_levels * len(distinct) + codes.ravel(), return_inverse=True)
        asked = places * len(distinct) + found
        places = np.minimum(np.searchsorted(sets, asked), len(sets) - 1)
        known &= sets[places] == asked
    level_of = np.argsort(of_levels.ravel(), kind="stable")
    return np.where(known, level_of[places], np.nan)


def has_statistics(encoded: Encoded) -> bool:
    """Tell whether a nominal column of the table gets statistics."""
    return bool(_many_levels(encoded))


def _many_levels(encoded: Encoded) -> list[int]:
    columns = enumerate(zip(encoded.kinds, encoded.n_levels, strict=True))
    return [j for j, (kind, n) in columns if kind == "nominal" and n >= FEWEST_LEVELS]


def _are_levels(codes: NDArray[np.float64], n_levels: int) -> NDArray[np.bool_]:
    """Which codes are those of levels; others are missing, or stand between those of levels."""
    return (codes >= 0) & (codes < n_levels) & (codes == np.floor(codes))


def _level_shares(
    codes: NDArray[np.float64], n_levels: int, groups: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    """Share of the rows by level, ``(L + 1,)``, 0 in the last entry; rows of one group and level count once."""
    known = _are_levels(codes, n_levels)
    units = np.arange(len(codes)) if groups is None else groups
    pairs = np.unique(np.column_stack([units[known], codes[known]]), axis=0)
    counts = np.bincount(pairs[:, 1].astype(np.int64), minlength=n_levels)
    return np.append(counts, 0) / max(1, len(np.unique(units)))


def _share_alone(codes: NDArray[np.float64], groups: NDArray[np.int64] | None) -> float:
    """Share of the rows, or groups, whose level no other has; a missing level is none."""
    pairs = np.column_stack([np.arange(len(codes)) if groups is None else groups, codes])
    counts = np.unique(np.unique(pairs[~np.isnan(codes)], axis=0)[:, 1], return_counts=True)[1]
    return float((counts == 1).sum() / max(1, counts.sum()))


def _level_means(
    codes: NDArray[np.float64], signal: NDArray[np.float64], n_levels: int
) -> NDArray[np.float64]:
    """Shrunk means by level, ``(L + 1,)``; levels without rows, and the last entry, have the mean of all rows."""
    means = np.full(n_levels + 1, signal.mean())
    present = _are_levels(codes, n_levels)
    seen = np.unique(codes[present])
    if len(seen) and np.ptp(signal[present]) > 0:
        encoder = TargetEncoder(target_type="continuous", smooth="auto")
        encoder.fit(codes[present, None], signal[present])
        means[seen.astype(np.int64)] = encoder.encodings_[0]
    return means
